"""From the files of a journal to the memory that wrote them, whatever became of their end."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from arb.cli.build import new_run_id, next_run_id
from arb.cli.recovery import Recovered, recover, seal
from arb.domain.effects import Effect, Submit
from arb.domain.errors import UnsafeToTrade
from arb.domain.events import ArmingSeen, BalanceSeen, Event, RunStarted, Tick
from arb.domain.ids import AssetId, PairId, RunId, VenueId
from arb.domain.order import Balance, OrderRequest, OrderState
from arb.engine import Engine, EngineConfig, EngineSnapshot, Memory, sending, working
from arb.risk.trading_state import TradingState
from arb.storage.codec import encode_value
from arb.storage.journal import InlineWriter, SegmentJournal
from arb.storage.retention import keep_house
from arb.storage.segments import framed, read_records, segment_paths
from arb.strategy.api import PairView
from arb.strategy.convergence.decide import Convergence
from tests.engine.exchange import FULL, SECOND, START_NS, WALL_NS, Exchange, Reply, always_full, cheap, config
from tests.engine.test_recovery import (
    Crash,
    Left,
    assert_books_agree,
    begin,
    finish,
    ledger_of,
    restarted,
    rule_of,
    settle,
)

BUILD = "0.1.0+test"
RUN = new_run_id(WALL_NS)
DAY_NS = 86_400 * SECOND


@attrs.define
class Clock:
    """Two readings that belong together."""

    now_ns: int = START_NS

    def monotonic_ns(self) -> int:
        """As the exchange counts."""
        return self.now_ns

    def wall_ns(self) -> int:
        """UTC of that."""
        return WALL_NS + self.now_ns - START_NS


@attrs.define
class Written:
    """A run that was journalled, and what its engine knew after every step."""

    directory: Path
    exchange: Exchange
    journal: SegmentJournal
    clock: Clock
    states: list[bytes]


def comparable(memory: Memory) -> bytes:
    """Memory as bytes, but for the count of the steps."""
    return encode_value(attrs.evolve(memory, seq=0))


def written(
    directory: Path, run: RunId = RUN, memory: Memory | None = None, told: EngineConfig | None = None,
    now_ns: int = START_NS,
) -> Written:  # fmt: skip
    """Begin a run over a journal."""
    exchange = Exchange(Engine(told or config(), memory), always_full, now_ns=now_ns)
    journal = SegmentJournal(directory, InlineWriter(), run_id=run, build=BUILD)
    found = Written(directory, exchange, journal, Clock(now_ns), [])

    def note(exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState) -> None:
        found.clock.now_ns = exchange.now_ns
        journal.append(exchange.events[-1])
        journal.append_effects(effects)
        found.states.append(comparable(exchange.engine.memory))

    exchange.observer = note
    seal(journal, exchange.engine, found.clock)
    begin(exchange, run)
    wallet = Balance(AssetId("USDT"), Decimal(15_000), Decimal(0))
    exchange.put(exchange._balances())
    exchange.put(
        BalanceSeen(at_ns=exchange.now_ns, venue=VenueId("binance_usdm"), balances=(wallet,), is_full=True)
    )  # fmt: skip
    return found


def traded(directory: Path) -> Written:
    """A run with a position, in one segment."""
    run = written(directory)
    finish(run.exchange)
    run.exchange.run(1, cheap(70))
    run.journal.close()
    return run


def recovered(directory: Path, told: EngineConfig | None = None, build: str = BUILD) -> Recovered:
    """There is something."""
    found = recover(directory, told or config(), build)
    assert found is not None
    return found


def only_segment(directory: Path) -> Path:
    """The one file."""
    (path,) = segment_paths(directory)
    return path


def records(path: Path) -> list[bytes]:
    """Whole records of a file, framed."""
    return [framed(payload) for payload in read_records(path) if payload is not None]


def test_no_journal_is_no_past(tmp_path: Path) -> None:
    assert recover(tmp_path, config(), BUILD) is None


def test_every_prefix_of_a_journal_comes_back_as_the_engine_was_and_a_torn_tail_is_told(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    run = traded(tmp_path / "whole")
    whole = records(only_segment(run.directory))
    name = only_segment(run.directory).name
    assert any(len(item.orders) for step in run.exchange.effects for item in step if isinstance(item, Submit))
    assert len(whole) == len(run.states) + 1
    cut = tmp_path / "cut"
    cut.mkdir()
    for count in range(1, len(whole), 3):
        (cut / name).write_bytes(b"".join(whole[: count + 1]) + whole[-1][: 1 + count % 40])
        found = recovered(cut)
        assert comparable(found.memory) == run.states[count - 1]
        assert (found.steps, found.seq, found.memory.seq, found.run_id) == (count, count, 0, RUN)
        assert "torn" in found.dropped
        assert found.wall_ns - found.now_ns == WALL_NS - START_NS


def test_an_event_whose_step_failed_is_dropped_and_told(tmp_path: Path) -> None:
    run = written(tmp_path)
    run.exchange.run(0.5, cheap(0))
    run.journal.append(Tick(at_ns=1, wall_ns=1))
    run.journal.close()
    found = recovered(tmp_path)
    assert comparable(found.memory) == run.states[-1]
    assert "the last Tick made the engine fail" in found.dropped


def test_after_a_sealed_end_nothing_is_replayed_and_the_clock_goes_on(tmp_path: Path) -> None:
    run = written(tmp_path)
    finish(run.exchange)
    run.clock.now_ns += 5 * SECOND
    seal(run.journal, run.exchange.engine, run.clock)
    run.journal.close()
    found = recovered(tmp_path)
    assert comparable(found.memory) == run.states[-1]
    assert (found.steps, found.seq, found.dropped) == (0, len(run.states), "")
    assert (found.now_ns, found.wall_ns) == (run.clock.now_ns, run.clock.wall_ns())


def test_a_compressed_segment_comes_back(tmp_path: Path) -> None:
    run = traded(tmp_path)
    path = only_segment(tmp_path)
    path.with_suffix(".journal.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert comparable(recovered(tmp_path).memory) == run.states[-1]


def second_run(first: Written) -> Written:
    """The next run over what the first one left."""
    left = recovered(first.directory)
    return written(first.directory, new_run_id(left.wall_ns + SECOND), left.memory, now_ns=left.now_ns + SECOND)


def test_a_newer_run_counts_even_when_it_took_no_step(tmp_path: Path) -> None:
    first = traded(tmp_path)
    left = recovered(tmp_path)
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id=new_run_id(WALL_NS + DAY_NS), build=BUILD)
    left.memory.opened_count = 4711
    seal(journal, Engine(config(), left.memory), Clock(left.now_ns))
    journal.close()
    found = recovered(tmp_path)
    assert (found.memory.opened_count, found.steps) == (4711, 0)
    assert found.run_id > first.exchange.engine.memory.run_id  # type: ignore[operator]


def test_a_segment_torn_before_its_header_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run = traded(tmp_path)
    later = tmp_path / f"{new_run_id(WALL_NS + DAY_NS)}-000001.journal"
    later.write_bytes(records(only_segment(tmp_path))[0][:50])
    found = recovered(tmp_path)
    assert comparable(found.memory) == run.states[-1]
    assert f"{later.name} was torn before its header" in found.dropped


def test_runs_upon_runs_with_segments_between_are_one_history(tmp_path: Path) -> None:
    run = written(tmp_path)
    finish(run.exchange)
    seal(run.journal, run.exchange.engine, run.clock)
    run.exchange.run(1, cheap(70))
    run.journal.close()
    venue = run.exchange
    for _ in range(2):
        again = second_run(run)
        again.exchange.coins, again.exchange.contracts, again.exchange.krw = venue.coins, venue.contracts, venue.krw
        again.exchange.executions, again.exchange.truth = list(venue.executions), dict(venue.truth)
        again.exchange.put(ArmingSeen(at_ns=again.exchange.now_ns, is_armed=True))
        again.exchange.run(2, cheap(0))
        again.journal.close()
        found = recovered(tmp_path)
        assert comparable(found.memory) == again.states[-1]
        run, venue = again, again.exchange
    assert len(segment_paths(tmp_path)) == 4


def tampered(path: Path, change: int, submit: bytes | None) -> int:
    """Another order in the first step that sends one (`submit`: none at all); that step's sequence."""
    payloads = [payload for payload in read_records(path) if payload is not None]
    for index, payload in enumerate(payloads):
        if payload[:1] != b"S":
            continue
        seq, tag, event, effects = msgspec.msgpack.decode(payload[1:])
        for item in effects:
            if item[0] != "Submit":
                continue
            request = item[1]["orders"][0]["request"]
            if submit is None:
                effects.remove(item)
            elif change:
                request["qty"] = str(Decimal(request["qty"]) * change)
            else:
                del request["quote_qty"]
            payloads[index] = b"S" + msgspec.msgpack.encode([seq, tag, event, effects])
            path.write_bytes(b"".join(framed(one) for one in payloads))
            return int(seq)
    raise AssertionError("nothing was sent")


