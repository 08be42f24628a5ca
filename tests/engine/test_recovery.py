"""A process dies at any step and another one goes on from what is on disk: nothing twice, nothing lost, all ended."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.effects import Effect, Submit
from arb.domain.errors import UnsafeToTrade
from arb.domain.events import (
    ArmingSeen,
    Command,
    CommandKind,
    DepthSeen,
    FeedDown,
    HealthSeen,
    InstrumentSeen,
    Level,
    PositionSeen,
    Reconciled,
    RunStarted,
    StorageSeen,
    Tick,
)
from arb.domain.ids import FeedId, PairId, RunId, VenueId
from arb.domain.instrument import InstrumentKind
from arb.domain.order import OrderRequest, OrderState
from arb.engine import Engine, EngineConfig, EngineSnapshot, Memory
from arb.risk.trading_state import Cause, TradingState
from arb.storage.codec import decode_value, encode_value
from arb.strategy.convergence.memory import BookCount, ConvergenceMemory
from tests.engine.exchange import (
    FULL,
    MS,
    SECOND,
    START_NS,
    WALL_NS,
    A,
    B,
    Exchange,
    Reply,
    cheap,
    config,
    contract,
    fresh,
    rules,
)

D = Decimal
VENUES = (VenueId("upbit"), VenueId("binance_usdm"))


@attrs.frozen
class Left:
    """An order that left, when, and as which."""

    request: OrderRequest
    at_ns: int
    number: int


@attrs.define
class Crash:
    """All that outlives a process: its memory on disk, and the venues."""

    memory: bytes
    now_ns: int
    left: list[Left]
    venue: Exchange
    """Its ledger as it stood; nothing of it is shared with the exchange that went on."""


def crashes(script: tuple[Reply, ...], moves: list[float]) -> Iterator[Crash]:
    """Run a history and yield what a crash after each of its steps would leave."""
    found: list[Crash] = []
    left: list[Left] = []

    def note(exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState) -> None:
        sent = [order.request for effect in effects if isinstance(effect, Submit) for order in effect.orders]
        if isinstance(exchange.events[-1], DepthSeen) and not effects:
            return  # what it told is forgotten at the start of a run
        left.extend(Left(one, exchange.now_ns, exchange.number + 1 + index) for index, one in enumerate(sent))
        found.append(
            Crash(
                encode_value(EngineSnapshot(exchange.engine.memory)), exchange.now_ns, list(left), ledger_of(exchange)
            )
        )

    exchange = fresh(rule_of(script))
    exchange.observer = note
    for bps in moves:
        exchange.run(2.5, cheap(bps), step_ms=250)
    yield from found


def frozen(exchange: Exchange) -> bytes:
    """The engine's memory as a segment carries it."""
    return encode_value(EngineSnapshot(exchange.engine.memory))


def rule_of(script: tuple[Reply, ...]):
    """The n-th order is answered by the n-th reply; later ones fill."""
    return lambda _request, number: script[number - 1] if number <= len(script) else FULL


def ledger_of(exchange: Exchange, engine: Engine | None = None) -> Exchange:
    """The venue's side of an exchange, with another engine in front of it."""
    return Exchange(
        engine or exchange.engine, exchange.rule, now_ns=exchange.now_ns, coins=exchange.coins,
        contracts=exchange.contracts, krw=exchange.krw, executions=list(exchange.executions),
        truth=dict(exchange.truth), number=exchange.number,
    )  # fmt: skip


def thawed(crash: Crash) -> Memory:
    """What a recovery hands to the next engine."""
    memory: Memory = decode_value(crash.memory, EngineSnapshot).memory
    memory.seq = 0
    return memory


def restarted(crash: Crash, *, is_sent: bool = True, down_s: float = 3.0) -> Exchange:
    """The next process: the venue worked on meanwhile, and nobody heard what it said.

    `is_sent` false: the orders of the last step had not left yet.
    """
    exchange = ledger_of(crash.venue, Engine(config(), thawed(crash)))
    exchange.now_ns = crash.now_ns + int(down_s * SECOND)
    for one in crash.left:
        reply = exchange.rule(one.request, one.number)
        happens_ns = one.at_ns + reply.delay_ms * MS
        is_last = one.at_ns == crash.now_ns and one.request.client_order_id not in exchange.truth
        if happens_ns <= crash.now_ns or (is_last and not is_sent):
            continue
        unheard = attrs.evolve(reply, is_lost=True)
        exchange._later(happens_ns, partial(exchange._happen, one.request, unheard, one.number))
    exchange.number = max((one.number for one in crash.left), default=0)
    exchange.deliver()
    return exchange


