"""Two-leg orders in hand: advanced after every event that concerns them and on every tick.

Owns: what an imbalance is answered with, escalation, and what the end of a two-leg order does to the books.
Never: opens anything new.
Units: quantities in base units; prices in each instrument's quote; `_krw` per base unit at the FX mid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.effects import Cell, Severity
from arb.domain.events import Level, OrderUpdated
from arb.domain.ids import venue_of
from arb.domain.intent import IntentKind
from arb.domain.order import OrderState, OrderUpdate, Purpose, Side
from arb.domain.pair import Direction, Pair
from arb.engine import rows
from arb.engine.guards import incident_ended
from arb.engine.memory import Turn
from arb.engine.sending import WishedOrder, ask_after_silent, send, touched
from arb.engine.view import HOUR_NS, is_dust, leg_instrument, leg_rules, recent
from arb.engine.weighing import case_of, fill_price, incident_cost_krw, krw_per, now_krw, price_within, reach_of
from arb.execution import hedge
from arb.execution.legs import LegPair, LegState, LegSum, Move, Task, end_state, next_move, state_for, sums, tradable

ZERO: Final = Decimal(0)
RETRY_NS: Final = 250_000_000
ENDED_KEPT: Final = 200
UNCLEAR: Final = frozenset({OrderState.UNKNOWN, OrderState.NOT_FOUND})


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
    if memory.level is Level.CRITICAL and move.task in (Task.SECOND, Task.WORK):
        if not (a.is_working or b.is_working):
            _emergency(turn, legs, pair, move.imbalance)
    elif move.task is Task.SECOND:
        _send_second(turn, legs, pair, move.qty)
    elif move.task is Task.WORK:
        _work(turn, legs, pair, move)
    elif move.task is Task.FINISH:
        _finish(turn, legs, pair, a)
    elif legs.state is LegState.UNKNOWN and not (a.is_unknown and b.is_unknown):
        _bear_unknown(turn, legs, pair, move, "b" if a.is_unknown else "a")


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
    if send(turn, legs, pair, (wish,)) is not None:
        legs.next_try_ns = turn.memory.now_ns + RETRY_NS
        legs.attempts += 1


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
    case = case_of(turn, legs, pair, imbalance, filled, missing)
    is_escalated = legs.state is LegState.ESCALATED
    is_allowed = legs.intent is not None and not is_escalated and turn.memory.causes.state_of(pair.id).value <= 1
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
    reach, cap = reach_of(turn, legs, pair, leg, side, cap)
    wish = WishedOrder(
        leg=leg, side=side, qty=qty, price=price_within(turn, pair, leg, side, reach, cap), expected_price=reach,
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


def _bear_unknown(turn: Turn, legs: LegPair, pair: Pair, move: Move, known: str) -> None:
    """One leg's fate is unknown: a person is called when that lasts, and half of the other leg goes on a bad move.

    Nothing is traded against the unknown quantity on its own venue.
    """
    memory, params = turn.memory, turn.config.execution
    if not move.imbalance or memory.level is Level.CRITICAL:
        return
    if legs.incident_ns is not None and memory.now_ns - legs.incident_ns > params.max_naked_s * 1e9:
        _page(turn, legs, move)
    has_excess = (move.imbalance > 0) is ((known == "a") is (legs.side_a is Side.BUY))
    side = Side.SELL if move.imbalance > 0 else Side.BUY
    fill, now = fill_price(turn, legs, known), now_krw(turn, pair, known, side, float(abs(move.imbalance)))
    if legs.is_cut or not has_excess or fill is None or now is None:
        return
    if hedge.adverse_bps(side.opposite, float(fill) * krw_per(turn, pair, known), now) < params.unknown_stop_bps:
        return
    qty = tradable(move.imbalance / 2, leg_rules(memory, turn.config, pair, known))
    if not qty:
        return
    reach, cap = reach_of(turn, legs, pair, known, side, params.escalated_cap_bps)
    wish = WishedOrder(
        leg=known, side=side, qty=qty, price=price_within(turn, pair, known, side, reach, cap), expected_price=reach,
        purpose=Purpose.REVERSE, is_closing=legs.kind is IntentKind.ENTER, collar_bps=cap, is_planned=False,
    )  # fmt: skip
    if send(turn, legs, pair, (wish,)) is None:
        legs.is_cut, legs.is_reversed = True, True
        legs.attempts += 1


def _emergency(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal) -> None:
    """The end is near: one bounded order that shrinks the leg in excess, if its account can be believed; never two."""
    memory = turn.memory
    if memory.is_state_lost or pair.id in memory.emergencies or not is_account_fresh(turn, pair):
        return
    leg = "a" if (imbalance > 0) is (legs.direction is Direction.LONG_A) else "b"
    qty = tradable(imbalance, leg_rules(memory, turn.config, pair, leg))
    side = Side.SELL if imbalance > 0 else Side.BUY
    if not qty or not memory.market.is_tradable(leg_instrument(pair, leg)):
        return
    reach, cap = reach_of(turn, legs, pair, leg, side, turn.config.execution.escalated_cap_bps)
    wish = WishedOrder(
        leg=leg, side=side, qty=qty, price=price_within(turn, pair, leg, side, reach, cap), expected_price=reach,
        purpose=Purpose.EMERGENCY, is_closing=True, collar_bps=cap, is_planned=False,
    )  # fmt: skip
    if legs.state is not LegState.ESCALATED:
        legs.move(LegState.UNBALANCED, memory.now_ns)
    legs.attempts += 1
    if send(turn, legs, pair, (wish,)) is None:
        memory.emergencies = (*memory.emergencies, pair.id)
        legs.is_reversed = legs.is_reversed or legs.kind is IntentKind.ENTER


def is_account_fresh(turn: Turn, pair: Pair) -> bool:
    """Whether both venues' account streams stand and no order of the pair is of unknown fate."""
    memory = turn.memory
    for instrument in (pair.a, pair.b):
        prefix = f"{venue_of(instrument)}/private"
        if any(name.startswith(prefix) and not feed.is_up for name, feed in memory.market.feeds.items()):
            return False
    return all(line.state not in UNCLEAR for line in memory.orders.working() if line.request.pair == pair.id)


def _finish(turn: Turn, legs: LegPair, pair: Pair, a: LegSum) -> None:
    """The end: the books take the result, the lane is free."""
    memory, now_ns = turn.memory, turn.memory.now_ns
    legs.move(end_state(legs, a), now_ns)
    memory.lanes[legs.pair].legs = ""
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
    if not is_dust(memory, turn.config, pair, position):
        if legs.kind is IntentKind.ENTER:
            memory.ledger.absorb_residual(pair.id, position.flows[-1].fx_mid, memory.now_ns)
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
