"""The control socket: real sockets, a real engine behind a real decision loop."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from arb.cli.control import ask
from arb.cli.engine_config import engine_config
from arb.cli.settings import load_settings
from arb.domain.effects import Effect
from arb.domain.errors import ConfigError
from arb.domain.events import Command, Event, InstrumentSeen, Reconciled, RunStarted, StorageSeen
from arb.domain.ids import RunId, VenueId
from arb.domain.instrument import InstrumentKind
from arb.engine import Engine
from arb.risk.trading_state import TradingState
from arb.storage.journal import InlineWriter, SegmentJournal
from arb.storage.segments import read_segment, segment_paths
from arb.supervision.control import APPLIED_S, LINE_S, MAX_CLIENTS, REREAD_S, Control, Peer, control_listener
from arb.supervision.control_view import control_view, is_read_since
from arb.supervision.control_words import COMMANDS, MAX_LINE_BYTES, ControlAnswer, ControlRequest, read_request
from arb.supervision.decision import LoopMeter, decide
from arb.supervision.inbox import Inbox
from tests.engine.exchange import rules
from tests.fakes import TrioClock

SPOT = InstrumentKind.SPOT
CONFIG = Path(__file__).parents[2] / "config" / "live.toml"
PAIRS = ("BTC", "ETH")


class NoSink:
    """Takes effects and performs none."""

    def put(self, effect: Effect, seq: int) -> None:
        """As `decision.EffectSink`."""


@attrs.define
class Served:
    """An engine that serves its socket."""

    path: Path
    journal: SegmentJournal
    engine: Engine
    inbox: Inbox
    asked: trio.Event = attrs.field(factory=trio.Event)
    """Every venue was asked for its account."""
    commanded: trio.Event = attrs.field(factory=trio.Event)
    """A command is in the inbox."""

    def put(self, command: Command) -> None:
        """Into the inbox."""
        self.inbox.put_account(command)
        self.commanded.set()

    async def ask(self, command: str, **more: object) -> ControlAnswer:
        """One request of the operator."""
        request = ControlRequest(command=command, operator="me@here", **more)  # type: ignore[arg-type]
        answer = await ask(self.path, request)
        assert answer is not None
        return answer

    async def say(self, line: bytes) -> ControlAnswer:
        """Bytes as they are."""
        async with await trio.open_unix_socket(self.path) as stream:
            await stream.send_all(line)
            return msgspec.json.decode(await received(stream), type=ControlAnswer)


async def received(stream: trio.SocketStream) -> bytes:
    """Everything until the end."""
    return b"".join([chunk async for chunk in stream])


@asynccontextmanager
async def served(directory: Path, *, is_deciding: bool = True) -> AsyncIterator[Served]:
    """Decision loop and socket for as long as the block lasts."""
    engine = Engine(engine_config(load_settings(CONFIG, environ={}).settings, 0))
    journal = SegmentJournal(directory, InlineWriter(), run_id="r1", build="b")
    journal.begin_segment(b"", wall_ns=0, monotonic_ns=0)
    clock, inbox = TrioClock(), Inbox()
    own = Served(directory / "control.sock", journal, engine, inbox)
    control = Control(
        put=own.put,
        clock=clock,
        view=partial(control_view, engine),
        reread=lambda: own.asked.set(),
        is_read_since=partial(is_read_since, engine),
        synced=journal.synced,
    )
    now_ns = clock.monotonic_ns()
    inbox.put_account(RunStarted(at_ns=now_ns, wall_ns=now_ns, run_id=RunId("r1"), build="b", parameters="{}"))

    async def loop() -> None:
        await decide(
            engine,
            inbox,
            journal,
            NoSink(),
            clock,
            LoopMeter(10),
            freeze=lambda _engine: b"",
            after_turn=lambda event: control.applied(event, journal.seq),
        )

    async with trio.open_nursery() as nursery:
        if is_deciding:
            nursery.start_soon(loop)
        await nursery.start(control.serve, own.path)
        yield own
        nursery.cancel_scope.cancel()


def journalled(own: Served) -> list[tuple[int, Event]]:
    """What the journal holds, with sequences."""
    own.journal.close()
    found = [segment for path in segment_paths(own.path.parent) if (segment := read_segment(path)) is not None]
    return [(step.seq, step.event) for segment in found for step in segment.steps]


async def test_a_command_is_answered_with_the_step_that_consumed_it(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        answer = await own.ask("pause", reason="news", pair="BTC")

    assert answer.ok
    assert answer.state == TradingState.ACTIVE.name
    assert [(told.cause, told.detail, told.text) for told in answer.causes or ()] == [("pause", "BTC", "news")]
    (command,) = [(seq, event) for seq, event in journalled(own) if isinstance(event, Command)]
    assert command[0] == answer.seq
    assert command[1].operator == f"me@here pid {os.getpid()}"


async def test_every_command_of_the_core_goes_through_the_loop(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        answers = [await own.ask(name) for name in ("freeze", "disarm", "arm", "flatten", "adopt", "ignore", "resume")]

    assert [answer.seq for answer in answers] == [2, 3, 4, 5, 6, 7, 8]
    assert answers[0].state == "FROZEN"
    assert set(answers[-1].cleared or ()) >= {"freeze", "flatten"}


async def test_a_dry_run_says_what_would_be_and_leaves_no_step(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        await own.ask("pause")
        dry = [await own.ask(name, dry_run=True) for name in COMMANDS if name != "status"]

        assert own.journal.seq == 2
        assert own.engine.memory.causes.state is TradingState.REDUCING
    assert all(answer.ok and answer.seq is None and answer.applied.startswith("dry run: ") for answer in dry)
    assert next(answer.cleared for answer in dry if answer.cleared) == ("pause",)
    assert not own.asked.is_set()


async def test_resume_says_what_it_ended_what_stays_and_how_that_ends(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        await own.ask("pause")
        now_ns = TrioClock().monotonic_ns()
        own.inbox.put_account(StorageSeen(at_ns=now_ns, is_low=True, is_full=True, detail="full"))
        answer = await own.ask("resume")

    assert answer.cleared == ("pause",)
    assert answer.state == "HALTED"
    ends = {told.cause: told.ends for told in answer.causes or ()}
    assert ends["storage_low"] == "by itself"
    assert ends["storage_full"] == "by 'arb resume', after an 'arb reconcile' without differences"


async def test_reconcile_waits_until_every_venue_has_been_read(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        answers = list[ControlAnswer]()
        for item in own.engine.config.pairs:
            for name, kind, quote in ((item.pair.a, SPOT, "KRW"), (item.pair.b, InstrumentKind.PERPETUAL, "USDT")):
                known = InstrumentSeen(at_ns=0, instrument=rules(name, kind, quote, "0.1", "0.001", "5"))
                own.inbox.put_account(known)

        async def reconcile() -> None:
            answers.append(await own.ask("reconcile"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reconcile)
            await own.asked.wait()
            told(own, "upbit")
            await wait_all_tasks_blocked(0.05)
            assert not answers
            told(own, "binance_usdm")

    assert answers[0].ok
    assert answers[0].differences == ()
    assert answers[0].seq == own.journal.seq


def told(own: Served, venue: str) -> None:
    """A venue's account has been read."""
    own.inbox.put_account(Reconciled(at_ns=TrioClock().monotonic_ns(), venue=VenueId(venue)))