def begin(exchange: Exchange, run: str = "next") -> None:
    """The first events of a run."""
    now = exchange.now_ns
    told = encode_value(exchange.engine.config).decode()
    wall_ns = WALL_NS + now - START_NS
    exchange.put(RunStarted(at_ns=now, wall_ns=wall_ns, run_id=RunId(run), build="b", parameters=told))
    for item in (
        rules(A, InstrumentKind.SPOT, "KRW", "1000", "0.00000001", "5000"),
        rules(B, InstrumentKind.PERPETUAL, "USDT", "0.1", "0.001", "100"),
    ):
        exchange.put(InstrumentSeen(at_ns=now, instrument=item))


def read(exchange: Exchange, venue: VenueId) -> None:
    """The account of a venue, read now."""
    now = exchange.now_ns
    if venue == "upbit":
        exchange.put(exchange._balances())
    else:
        exchange.put(PositionSeen(at_ns=now, position=contract(exchange.contracts)))
    exchange.put(Reconciled(at_ns=now, venue=venue))


def settle(exchange: Exchange) -> None:
    """Time passes until the books agree with the venues; nothing is sent meanwhile."""
    sent = len(exchange.submitted)
    for venue in VENUES:
        read(exchange, venue)
    for _ in range(160):
        if exchange.engine.is_reconciled():
            break
        exchange.now_ns += 250 * MS
        exchange.deliver()
        asked, exchange.readings = exchange.readings, []
        for one in asked:
            read(exchange, one.venue)
        exchange.put(Tick(at_ns=exchange.now_ns, wall_ns=WALL_NS + exchange.now_ns - START_NS))
    assert exchange.engine.is_reconciled()
    assert not exchange.engine.differences()
    assert len(exchange.submitted) == sent, "nothing is sent before it is known what stands"


def finish(exchange: Exchange, is_armed: bool = True) -> None:
    """It trades again, until all that stood open has been dealt with."""
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=is_armed))
    exchange.funding()
    for _ in range(60):
        exchange.run(2, cheap(0), step_ms=250)
        if exchange.engine.is_settled() and not exchange.due:
            return


def assert_books_agree(exchange: Exchange, crash: Crash) -> None:
    """Everything ended, every execution booked once, quantities as the venues hold them, no order twice."""
    memory = exchange.engine.memory
    assert exchange.engine.is_settled()
    assert not any(legs.is_open for legs in memory.legs.values())
    for fill in exchange.executions:
        assert f"fill/{fill.instrument}/{fill.trade_id}" in memory.ledger.booked
    held = {leg: D(0) for leg in "ab"}
    for position in memory.ledger.positions.values():
        held["a"] += position.a.net_qty
        held["b"] += position.b.net_qty
    for residual in memory.ledger.residuals.values():
        held[residual.leg] += residual.qty
    assert held == {"a": exchange.coins, "b": exchange.contracts}
    assert memory.ledger.holdings.tallies["upbit/BTC"].closing == exchange.coins if exchange.executions else True
    assert abs(exchange.coins + exchange.contracts) < D("0.001")
    names = [one.request.client_order_id for one in crash.left] + [one.client_order_id for one in exchange.submitted]
    assert len(set(names)) == len(names)


