"""Two-leg orders in hand: advanced after every event that concerns them and on every tick.

Owns: what an imbalance is answered with, escalation, and what the end of a two-leg order does to the books.
Never: opens anything new.
Units: quantities in base units; prices in each instrument's quote; `_krw` per base unit at the FX mid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.costs import depth_cost_bps
from arb.domain.depth import walk
from arb.domain.effects import Cell, Severity
from arb.domain.events import OrderUpdated
from arb.domain.intent import IntentKind
from arb.domain.money import decimal_of
from arb.domain.order import OrderState, OrderUpdate, Purpose, Side
from arb.domain.pair import Direction, Pair
from arb.domain.pricing import limit_price
from arb.engine import rows
from arb.engine.memory import Turn
from arb.engine.sending import WishedOrder, ask_after_silent, send, touched
from arb.engine.view import HOUR_NS, fees_of, is_dust, leg_instrument, leg_rules, mid_of, recent
from arb.execution import hedge
from arb.execution.legs import LegPair, LegState, LegSum, Move, Task, end_state, next_move, state_for, sums, tradable

ZERO: Final = Decimal(0)
RETRY_NS: Final = 250_000_000
ENDED_KEPT: Final = 200


def work_all(turn: Turn) -> None:
    """Time passed: ask after silent orders, settle definite ones, advance everything in hand."""
    ask_after_silent(turn)
    settle_not_found(turn)
    for lane in turn.memory.lanes.values():
        if lane.legs:
            advance(turn, turn.memory.legs[lane.legs])


def settle_not_found(turn: Turn) -> None:
    """ "Not found" often enough for long enough is an answer."""
    memory, params = turn.memory, turn.config.execution
    for line in memory.orders.working():
        if line.state is not OrderState.NOT_FOUND or line.not_found_count < params.unknown_not_found_n:
            continue
        request = line.request
        is_old = memory.now_ns - line.not_found_since_ns >= params.unknown_not_found_s * 1e9
        if is_old and memory.market.is_tradable(request.instrument):
            gone = OrderUpdate(
                client_order_id=request.client_order_id, instrument=request.instrument, state=OrderState.REJECTED,
                filled_qty=ZERO, reason="not_found", received_ns=memory.now_ns,
            )  # fmt: skip
            order_updated(turn, OrderUpdated(at_ns=memory.now_ns, update=gone))


def order_updated(turn: Turn, event: OrderUpdated) -> None:
    """Fold what is known of an order, write its revision, advance what it belongs to."""
    memory = turn.memory
    known = memory.orders.lines.get(event.update.client_order_id)
    was = known.state if known is not None else None
    line = memory.orders.update(event.update, memory.now_ns)
    if line is None:
        return
    legs = memory.legs.get(line.owner)
    rows.order_row(turn, line, legs.position if legs is not None else line.owner)
    if line.state is not was and (line.is_final or line.state is OrderState.UNKNOWN):
        trip_ns = memory.now_ns - line.submitted_ns
        values: dict[str, Cell] = {"venue": line.request.venue, "outcome": line.state.value, "roundtrip_ns": trip_ns}
        turn.publish("order", values)
    if legs is not None and legs.is_open:
        advance(turn, legs)


def advance(turn: Turn, legs: LegPair) -> None:
    """Take every step that the knowledge of both legs asks for now."""
    memory, pair = turn.memory, turn.pair_config(legs.pair).pair
    rules_a, rules_b = leg_rules(memory, turn.config, pair, "a"), leg_rules(memory, turn.config, pair, "b")
    a, b = sums(legs, memory.orders, rules_a, rules_b)
    move = next_move(legs, a, b, rules_a, rules_b)
    was_incident = legs.incident_ns is not None
    legs.move(state_for(legs, a, b, move), memory.now_ns)
    if legs.incident_ns is not None and not was_incident:
        memory.incident_times = (*recent(memory.incident_times, memory.now_ns, HOUR_NS), memory.now_ns)
        rows.incident_row(turn, legs, 0, "")
    if move.task is Task.SECOND:
        _send_second(turn, legs, pair, move.qty)
    elif move.task is Task.WORK:
        _work(turn, legs, pair, move)
    elif move.task is Task.FINISH:
        _finish(turn, legs, pair, a)


def _send_second(turn: Turn, legs: LegPair, pair: Pair, qty: Decimal) -> None:
    """B for what arrived on A, at the plan's price, pulled to the market where that has moved our way."""
    if turn.memory.now_ns < legs.next_try_ns or legs.intent is None:
        return
    plan = legs.intent.b
    collar = turn.config.execution.incident_caps_bps[-1]
    price, touch = plan.limit_price, touched(turn, pair, "b", plan.side)
    if touch is not None:
        near = _price(turn, pair, "b", plan.side, touch, collar)
        price = min(price, near) if plan.side is Side.BUY else max(price, near)
    wish = WishedOrder(
        leg="b", side=plan.side, qty=qty, price=price, expected_price=plan.expected_price, purpose=Purpose.HEDGE,
        is_closing=legs.kind is IntentKind.EXIT, collar_bps=collar, is_planned=True,
    )  # fmt: skip
    if send(turn, legs, pair, (wish,)) is not None:
        legs.next_try_ns = turn.memory.now_ns + RETRY_NS
        legs.attempts += 1


