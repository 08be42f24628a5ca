"""Memory from one run to the next: what another configuration changes, and what a new process no longer believes.

Owns: the start of a memory, and what is forgotten at the start of a run.
Never: forgets what was done: positions, orders, two-leg orders, what a person put in force and what was booked stay.
Units: times monotonic _ns, which go on over restarts, so that ages and timers of an earlier process hold.
"""

from __future__ import annotations

import attrs

from arb.domain.errors import UnsafeToTrade
from arb.domain.events import Level, RunStarted
from arb.domain.ids import PairId
from arb.domain.order import OrderState
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.config import EngineConfig
from arb.engine.memory import Lane, Memory, Turn
from arb.execution.order_ids import run_digest
from arb.state.fx import FxMarks
from arb.state.ledger import Ledger
from arb.state.market import FreshnessLimits, Market
from arb.strategy import load_strategy


def new_memory(config: EngineConfig) -> Memory:
    """Nothing known yet."""
    market = Market(_freshness(config))
    return Memory(market=market, fx=FxMarks(config.fx), ledger=Ledger(config.day_offset_ns))


def _freshness(config: EngineConfig) -> FreshnessLimits:
    risk = config.risk
    return FreshnessLimits(
        max_book_age_ms=risk.max_book_age_ms,
        max_quiet_s=risk.max_quiet_s,
        max_conn_silence_ms=risk.max_conn_silence_ms,
        max_feed_lag_ms=risk.max_feed_lag_ms,
        max_skew_ms=risk.max_skew_ms,
    )


def told_anew(config: EngineConfig, memory: Memory) -> Memory:
    """Memory under this configuration: a restart may bring other limits, other strategies and other pairs.

    Raises:
        UnsafeToTrade: a pair with something open is no longer configured, or trades other instruments now.
    """
    memory.market.limits, memory.fx.params = _freshness(config), config.fx
    memory.ledger.day_offset_ns = config.day_offset_ns
    for pair in memory.lanes.keys() - {item.pair.id for item in config.pairs}:
        if is_open(memory, pair):
            raise UnsafeToTrade(
                f"pair {pair} is no longer configured, and it has a position or an order open: configure it again, "
                "flatten it, and then take it out"
            )
        _forget_pair(memory, pair)
    for item in config.pairs:
        _take_lane(memory, item.pair)
    return memory


def _take_lane(memory: Memory, pair: Pair) -> None:
    lane, instruments = memory.lanes.get(pair.id), (pair.a, pair.b)
    if lane is not None and lane.instruments not in ((), instruments):
        if is_open(memory, pair.id):
            raise UnsafeToTrade(
                f"pair {pair.id} trades other instruments now than {' and '.join(lane.instruments)}, on which it has a "
                "position or an order open: name those again, flatten the pair, and then change it"
            )
        _forget_pair(memory, pair.id)
        lane = None
    if lane is None:
        lane = memory.lanes[pair.id] = Lane(own=load_strategy(pair.strategy).initial())
    elif lane.strategy not in ("", pair.strategy):
        lane.own = load_strategy(pair.strategy).initial()
    lane.strategy, lane.instruments = pair.strategy, instruments


def is_open(memory: Memory, pair: PairId) -> bool:
    """Whether a pair has a position, a two-leg order in hand or an order not known to be finished."""
    lane = memory.lanes.get(pair)
    has_orders = any(line.request.pair == pair for line in memory.orders.working())
    return memory.ledger.position(pair) is not None or has_orders or (lane is not None and bool(lane.legs))


def _forget_pair(memory: Memory, pair: PairId) -> None:
    """Nothing of it is open: its lane, its ended orders and its ended two-leg orders go."""
    del memory.lanes[pair]
    memory.legs = {key: legs for key, legs in memory.legs.items() if legs.pair != pair}
    orders = memory.orders
    orders.lines = {key: line for key, line in orders.lines.items() if line.request.pair != pair}
    orders.by_venue_id = {key: name for key, name in orders.by_venue_id.items() if name in orders.lines}


def run_started(turn: Turn, event: RunStarted) -> None:
    """A new process: its name, its clock, and none of the conditions that belonged to the process before.

    Until it is told whether it is armed it settles: it asks and cancels, and sends nothing.
    """
    memory = turn.memory
    memory.run_id, memory.run_digest, memory.parameters = event.run_id, run_digest(event.run_id), event.parameters
    memory.market.anchor(event.at_ns, event.wall_ns)
    memory.is_started, memory.is_draining = True, False
    memory.is_settling, memory.is_armed = True, False
    memory.level, memory.is_state_lost, memory.emergencies = Level.OK, False, ()
    memory.causes.restarted()
    _forget_markets(memory)
    _forget_readings(memory)
    for lane in memory.lanes.values():
        _forget_timers(lane)
        lane.own = load_strategy(lane.strategy).renewed(lane.own)
    _doubt_orders(turn)
    rows.trading_state_topic(turn)


def _forget_markets(memory: Memory) -> None:
    """Books, connections and marks of the process before; rules and fees stand until told anew, and flows are booked
    at the last two-sided mark."""
    market, fx = memory.market, memory.fx
    market.books, market.feeds, market.funding, market.venues = {}, {}, {}, {}
    memory.fx = attrs.evolve(fx, bid=0.0, ask=0.0, mid=0.0, second_mid=0.0, spans=())
    memory.rest_ns = {}


def _forget_readings(memory: Memory) -> None:
    """When a venue told what: no word of before confirms anything now."""
    memory.balances_ns, memory.contracts_ns, memory.told_seq, memory.readings = {}, {}, {}, {}
    memory.orphans = ()


def _forget_timers(lane: Lane) -> None:
    lane.look, lane.refusal, lane.dislocated_ns, lane.doubted = None, "", None, ""
    lane.mismatch_ns, lane.mismatch_seq, lane.is_emergency = None, 0, False


def _doubt_orders(turn: Turn) -> None:
    """Whoever waited for the answers is gone: the fate of every order not known to be finished is asked for."""
    memory = turn.memory
    for line in memory.orders.working():
        state = line.state if line.is_final else OrderState.UNKNOWN
        doubted = attrs.evolve(
            line, state=state, reason="the run that sent it ended", changed_ns=memory.now_ns, told=state,
            is_cancel_sent=False, not_found_count=0, queries=0, next_query_ns=None, revision=line.revision + 1,
        )  # fmt: skip
        memory.orders.put(doubted)
        legs = memory.legs.get(line.owner)
        rows.order_row(turn, doubted, legs.position if legs is not None else line.owner)