SCRIPTS = (
    (),
    (FULL, Reply(("0.5",))),
    (FULL, Reply(()), FULL),
    (Reply(("0.3", "0.3"), told_ms=400), FULL),
    (Reply(("1",), OrderState.UNKNOWN, 700),),
    (FULL, Reply((), OrderState.UNKNOWN), FULL),
    (FULL, FULL, Reply(("0.5",)), Reply((), OrderState.REJECTED)),
    (Reply(delay_ms=3_500), FULL),
)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_crash_at_any_step_leaves_nothing_doubled_lost_or_open(script: tuple[Reply, ...]) -> None:
    """With an order of the last step sent or not sent: both may be, once the step is on disk."""
    for crash in crashes(script, [0, 70, 0, 0]):
        is_in_question = bool(crash.left) and crash.left[-1].at_ns == crash.now_ns
        for is_sent in (True, False) if is_in_question else (True,):
            exchange = restarted(crash, is_sent=is_sent)
            begin(exchange)
            settle(exchange)
            finish(exchange)
            assert_books_agree(exchange, crash)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_steps_that_never_reached_the_disk_are_told_again_by_the_venues(script: tuple[Reply, ...]) -> None:
    """Of the newest steps as many are lost as may be: all behind the last one that an order waited for."""
    found = list(crashes(script, [0, 70, 0, 0]))
    synced = found[0]
    for crash in found:
        if len(crash.left) > len(synced.left):
            synced = crash
        exchange = restarted(attrs.evolve(crash, memory=synced.memory))
        begin(exchange)
        settle(exchange)
        finish(exchange)
        assert_books_agree(exchange, crash)


replies = st.builds(
    Reply,
    shares=st.sampled_from([("1",), ("0.5",), (), ("0.3", "0.4")]),
    state=st.sampled_from([None, None, OrderState.UNKNOWN]),
    delay_ms=st.sampled_from([20, 400, 2_000]),
    told_ms=st.sampled_from([0, 600]),
    is_lost=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(replies, max_size=4), st.lists(st.sampled_from([0, 70, -20]), min_size=2, max_size=4), st.data())
def test_crash_upon_crash_is_survived(script: list[Reply], moves: list[float], data: st.DataObject) -> None:
    found = list(crashes(tuple(script), moves))
    crash = data.draw(st.sampled_from(found))
    for run in ("next", "third"):
        exchange = restarted(
            crash, is_sent=data.draw(st.booleans()), down_s=data.draw(st.sampled_from([0.1, 2.0, 60.0]))
        )
        left = list(crash.left)
        again: list[Crash] = []

        def note(
            exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState,
            left: list[Left] = left, again: list[Crash] = again,
        ) -> None:  # fmt: skip
            sent = [order.request for effect in effects if isinstance(effect, Submit) for order in effect.orders]
            left.extend(Left(one, exchange.now_ns, exchange.number + 1 + index) for index, one in enumerate(sent))
            again.append(Crash(frozen(exchange), exchange.now_ns, list(left), ledger_of(exchange)))

        exchange.observer = note
        begin(exchange, run)
        settle(exchange)
        finish(exchange)
        assert_books_agree(exchange, crash)
        crash = data.draw(st.sampled_from(again))


def opened(*script: Reply) -> Exchange:
    """A position stands."""
    exchange = fresh(rule_of(script))
    exchange.run(3, cheap(70))
    assert exchange.engine.open_positions()
    return exchange


def next_run(exchange: Exchange, told: EngineConfig | None = None) -> Exchange:
    """The next process over what this one knows, begun; nothing read yet."""
    memory: Memory = decode_value(encode_value(exchange.engine.freeze()), EngineSnapshot).memory
    memory.seq = 0
    after = ledger_of(exchange, Engine(told or config(), memory))
    after.now_ns += SECOND
    begin(after)
    return after


def test_what_a_person_put_in_force_stays_and_what_is_told_anew_ends() -> None:
    exchange = opened()
    now = exchange.now_ns
    for kind in (CommandKind.PAUSE, CommandKind.FREEZE, CommandKind.DISARM, CommandKind.DRAIN):
        exchange.put(Command(at_ns=now, kind=kind, operator="me"))
    exchange.put(ArmingSeen(at_ns=now, is_armed=False, missing=("file",)))
    exchange.put(FeedDown(at_ns=now, feed=FeedId("upbit/public/0"), instruments=(), reason="x"))
    exchange.put(HealthSeen(at_ns=now, level=Level.ERROR, reasons=("x",)))
    exchange.put(StorageSeen(at_ns=now, is_low=True, is_full=True, detail="x"))
    exchange.engine.memory.causes.add(Cause.DAILY_LOSS, "1", now)

    after = next_run(exchange)

    causes = {(item.cause, item.detail) for item in after.engine.memory.causes.in_force}
    assert causes == {
        (Cause.PAUSE, ""), (Cause.FREEZE, ""), (Cause.UNARMED, "operator"), (Cause.STORAGE_FULL, ""),
        (Cause.DAILY_LOSS, "1"),
    }  # fmt: skip


