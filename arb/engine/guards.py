"""What makes the engine careful: conditions that come and go, commands, and what must be closed.

Owns: the translation of events into causes of the trading state, and the reasons for which a position must go.
Never: trades.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.effects import Cell, QueryAccount, Severity
from arb.domain.events import (
    ArmingSeen,
    Command,
    CommandKind,
    FeedDown,
    FeedUp,
    HealthSeen,
    Level,
    StorageSeen,
    VenueCondition,
    VenueStatus,
)
from arb.domain.ids import venue_of
from arb.domain.instrument import InstrumentStatus
from arb.domain.money import decimal_of
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.marking import mark_price
from arb.engine.memory import Lane, Turn
from arb.engine.view import HOUR_NS, mid_of, open_marks_krw
from arb.risk.trading_state import OPERATOR, RULES, Cause, CauseInForce, Causes, TradingState

ZERO: Final = Decimal(0)
LOSSES: Final = frozenset({Cause.DAILY_LOSS, Cause.DRAWDOWN, Cause.LOSING_STREAK})
HOUR_MS: Final = 3_600_000
STATE_LOST: Final = ("InvariantBroken", "JournalFull")
"""Failures after which the books are not to be believed, or nothing can be written ahead."""


def set_cause(causes: Causes, cause: Cause, detail: str, now_ns: int, *, is_there: bool, text: str = "") -> None:
    """Put a cause in force or let it end."""
    if is_there:
        causes.add(cause, detail, now_ns, text)
    else:
        causes.end(cause, detail)


def arming_seen(turn: Turn, event: ArmingSeen) -> None:
    """Unarmed reduces; armed ends that, but for an operator's disarm. The first word on it ends the settling."""
    memory = turn.memory
    memory.is_settling = False
    set_cause(
        memory.causes, Cause.UNARMED, "", memory.now_ns, is_there=not event.is_armed, text=",".join(event.missing)
    )
    memory.is_armed = not memory.causes.has(Cause.UNARMED)


def health_seen(turn: Turn, event: HealthSeen) -> None:
    """ERROR and worse reduce; CRITICAL leaves each unbalanced pair one order (`working.advance`)."""
    memory = turn.memory
    is_critical = event.level is Level.CRITICAL
    memory.emergencies = memory.emergencies if is_critical and memory.level is Level.CRITICAL else ()
    memory.level = event.level
    memory.is_state_lost = is_critical and any(name in reason for reason in event.reasons for name in STATE_LOST)
    is_bad = event.level in (Level.ERROR, Level.CRITICAL)
    set_cause(turn.memory.causes, Cause.WATCHDOG, "", turn.memory.now_ns, is_there=is_bad, text=",".join(event.reasons))


def storage_seen(turn: Turn, event: StorageSeen) -> None:
    """Low storage reduces until there is room; a full buffer halts until an operator resumes."""
    causes, now_ns = turn.memory.causes, turn.memory.now_ns
    set_cause(causes, Cause.STORAGE_LOW, "", now_ns, is_there=event.is_low, text=event.detail)
    if event.is_full:
        causes.add(Cause.STORAGE_FULL, "", now_ns, event.detail)


def feed_changed(turn: Turn, event: FeedUp | FeedDown) -> None:
    """A connection that serves nothing reduces until it serves again."""
    memory = turn.memory
    if isinstance(event, FeedDown):
        memory.market.feed_down(event)
    else:
        memory.market.feed_up(event)
    feed = memory.market.feeds[event.feed]
    is_down = not feed.is_up or bool(feed.lost)
    set_cause(memory.causes, Cause.VENUE_DOWN, event.feed, memory.now_ns, is_there=is_down, text=feed.reason)


def venue_seen(turn: Turn, event: VenueStatus) -> None:
    """Maintenance and outages reduce; the end of one is remembered, so that books may settle."""
    memory = turn.memory
    before = memory.market.venues.get(event.venue)
    memory.market.see_venue(event)
    is_down = event.condition is VenueCondition.DOWN
    is_closed = event.condition is VenueCondition.MAINTENANCE
    set_cause(memory.causes, Cause.VENUE_DOWN, event.venue, memory.now_ns, is_there=is_down)
    set_cause(memory.causes, Cause.MAINTENANCE, event.venue, memory.now_ns, is_there=is_closed)
    if before is not None and before.condition is VenueCondition.MAINTENANCE and event.condition is VenueCondition.UP:
        memory.venue_up_ns[event.venue] = memory.now_ns
        turn.effects.append(QueryAccount(venue=event.venue, reason="reopened"))
    for item in turn.config.pairs:
        _note_wallets(turn, item.pair, memory.lanes[item.pair.id])