def test_a_replay_that_sends_something_else_is_refused_with_both(tmp_path: Path) -> None:
    traded(tmp_path)
    path = only_segment(tmp_path)
    seq = tampered(path, 2, b"")
    with pytest.raises(UnsafeToTrade, match=rf"{path.name}, step {seq} .*Recorded: Submit.*Replayed: Submit"):
        recover(tmp_path, config(), BUILD)


def test_an_order_that_was_never_recorded_is_refused(tmp_path: Path) -> None:
    traded(tmp_path)
    tampered(only_segment(tmp_path), 0, None)
    with pytest.raises(UnsafeToTrade, match="Recorded: nothing"):
        recover(tmp_path, config(), BUILD)


def test_another_build_may_word_the_same_order_with_further_fields(tmp_path: Path) -> None:
    run = traded(tmp_path)
    tampered(only_segment(tmp_path), 0, b"")
    assert comparable(recovered(tmp_path, build="0.2.0+other").memory) == run.states[-1]
    with pytest.raises(UnsafeToTrade, match="other orders than were recorded"):
        recover(tmp_path, config(), BUILD)


def never_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that opens and closes nothing."""
    decide = Convergence.decide
    monkeypatch.setattr(
        Convergence, "decide", lambda *args: (decide(*args)[0], decide(*args)[1]._replace(intent=None))
    )  # fmt: skip


def never_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that closes nothing."""
    decide = Convergence.decide

    def other(strategy: Convergence, view: PairView, *rest: Any) -> Any:
        own, answer = decide(strategy, view, *rest)
        return own, answer if view.position is None else answer._replace(intent=None)

    monkeypatch.setattr(Convergence, "decide", other)