async def test_a_venue_that_does_not_answer_makes_reconcile_say_so(tmp_path: Path, mock_clock: MockClock) -> None:
    async with served(tmp_path) as own:
        async with trio.open_nursery() as nursery:
            answers = list[ControlAnswer]()

            async def reconcile() -> None:
                answers.append(await own.ask("reconcile"))

            nursery.start_soon(reconcile)
            await own.asked.wait()
            mock_clock.jump(REREAD_S)

    assert not answers[0].ok
    assert "could be read" in answers[0].why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\x00\xff\n", "not a request"),
        (b'{"command":"pause"}\n', "operator"),
        (b'{"command":"pause","operator":"me","now":true}\n', "now"),
        (b'{"command":"drain","operator":"me"}\n', "no command 'drain'"),
        (b'{"command":"pause","operator":"me","pair":"XRP"}\n', "no pair 'XRP'"),
        (b'{"command":"freeze","operator":"me","pair":"BTC"}\n', "whole engine"),
        (b'{"command":"pause","operator":"me","reason":"a\\nb"}\n', "printed"),
        (b'{"command":"pause","operator":" "}\n', "who asks"),
        (b"x" * (MAX_LINE_BYTES + 1), "longer than"),
    ],
)
async def test_what_is_no_lawful_request_is_refused_with_the_reason(tmp_path: Path, line: bytes, why: str) -> None:
    async with served(tmp_path) as own:
        answer = await own.say(line)

        assert not answer.ok
        assert why in answer.why
        assert own.journal.seq == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(line: bytes) -> None:
    found = read_request(line, PAIRS)

    assert isinstance(found, ControlRequest) or not found.ok


