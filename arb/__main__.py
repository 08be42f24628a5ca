"""`python -m arb`: the same command as the console script `arb`.

Owns: nothing but the call.
Never: parses, decides or prints; that is the work of arb.cli.
"""

from arb.cli.main import entry

if __name__ == "__main__":
    entry()