def never_hedges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that sends no second leg."""
    monkeypatch.setattr(working, "_send_second", lambda *_args: None)


def prices_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose orders expect other prices."""
    made = sending.request_of

    def other(*args: Any) -> OrderRequest:
        request = made(*args)
        return attrs.evolve(request, expected_price=request.expected_price + 1)

    monkeypatch.setattr(sending, "request_of", other)


@attrs.define
class History:
    """A run on disk, and what a crash after each of its steps would leave at the venues."""

    records: list[bytes]
    crashes: list[Crash]


def history(directory: Path, script: tuple[Reply, ...]) -> History:
    """Opened, closed and opened again."""
    run, left, found = written(directory), list[Left](), list[Crash]()
    run.exchange.rule = rule_of(script)
    journal = run.exchange.observer
    assert journal is not None
    found += [Crash(b"", run.exchange.now_ns, [], ledger_of(run.exchange))] * len(run.states)

    def note(exchange: Exchange, effects: tuple[Effect, ...], before: TradingState) -> None:
        journal(exchange, effects, before)
        sent = [order.request for effect in effects if isinstance(effect, Submit) for order in effect.orders]
        left.extend(Left(one, exchange.now_ns, exchange.number + 1 + index) for index, one in enumerate(sent))
        found.append(Crash(b"", exchange.now_ns, list(left), ledger_of(exchange)))

    run.exchange.observer = note
    run.exchange.put(ArmingSeen(at_ns=run.exchange.now_ns, is_armed=True))
    run.exchange.funding()
    for bps in (70, 0, 70):
        run.exchange.run(8, cheap(bps), step_ms=250)
    run.journal.close()
    assert len(left) >= 6
    return History(records(only_segment(directory)), found)


