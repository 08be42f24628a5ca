"""From a look at the market to two orders: decide, admit, plan, submit.

Owns: when a pair is looked at, and how refusals are counted.
Never: works what has been sent (`working.py`).
Units: bps of the A leg; quantities in base units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from arb.domain.effects import Cell, Table
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import Intent, IntentKind, LegPlan
from arb.domain.money import floor_to_step
from arb.domain.order import Purpose, Side
from arb.domain.pair import Direction, Pair
from arb.engine.balancing import leaving
from arb.engine.config import PairConfig
from arb.engine.marking import premium_cells
from arb.engine.memory import Lane, RefusalCount, Turn, direction_key
from arb.engine.repairing import repair_if_naked
from arb.engine.risk_view import risk_view
from arb.engine.sending import WishedOrder, send
from arb.engine.view import leg_rules, view_of
from arb.execution.legs import LegPair, LegState
from arb.execution.params import LegOrder
from arb.risk.gate import admit
from arb.state.positions import PairPosition
from arb.strategy.api import PairView, Strategy

ZERO: Final = Decimal(0)
MINUTE_NS: Final = 60_000_000_000
GATED_NS: Final = 100_000_000
"""How long a flat pair rests after a refusal that no book changes."""
BOOKLESS: Final = frozenset(
    {
        "trading_state", "draining", "not_armed", "pair_blocked", "order_rate", "max_open_positions", "max_incidents",
        "daily_loss", "drawdown", "losing_streak", "funding_day", "maintenance_settle", "maintenance_ahead",
    }
)  # fmt: skip
"""Refusals of the gate that come from elsewhere."""


def look(turn: Turn, item: PairConfig, strategy: Strategy[Any, Any, Any]) -> None:
    """One decision on one pair."""
    memory, lane = turn.memory, turn.memory.lanes[item.pair.id]
    if lane.mismatch_ns is None and repair_if_naked(turn, item.pair):
        refuse(turn, item.pair, None, "unbalanced", is_safety=False)
        return
    view = view_of(memory, turn.config, item, lane)
    if view is None:
        refuse(turn, item.pair, None, "no_data", is_safety=False)
        return
    lane.own, answer = strategy.decide(view, lane.own, item.params)
    lane.look = answer.look
    _note_dislocation(turn, lane, answer.look.d_bps, answer.look.fair_bps, view.data_refusal)
    if answer.intent is None:
        refuse(turn, item.pair, answer.look.direction, answer.look.refusal, is_safety=False)
        return
    if is_doubted(turn, lane, answer.intent):
        refuse(turn, item.pair, answer.intent.direction, "position_differs", is_safety=True)
        return
    if is_just_unwound(turn, lane, answer.intent):
        refuse(turn, item.pair, answer.intent.direction, "exit_unwound", is_safety=False)
        return
    refusal = admit(answer.intent, risk_view(memory, turn.config, view, answer.intent, lane))
    if refusal is not None:
        if refusal.reason in BOOKLESS:
            lane.gated_until_ns = memory.now_ns + GATED_NS
        refuse(turn, item.pair, answer.intent.direction, refusal.reason, is_safety=refusal.is_safety)
        return
    if plan(turn, item.pair, view, answer.intent):
        lane.refusal = ""
        lane.own, _ = strategy.decide(view._replace(is_busy=True), lane.own, item.params)


def is_doubted(turn: Turn, lane: Lane, intent: Intent) -> bool:
    """Whether what the pair holds is asked about at this moment; what risk or an operator demands waits for the answer
    no longer than a leg may be naked."""
    if lane.mismatch_ns is None or lane.is_emergency:
        return False
    waited_ns = turn.memory.now_ns - lane.mismatch_ns
    return intent.reason != "risk" or waited_ns < turn.config.execution.max_naked_s * 1e9


def is_just_unwound(turn: Turn, lane: Lane, intent: Intent) -> bool:
    """Whether the last planned exit had to be undone a moment ago: trying it over and over would only cost fees."""
    if intent.kind is IntentKind.ENTER or intent.reason == "risk":
        return False
    return turn.memory.now_ns - lane.unwound_ns < turn.config.execution.escalated_retry_s * 1e9


def _note_dislocation(turn: Turn, lane: Lane, d_bps: float, fair_bps: float | None, data_refusal: str) -> None:
    if data_refusal or fair_bps is None:
        return
    if abs(d_bps - fair_bps) <= turn.config.risk.max_plausible_bps:
        lane.dislocated_ns = None
    elif lane.dislocated_ns is None:
        lane.dislocated_ns = turn.memory.now_ns


def plan(turn: Turn, pair: Pair, view: PairView, intent: Intent) -> bool:
    """Make the two-leg order and send what leaves first; False: the gate held an order back."""
    memory, lane, now_ns = turn.memory, turn.memory.lanes[pair.id], turn.memory.now_ns
    is_entry = intent.kind is IntentKind.ENTER
    name = f"{memory.run_digest}-{memory.seq}-{pair.id}"
    position = view.position
    legs = LegPair(
        id=name,
        position=name if position is None else position.id,
        pair=pair.id,
        kind=intent.kind,
        direction=intent.direction,
        leg_order=turn.config.execution.leg_order,
        intent=intent,
        qty=intent.qty,
        started_ns=now_ns,
        ride_a=_ride(turn, pair, "a", intent, position),
        ride_b=_ride(turn, pair, "b", intent, position),
        reason=intent.reason,
    )
    purpose = _purpose(intent, lane)
    wishes = [_planned(turn, "a", intent.a, pair, purpose)]
    if legs.leg_order is LegOrder.SIMULTANEOUS:
        wishes.append(_planned(turn, "b", intent.b, pair, purpose))
    refusal = send(turn, legs, pair, tuple(wishes))
    if refusal is not None:
        refuse(turn, pair, intent.direction, refusal.reason, is_safety=refusal.is_safety)
        return False
    legs.move(LegState.SUBMITTED, now_ns)
    memory.legs[legs.id] = legs
    memory.orders.held[legs.id] = None
    lane.legs = legs.id
    if is_entry and position is None:
        memory.ledger.open_position(_opened(turn, pair, view, intent, name))
        lane.position_revision = 0
    return True


def _purpose(intent: Intent, lane: Lane) -> Purpose:
    if intent.kind is IntentKind.ENTER:
        return Purpose.ENTRY
    if intent.reason != "risk":
        return Purpose.EXIT
    return Purpose.FLATTEN if lane.risk_exit == "flatten" else Purpose.EMERGENCY


def _ride(turn: Turn, pair: Pair, leg: str, intent: Intent, position: PairPosition | None) -> Decimal:
    """What a close trades on a leg beyond the other one, because an earlier position left it over; base units."""
    if intent.kind is IntentKind.ENTER or position is None:
        return ZERO
    rules, plan = leg_rules(turn.memory, turn.config, pair, leg), intent.a if leg == "a" else intent.b
    held = (abs(position.a.net_qty), abs(position.b.net_qty))
    more = held[0] - held[1] if leg == "a" else held[1] - held[0]
    arriving = plan.qty * rules.multiplier * (1 - (rules.received_fee_rate if plan.side is Side.BUY else ZERO))
    return floor_to_step(max(min(more, arriving - intent.qty), ZERO), rules.step)


def _planned(turn: Turn, leg: str, plan: LegPlan, pair: Pair, purpose: Purpose) -> WishedOrder:
    scale = 1 if leg == "a" else pair.multiplier
    wish = WishedOrder(
        leg=leg,
        side=plan.side,
        qty=plan.qty * scale,
        price=plan.limit_price,
        expected_price=plan.expected_price,
        purpose=purpose,
        is_closing=purpose is not Purpose.ENTRY,
        collar_bps=_collar_bps(turn, pair),
        is_planned=True,
    )
    return leaving(turn, pair, wish) if purpose is Purpose.FLATTEN else wish


def _collar_bps(turn: Turn, pair: Pair) -> float:
    """How far a planned price may lie from the touched quote: the walk and its collar."""
    params = turn.config.execution
    collar = params.escalated_cap_bps if turn.memory.lanes[pair.id].is_emergency else params.collar_bps
    return collar + params.incident_caps_bps[-1]


def _opened(turn: Turn, pair: Pair, view: PairView, intent: Intent, name: str) -> PairPosition:
    return PairPosition(
        id=name,
        pair=pair.id,
        direction=intent.direction,
        is_contract_b=view.instrument_b.kind is InstrumentKind.PERPETUAL,
        opened_ns=turn.memory.now_ns,
        opened_wall_ns=turn.wall_ns(),
        d_bps=intent.edge.d_bps,
        fair_bps=intent.edge.fair_bps,
        expected_bps=intent.edge.expected_bps,
    )


def refuse(turn: Turn, pair: Pair, direction: Direction | None, reason: str, *, is_safety: bool) -> None:
    """Count a refusal; tell it when it begins, not again while it lasts."""
    lane = turn.memory.lanes[pair.id]
    key = direction_key(direction, reason)
    flush_refusals(turn, pair, lane)
    best = lane.look.best_bps if lane.look is not None else float("-inf")
    missed = lane.look.missed_by_bps if lane.look is not None else 0.0
    known = lane.minute.get(key)
    if known is None:
        lane.minute[key] = RefusalCount(count=1, best_bps=best, missed_bps=missed)
    else:
        known.count += 1
        if best > known.best_bps:
            known.best_bps, known.missed_bps = best, missed
    if lane.refusal != key:
        lane.refusal = key
        side = direction.value if direction is not None else ""
        begun: dict[str, Cell] = {
            "reason": reason,
            "pair": pair.id,
            "direction": side,
            "count_begin": 1,
            "is_safety": is_safety,
        }
        turn.publish("refusal", begun)


def flush_refusals(turn: Turn, pair: Pair, lane: Lane) -> None:
    """Write the rows of a minute that is over."""
    index = turn.wall_ns() // MINUTE_NS
    if index == lane.minute_index:
        return
    for key, item in lane.minute.items():
        direction, _, reason = key.partition("|")
        row: dict[str, Cell] = {
            "minute_ns": lane.minute_index * MINUTE_NS, "direction": direction, "reason": reason, "count": item.count,
            "best_net_bps": item.best_bps if item.best_bps > float("-inf") else None, "missed_bps": item.missed_bps,
        }  # fmt: skip
        turn.record(Table.REFUSALS, f"{pair.id}-{lane.minute_index}-{key}", 0, pair.id, row)
    lane.minute = {}
    lane.minute_index = index


def tell_flatten(turn: Turn, pair: Pair, lane: Lane) -> None:
    """How a close that an operator ordered goes on, whenever that changes."""
    position = turn.memory.ledger.position(pair.id)
    if lane.risk_exit != "flatten" and not lane.flattening:
        return
    state = "flat" if position is None else "working" if lane.legs else "waiting"
    if position is not None and lane.risk_exit != "flatten":
        state = "ended"
    reason = lane.refusal.partition("|")[2] if state == "waiting" else ""
    left_a, left_b = (position.a.net_qty, position.b.net_qty) if position is not None else (ZERO, ZERO)
    told = f"{state}|{reason}|{left_a}|{left_b}"
    if told != lane.flattening:
        values: dict[str, Cell] = {
            "pair": pair.id, "state": state, "reason": reason, "left_a": left_a, "left_b": left_b,
        }  # fmt: skip
        turn.publish(f"flatten/{pair.id}", values)
    lane.flattening = told if state in ("working", "waiting") else ""


def publish_pair(turn: Turn, item: PairConfig, lane: Lane) -> None:
    """The pair's topic, at most once a second, and how a flatten goes."""
    tell_flatten(turn, item.pair, lane)
    if lane.look is None or turn.memory.now_ns - lane.published_ns < 1_000_000_000:
        return
    lane.published_ns = turn.memory.now_ns
    shown = lane.look
    best: Cell = shown.best_bps if shown.best_bps > float("-inf") else None
    values: dict[str, Cell] = {
        "spread_bps": shown.gross_bps, "net_bps": best, "d_bps": shown.d_bps, "fair_bps": shown.fair_bps,
        "refusal": shown.refusal, "missed_by_bps": shown.missed_by_bps, "value_bps": shown.value_bps,
    }  # fmt: skip
    values |= premium_cells(turn.memory, item.pair)
    turn.publish(f"pair/{item.pair.id}", values)
