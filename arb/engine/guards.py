"""What makes the engine careful: conditions that come and go, commands, and what must be closed.

Owns: the translation of events into causes of the trading state, and the reasons for which a position must go.
Never: trades.
"""

from __future__ import annotations

from typing import Final

from arb.domain.effects import Cell, Severity
from arb.domain.events import (
    ArmingSeen,
    Command,
    CommandKind,
    FeedDown,
    FeedUp,
    HealthSeen,
    Level,
    Reconciled,
    RunStarted,
    StorageSeen,
    VenueCondition,
    VenueStatus,
)
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.memory import Lane, Turn
from arb.execution.order_ids import run_digest
from arb.risk.trading_state import Cause, Causes, TradingState

HOUR_MS: Final = 3_600_000
STATE_LOST: Final = ("InvariantBroken", "JournalFull")
"""Failures after which the books are not to be believed, or nothing can be written ahead."""


def set_cause(causes: Causes, cause: Cause, detail: str, now_ns: int, *, is_there: bool, text: str = "") -> None:
    """Put a cause in force or let it end."""
    if is_there:
        causes.add(cause, detail, now_ns, text)
    else:
        causes.end(cause, detail)


def run_started(turn: Turn, event: RunStarted) -> None:
    """A new process: its name, its clock, and none of the conditions that belonged to the process before."""
    memory = turn.memory
    memory.run_id, memory.run_digest = event.run_id, run_digest(event.run_id)
    memory.market.anchor(event.at_ns, event.wall_ns)
    memory.is_started, memory.is_draining = True, False
    memory.level, memory.is_state_lost, memory.emergencies = Level.OK, False, ()
    for cause in (Cause.DRAIN, Cause.WATCHDOG):
        memory.causes.end(cause, "")
    rows.trading_state_topic(turn)


def arming_seen(turn: Turn, event: ArmingSeen) -> None:
    """Unarmed reduces; armed ends that."""
    turn.memory.is_armed = event.is_armed
    set_cause(
        turn.memory.causes,
        Cause.UNARMED,
        "",
        turn.memory.now_ns,
        is_there=not event.is_armed,
        text=",".join(event.missing),
    )


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
    is_down = isinstance(event, FeedDown)
    set_cause(memory.causes, Cause.VENUE_DOWN, event.feed, memory.now_ns, is_there=is_down)


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
    for item in turn.config.pairs:
        _note_wallets(turn, item.pair, memory.lanes[item.pair.id])


def _note_wallets(turn: Turn, pair: Pair, lane: Lane) -> None:
    """A closed wallet tightens the stop of what is open; its reopening starts a cooldown."""
    memory = turn.memory
    a, b = memory.market.instruments.get(pair.a), memory.market.instruments.get(pair.b)
    if a is None or b is None:
        return
    states = (memory.market.wallet(a.venue, a.base), memory.market.wallet(b.venue, b.base))
    is_closed = any(False in (state.deposit, state.withdraw) for state in states)
    if is_closed and lane.wallet_closed_ns is None:
        lane.wallet_closed_ns = memory.now_ns
        if memory.ledger.position(pair.id) is not None:
            turn.alert(
                f"wallet/{pair.id}", Severity.WARNING, "a wallet closed while a position is open", {"pair": pair.id}
            )
    elif not is_closed and lane.wallet_closed_ns is not None:
        lane.wallet_closed_ns, lane.wallet_reopened_ns = None, memory.now_ns


def reconciled(turn: Turn, event: Reconciled) -> None:
    """A clean reconciliation lets `resume` clear what halts; a difference blocks entries."""
    memory = turn.memory
    memory.causes.reconciled(memory.now_ns, event.is_clean)
    if not event.is_clean:
        memory.causes.add(Cause.EXTERNAL_HANDS, event.venue, memory.now_ns, "; ".join(event.differences))


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
        case CommandKind.RESUME:
            causes.resume()
            for lane in memory.lanes.values():
                lane.blocked = ""


def check_results(turn: Turn) -> None:
    """Loss limits and the incident budget, measured on closed pairs."""
    memory, limits = turn.memory, turn.config.risk
    totals, causes, now_ns = memory.ledger.totals, memory.causes, memory.now_ns
    if -totals.day_krw >= limits.daily_loss_krw > 0:
        causes.add(Cause.DAILY_LOSS, str(totals.day), now_ns)
    if totals.drawdown_krw(type(totals.day_krw)(0)) >= limits.max_drawdown_krw > 0:
        causes.add(Cause.DRAWDOWN, "", now_ns)
    if totals.losing_streak >= limits.max_consecutive_losses:
        causes.add(Cause.LOSING_STREAK, str(totals.trade_count), now_ns)


def check_positions(turn: Turn) -> None:
    """Margin guard on mark price, delisting: what must go says so on its lane."""
    memory = turn.memory
    for item in turn.config.pairs:
        lane, position = memory.lanes[item.pair.id], memory.ledger.position(item.pair.id)
        if position is None:
            lane.risk_exit = ""
            memory.causes.end(Cause.LIQUIDATION_NEAR, item.pair.id)
            continue
        _guard_margin(turn, item.pair, lane)
        if _is_delisting(turn, item.pair):
            lane.risk_exit = lane.risk_exit or "delisting"


def _guard_margin(turn: Turn, pair: Pair, lane: Lane) -> None:
    memory, limits = turn.memory, turn.config.risk
    held = memory.ledger.holdings.contracts.get(pair.b)
    if held is None or not held.qty or held.liquidation_price is None or not held.mark_price:
        return
    distance = abs(float(held.liquidation_price / held.mark_price) - 1)
    is_near = distance < limits.liq_distance_reduce
    set_cause(memory.causes, Cause.LIQUIDATION_NEAR, pair.id, memory.now_ns, is_there=is_near)
    if is_near:
        fields: dict[str, Cell] = {"pair": pair.id, "liq_distance": distance}
        turn.alert(f"liquidation/{pair.id}", Severity.ERROR, "a contract comes near its liquidation price", fields)
    if distance < limits.liq_distance_close:
        lane.risk_exit = lane.risk_exit or "liquidation"


def _is_delisting(turn: Turn, pair: Pair) -> bool:
    wall_ms = turn.wall_ns() // 1_000_000
    for instrument_id in (pair.a, pair.b):
        instrument = turn.memory.market.instruments.get(instrument_id)
        at_ms = instrument.delisting_ms if instrument is not None else None
        if at_ms is not None and at_ms - wall_ms < turn.config.risk.delist_exit_h * HOUR_MS:
            return True
    return False


def tell_state(turn: Turn, before: tuple[TradingState, int]) -> None:
    """Publish the trading state when it, or the number of its causes, changed within the step."""
    causes = turn.memory.causes
    if (causes.state, len(causes.in_force)) != before:
        rows.trading_state_topic(turn)