@pytest.mark.parametrize(
    ("change", "script"),
    [
        (never_wants, ()), (never_leaves, ()), (never_hedges, ()), (prices_otherwise, ()),
        (never_wants, (FULL, Reply(("0.5",)))),
        (prices_otherwise, (Reply(("0.3", "0.3"), told_ms=400), FULL, FULL, Reply((), OrderState.UNKNOWN))),
    ],
)  # fmt: skip
def test_a_build_that_decides_otherwise_takes_what_was_sent_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None],
    script: tuple[Reply, ...],
) -> None:  # fmt: skip
    """After each step around an order, and some others: what the venues know is booked, and nothing is left open."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    run = history(tmp_path / "whole", script)
    name = only_segment(tmp_path / "whole").name
    moments = [len(crash.left) for crash in run.crashes]
    near = {
        index + more for index in range(1, len(moments)) if moments[index] > moments[index - 1] for more in range(6)
    }
    folded = 0
    for index in sorted(near | set(range(40, len(moments), 90)) & set(range(len(moments)))):
        if index >= len(moments):
            continue
        (tmp_path / "cut" / name).write_bytes(b"".join(run.records[: index + 2]))
        with monkeypatch.context() as patched:
            change(patched)
            memory = recovered(tmp_path / "cut", build="0.2.0+other").memory
        crash = attrs.evolve(run.crashes[index], memory=encode_value(EngineSnapshot(memory)))
        sent = {one.request.client_order_id for one in crash.left}
        assert memory.orders.lines.keys() == sent, "these and no others are known"
        folded += any(legs.intent is None for legs in memory.legs.values())
        exchange = restarted(crash)
        begin(exchange)
        settle(exchange)
        finish(exchange)
        assert_books_agree(exchange, crash)
    assert folded


def test_a_build_that_would_have_sent_more_takes_what_was_not_sent_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        never_wants(patched)
        run = traded(tmp_path)
    assert not run.exchange.submitted
    memory = recovered(tmp_path, build="0.2.0+other").memory
    assert not memory.orders.lines
    assert not memory.ledger.positions
    with pytest.raises(UnsafeToTrade, match="Recorded: nothing"):
        recover(tmp_path, config(), BUILD)


def test_a_step_that_cannot_be_done_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traded(tmp_path)

    def fail(_self: Engine, event: Event) -> tuple[Effect, ...]:
        raise KeyError(type(event).__name__)

    monkeypatch.setattr(Engine, "step", fail)
    with pytest.raises(UnsafeToTrade, match="the step behind 0 cannot be done again"):
        recover(tmp_path, config(), BUILD)


def test_a_step_of_another_schema_is_refused(tmp_path: Path) -> None:
    traded(tmp_path)
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes() + framed(b"S" + msgspec.msgpack.encode([99, "NeverHeardOf", {}, []])))
    with pytest.raises(UnsafeToTrade, match="NeverHeardOf"):
        recover(tmp_path, config(), BUILD)


@pytest.mark.parametrize("snapshot", [b"{}", b"not json", b'{"memory": {"market": 3}}'])
def test_a_snapshot_that_cannot_be_decoded_is_refused_with_what_to_do(tmp_path: Path, snapshot: bytes) -> None:
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id=RUN, build=BUILD)
    journal.begin_segment(snapshot, wall_ns=1, monotonic_ns=1)
    journal.close()
    with pytest.raises(UnsafeToTrade, match=r"snapshot in .*arb reconcile"):
        recover(tmp_path, config(), BUILD)


@pytest.mark.parametrize("content", [b"x" * 100, gzip.compress(b"y" * 400)[:-9]])
def test_a_file_that_is_no_segment_is_refused_or_passed_over(tmp_path: Path, content: bytes) -> None:
    suffix = ".journal.gz" if content[:2] == b"\x1f\x8b" else ".journal"
    (tmp_path / f"{RUN}-000001{suffix}").write_bytes(content)
    if suffix == ".journal":
        assert recover(tmp_path, config(), BUILD) is None
    else:
        with pytest.raises(UnsafeToTrade, match="cannot be read"):
            recover(tmp_path, config(), BUILD)


def strict_config() -> EngineConfig:
    """Under which nothing is ever opened."""
    told = config()
    params = attrs.evolve(told.pairs[0].params, min_profit_bps=500.0)
    return attrs.evolve(told, pairs=(attrs.evolve(told.pairs[0], params=params),))


def test_a_run_is_replayed_under_its_own_configuration_and_goes_on_under_the_new_one(tmp_path: Path) -> None:
    run = traded(tmp_path)
    found = recovered(tmp_path, strict_config())
    assert comparable(found.memory) == run.states[-1]
    with pytest.raises(UnsafeToTrade, match="pair BTC is no longer configured"):
        recover(tmp_path, attrs.evolve(config(), pairs=()), BUILD)


def test_a_configuration_that_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    started = RunStarted(at_ns=1, wall_ns=1, run_id=RUN, build="0.0.9", parameters='{"pairs": 3}')
    (tmp_path / "other").mkdir()
    journal = SegmentJournal(tmp_path / "other", InlineWriter(), run_id=RUN, build="0.0.9")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=1)
    journal.append(started)
    journal.append_effects(())
    journal.close()
    with pytest.raises(UnsafeToTrade, match=r"configuration of that run cannot .* start the build that wrote it once"):
        recover(tmp_path / "other", config(), BUILD)


def test_the_configuration_is_known_behind_the_first_segment_too(tmp_path: Path) -> None:
    run = written(tmp_path)
    finish(run.exchange)
    seal(run.journal, run.exchange.engine, run.clock)
    run.exchange.run(1, cheap(70))
    run.journal.close()
    first, _ = segment_paths(tmp_path)
    first.unlink()
    assert comparable(recovered(tmp_path, strict_config()).memory) == run.states[-1]


def test_retention_never_takes_what_a_recovery_needs(tmp_path: Path) -> None:
    run = traded(tmp_path)
    (tmp_path / f"{new_run_id(WALL_NS + DAY_NS)}-000001.journal").write_bytes(b"torn")
    for present in (None, tmp_path / "another.journal"):
        keep_house(
            tmp_path, present=present, now_wall_ns=WALL_NS + 900 * DAY_NS, retention_days=1, oldest_open_wall_ns=None
        )
        assert comparable(recovered(tmp_path).memory) == run.states[-1]


def test_what_a_recovery_hands_over_trades_on(tmp_path: Path) -> None:
    run = traded(tmp_path)
    left = recovered(tmp_path)
    assert PairId("BTC") in left.memory.ledger.positions
    exchange = ledger_of(run.exchange, Engine(config(), left.memory))
    exchange.now_ns = left.now_ns + SECOND
    begin(exchange, "next")
    finish(exchange)
    exchange.run(5, cheap(0))
    assert not exchange.engine.open_positions()


def test_a_clock_that_was_set_back_never_makes_an_older_run_the_newest(tmp_path: Path) -> None:
    ahead = new_run_id(WALL_NS + DAY_NS)
    (tmp_path / f"{ahead}-000001.journal").write_bytes(b"")

    first = next_run_id(tmp_path, WALL_NS)
    (tmp_path / f"{first}-000001.journal.gz").write_bytes(b"")

    assert ahead < first < next_run_id(tmp_path, WALL_NS)
    assert next_run_id(tmp_path, WALL_NS + 2 * DAY_NS) == new_run_id(WALL_NS + 2 * DAY_NS)
