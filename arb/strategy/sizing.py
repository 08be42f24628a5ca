"""The largest quantity that depth, limits, balances and both venues' rules allow, and the two orders that trade it.

Owns: the size of an entry and of an exit, with limit prices, and the one crossing from float to Decimal.
Never: knows which limit is behind the headroom, or sends anything.
Units: `qty` in base units, `LegPlan.qty` in contract units; prices in each instrument's quote; fractions 0–1.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import attrs

from arb.domain.costs import FxRates, close_bps, open_bps
from arb.domain.depth import Depth, walk
from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.headroom import Headroom
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.intent import LegPlan
from arb.domain.money import EXACT, ceil_to_step, common_step, decimal_of, floor_to_lot, floor_to_step
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.domain.pricing import limit_price, tick_bps

_INFINITE = float("inf")
_ZERO = Decimal(0)
_ONE = Decimal(1)


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


@attrs.frozen(kw_only=True)
class SizedLeg:
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


def size_entry(
    a: SizedLeg,
    b: SizedLeg,
    *,
    direction: Direction,
    fx: FxRates,
    headroom: Headroom,
    rules: SizingRules,
    floor_bps: float,
    cap_qty: float,
) -> Sized:
    """The largest entry whose every unit earns at least `floor_bps` gross and that all limits hold.

    `floor_bps` is compared with `open_bps` (long A) or `close_bps` (short A) level by level; `cap_qty` in base units.
    """
    for leg, name in ((a, "tick_a"), (b, "tick_b")):
        if not leg.levels or tick_bps(leg.instrument, decimal_of(leg.levels[0])) > rules.max_tick_bps:
            return _refused(name if leg.levels else "depth")
    reach = _reach(
        a, b, direction=direction, fx=fx, headroom=headroom, rules=rules, floor_bps=floor_bps, cap_qty=cap_qty
    )
    step = common_step(a.lot, b.lot)
    qty = floor_to_lot(reach.qty, step)
    excess = "lot"
    for _ in range(3):
        if qty <= 0:
            return _refused(reach.bound if reach.qty <= 0 or reach.bound not in ("edge", "depth") else "lot")
        sized = _plan_entry(a, b, qty, rules)
        if sized.a is None or sized.b is None:
            return (
                sized
                if reach.bound in ("edge", "depth") or sized.refusal.startswith("price_band")
                else _refused(reach.bound)
            )
        excess = _excess(a, b, sized.a, sized.b, headroom)
        if not excess:
            return sized
        qty -= step
    return _refused(excess)


def plan_exit(a: SizedLeg, b: SizedLeg, *, qty_a: Decimal, qty_b: Decimal, rules: SizingRules) -> Sized:
    """The two orders that close `qty_a` and `qty_b` (base units, positive), alike less where the books hold less."""
    found_a = walk(a.levels, float(qty_a)).qty
    found_b = walk(b.levels, float(qty_b / b.multiplier)).qty * float(b.multiplier)
    share = min(found_a / float(qty_a) if qty_a else 1.0, found_b / float(qty_b) if qty_b else 1.0)
    if share < 1.0 - 1e-9:
        common = common_step(a.lot, b.lot)
        qty_a = qty_b = floor_to_lot(share * float(min(qty_a, qty_b)), common)
    want_a = floor_to_step(qty_a, a.instrument.lot)
    want_b = floor_to_step(qty_b / b.multiplier, b.instrument.lot)
    if want_a <= 0 or want_b <= 0:
        return _refused("depth" if share < 1.0 else "lot")
    return _two_plans(
        a, want_a, b, want_b, min(want_a, EXACT.multiply(want_b, b.multiplier)), rules, depth_fraction=1.0
    )


def planned_qty(leg: SizedLeg, qty: Decimal, *, is_bnb_covering: bool) -> Decimal:
    """Contract units to order so that `qty` base units arrive: a spot buy whose fee is taken in base needs more."""
    contracts = qty / leg.multiplier
    takes_base = leg.fees.fee_asset is FeeAsset.RECEIVED or (leg.fees.fee_asset is FeeAsset.BNB and not is_bnb_covering)
    if leg.instrument.kind is InstrumentKind.SPOT and leg.side is Side.BUY and takes_base:
        return ceil_to_step(contracts / (_ONE - leg.fees.taker_rate), leg.instrument.lot)
    return ceil_to_step(contracts, leg.instrument.lot)


def locked_quote(qty: Decimal, price: Decimal, fee_rate: Decimal) -> Decimal:
    """What the venue locks for a buy of `qty` contract units: `q · limit · (1 + fee)`."""
    return EXACT.multiply(EXACT.multiply(qty, price), _ONE + fee_rate)


def _reach(
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


def _plan_entry(a: SizedLeg, b: SizedLeg, qty: Decimal, rules: SizingRules) -> Sized:
    want_a = planned_qty(a, qty, is_bnb_covering=rules.is_bnb_covering)
    want_b = planned_qty(b, qty, is_bnb_covering=rules.is_bnb_covering)
    sized = _two_plans(a, want_a, b, want_b, qty, rules, depth_fraction=rules.depth_fraction)
    if sized.a is None or sized.b is None:
        return sized
    if EXACT.multiply(qty, sized.a.limit_price) < rules.min_position_krw:
        return _refused("min_position")
    kept = decimal_of(1 - rules.exit_price_shock)
    for leg, plan, name in ((a, sized.a, "min_exit_a"), (b, sized.b, "min_exit_b")):
        exit_qty = min(plan.qty, qty / leg.multiplier)
        if EXACT.multiply(EXACT.multiply(exit_qty, plan.limit_price), kept) < leg.instrument.min_notional:
            return _refused(name)
    return sized


def _two_plans(
    a: SizedLeg,
    want_a: Decimal,
    b: SizedLeg,
    want_b: Decimal,
    qty: Decimal,
    rules: SizingRules,
    *,
    depth_fraction: float,
) -> Sized:
    plans = []
    for leg, want, suffix in ((a, want_a, "_a"), (b, want_b, "_b")):
        plan, refusal = _plan(leg, want, decimal_of(rules.collar_bps), depth_fraction)
        if plan is None:
            return _refused(refusal + suffix)
        plans.append(plan)
    return Sized("", qty, plans[0], plans[1])


def _plan(leg: SizedLeg, qty: Decimal, collar_bps: Decimal, depth_fraction: float) -> tuple[LegPlan | None, str]:
    found = walk(leg.levels, float(qty), depth_fraction)
    if found.qty <= 0.0:
        return None, "depth"
    priced = limit_price(leg.instrument, leg.side, decimal_of(found.last_price), collar_bps, decimal_of(leg.reference))
    rules = leg.instrument
    if not priced.reaches:
        return None, "price_band"
    if qty < rules.min_qty:
        return None, "min_qty"
    if EXACT.multiply(qty, priced.price) < rules.min_notional:
        return None, "min_notional"
    plan = LegPlan(
        instrument=rules.id, side=leg.side, qty=qty, limit_price=priced.price, expected_price=decimal_of(found.vwap)
    )
    return plan, ""


def _excess(a: SizedLeg, b: SizedLeg, plan_a: LegPlan, plan_b: LegPlan, headroom: Headroom) -> str:
    """The first exact amount that the headroom does not hold, by name; empty when it holds all."""
    if EXACT.multiply(plan_a.qty, plan_a.limit_price) > decimal_of(headroom.notional_krw):
        return headroom.limit
    if _needs_more(a, plan_a, headroom.quote_a_krw, headroom.base_a_qty, 1.0):
        return "balance_a"
    if _needs_more(b, plan_b, headroom.quote_b_usdt, headroom.base_b_qty, headroom.leverage_b):
        return "balance_b"
    for leg, plan, name in ((a, plan_a, "max_qty_a"), (b, plan_b, "max_qty_b")):
        rules = leg.instrument
        too_many = rules.max_qty is not None and plan.qty > rules.max_qty
        if too_many or (
            rules.max_notional is not None and EXACT.multiply(plan.qty, plan.limit_price) > rules.max_notional
        ):
            return name
    return ""


def _needs_more(leg: SizedLeg, plan: LegPlan, quote: float, base: float, leverage: float) -> bool:
    if leg.instrument.kind is InstrumentKind.PERPETUAL:
        value = EXACT.multiply(plan.qty, plan.limit_price)
        return EXACT.multiply(value, _ONE / decimal_of(leverage) + leg.fees.taker_rate) > decimal_of(quote)
    if leg.side is Side.SELL:
        return EXACT.multiply(plan.qty, leg.multiplier) > decimal_of(base)
    return locked_quote(plan.qty, plan.limit_price, leg.fees.taker_rate) > decimal_of(quote)


def _refused(name: str) -> Sized:
    return Sized(name, _ZERO, None, None)
