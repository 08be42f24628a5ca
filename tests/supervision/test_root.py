"""Start by readiness, drain, and the classification of what fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from arb.domain.errors import ArbError, ConfigError, InvariantBroken, JournalFull, UnsafeToTrade, VenueUnavailable
from arb.domain.events import Command, CommandKind
from arb.supervision.clock import AnchoredClock
from arb.supervision.inbox import Inbox
from arb.supervision.root import Drain, Named, NamedFoundation, Plan, supervise
from arb.supervision.shutdown import ShutdownStep
from arb.supervision.stopping import Reason, Stop, StopRequest

Run = Callable[[], Awaitable[None]]


class Hand:
    """What the drain asks: settled or not."""

    def __init__(self, is_settled: bool) -> None:
        self.settled = is_settled

    def is_settled(self) -> bool:
        """As `root.Settling`."""
        return self.settled


class Bench:
    """A plan around given tasks, and what happened, with its virtual time."""

    def __init__(self, hand: Hand | None = None, drain_s: float = 10.0) -> None:
        self.stop = StopRequest()
        self.inbox = Inbox()
        self.drain = Drain(hand or Hand(True))
        self.drain_s = drain_s
        self.log: list[tuple[float, str]] = []
        self.failures: list[tuple[str, BaseException]] = []
        self.last_step: ShutdownStep | None = None

    def note(self, text: str) -> None:
        """Something happened now."""
        self.log.append((trio.current_time(), text))

    async def ask(self, seconds: float, stop: Stop, text: str) -> None:
        """Stop after a while."""
        await trio.sleep(seconds)
        self.stop.ask(stop, text)

    async def turn(self) -> None:
        """A decision loop as far as the drain sees it."""
        while True:
            await trio.sleep(0.5)
            self.drain.after_turn()

    def foundation(self, name: str, ready_s: float) -> NamedFoundation:
        """A foundation that serves after a while and says when it ends."""

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep(ready_s)
            self.note(f"{name} serves")
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.note(f"{name} ends")

        return NamedFoundation(name=name, run=run)

    async def supervise(self, tasks: Sequence[Named], foundations: Sequence[NamedFoundation] = ()) -> Reason:
        """Run it."""

        async def step() -> None:
            self.note("step")
            await trio.lowlevel.checkpoint()

        return await supervise(
            Plan(
                clock=AnchoredClock(),
                inbox=self.inbox,
                stop=self.stop,
                drain=self.drain,
                drain_s=self.drain_s,
                foundations=foundations,
                trading=lambda: tasks,
                ending=lambda _: [self.last_step or ShutdownStep(name="step", limit_s=1.0, run=step)],
                on_failure=lambda name, error: self.failures.append((name, error)),
                on_stop=lambda reason: self.note(f"stop {reason.stop.name}"),
                on_step=lambda report: self.note(f"{report.name} done"),
            )
        )


def after(bench: Bench, seconds: float, stop: Stop = Stop.GRACEFUL) -> Named:
    """A task that asks for the end."""

    async def run() -> None:
        await bench.ask(seconds, stop, "asked")

    return Named(name="asker", run=run)


def failing(error: Exception) -> Named:
    """A task that fails after a second."""

    async def run() -> None:
        await trio.sleep(1.0)
        raise error

    return Named(name="failing", run=run)


async def test_each_foundation_starts_when_the_one_before_serves_and_outlives_trading(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    foundations = [bench.foundation("first", 2.0), bench.foundation("second", 3.0)]

    reason = await bench.supervise([after(bench, 1.0), Named(name="turn", run=bench.turn)], foundations)

    assert reason == Reason(Stop.GRACEFUL, "asked")
    assert bench.log[:5] == [
        (2.0, "first serves"),
        (5.0, "second serves"),
        (6.5, "stop GRACEFUL"),
        (6.5, "step"),
        (6.5, "step done"),
    ]
    assert {text for _, text in bench.log[5:]} == {"first ends", "second ends"}


async def test_a_drain_tells_the_core_and_waits_until_it_is_settled(autojump_clock: MockClock) -> None:
    hand = Hand(False)
    bench = Bench(hand)

    async def settle() -> None:
        await trio.sleep(4.2)
        hand.settled = True

    await bench.supervise([after(bench, 1.0), Named(name="turn", run=bench.turn), Named(name="settle", run=settle)])

    told = bench.inbox.receive_nowait()
    assert isinstance(told, Command)
    assert told.kind is CommandKind.DRAIN
    assert bench.log[0] == (4.5, "stop GRACEFUL")


@pytest.mark.parametrize(("drain_s", "stopped_s"), [(3.0, 4.0), (10.0, 11.0)])
async def test_a_drain_that_never_settles_is_bounded(
    autojump_clock: MockClock, drain_s: float, stopped_s: float
) -> None:
    bench = Bench(Hand(False), drain_s)

    await bench.supervise([after(bench, 1.0), Named(name="turn", run=bench.turn)])

    assert bench.log[0] == (stopped_s, "stop GRACEFUL")


async def test_a_severe_stop_cuts_a_drain_short(autojump_clock: MockClock) -> None:
    bench = Bench(Hand(False))

    reason = await bench.supervise([after(bench, 1.0), after(bench, 2.5, Stop.CRITICAL)])

    assert reason.stop is Stop.CRITICAL
    assert bench.log[0] == (2.5, "stop CRITICAL")


@pytest.mark.parametrize(
    ("error", "stop"),
    [
        (TypeError("a bug"), Stop.BUG),
        (JournalFull("full"), Stop.CRITICAL),
        (InvariantBroken("broken"), Stop.CRITICAL),
    ],
)
async def test_what_fails_in_trading_decides_the_reason_and_the_steps_still_run(
    autojump_clock: MockClock, error: Exception, stop: Stop
) -> None:
    bench = Bench()

    reason = await bench.supervise([failing(error), Named(name="turn", run=bench.turn)])

    assert reason.stop is stop
    assert type(error).__name__ in reason.text
    assert [failed for _, failed in bench.failures] == [error]
    assert (1.0, "step done") in bench.log


async def test_what_a_person_must_mend_at_the_start_ends_before_trading(autojump_clock: MockClock) -> None:
    bench = Bench()

    async def refuse(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1.0)
        raise ConfigError("monitoring.metrics_port: 8001 is in use")

    plan_tasks: list[Named] = []
    reason = await bench.supervise(plan_tasks, [NamedFoundation(name="http", run=refuse)])

    assert reason.stop is Stop.MISCONFIGURED
    assert reason.stop.exit_code == 2
    assert "8001 is in use" in reason.text
    assert (1.0, "step done") in bench.log


@pytest.mark.parametrize(
    ("error", "stop", "code"),
    [
        (VenueUnavailable("upbit", "gave no instruments within 30 s"), Stop.FAILED, 1),
        (UnsafeToTrade("upbit BTC: 1 there, 0 here"), Stop.UNSAFE, 4),
    ],
)
async def test_a_venue_that_is_away_at_the_start_may_be_tried_again_and_what_is_unsafe_may_not(
    autojump_clock: MockClock, error: ArbError, stop: Stop, code: int
) -> None:
    bench = Bench()

    async def refuse(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1.0)
        raise error

    reason = await bench.supervise([], [NamedFoundation(name="venues", run=refuse)])

    assert (reason.stop, reason.stop.exit_code, reason.text) == (stop, code, str(error))


async def test_an_end_that_is_not_whole_is_no_success(autojump_clock: MockClock) -> None:
    bench = Bench()

    async def fails() -> None:
        raise OSError("no space left")

    bench.last_step = ShutdownStep(name="write tables", limit_s=1.0, run=fails)
    reason = await bench.supervise([after(bench, 1.0), Named(name="turn", run=bench.turn)])

    assert reason.stop is Stop.FAILED
    assert "write tables" in reason.text


def test_a_second_wish_to_stop_is_counted_though_the_first_reason_stands() -> None:
    stop = StopRequest()
    stop.ask(Stop.GRACEFUL, "going on as shadow")
    assert stop.asked_count == 1
    stop.ask(Stop.GRACEFUL, "received SIGTERM")

    assert stop.asked_count == 2
    assert stop.reason == Reason(Stop.GRACEFUL, "going on as shadow")