def _price(turn: Turn, pair: Pair, leg: str, side: Side, reach: Decimal, cap_bps: float) -> Decimal:
    instrument = turn.memory.market.instruments[leg_instrument(pair, leg)]
    reference = decimal_of(mid_of(turn.memory, instrument.id)) or reach
    return limit_price(instrument, side, reach, decimal_of(cap_bps), reference).price


def _work(turn: Turn, legs: LegPair, pair: Pair, move: Move) -> None:
    """All is final and something is left: complete or reverse, escalate when it takes too long."""
    now_ns, params = turn.memory.now_ns, turn.config.execution
    if legs.known_ns is None:
        legs.known_ns = now_ns
    if legs.state is not LegState.ESCALATED and now_ns - legs.known_ns > params.max_naked_s * 1e9:
        legs.move(LegState.ESCALATED, now_ns)
        legs.next_try_ns = now_ns
    if legs.state is LegState.ESCALATED:
        _page(turn, legs, move)
    if now_ns >= legs.next_try_ns:
        _hedge(turn, legs, pair, move.imbalance)


def _page(turn: Turn, legs: LegPair, move: Move) -> None:
    """Call a person, and again."""
    now_ns = turn.memory.now_ns
    if legs.alerted_ns is not None and now_ns - legs.alerted_ns < turn.config.execution.escalate_repeat_s * 1e9:
        return
    legs.alerted_ns = now_ns
    fields: dict[str, Cell] = {"pair": legs.pair, "naked_qty": move.imbalance, "legs": legs.id}
    turn.alert(f"escalated/{legs.id}", Severity.ERROR, "an unbalanced pair could not be balanced in time", fields)


def _hedge(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal) -> None:
    params, now_ns = turn.config.execution, turn.memory.now_ns
    filled = "a" if (imbalance > 0) is (legs.side_a is Side.BUY) else "b"
    missing = "b" if filled == "a" else "a"
    case = _case(turn, legs, pair, imbalance, filled, missing)
    is_escalated = legs.state is LegState.ESCALATED
    is_allowed = legs.intent is not None and not is_escalated and turn.memory.causes.state.value <= 1
    choice = hedge.choose(case, params, is_complete_allowed=is_allowed)
    is_complete = (
        choice.is_complete if not (is_escalated and case.exit_krw is not None) else legs.kind is IntentKind.EXIT
    )
    leg = missing if is_complete else filled
    rules = leg_rules(turn.memory, turn.config, pair, leg)
    qty = tradable(imbalance, rules)
    if not qty:
        is_complete, leg = not is_complete, filled if is_complete else missing
        qty = tradable(imbalance, leg_rules(turn.memory, turn.config, pair, leg))
    waited_ns = now_ns - (legs.known_ns if legs.known_ns is not None else now_ns)
    cap = hedge.cap_bps(params, waited_ns)
    if is_escalated:
        against = hedge.adverse_bps(case.filled_side, case.fill_krw, case.exit_krw or case.fill_krw)
        cap = hedge.escalated_cap_bps(params, against)
    side = Side.SELL if imbalance > 0 else Side.BUY
    reach, cap = _reach(turn, legs, pair, leg, side, cap)
    wish = WishedOrder(
        leg=leg, side=side, qty=qty, price=_price(turn, pair, leg, side, reach, cap), expected_price=reach,
        purpose=Purpose.EMERGENCY if is_escalated else Purpose.HEDGE if is_complete else Purpose.REVERSE,
        is_closing=is_complete is (legs.kind is IntentKind.EXIT), collar_bps=cap, is_planned=False,
    )  # fmt: skip
    legs.attempts += 1
    legs.next_try_ns = (
        now_ns + int(params.escalated_retry_s * 1e9)
        if is_escalated
        else hedge.next_try_ns(legs.known_ns or now_ns, now_ns)
    )
    if send(turn, legs, pair, (wish,)) is None and not is_complete:
        legs.is_reversed = True


def _reach(turn: Turn, legs: LegPair, pair: Pair, leg: str, side: Side, cap: float) -> tuple[Decimal, float]:
    """What an order is measured from: the touched quote if fresh, else what the leg traded at, with its own collar."""
    instrument = leg_instrument(pair, leg)
    touch = touched(turn, pair, leg, side)
    if touch is not None and not turn.memory.market.staleness(instrument, turn.memory.now_ns):
        return touch, cap
    filled = _fill_price(turn, legs, leg)
    return filled or touch or Decimal(1), turn.config.execution.hedge_collar_bps


