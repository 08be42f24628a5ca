"""What an imbalance is worth on each way out, and the price an order for it may reach.

Owns: the numbers that `execution.hedge` chooses by, and the bound of an incident's order.
Never: sends, or changes anything.
Units: quantities in base units; prices in each instrument's quote; `_krw` per base unit at the FX mid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.costs import depth_cost_bps
from arb.domain.depth import walk
from arb.domain.intent import IntentKind
from arb.domain.money import booked, decimal_of
from arb.domain.order import Side
from arb.domain.pair import Direction, Pair
from arb.domain.pricing import limit_price
from arb.engine.memory import Turn
from arb.engine.sending import touched
from arb.engine.view import fees_of, leg_instrument, mid_of
from arb.execution import hedge
from arb.execution.legs import LegPair

ZERO: Final = Decimal(0)


def incident_cost_krw(turn: Turn, legs: LegPair, pair: Pair) -> Decimal:
    """What the orders that nobody planned cost against the plan; negative when they were better.

    An order that completes is measured by the planned price, one that reverses by what the leg had traded at and
    with the fees of both ways; without a plan, by the price at decision.
    """
    total = 0.0
    plans = {"a": legs.intent.a, "b": legs.intent.b} if legs.intent is not None else {}
    for leg, keys, first in (("a", legs.orders_a, 1 if plans else 0), ("b", legs.orders_b, legs.first_b)):
        unit_krw = 1.0 if leg == "a" else turn.memory.fx.mid
        rate = float(fees_of(turn.memory, turn.config, leg_instrument(pair, leg)).taker_rate)
        plan = plans.get(leg)
        planned = fill_price(turn, legs, leg, first)
        for line in (turn.memory.orders.lines[key] for key in keys[first:]):
            if not line.fill_qty:
                continue
            price = float(line.fill_cost / line.fill_qty)
            if plan is not None and line.request.side is plan.side:
                paid = (price - float(plan.expected_price)) * plan.side.sign
            else:
                undone = float(planned if plan is not None and planned is not None else line.request.expected_price)
                paid = (price - undone) * line.request.side.sign + (price + undone) * rate
            total += paid * float(line.fill_qty) * unit_krw
    return booked(decimal_of(total))


def price_within(turn: Turn, pair: Pair, leg: str, side: Side, reach: Decimal, cap_bps: float) -> Decimal:
    """A legal limit no further than the cap from `reach`."""
    instrument = turn.memory.market.instruments[leg_instrument(pair, leg)]
    reference = decimal_of(mid_of(turn.memory, instrument.id)) or reach
    return limit_price(instrument, side, reach, decimal_of(cap_bps), reference).price


def reach_of(turn: Turn, legs: LegPair, pair: Pair, leg: str, side: Side, cap: float) -> tuple[Decimal, float]:
    """What an order is measured from: the touched quote if fresh, else what the leg traded at, with its own collar."""
    instrument = leg_instrument(pair, leg)
    touch = touched(turn, pair, leg, side)
    if touch is not None and not turn.memory.market.staleness(instrument, turn.memory.now_ns):
        return touch, cap
    filled = fill_price(turn, legs, leg)
    return filled or touch or Decimal(1), turn.config.execution.hedge_collar_bps


def fill_price(turn: Turn, legs: LegPair, leg: str, count: int | None = None) -> Decimal | None:
    """VWAP of what a leg's (first `count`) orders traded, in its quote; the plan's price when nothing did."""
    lines = [turn.memory.orders.lines[key] for key in (legs.orders_a if leg == "a" else legs.orders_b)[:count]]
    qty = sum((line.fill_qty for line in lines), ZERO)
    if qty:
        return sum((line.fill_cost for line in lines), ZERO) / qty
    if legs.intent is None:
        return None
    return legs.intent.a.expected_price if leg == "a" else legs.intent.b.expected_price


def krw_per(turn: Turn, pair: Pair, leg: str) -> float:
    """KRW per base unit for a price of 1 in the leg's instrument; after a restart books may come before the FX does."""
    return 1.0 if leg == "a" else turn.memory.fx.known_mid / float(pair.multiplier)


def now_krw(turn: Turn, pair: Pair, leg: str, side: Side, qty: float) -> float | None:
    """VWAP at which a leg could trade now; None without a fresh book or a venue that trades."""
    market, instrument = turn.memory.market, leg_instrument(pair, leg)
    if market.staleness(instrument, turn.memory.now_ns) or not market.is_tradable(instrument):
        return None
    depth = market.books[instrument].depth
    scale = 1.0 if leg == "a" else float(pair.multiplier)
    found = walk(depth.asks if side is Side.BUY else depth.bids, qty / scale)
    return found.vwap * krw_per(turn, pair, leg) if found.qty > 0 else None


def h_exit_krw(turn: Turn, legs: LegPair, pair: Pair, qty: float) -> float:
    """Half-spread plus depth cost of leaving both legs later, as the books stand."""
    side_a = Side.SELL if legs.direction is Direction.LONG_A else Side.BUY
    total = 0.0
    for leg, side in (("a", side_a), ("b", side_a.opposite)):
        book = turn.memory.market.book(leg_instrument(pair, leg))
        if book is not None and book.is_usable:
            scale = 1.0 if leg == "a" else float(pair.multiplier)
            total += depth_cost_bps(book.depth, side, qty / scale) / 1e4 * book.mid * krw_per(turn, pair, leg)
    return total


def case_of(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal, filled: str, missing: str) -> hedge.Imbalance:
    side = Side.SELL if imbalance > 0 else Side.BUY
    qty = float(abs(imbalance))
    fill = fill_price(turn, legs, filled)
    exit_krw = now_krw(turn, pair, filled, side, qty)
    fill_krw = float(fill) * krw_per(turn, pair, filled) if fill is not None else exit_krw or 1.0
    return hedge.Imbalance(
        qty=qty,
        direction=legs.direction,
        filled_leg=filled,
        filled_side=side.opposite,
        fill_krw=fill_krw,
        missing_krw=now_krw(turn, pair, missing, side, qty),
        exit_krw=exit_krw,
        fair_bps=legs.intent.edge.fair_bps if legs.intent is not None else 0.0,
        h_exit_krw=h_exit_krw(turn, legs, pair, qty),
        fee_rate_filled=float(fees_of(turn.memory, turn.config, leg_instrument(pair, filled)).taker_rate),
        fee_rate_missing=float(fees_of(turn.memory, turn.config, leg_instrument(pair, missing)).taker_rate),
        is_closing=legs.kind is IntentKind.EXIT and legs.intent is not None,
    )
