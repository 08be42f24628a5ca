"""Cross-exchange arbitrage between Upbit and Binance: a pure decision machine in a thin Trio shell.

Owns: the version.
Never: imports a room of its own, so that `import arb` costs nothing.
"""

__version__ = "0.1.0"
