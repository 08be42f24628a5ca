"""The wish to open: hurdle, size, expected result and its words.

Owns: the entry half of convergence for one direction.
Never: looks at positions or cooldown; `decide` has done so.
Units: bps of the A leg; quantities in base units.
"""

from __future__ import annotations

from typing import NamedTuple

from arb.domain.costs import Funding, four_fees_bps, funding
from arb.domain.depth import walk
from arb.domain.events import FundingRateSeen
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import EdgeView, Intent, IntentKind
from arb.domain.money import decimal_of
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.strategy.api import PairView
from arb.strategy.both_legs import sized_legs
from arb.strategy.convergence import kernel
from arb.strategy.convergence.params import ConvergenceParams
from arb.strategy.sizing import Sized, size_entry

_NO_FUNDING = Funding(0.0, 0.0, float("inf"))


class Hurdle(NamedTuple):
    """What one direction costs besides depth, and whether funding forbids it."""

    refusal: str
    bps: float
    """`min_profit_bps` and all costs but depth."""
    cost_bps: float
    """Fees and slippage less funding."""
    funding_bps: float


class Wish(NamedTuple):
    """What a direction came to."""

    intent: Intent | None
    refusal: str
    expected_bps: float
    gross_bps: float


def view_divergence_bps(view: PairView) -> float:
    """`d` of a view."""
    return kernel.divergence_bps(view.a.mid, view.b.mid / float(view.pair.multiplier), view.fx.mid)


def hurdle(view: PairView, params: ConvergenceParams, direction: Direction) -> Hurdle:
    """The bar for one direction under the fees and the funding of this moment."""
    fees_bps = four_fees_bps(float(view.fees_a.taker_rate), float(view.fees_b.taker_rate))
    fixed_bps = fees_bps + params.slippage_in_bps + params.slippage_out_bps
    coming, refusal = _coming_funding(view, params, direction)
    cost_bps = fixed_bps - coming.bps
    return Hurdle(refusal, params.min_profit_bps + cost_bps, cost_bps, coming.bps)


def wish(view: PairView, params: ConvergenceParams, direction: Direction, fair_bps: float, bar: Hurdle) -> Wish:
    """The entry that this view supports in one direction, or why it supports none."""
    d_bps = view_divergence_bps(view)
    best = _best_expected_bps(view, direction, d_bps, fair_bps, bar.cost_bps)
    if best.expected_bps < params.min_profit_bps:
        return best._replace(refusal="edge")
    if bar.refusal:
        return best._replace(refusal=bar.refusal)
    if view.headroom.notional_krw <= 0:
        return best._replace(refusal=view.headroom.limit)
    refusal = "edge"
    for cap_qty in _caps(view):
        found = _sized_wish(view, direction, (d_bps, fair_bps), bar, cap_qty)
        if found.intent is not None:
            return found
        refusal = found.refusal if refusal == "edge" else refusal
    return best._replace(refusal=refusal)


def _coming_funding(view: PairView, params: ConvergenceParams, direction: Direction) -> tuple[Funding, str]:
    if view.instrument_b.kind is not InstrumentKind.PERPETUAL:
        return _NO_FUNDING, ""
    seen = view.funding
    if seen is None or view.now_ns - seen.at_ns > params.funding_max_age_s * 1e9:
        return _NO_FUNDING, "funding_unknown"
    coming = funding(
        direction=direction,
        rate=float(seen.rate),
        mean_rate=_mean_rate(seen, params.funding_lookback),
        interval_s=seen.interval_s,
        next_in_s=seen.next_settlement_ms / 1e3 - view.wall_ns / 1e9,
        hold_s=params.expected_hold_s,
        haircut=params.funding_income_haircut,
    )
    is_guarded = 0 <= coming.next_in_s <= params.funding_guard_s and coming.next_bps < -params.funding_guard_bps
    return coming, "funding_guard" if is_guarded else ""


def _mean_rate(seen: FundingRateSeen, lookback: int) -> float:
    """Mean of the newest past rates; the predicted one when none is known."""
    past = seen.past_rates[:lookback]
    return float(sum(past)) / len(past) if past else float(seen.rate)


