"""How far both books can be walked together before an edge, a limit or a balance ends it.

Owns: the bound of a size in floats, and the name of what bound it.
Never: rounds to lots or prices an order; `sizing` does.
Units: quantities in base units; prices in each instrument's quote; fractions 0–1.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from arb.domain.costs import FxRates, close_bps, open_bps
from arb.domain.depth import Depth
from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.headroom import Headroom
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import EXACT
from arb.domain.order import Side
from arb.domain.pair import Direction

_INFINITE = float("inf")


class SizingRules(NamedTuple):
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


class SizedLeg(NamedTuple):
    """One side of a size: the instrument, its book and which way it is traded."""

    instrument: Instrument
    depth: Depth
    fees: FeeSchedule
    side: Side
    multiplier: Decimal
    """Base units per contract unit."""
    reference: float
    """What the venue's price band hangs on (mark or mid), instrument terms."""

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels that our order would take."""
        return self.depth.asks if self.side is Side.BUY else self.depth.bids

    @property
    def opposite_levels(self) -> tuple[float, ...]:
        """The levels that undoing it would take."""
        return self.depth.bids if self.side is Side.BUY else self.depth.asks

    @property
    def lot(self) -> Decimal:
        """Quantity step in base units."""
        return EXACT.multiply(self.instrument.lot, self.multiplier)


class Reach(NamedTuple):
    """How far an edge and the limits let us walk both books together."""

    qty: float
    bound: str
    """What stopped the walk: `edge`, `depth`, a limit's name, `balance_a`, `balance_b`, `max_qty`."""


def reach_of(
    a: SizedLeg,
    b: SizedLeg,
    *,
    direction: Direction,
    fx: FxRates,
    headroom: Headroom,
    rules: SizingRules,
    floor_bps: float,
    cap_qty: float,
) -> Reach:
    """Walk both books together, level by level, while edge, limits and balances hold."""
    levels_a, levels_b, unit = a.levels, b.levels, float(b.multiplier)
    fraction, i, j, used = rules.depth_fraction, 0, 0, 0.0
    left_a, left_b = levels_a[1] * fraction, levels_b[1] * fraction * unit
    while True:
        price_a, price_b = levels_a[i], levels_b[j] / unit
        if _edge_bps(direction, price_a, price_b, fx) < floor_bps:
            return Reach(used, "edge")
        allowed, bound = _allowed(a, b, price_a, price_b, headroom, rules)
        if cap_qty < allowed:
            allowed, bound = cap_qty, "depth"
        step = min(left_a, left_b)
        if used + step >= allowed:
            return Reach(max(used, allowed), bound)
        used, left_a, left_b = used + step, left_a - step, left_b - step
        if left_a <= 0.0:
            i += 2
            if i >= len(levels_a):
                return Reach(used, "depth")
            left_a = levels_a[i + 1] * fraction
        if left_b <= 0.0:
            j += 2
            if j >= len(levels_b):
                return Reach(used, "depth")
            left_b = levels_b[j + 1] * fraction * unit


def _edge_bps(direction: Direction, price_a: float, price_b: float, fx: FxRates) -> float:
    if direction is Direction.LONG_A:
        return open_bps(price_b, price_a, fx.sell_b)
    return close_bps(price_a, price_b, fx.buy_b)


def _allowed(
    a: SizedLeg, b: SizedLeg, price_a: float, price_b: float, headroom: Headroom, rules: SizingRules
) -> tuple[float, str]:
    """The largest quantity that limits and balances hold at these prices, and the name of the tightest."""
    collar = 1 + rules.collar_bps * 1e-4
    limit_a = price_a * collar if a.side is Side.BUY else price_a
    candidates = (
        (headroom.notional_krw / limit_a, headroom.limit),
        (_balance_qty(a, limit_a, headroom.quote_a_krw, headroom.base_a_qty, 1.0), "balance_a"),
        (
            _balance_qty(b, price_b * collar, headroom.quote_b_usdt, headroom.base_b_qty, headroom.leverage_b),
            "balance_b",
        ),
        (_max_qty(a, limit_a), "max_qty_a"),
        (_max_qty(b, price_b * collar), "max_qty_b"),
    )
    return min(candidates)


def _balance_qty(leg: SizedLeg, price: float, quote: float, base: float, leverage: float) -> float:
    fee = float(leg.fees.taker_rate)
    if leg.instrument.kind is InstrumentKind.PERPETUAL:
        return quote / (price * (1 / leverage + fee))
    if leg.side is Side.SELL:
        return base
    return quote / (price * (1 + fee)) * (1 - fee if leg.fees.fee_asset is not FeeAsset.QUOTE else 1.0)


def _max_qty(leg: SizedLeg, price: float) -> float:
    rules = leg.instrument
    by_qty = float(rules.max_qty * leg.multiplier) if rules.max_qty is not None else _INFINITE
    by_notional = float(rules.max_notional) / price if rules.max_notional is not None else _INFINITE
    return min(by_qty, by_notional)
