"""An errand is told once the venues agree, watched until it is done or its time is over, and then ends the run."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from rich.console import Console
from trio.testing import MockClock

from arb.cli.engine_config import engine_config
from arb.cli.errand import Errand
from arb.cli.errand_run import ErrandRun, errand_ended
from arb.cli.settings import load_settings
from arb.domain.events import Command, CommandKind, Event, Tick
from arb.engine import Engine
from arb.supervision.clock import AnchoredClock
from arb.supervision.stopping import Reason, Stop, StopRequest

SETTINGS = load_settings(
    Path(__file__).resolve().parents[2] / "config" / "live.toml", overrides=(), flags={}, environ={}
).settings


@attrs.define
class Books:
    """The two questions that an errand's course asks of an engine."""

    is_read: bool = False
    is_settling: bool = True

    @property
    def memory(self) -> Books:
        """As `Engine.memory`."""
        return self

    def is_reconciled(self) -> bool:
        """As `Engine.is_reconciled`."""
        return self.is_read


@attrs.define
class Course:
    """An errand's course over books that say what the test wants."""

    run: ErrandRun
    books: Books
    told: list[Event]
    stop: StopRequest
    flags: dict[str, bool]

    def turn(self, event: Event | None = None) -> None:
        """One turn of the decision loop."""
        self.run.after_turn(event or Tick(at_ns=0, wall_ns=0))


def course(*kinds: CommandKind, needs_trading: bool = False) -> Course:
    """A course that has not begun."""
    flags, told, stop, books = {"done": False}, list[Event](), StopRequest(), Books()

    def report(_engine: Engine, _console: Console, _is_done: bool) -> int:
        return 0

    errand = Errand(
        name="flatten", kinds=kinds, operator="test", needs_trading=needs_trading, within_s=30.0,
        is_done=lambda _: flags["done"], report=report,
    )  # fmt: skip
    engine: Engine = books  # type: ignore[assignment]
    return Course(ErrandRun(errand, engine, told.append, stop, AnchoredClock()), books, told, stop, flags)


@pytest.mark.parametrize("needs_trading", [False, True])
async def test_nothing_is_told_before_the_books_agree_and_an_order_may_leave(
    autojump_clock: MockClock, needs_trading: bool
) -> None:
    errand = course(CommandKind.FLATTEN, needs_trading=needs_trading)

    errand.turn()
    errand.books.is_read = not needs_trading
    errand.books.is_settling = not needs_trading
    assert errand.told == []
    errand.turn()

    assert [event.kind for event in errand.told if isinstance(event, Command)] == [CommandKind.FLATTEN]


async def test_it_is_done_only_after_the_last_command_was_consumed(autojump_clock: MockClock) -> None:
    errand = course(CommandKind.RESUME, CommandKind.FLATTEN)
    errand.books.is_read = errand.flags["done"] = True
    errand.turn()

    errand.turn(errand.told[0])
    assert not errand.stop.is_asked
    errand.turn(errand.told[1])

    assert errand.run.is_done
    assert errand.stop.reason is not None
    assert errand.stop.reason.stop is Stop.GRACEFUL


async def test_an_errand_without_commands_is_done_when_its_question_is_answered(autojump_clock: MockClock) -> None:
    errand = course()
    errand.books.is_read = errand.flags["done"] = True

    errand.turn()
    errand.turn()

    assert errand.run.is_done


async def test_what_is_not_done_in_time_ends_the_run_and_says_so(autojump_clock: MockClock) -> None:
    errand = course(CommandKind.FLATTEN)
    errand.books.is_read = True
    errand.turn()
    errand.turn(errand.told[0])
    await trio.sleep(29.9)
    errand.turn()
    assert not errand.stop.is_asked
    await trio.sleep(0.2)
    errand.turn()

    assert not errand.run.is_done
    assert errand.stop.reason is not None
    assert "not done within 30 s" in errand.stop.reason.text


@pytest.mark.parametrize(
    ("stop", "is_done", "code", "is_told", "result"),
    [
        (Stop.GRACEFUL, True, 4, True, "applied"),
        (Stop.GRACEFUL, False, 4, True, "refused"),
        (Stop.FAILED, True, 1, True, "applied"),
        (Stop.FAILED, False, 1, False, "refused"),
        (Stop.UNSAFE, True, 4, False, "refused"),
    ],
)
async def test_an_errand_that_was_done_is_reported_whatever_else_the_end_found_and_each_is_in_the_audit(
    stop: Stop, is_done: bool, code: int, is_told: bool, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    it, said = course(CommandKind.ADOPT), list[bool]()

    def report(_engine: Engine, _console: Console, was_done: bool) -> int:
        said.append(was_done)
        return 4

    it.run.errand, it.run.is_done = attrs.evolve(it.run.errand, report=report), is_done

    assert errand_ended(it.run, Engine(engine_config(SETTINGS, 0)), Console(quiet=True), Reason(stop, "why")) == code
    assert said == ([is_done] if is_told else [])
    line = next(record for record in caplog.records if record.message == "operator_command")
    assert (vars(line)["command"], vars(line)["result"], vars(line)["words"]) == ("flatten adopt", result, "why")