def _sized_wish(
    view: PairView,
    direction: Direction,
    level: tuple[float, float],
    bar: Hurdle,
    cap_qty: float,
) -> Wish:
    d_bps, fair_bps = level
    unit, fraction = float(view.pair.multiplier), view.rules.depth_fraction
    a, b = sized_legs(view, Side.BUY if direction is Direction.LONG_A else Side.SELL)
    back_a = walk(a.opposite_levels, cap_qty, fraction)
    back_b = walk(b.opposite_levels, cap_qty / unit, fraction)
    if back_a.qty <= 0.0 or back_b.qty <= 0.0:
        return Wish(None, "depth", 0.0, 0.0)
    way_back_bps = _way_back_bps(view, direction, back_a.vwap, back_b.vwap / unit)
    floor_bps = kernel.entry_floor_bps(direction.sign, d_bps, fair_bps, way_back_bps, bar.bps)
    sized = size_entry(
        a,
        b,
        direction=direction,
        fx=view.fx,
        headroom=view.headroom,
        rules=view.rules,
        floor_bps=floor_bps,
        cap_qty=min(cap_qty, back_a.qty, back_b.qty * unit),
    )
    return _worded(view, direction, level, bar, sized, way_back_bps)


def _worded(
    view: PairView,
    direction: Direction,
    level: tuple[float, float],
    bar: Hurdle,
    sized: Sized,
    way_back_bps: float,
) -> Wish:
    """The sized legs as an intent with its edge, or why there are none."""
    if sized.a is None or sized.b is None:
        return Wish(None, sized.refusal, 0.0, 0.0)
    d_bps, fair_bps = level
    price_b = float(sized.b.expected_price) / float(view.pair.multiplier)
    gross_bps = _way_in_bps(view, direction, float(sized.a.expected_price), price_b)
    expected_bps = kernel.expected_bps(direction.sign, d_bps, fair_bps, gross_bps + way_back_bps, bar.cost_bps)
    edge = EdgeView(
        d_bps=d_bps,
        fair_bps=fair_bps,
        gross_bps=gross_bps,
        expected_bps=expected_bps,
        cost_bps=bar.cost_bps + bar.funding_bps - gross_bps - way_back_bps,
        funding_bps=bar.funding_bps,
        fx_mid=decimal_of(view.fx.mid),
        fx_bid=decimal_of(view.fx.bid),
        fx_ask=decimal_of(view.fx.ask),
    )
    intent = Intent(
        pair=view.pair.id,
        kind=IntentKind.ENTER,
        direction=direction,
        qty=sized.qty,
        a=sized.a,
        b=sized.b,
        edge=edge,
        reason="edge",
    )
    return Wish(intent, "", expected_bps, gross_bps)


def _best_expected_bps(view: PairView, direction: Direction, d_bps: float, fair_bps: float, cost_bps: float) -> Wish:
    """The bound at best quotes: no depth cost but the spreads."""
    unit, a, b = float(view.pair.multiplier), view.a, view.b
    opening = kernel.opening_bps(b.best_bid / unit, a.best_ask, view.fx.sell_b)
    closing = kernel.closing_bps(a.best_bid, b.best_ask / unit, view.fx.buy_b)
    expected_bps = kernel.expected_bps(direction.sign, d_bps, fair_bps, opening + closing, cost_bps)
    return Wish(None, "", expected_bps, opening if direction is Direction.LONG_A else closing)


def _way_in_bps(view: PairView, direction: Direction, price_a: float, price_b: float) -> float:
    if direction is Direction.LONG_A:
        return kernel.opening_bps(price_b, price_a, view.fx.sell_b)
    return kernel.closing_bps(price_a, price_b, view.fx.buy_b)


def _way_back_bps(view: PairView, direction: Direction, price_a: float, price_b: float) -> float:
    if direction is Direction.LONG_A:
        return kernel.closing_bps(price_a, price_b, view.fx.buy_b)
    return kernel.opening_bps(price_b, price_a, view.fx.sell_b)


def _caps(view: PairView) -> tuple[float, ...]:
    """Sizes at which the way back is priced: all the room there is, then twice the smallest position."""
    whole = view.headroom.notional_krw / view.a.mid
    small = 2 * float(view.rules.min_position_krw) / view.a.mid
    return (whole, small) if 0 < small < whole else (whole,)
