"""The largest quantity that depth, limits, balances and both venues' rules allow, and the two orders that trade it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import attrs

from arb.domain.intent import LegPlan


@attrs.frozen(kw_only=True)
class SizingRules:
    """What bounds the size of one pair's orders; filled by the engine from `[execution]` and `[risk]`."""

    depth_fraction: float
    """Of each level's size that we may take, 0–1."""
    collar_bps: float
    max_tick_bps: float
    min_position_krw: Decimal
    exit_price_shock: float
    """The exit of the same quantity must still be orderable after prices fell by this fraction."""
    is_bnb_covering: bool
    """The BNB balance covers the fees of the coming trades: a spot buy on B needs no extra quantity for its fee."""


class Sized(NamedTuple):
    """A quantity with its two orders, or the name of what allowed none."""

    refusal: str
    """Empty when there is a size."""
    qty: Decimal
    """Base units, 0 when refused."""
    a: LegPlan | None
    b: LegPlan | None
