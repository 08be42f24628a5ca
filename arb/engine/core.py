"""The keystone: one synchronous method, `step(event) -> effects`.

Owns: the memory, the order of things within a step, and which pairs a market event concerns.
Never: waits, reads a clock, opens anything.
Units: times monotonic _ns; the journal's sequence is the number of the step, from 1.

Invariant (I1): effects are a function of configuration, starting memory and events (tests/engine/test_engine.py).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import attrs

from arb.domain.depth import Depth, DepthSource
from arb.domain.effects import Effect
from arb.domain.events import (
    ArmingSeen,
    BalanceSeen,
    ClockJumped,
    Command,
    CommandKind,
    DepthSeen,
    Event,
    FeedDown,
    FeedSeen,
    FeedUp,
    FeesSeen,
    FillSeen,
    FundingPaid,
    FundingRateSeen,
    FxSeen,
    HealthSeen,
    InstrumentSeen,
    Level,
    OrderUpdated,
    PositionSeen,
    Reconciled,
    RunEnding,
    RunStarted,
    StorageSeen,
    Tick,
    TransferSeen,
    VenueStatus,
)
from arb.domain.ids import InstrumentId, PairId
from arb.domain.order import OrderRequest
from arb.engine import (
    accounting,
    adopting,
    charges,
    daily,
    folding,
    following,
    guards,
    reconciling,
    renewing,
    repairing,
    rows,
    trading,
    watching,
    working,
)
from arb.engine.config import EngineConfig, PairConfig
from arb.engine.glance import PairSight, wants_look
from arb.engine.memory import NO_EFFECTS, Difference, Memory, Turn
from arb.engine.renewing import new_memory, told_anew
from arb.engine.view import data_refusal, is_naked
from arb.state.orders import OrderLine
from arb.state.positions import PairPosition
from arb.strategy import load_strategy
from arb.strategy.api import Look, Strategy

REST: Final = DepthSource.REST


@attrs.frozen
class EngineSnapshot:
    """Everything an engine remembers; belongs to whoever holds it, the engine has a copy of its own."""

    memory: Memory


class Engine:
    """The pure machine: remembers, decides, refuses and plans."""

    def __init__(self, config: EngineConfig, memory: Memory | None = None) -> None:
        self._config = config
        self._memory = told_anew(config, memory if memory is not None else new_memory(config))
        self._strategies: dict[PairId, Strategy[Any, Any, Any]] = {
            item.pair.id: load_strategy(item.pair.strategy) for item in config.pairs
        }
        self._fx_books = frozenset({config.fx.executable, config.fx.second})
        self._sights = tuple(self._sight_of(item) for item in config.pairs)
        self._concerned: dict[InstrumentId, tuple[PairSight, ...]] = {}
        for sight in self._sights:
            for instrument in (sight.a, sight.b):
                self._concerned[instrument] = (*self._concerned.get(instrument, ()), sight)

    def _sight_of(self, item: PairConfig) -> PairSight:
        pair = item.pair
        return PairSight(
            item=item, pair=pair.id, a=pair.a, b=pair.b, unit_b=float(pair.multiplier),
            lane=self._memory.lanes[pair.id],
            strategy=self._strategies[pair.id],
        )  # fmt: skip

    # --- the step

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Fold one event and answer with what is to be done."""
        memory = self._memory
        memory.seq += 1
        if event.at_ns > memory.now_ns:
            memory.now_ns = event.at_ns
        if type(event) is DepthSeen:
            return self._depth(event)
        turn = Turn(config=self._config, memory=memory)
        before = (memory.causes.state, len(memory.causes.in_force))
        self._fold(turn, event)
        guards.tell_state(turn, before)
        return tuple(turn.effects)

    def fold(self, event: Event, sent: tuple[OrderRequest, ...]) -> None:
        """Take in a step that another build decided: what happened, and which orders left; nothing is decided anew.

        Raises:
            ValueError: an order that is known already.
        """
        memory = self._memory
        memory.is_settling = True
        if isinstance(event, ArmingSeen):  # it would end the settling; the next run is told anew
            memory.seq += 1
        else:
            self.step(event)
        following.follow(Turn(config=self._config, memory=memory), sent)

    def _depth(self, event: DepthSeen) -> tuple[Effect, ...]:
        memory, depth = self._memory, event.depth
        if not memory.market.see_depth(event):
            return NO_EFFECTS
        instrument = depth.instrument
        if depth.source is REST:
            memory.rest_ns[instrument] = depth.received_ns
        if instrument in self._fx_books:
            self._see_fx(depth)
        turn: Turn | None = None
        for sight in self._concerned.get(instrument, ()):
            if wants_look(memory, self._config, sight):
                turn = turn or Turn(config=self._config, memory=memory)
                self._look(turn, sight.item)
        return tuple(turn.effects) if turn is not None and turn.effects else NO_EFFECTS

    def _see_fx(self, depth: Depth) -> None:
        """The executable book or the one it is compared with; rates that hung on the old mark are forgotten."""
        if depth.instrument == self._config.fx.executable:
            self._memory.fx.see_executable(depth)
            for sight in self._sights:
                sight.rates = None
        else:
            self._memory.fx.see_second(depth)

    def _forget_sights(self) -> None:
        """The books of an earlier process are gone, or other fees are in force."""
        for sight in self._sights:
            sight.book_a = sight.book_b = sight.rates = sight.held = None

    def _look(self, turn: Turn, item: PairConfig) -> None:
        if turn.memory.level is not Level.CRITICAL and not turn.memory.is_settling:
            trading.look(turn, item, self._strategies[item.pair.id])

    def _fold(self, turn: Turn, event: Event) -> None:
        match event:
            case Tick():
                self._tick(turn, event)
            case OrderUpdated():
                folding.update_seen(turn, event)
            case FillSeen():
                folding.fill_seen(turn, event.fill)
            case BalanceSeen():
                folding.balances_seen(turn, event)
            case PositionSeen():
                folding.contract_seen(turn, event)
                guards.check_positions(turn)
                if not self._memory.is_settling:
                    watching.doubt_positions(turn)
            case FundingPaid():
                charges.funding_paid(turn, event, folding.pair_of(turn, event.instrument))
            case TransferSeen():
                charges.transfer_seen(turn, event)
            case Command(kind=CommandKind.ADOPT | CommandKind.IGNORE):
                adopting.accept(turn, event)
                accounting.accepted(turn)
            case Command():
                guards.command(turn, event)
                if event.kind is CommandKind.DRAIN:
                    accounting.draining(turn)
            case _:
                self._learn(turn, event)

    def _learn(self, turn: Turn, event: Event) -> None:
        """What changes beliefs and conditions only."""
        memory = self._memory
        match event:
            case FeedSeen():
                memory.market.see_feed(event)
            case FundingRateSeen():
                memory.market.see_funding(event)
            case FxSeen():
                rows.bank_row(turn, event)
                memory.fx.see_bank(event)
            case InstrumentSeen():
                memory.market.see_instrument(event)
                if event.instrument.id == self._config.fx.executable:
                    memory.fx.tick = event.instrument.ticks.bands[0].tick
            case FeesSeen():
                memory.market.see_fees(event)
                self._forget_sights()
            case FeedUp() | FeedDown():
                guards.feed_changed(turn, event)
            case VenueStatus():
                guards.venue_seen(turn, event)
            case ArmingSeen():
                was_settling = memory.is_settling
                guards.arming_seen(turn, event)
                if was_settling:
                    repairing.work_unbalanced(turn)
            case HealthSeen():
                guards.health_seen(turn, event)
                if event.level is Level.CRITICAL:
                    repairing.work_unbalanced(turn)
            case Reconciled():
                accounting.reconciled(turn, event)
                reconciling.reconciled(turn, event)
            case StorageSeen():
                guards.storage_seen(turn, event)
            case RunEnding():
                memory.is_settling = True
            case RunStarted():
                renewing.run_started(turn, event)
                self._forget_sights()
            case ClockJumped():
                memory.market.jump(event)
                memory.fx.jump(event.at_ns)

    def _tick(self, turn: Turn, event: Tick) -> None:
        """Time passed: timers, watches, one look at every pair, rows and topics."""
        memory = self._memory
        memory.market.anchor(event.at_ns, event.wall_ns)
        memory.ledger.roll_day(turn.wall_ns())
        working.work_all(turn)
        if memory.orphans:
            folding.match_orphans(turn)
        guards.check_positions(turn)
        if not memory.is_settling:
            watching.watch_positions(turn)
        reconciling.ask_again(turn)
        guards.check_results(turn)
        daily.look_after(turn)
        for item in self._by_edge():
            lane = memory.lanes[item.pair.id]
            if event.is_loop:
                self._look(turn, item)
            trading.flush_refusals(turn, item.pair, lane)
            trading.publish_pair(turn, item, lane)
        self._sample(turn)

    def _by_edge(self) -> list[PairConfig]:
        """Pairs in the order of their expected edge, best first."""
        lanes = self._memory.lanes

        def edge(item: PairConfig) -> float:
            known = lanes[item.pair.id].look
            return known.best_bps if known is not None else float("-inf")

        return sorted(self._config.pairs, key=edge, reverse=True)

    def _sample(self, turn: Turn) -> None:
        memory = self._memory
        if memory.now_ns - memory.spreads_ns < self._config.spreads_every_s * 1e9:
            return
        memory.spreads_ns = memory.now_ns
        for item in self._config.pairs:
            rows.spread_row(turn, item.pair, memory.lanes[item.pair.id])
        rows.fx_row(turn)
        rows.portfolio(turn)
        accounting.time_passed(turn)

    # --- questions

    @property
    def config(self) -> EngineConfig:
        """What it was told at the start."""
        return self._config

    def is_ready(self) -> bool:
        """Whether every pair's books and FX support a decision now."""
        return not self.missing()

    def missing(self) -> tuple[str, ...]:
        """What keeps a pair from being looked at, in words; empty: nothing."""
        memory, found = self._memory, []
        for item in self._config.pairs:
            if refusal := data_refusal(memory, self._config, item.pair):
                found.append(f"{item.pair.id}: {refusal}")
        return tuple(found)

    def looks(self) -> dict[PairId, Look]:
        """The newest look at each pair that was looked at."""
        return {pair: lane.look for pair, lane in self._memory.lanes.items() if lane.look is not None}

    def is_settled(self) -> bool:
        """No two-leg order unfinished and none of our orders open."""
        return not self._memory.orders.unfinished and not any(lane.legs for lane in self._memory.lanes.values())

    def has_open(self) -> bool:
        """Any position, two-leg order or order of ours not known to be finished."""
        return bool(self._memory.ledger.positions) or not self.is_settled()

    def differences(self) -> tuple[Difference, ...]:
        """What the venues told that the books do not explain, as of the newest reading of each that could be
        compared."""
        return self._memory.differences

    def is_reconciled(self) -> bool:
        """Whether every venue's account was read and compared since the run began, and no order's fate is unknown."""
        return reconciling.is_complete(self._memory, self._config)

    def open_orders(self) -> tuple[OrderLine, ...]:
        """Orders not known to be finished."""
        return self._memory.orders.working()

    def open_positions(self) -> tuple[PairPosition, ...]:
        """Open pair positions."""
        return tuple(self._memory.ledger.positions.values())

    def unbalanced(self) -> tuple[PairId, ...]:
        """Pairs whose legs differ by what a venue would trade, or whose two-leg order has not ended."""
        memory, pairs = self._memory, {item.pair.id: item.pair for item in self._config.pairs}
        naked = {
            key
            for key, position in memory.ledger.positions.items()
            if (is_naked(memory, self._config, pairs[key], position) if key in pairs else position.net_qty)
        }
        return tuple(pair for pair, lane in memory.lanes.items() if lane.legs or pair in naked)

    def explain(self) -> dict[PairId, tuple[str, Look | None]]:
        """Per pair: the refusal that lasts (empty: none) and the newest look."""
        return {pair: (lane.refusal.partition("|")[2], lane.look) for pair, lane in self._memory.lanes.items()}

    @property
    def memory(self) -> Memory:
        """For reading only."""
        return self._memory

    # --- snapshot

    def freeze(self) -> EngineSnapshot:
        """A copy of everything; `thaw` continues from it with equal effects."""
        return EngineSnapshot(deepcopy(self._memory))


def thaw(config: EngineConfig, snapshot: EngineSnapshot) -> Engine:
    """An engine that continues where the snapshot was taken."""
    return Engine(config, deepcopy(snapshot.memory))