def _note_wallets(turn: Turn, pair: Pair, lane: Lane) -> None:
    """A closed wallet tightens the stop of what is open; its reopening starts a cooldown. One of which nothing is told
    any more stays closed."""
    memory = turn.memory
    a, b = memory.market.instruments.get(pair.a), memory.market.instruments.get(pair.b)
    if a is None or b is None:
        return
    told: dict[str, bool | None] = {}
    for instrument in (a, b):
        state = memory.market.wallet(instrument.venue, instrument.base)
        told[f"{instrument.venue}/{instrument.base}/deposit"] = state.deposit
        told[f"{instrument.venue}/{instrument.base}/withdraw"] = state.withdraw
    before = lane.closed_ways
    lane.closed_ways = tuple(
        way for way, is_open in told.items() if is_open is False or (is_open is None and way in before)
    )
    is_closed = bool(lane.closed_ways)
    if is_closed and lane.wallet_closed_ns is None:
        lane.wallet_closed_ns = memory.now_ns
        if memory.ledger.position(pair.id) is not None:
            turn.alert(
                f"wallet/{pair.id}", Severity.WARNING, "a wallet closed while a position is open", {"pair": pair.id}
            )
    elif not is_closed and lane.wallet_closed_ns is not None:
        lane.wallet_closed_ns, lane.wallet_reopened_ns = None, memory.now_ns


def command(turn: Turn, event: Command) -> None:
    """What an operator or the shell asks for."""
    memory, causes, now_ns = turn.memory, turn.memory.causes, turn.memory.now_ns
    detail = event.pair or ""
    match event.kind:
        case CommandKind.PAUSE:
            causes.add(Cause.PAUSE, detail, now_ns, event.reason)
        case CommandKind.FREEZE:
            causes.add(Cause.FREEZE, "", now_ns, event.reason)
        case CommandKind.FLATTEN:
            causes.add(Cause.FLATTEN, detail, now_ns, event.reason)
            for pair, lane in memory.lanes.items():
                if event.pair in (None, pair) and memory.ledger.position(pair) is not None:
                    lane.risk_exit = "flatten"
        case CommandKind.DRAIN:
            memory.is_draining = True
            causes.add(Cause.DRAIN, "", now_ns, event.reason)
        case CommandKind.DISARM:
            causes.add(Cause.UNARMED, OPERATOR, now_ns, event.reason)
            memory.is_armed = False
        case CommandKind.ARM:
            causes.end(Cause.UNARMED, OPERATOR)
            memory.is_armed = not memory.is_settling and not causes.has(Cause.UNARMED)
        case CommandKind.RESUME:
            _accept(turn, causes.resume(detail))
            _read_again(turn)
            for pair, lane in memory.lanes.items():
                if event.pair in (None, pair):
                    lane.blocked = ""
                    lane.risk_exit = "" if lane.risk_exit == "flatten" else lane.risk_exit


def _read_again(turn: Turn) -> None:
    """Something waits for a clean reconciliation: the venues are read, so that it may be cleared next."""
    if not any(RULES[item.cause].needs_clean for item in turn.memory.causes.in_force):
        return
    legs = {name for item in turn.config.pairs for name in (item.pair.a, item.pair.b)}
    for venue in sorted({venue_of(name) for name in legs}):
        turn.read_again(venue, "an operator resumes")


def _accept(turn: Turn, cleared: tuple[CauseInForce, ...]) -> None:
    """An operator resumed knowing the losses: they count from here."""
    memory, causes = turn.memory, {item.cause for item in cleared}
    if causes & LOSSES:
        memory.ledger.totals = memory.ledger.totals.accepted()
    if Cause.INCIDENT_BUDGET in causes:
        memory.incident_day_krw = ZERO


def check_results(turn: Turn) -> None:
    """Loss limits on closed pairs and the marks of open ones, and whether there are marks at all."""
    memory, limits = turn.memory, turn.config.risk
    open_krw = open_marks_krw(memory)
    if not any(lane.legs for lane in memory.lanes.values()):
        memory.ledger.totals = memory.ledger.totals.with_mark(open_krw)
    totals = memory.ledger.totals
    if totals.day_loss_krw >= limits.daily_loss_krw > 0:
        _limit_reached(turn, Cause.DAILY_LOSS, str(totals.day), "the day's loss limit is reached")
    if totals.drawdown_krw(open_krw) >= limits.max_drawdown_krw > 0:
        _limit_reached(turn, Cause.DRAWDOWN, "", "the fall from the highest equity reached its limit")
    if totals.losing_streak >= limits.max_consecutive_losses:
        _limit_reached(turn, Cause.LOSING_STREAK, "", "too many losses in a row")
    is_unknown = bool(memory.ledger.positions) and not _is_marked(turn)
    set_cause(memory.causes, Cause.PNL_UNKNOWN, "", memory.now_ns, is_there=is_unknown)


def _is_marked(turn: Turn) -> bool:
    """Whether every open position can be valued: an FX mark no older than the quietest book may be, and both books."""
    memory = turn.memory
    age_ns = memory.fx.age_ns(memory.now_ns)
    if memory.fx.mid <= 0 or age_ns is None or age_ns > turn.config.risk.max_quiet_s * 1e9:
        return False
    pairs = [item.pair for item in turn.config.pairs if item.pair.id in memory.ledger.positions]
    return all(mid_of(memory, pair.a) > 0 and mid_of(memory, pair.b) > 0 for pair in pairs)