def is_armed(exchange: Exchange) -> bool:
    """Whether entries may leave."""
    return exchange.engine.memory.is_armed


def test_an_operators_disarm_outlives_every_condition_until_arm() -> None:
    exchange = opened()
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.DISARM, operator="me"))
    assert not is_armed(exchange)
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=True))
    assert not is_armed(exchange)
    after = next_run(exchange)
    after.put(Command(at_ns=after.now_ns, kind=CommandKind.ARM, operator="me"))
    assert not is_armed(after), "the conditions have not been told yet"
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=True))
    assert is_armed(after)
    assert after.engine.memory.causes.state is TradingState.ACTIVE


def test_no_book_mark_or_reading_of_the_process_before_is_believed() -> None:
    exchange = opened()
    after = next_run(exchange)
    memory = after.engine.memory
    assert after.engine.missing() == ("BTC: no_book_a",)
    assert (memory.market.books, memory.market.feeds, memory.market.funding, memory.contracts_ns) == ({}, {}, {}, {})
    assert memory.fx.mid == 0
    assert memory.fx.booked_bid > 0, "flows go on being booked at the last two-sided mark"
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=True))
    after.books(cheap(0))
    after.books(cheap(-80))
    assert after.engine.memory.market.books[A].mid == pytest.approx(cheap(-80), rel=1e-5)
    assert after.engine.is_ready()


def test_an_exit_is_confirmed_anew_by_books_of_the_new_process() -> None:
    exchange = opened()
    exchange.run(1, cheap(70))
    exchange.books(cheap(0))
    own = exchange.engine.memory.lanes[PairId("BTC")].own
    assert isinstance(own, ConvergenceMemory)
    assert any(own.rules), "an exit rule holds and is not confirmed yet"
    after = next_run(exchange)
    renewed = after.engine.memory.lanes[PairId("BTC")].own
    assert renewed == attrs.evolve(own, books=BookCount(), rules=())
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=True))
    after.funding()
    after.books(cheap(0))
    assert not after.submitted, "one book confirms nothing"
    after.run(1, cheap(0))
    assert after.submitted


def test_an_unbalanced_pair_waits_for_the_word_on_arming_and_is_worked_with_it() -> None:
    exchange = fresh(rule_of((FULL, Reply(delay_ms=4_000))))
    exchange.run(0.8, cheap(70), step_ms=50)
    assert exchange.coins
    assert not exchange.contracts
    after = next_run(exchange)
    after.now_ns += 3 * SECOND
    settle(after)
    for level in (Level.CRITICAL, Level.OK):
        after.put(HealthSeen(at_ns=after.now_ns, level=level, reasons=("x",)))
    after.put(Tick(at_ns=after.now_ns, wall_ns=WALL_NS + after.now_ns - START_NS, is_loop=True))
    assert not after.submitted
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=False, missing=("file",)))
    assert [order.instrument for order in after.submitted] == [A]
    assert not after.engine.memory.is_armed


def test_a_pair_with_something_open_can_neither_be_taken_out_nor_trade_elsewhere() -> None:
    exchange = opened()
    memory = exchange.engine.memory
    told = config()
    with pytest.raises(UnsafeToTrade, match="pair BTC is no longer configured"):
        Engine(attrs.evolve(told, pairs=()), memory)
    moved = attrs.evolve(told.pairs[0], pair=attrs.evolve(told.pairs[0].pair, b=A))
    with pytest.raises(UnsafeToTrade, match="pair BTC trades other instruments"):
        Engine(attrs.evolve(told, pairs=(moved,)), memory)
    exchange.run(4, cheap(0))
    assert not exchange.engine.has_open()
    assert not Engine(attrs.evolve(told, pairs=()), memory).memory.lanes


def test_another_strategy_begins_with_a_memory_of_its_own() -> None:
    exchange = opened()
    lane = exchange.engine.memory.lanes[PairId("BTC")]
    lane.strategy = "another"
    before = lane.own
    after = Engine(config(), exchange.engine.memory).memory.lanes[PairId("BTC")]
    assert after.own != before
    assert after.strategy == "convergence"
