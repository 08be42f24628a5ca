"""Two-leg orders in hand: advanced after every event that concerns them and on every tick.

Owns: what the knowledge of both legs asks for next, and what the end of a two-leg order does to the books.
Never: opens anything new; chooses how an imbalance is answered (`balancing.py`).
Units: quantities in base units; prices in each instrument's quote.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.effects import Cell
from arb.domain.events import Level, OrderUpdated
from arb.domain.intent import IntentKind
from arb.domain.order import OrderState, OrderUpdate, Purpose, Side
from arb.domain.pair import Pair
from arb.engine import balancing, rows
from arb.engine.capturing import caught
from arb.engine.guards import incident_ended
from arb.engine.memory import Turn
from arb.engine.sending import WishedOrder, ask_after_silent, send, touched
from arb.engine.view import HOUR_NS, is_dust, leg_rules, recent
from arb.engine.weighing import incident_cost_krw, price_within
from arb.execution.legs import LegPair, LegState, LegSum, Task, end_state, next_move, state_for, sums

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
        is_read = memory.is_settling and request.venue in memory.readings
        if is_old and (is_read or memory.market.is_tradable(request.instrument)):
            gone = OrderUpdate(
                client_order_id=request.client_order_id, instrument=request.instrument, state=OrderState.REJECTED,
                filled_qty=ZERO, reason="not_found", received_ns=memory.now_ns,
            )  # fmt: skip
            order_updated(turn, OrderUpdated(at_ns=memory.now_ns, update=gone))


def order_updated(turn: Turn, event: OrderUpdated) -> None:
    """Fold what is known of an order, write its revision, advance what it belongs to."""
    memory = turn.memory
    line = memory.orders.update(event.update, memory.now_ns)
    if line is None:
        return
    legs = memory.legs.get(line.owner)
    rows.order_row(turn, line, legs.position if legs is not None else line.owner)
    if line.state is not line.told and (line.is_final or line.state is OrderState.UNKNOWN):
        memory.orders.told(line)
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
    if memory.is_settling and move.task is not Task.FINISH:
        return
    if legs.state is LegState.BALANCED:
        legs.known_ns = None
    if memory.level is Level.CRITICAL and move.task is not Task.FINISH:
        if move.task is not Task.WAIT and not (a.is_working or b.is_working):
            balancing.emergency(turn, legs, pair, move.imbalance)
    elif move.task is Task.SECOND:
        _send_second(turn, legs, pair, move.qty)
    elif move.task is Task.WORK:
        balancing.work(turn, legs, pair, move, a, b)
    elif move.task is Task.FINISH:
        _finish(turn, legs, pair, a)
    elif legs.state is LegState.ESCALATED:
        balancing.page(turn, legs, move)
    elif legs.state is LegState.UNKNOWN:
        balancing.bear_unknown(turn, legs, pair, move, a, b)


def _send_second(turn: Turn, legs: LegPair, pair: Pair, qty: Decimal) -> None:
    """B for what arrived on A, at the plan's price, pulled to the market where that has moved our way."""
    if turn.memory.now_ns < legs.next_try_ns or legs.intent is None:
        return
    plan = legs.intent.b
    collar = turn.config.execution.incident_caps_bps[-1]
    price, touch = plan.limit_price, touched(turn, pair, "b", plan.side)
    if touch is not None:
        near = price_within(turn, pair, "b", plan.side, touch, collar)
        price = min(price, near) if plan.side is Side.BUY else max(price, near)
    wish = WishedOrder(
        leg="b", side=plan.side, qty=qty, price=price, expected_price=plan.expected_price, purpose=Purpose.HEDGE,
        is_closing=legs.kind is IntentKind.EXIT, collar_bps=collar, is_planned=True,
    )  # fmt: skip
    if is_flattening(turn, legs):
        wish = balancing.leaving(turn, pair, wish)
    if send(turn, legs, pair, (wish,)) is not None:
        legs.next_try_ns = turn.memory.now_ns + RETRY_NS
        legs.attempts += 1


def is_flattening(turn: Turn, legs: LegPair) -> bool:
    """Whether a close is one that an operator ordered."""
    return legs.kind is IntentKind.EXIT and turn.memory.lanes[legs.pair].risk_exit == "flatten"


def _finish(turn: Turn, legs: LegPair, pair: Pair, a: LegSum) -> None:
    """The end: the books take the result, the lane is free."""
    memory, now_ns = turn.memory, turn.memory.now_ns
    legs.move(end_state(legs, a), now_ns)
    memory.lanes[legs.pair].legs = ""
    if legs.kind is IntentKind.EXIT and legs.state is LegState.UNWOUND:
        memory.lanes[legs.pair].unwound_ns = now_ns
    memory.orders.held.pop(legs.id, None)
    if legs.incident_ns is not None:
        cost_krw = incident_cost_krw(turn, legs, pair)
        rows.incident_row(turn, legs, 1, legs.state.value, cost_krw)
        incident_ended(turn, cost_krw)
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
    legs.captured_krw = caught(turn, pair, legs, position)
    if not is_dust(memory, turn.config, pair, position):
        if legs.kind is IntentKind.ENTER:
            for leg in ("a", "b"):
                memory.ledger.absorb_residual(pair.id, leg, position.flows[-1].fx_mid, memory.now_ns)
            position = memory.ledger.positions[pair.id]
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
