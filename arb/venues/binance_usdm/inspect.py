"""Exact decoding of what this market sends; both Binance markets share it.

Owns: the name under which its events are printed.
Never: takes part in trading.
"""

from __future__ import annotations

from typing import Final

from arb.venues.binance_inspect import BinanceInspector

INSPECTOR: Final = BinanceInspector("binance_usdm")