def incident_ended(turn: Turn, cost_krw: Decimal) -> None:
    """Count what an incident cost; the day's budget is `incident_loss_budget_bps` of `max_total_krw`."""
    memory, day = turn.memory, turn.memory.ledger.totals.day
    if day != memory.incident_day:
        memory.incident_day, memory.incident_day_krw = day, ZERO
    memory.incident_day_krw += max(cost_krw, ZERO)
    budget_krw = turn.config.risk.max_total_krw * decimal_of(turn.config.execution.incident_loss_budget_bps) / 10_000
    if memory.incident_day_krw >= budget_krw > 0:
        _limit_reached(turn, Cause.INCIDENT_BUDGET, str(day), "the day's budget for incidents is spent")


def _limit_reached(turn: Turn, cause: Cause, detail: str, text: str) -> None:
    """Put a cause in force and call a person, once."""
    if turn.memory.causes.add(cause, detail, turn.memory.now_ns, text):
        fields: dict[str, Cell] = {"cause": cause.value, "trading_state": turn.memory.causes.state.name}
        turn.alert(f"limit/{cause.value}", Severity.ERROR, text, fields)


def check_positions(turn: Turn) -> None:
    """Margin guard on mark price, delisting: what must go says so on its lane."""
    memory = turn.memory
    for item in turn.config.pairs:
        lane, position = memory.lanes[item.pair.id], memory.ledger.position(item.pair.id)
        if position is None:
            lane.risk_exit, lane.near_ns, lane.is_emergency = "", None, False
            memory.causes.end(Cause.LIQUIDATION_NEAR, item.pair.id)
            continue
        _guard_margin(turn, item.pair, lane)
        if memory.causes.has(Cause.FLATTEN, "") or memory.causes.has(Cause.FLATTEN, item.pair.id):
            lane.risk_exit = lane.risk_exit or "flatten"
        if _is_delisting(turn, item.pair):
            lane.risk_exit = lane.risk_exit or "delisting"


def liq_distance(turn: Turn, pair: Pair) -> float | None:
    """How far the newest mark price may move against the contract until it is liquidated, a fraction of it; below 0
    beyond that. None: there is no contract, or the venue told no liquidation price in this run."""
    memory, held = turn.memory, turn.memory.ledger.holdings.contracts.get(pair.b)
    mark = mark_price(memory, pair.b)
    if pair.b not in memory.contracts_ns or held is None or not held.qty or held.liquidation_price is None or not mark:
        return None
    room = float(held.liquidation_price / mark) - 1
    return room if held.qty < 0 else -room


def _guard_margin(turn: Turn, pair: Pair, lane: Lane) -> None:
    """Near the liquidation price: reduce; nearer, or near for longer than fresh margin takes: close. Every step of it
    is told once."""
    memory, limits, distance = turn.memory, turn.config.risk, liq_distance(turn, pair)
    if distance is None:
        return
    before = (lane.near_ns is not None, lane.risk_exit, lane.is_emergency)
    is_near = distance < limits.liq_distance_reduce
    set_cause(memory.causes, Cause.LIQUIDATION_NEAR, pair.id, memory.now_ns, is_there=is_near)
    lane.near_ns = (lane.near_ns if lane.near_ns is not None else memory.now_ns) if is_near else None
    lane.is_emergency = distance < limits.liq_distance_emergency
    is_late = lane.near_ns is not None and memory.now_ns - lane.near_ns >= limits.transfer_eta_h * HOUR_NS
    if distance < limits.liq_distance_close or is_late:
        lane.risk_exit = lane.risk_exit or "liquidation"
    if is_near and before != (True, lane.risk_exit, lane.is_emergency):
        fields: dict[str, Cell] = {"pair": pair.id, "liq_distance": distance, "is_closing": bool(lane.risk_exit)}
        turn.alert(f"liquidation/{pair.id}", Severity.ERROR, "a contract comes near its liquidation price", fields)


def _is_delisting(turn: Turn, pair: Pair) -> bool:
    wall_ms = turn.wall_ns() // 1_000_000
    for instrument_id in (pair.a, pair.b):
        instrument = turn.memory.market.instruments.get(instrument_id)
        at_ms = instrument.delisting_ms if instrument is not None else None
        if instrument is not None and instrument.status is InstrumentStatus.DELISTING and at_ms is None:
            return True
        if at_ms is not None and at_ms - wall_ms < turn.config.risk.delist_exit_h * HOUR_MS:
            return True
    return False


def tell_state(turn: Turn, before: tuple[TradingState, int]) -> None:
    """Publish the trading state when it, or the number of its causes, changed within the step."""
    causes = turn.memory.causes
    if (causes.state, len(causes.in_force)) != before:
        rows.trading_state_topic(turn)
