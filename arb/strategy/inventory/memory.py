"""What inventory remembers of one pair: when it last traded, and the bars of its last whole look.

Owns: the frozen own state.
Never: reads a clock; the view brings the time.
Units: times monotonic `_ns`, edges in bps.
"""

from __future__ import annotations

from typing import Final

import attrs

NEVER_NS: Final = -(1 << 62)
LOOK_EVERY_NS: Final = 1_000_000_000
"""Balances may move the bars: they are taken anew this often."""


@attrs.frozen(kw_only=True)
class InventoryMemory:
    """The own state; a new value whenever something is learnt."""

    last_trade_ns: int
    """Last view on which an order was in hand; the cooldown runs from it."""
    next_look_ns: int = NEVER_NS
    """From then on the bars are old."""
    bar_long_bps: float = 0.0
    """Gross edge at best quotes that a long A must bring; infinite: it does not trade."""
    bar_short_bps: float = 0.0