async def test_a_client_that_says_nothing_is_left_behind_and_holds_nobody_up(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with served(tmp_path) as own:
        async with await trio.open_unix_socket(own.path) as silent:
            assert (await own.ask("pause")).ok
            mock_clock.jump(LINE_S)
            assert await received(silent) == b""
        assert (await own.ask("status")).state == "REDUCING"


async def test_more_clients_than_there_is_room_for_are_sent_away_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        crowd = [await trio.open_unix_socket(own.path) for _ in range(MAX_CLIENTS)]
        await wait_all_tasks_blocked(0.02)

        async with await trio.open_unix_socket(own.path) as late:
            answer = msgspec.json.decode(await received(late), type=ControlAnswer)
        for stream in crowd:
            await stream.aclose()
        await wait_all_tasks_blocked(0.02)

        assert not answer.ok
        assert (await own.ask("status")).ok


async def test_a_client_that_leaves_in_the_middle_of_its_line_costs_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as own:
        async with await trio.open_unix_socket(own.path) as leaving:
            await leaving.send_all(b'{"command":"pau')

        assert (await own.ask("status")).ok


async def test_a_decision_loop_that_stands_still_is_told_of_in_time(tmp_path: Path, mock_clock: MockClock) -> None:
    async with served(tmp_path, is_deciding=False) as own:
        async with trio.open_nursery() as nursery:
            answers = list[ControlAnswer]()

            async def pause() -> None:
                answers.append(await own.ask("pause"))

            nursery.start_soon(pause)
            await own.commanded.wait()
            mock_clock.jump(APPLIED_S)

    assert not answers[0].ok
    assert "did not take it" in answers[0].why


async def test_every_command_leaves_one_line_of_audit_refused_and_dry_ones_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "arb.safety"):
        async with served(tmp_path) as own:
            await own.ask("status")
            await own.ask("pause", reason="news")
            await own.ask("resume", dry_run=True)
            await own.say(b"nonsense\n")

    lines = [vars(record) for record in caplog.records if record.getMessage() == "operator_command"]
    assert [(line["command"], line["result"], line["seq"]) for line in lines] == [
        ("pause", "applied", 2),
        ("resume", "dry_run", ""),
        ("unread", "refused", ""),
    ]
    assert lines[0]["operator"] == f"me@here pid {os.getpid()}"
    assert lines[0]["reason"] == "news"
    assert {line["uid"] for line in lines} == {os.geteuid()}


async def test_only_the_engines_user_may_open_the_socket_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("left by a crash")

    async with served(tmp_path) as own:
        facts = os.stat(path)
        assert stat.S_ISSOCK(facts.st_mode)
        assert stat.S_IMODE(facts.st_mode) == 0o600
        assert (await own.ask("status")).ok

    assert not path.exists()
    assert await ask(path, ControlRequest(command="status", operator="me")) is None


def test_commands_are_taken_from_the_own_user_and_from_root() -> None:
    assert Peer(pid=1, uid=1000).is_permitted(1000)
    assert Peer(pid=1, uid=0).is_permitted(1000)
    assert not Peer(pid=1, uid=1001).is_permitted(1000)


async def test_a_path_too_long_for_a_socket_is_served_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)

    async with served(deep) as own:
        assert len(os.fsencode(own.path)) > 107
        assert (await own.ask("pause")).ok
    assert not own.path.exists()


def test_a_socket_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="control socket cannot be made: No such file"),
        control_listener(tmp_path / "nowhere" / "s"),
    ):
        pass
