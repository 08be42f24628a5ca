"""How much room the limits and the balances leave for one pair.

Owns: the value only; the engine fills it from limits, reservations and balances.
Units: KRW, USDT and base units as named; floats, because they bound a wish: the gate and the venue check exact amounts.
"""

from __future__ import annotations

from typing import NamedTuple


class Headroom(NamedTuple):
    """Free room now, reservations and reserves already taken off; never negative."""

    notional_krw: float
    """The tightest of all notional limits for one more position of the pair."""
    limit: str
    """The name of that limit, for the refusal."""
    quote_a_krw: float
    base_a_qty: float
    """Coins on A that may be sold."""
    quote_b_usdt: float
    """Cash on B (spot) or free margin (perpetual)."""
    base_b_qty: float
    """Coins on B that may be sold; contracts need none."""
    leverage_b: float
    """Of the contract account; 1.0 for spot."""