def _fill_price(turn: Turn, legs: LegPair, leg: str) -> Decimal | None:
    """VWAP of what a leg's orders traded, in the instrument's quote; the plan's price when nothing did."""
    lines = [turn.memory.orders.lines[key] for key in (legs.orders_a if leg == "a" else legs.orders_b)]
    qty = sum((line.fill_qty for line in lines), ZERO)
    if qty:
        return sum((line.fill_cost for line in lines), ZERO) / qty
    if legs.intent is None:
        return None
    return legs.intent.a.expected_price if leg == "a" else legs.intent.b.expected_price


def _case(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal, filled: str, missing: str) -> hedge.Imbalance:
    side = Side.SELL if imbalance > 0 else Side.BUY
    qty = float(abs(imbalance))
    fill = _fill_price(turn, legs, filled)
    exit_krw = _now_krw(turn, pair, filled, side, qty)
    fill_krw = float(fill) * _krw_per(turn, pair, filled) if fill is not None else exit_krw or 1.0
    return hedge.Imbalance(
        qty=qty,
        direction=legs.direction,
        filled_leg=filled,
        filled_side=side.opposite,
        fill_krw=fill_krw,
        missing_krw=_now_krw(turn, pair, missing, side, qty),
        exit_krw=exit_krw,
        fair_bps=legs.intent.edge.fair_bps if legs.intent is not None else 0.0,
        h_exit_krw=_h_exit_krw(turn, legs, pair, qty),
        fee_rate_filled=float(fees_of(turn.memory, turn.config, leg_instrument(pair, filled)).taker_rate),
        fee_rate_missing=float(fees_of(turn.memory, turn.config, leg_instrument(pair, missing)).taker_rate),
        is_closing=legs.kind is IntentKind.EXIT,
    )


def _krw_per(turn: Turn, pair: Pair, leg: str) -> float:
    """KRW per base unit for a price of 1 in the leg's instrument."""
    return 1.0 if leg == "a" else turn.memory.fx.mid / float(pair.multiplier)


def _now_krw(turn: Turn, pair: Pair, leg: str, side: Side, qty: float) -> float | None:
    """VWAP at which a leg could trade now; None without a fresh book or a venue that trades."""
    market, instrument = turn.memory.market, leg_instrument(pair, leg)
    if market.staleness(instrument, turn.memory.now_ns) or not market.is_tradable(instrument):
        return None
    depth = market.books[instrument].depth
    scale = 1.0 if leg == "a" else float(pair.multiplier)
    found = walk(depth.asks if side is Side.BUY else depth.bids, qty / scale)
    return found.vwap * _krw_per(turn, pair, leg) if found.qty > 0 else None


def _h_exit_krw(turn: Turn, legs: LegPair, pair: Pair, qty: float) -> float:
    """Half-spread plus depth cost of leaving both legs later, as the books stand."""
    side_a = Side.SELL if legs.direction is Direction.LONG_A else Side.BUY
    total = 0.0
    for leg, side in (("a", side_a), ("b", side_a.opposite)):
        book = turn.memory.market.book(leg_instrument(pair, leg))
        if book is not None and book.is_usable:
            scale = 1.0 if leg == "a" else float(pair.multiplier)
            total += depth_cost_bps(book.depth, side, qty / scale) / 1e4 * book.mid * _krw_per(turn, pair, leg)
    return total


def _finish(turn: Turn, legs: LegPair, pair: Pair, a: LegSum) -> None:
    """The end: the books take the result, the lane is free."""
    memory, now_ns = turn.memory, turn.memory.now_ns
    legs.move(end_state(legs, a), now_ns)
    memory.lanes[legs.pair].legs = ""
    if legs.incident_ns is not None:
        rows.incident_row(turn, legs, 1, legs.state.value)
    settle_position(turn, legs, pair)
    _forget_ended(turn)


def settle_position(turn: Turn, legs: LegPair, pair: Pair) -> None:
    """Open, grow, shrink or close the position by what the legs brought."""
    memory = turn.memory
    position = memory.ledger.position(pair.id)
    if position is None:
        return
    if not position.flows:
        del memory.ledger.positions[pair.id]
        return
    if not is_dust(memory, turn.config, pair, position):
        rows.position_row(turn, pair, position, None)
        rows.trade_row(turn, pair, legs, position, None)
        memory.opened_count += legs.kind is IntentKind.ENTER
    else:
        mark = memory.fx.mark()
        fx_mid = mark.mid if mark is not None else position.flows[-1].fx_mid
        reason = legs.reason if legs.kind is IntentKind.EXIT else "unwound"
        closed = memory.ledger.close_position(
            pair.id, fx_mid=fx_mid, at_ns=memory.now_ns, wall_ns=turn.wall_ns(), reason=reason
        )
        rows.position_row(turn, pair, closed.position, closed)
        rows.trade_row(turn, pair, legs, closed.position, closed)
    rows.portfolio(turn)


def _forget_ended(turn: Turn) -> None:
    legs = turn.memory.legs
    if len(legs) > ENDED_KEPT:
        oldest = next((key for key, item in legs.items() if not item.is_open), None)
        if oldest is not None:
            del legs[oldest]
