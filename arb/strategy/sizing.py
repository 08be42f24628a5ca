"""The largest quantity that depth, limits, balances and both venues' rules allow, and the two orders that trade it.

Owns: the size of an entry and of an exit, with limit prices, and the one crossing from float to Decimal.
Never: knows which limit is behind the headroom, or sends anything.
Units: `qty` in base units, `LegPlan.qty` in contract units; prices in each instrument's quote; fractions 0–1.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from arb.domain.costs import FxRates
from arb.domain.depth import walk
from arb.domain.fees import FeeAsset
from arb.domain.headroom import Headroom
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import LegPlan
from arb.domain.money import EXACT, ceil_to_step, common_step, decimal_of, floor_to_lot, floor_to_step
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.domain.pricing import limit_price, tick_bps
from arb.strategy.reach import SizedLeg, SizingRules, reach_of

__all__ = ["Sized", "SizedLeg", "SizingRules", "locked_quote", "plan_exit", "planned_qty", "size_entry"]

_ZERO = Decimal(0)
_ONE = Decimal(1)


class Sized(NamedTuple):
    """A quantity with its two orders, or the name of what allowed none."""

    refusal: str
    """Empty when there is a size."""
    qty: Decimal
    """Base units, 0 when refused."""
    a: LegPlan | None
    b: LegPlan | None


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
    reach = reach_of(
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
    want_a = _closing_qty(a, qty_a, rules)
    want_b = _closing_qty(b, qty_b, rules)
    if want_a <= 0 or want_b <= 0:
        return _refused("depth" if share < 1.0 else "lot")
    return _two_plans(a, want_a, b, want_b, min(qty_a, qty_b), rules, is_closing=True)


def _closing_qty(leg: SizedLeg, qty: Decimal, rules: SizingRules) -> Decimal:
    """Contract units that close `qty` base units: never more, but where a spot buy loses its fee in base."""
    if leg.side is Side.BUY and leg.instrument.kind is InstrumentKind.SPOT:
        return planned_qty(leg, qty, is_bnb_covering=rules.is_bnb_covering)
    return floor_to_step(qty / leg.multiplier, leg.instrument.lot)


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


def _plan_entry(a: SizedLeg, b: SizedLeg, qty: Decimal, rules: SizingRules) -> Sized:
    want_a = planned_qty(a, qty, is_bnb_covering=rules.is_bnb_covering)
    want_b = planned_qty(b, qty, is_bnb_covering=rules.is_bnb_covering)
    sized = _two_plans(a, want_a, b, want_b, qty, rules, is_closing=False)
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
    is_closing: bool,
) -> Sized:
    plans = []
    for leg, want, suffix in ((a, want_a, "_a"), (b, want_b, "_b")):
        plan, refusal = _plan(leg, want, rules, is_closing)
        if plan is None:
            return _refused(refusal + suffix)
        plans.append(plan)
    return Sized("", qty, plans[0], plans[1])


def _plan(leg: SizedLeg, qty: Decimal, sizing: SizingRules, is_closing: bool) -> tuple[LegPlan | None, str]:
    """One order; closing takes the whole visible depth, and a contract may be closed below its minimum notional."""
    found = walk(leg.levels, float(qty), 1.0 if is_closing else sizing.depth_fraction)
    if found.qty <= 0.0:
        return None, "depth"
    rules, last = leg.instrument, decimal_of(found.last_price)
    priced = limit_price(rules, leg.side, last, decimal_of(sizing.collar_bps), decimal_of(leg.reference))
    is_exempt = is_closing and rules.kind is InstrumentKind.PERPETUAL
    if not priced.reaches:
        return None, "price_band"
    if qty < rules.min_qty:
        return None, "min_qty"
    if not is_exempt and EXACT.multiply(qty, priced.price) < rules.min_notional:
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
