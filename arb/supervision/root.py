"""Nested scopes: foundations outlive trading, trading is what a stop cancels.

::

    foundations      journal, store, HTTP, order tasks, account streams      outlives trading
    └─ trading       sources · tick · dispatch · watchdog · decision         cancelled by a stop

Owns: start order (readiness order), the drain, the classification of what failed, and the exit code.
Never: knows a venue, a mode or a file.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Never, Protocol

import attrs
import trio

from arb.domain.errors import ConfigError, InvariantBroken, JournalFull, UnsafeToTrade, VenueUnavailable
from arb.domain.events import Command, CommandKind
from arb.ports import Clock, EventSink
from arb.supervision.shutdown import ShutdownStep, StepReport, leaves, perform
from arb.supervision.stopping import Reason, Stop, StopRequest

IMMEDIATE_EXIT: int = 130
START: Final = "start"


class Foundation(Protocol):
    """A task that says when it truly serves."""

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run until cancelled."""


@attrs.frozen(kw_only=True)
class Named:
    """A task and what it is called in logs."""

    name: str
    run: Callable[[], Awaitable[None]]


@attrs.frozen(kw_only=True)
class NamedFoundation:
    """A service and what it is called in logs."""

    name: str
    run: Foundation


class Settling(Protocol):
    """What a drain needs to know of the engine."""

    def is_settled(self) -> bool:
        """No two-leg order unfinished and none of our orders open."""


class Drain:
    """Ends when the engine has nothing in hand any more."""

    def __init__(self, engine: Settling) -> None:
        self._engine = engine
        self._settled = trio.Event()
        self._begun = False

    def after_turn(self) -> None:
        """Called by the decision loop after every step."""
        if self._begun and self._engine.is_settled():
            self._settled.set()

    async def wait_settled(self) -> None:
        """Begin to look, and wait."""
        self._begun = True
        await self._settled.wait()


@attrs.frozen(kw_only=True)
class Plan:
    """Everything the root runs, as the composition root put it together."""

    clock: Clock
    inbox: EventSink
    stop: StopRequest
    drain: Drain
    drain_s: float
    foundations: Sequence[NamedFoundation]
    """Started one after the other, each when the one before serves."""
    trading: Callable[[], Sequence[Named]]
    """Asked for once every service serves, then started together; the last is the decision loop."""
    ending: Callable[[Reason], Sequence[ShutdownStep]]
    """Steps of the shutdown for a reason."""
    on_failure: Callable[[str, BaseException], None]
    """A task failed: name and error; writes the stack to the log."""
    on_stop: Callable[[Reason], None]
    on_step: Callable[[StepReport], None]


async def supervise(plan: Plan) -> Reason:
    """Run everything until something stops it; return why."""
    async with trio.open_nursery() as foundations:
        await _come_up(plan, foundations)
        if not plan.stop.is_asked:
            await _trade(plan)
        reason = plan.stop.reason or Reason(Stop.GRACEFUL, "nothing left to do")
        plan.on_stop(reason)
        await perform(plan.ending(reason), plan.clock, partial(_note_step, plan))
        foundations.cancel_scope.cancel(reason=reason.text)
    return plan.stop.reason or reason


def _note_step(plan: Plan, report: StepReport) -> None:
    """An end that is not whole is no success."""
    plan.on_step(report)
    if not report.is_complete:
        plan.stop.ask(Stop.FAILED, f"the end is not whole: {report.name}: {report.failure}")


async def _come_up(plan: Plan, nursery: trio.Nursery) -> None:
    """Start the foundations in their order, each when the one before serves; a stop cuts it short."""
    starting = trio.CancelScope()
    nursery.start_soon(_then_cancel, plan.stop.wait_asked, starting)
    try:
        with starting:
            for foundation in plan.foundations:
                await nursery.start(partial(_serve, plan, foundation))
    except ExceptionGroup as failure:
        _classify(plan, START, failure)


async def _serve(plan: Plan, foundation: NamedFoundation, *, task_status: trio.TaskStatus[None]) -> None:
    """Contain a foundation: its failure asks for the end instead of tearing down what the end still needs."""
    started = _Started(task_status)
    try:
        async with trio.open_nursery() as own:  # noqa: ASYNC112  a failure must arrive as a group
            own.start_soon(partial(foundation.run, task_status=started))
    except ExceptionGroup as failure:
        if not started.is_started:
            raise
        _classify(plan, foundation.name, failure)


class _Started:
    """Passes `started` on and remembers it."""

    def __init__(self, inner: trio.TaskStatus[None]) -> None:
        self._inner = inner
        self.is_started = False

    def started(self, value: None = None) -> None:
        """The service serves."""
        self.is_started = True
        self._inner.started(value)


async def _trade(plan: Plan) -> None:
    try:
        async with trio.open_nursery() as trading:
            for task in plan.trading():
                trading.start_soon(task.run, name=task.name)
            await _until_stopped(plan)
            trading.cancel_scope.cancel(reason=plan.stop.reason.text if plan.stop.reason else "")
    except ExceptionGroup as failure:
        _classify(plan, "trading", failure)


async def _until_stopped(plan: Plan) -> None:
    """Wait for a stop; a graceful one drains first, a severe one cuts the drain short."""
    reason = await plan.stop.wait_asked()
    if reason.stop is not Stop.GRACEFUL:
        return
    plan.inbox.put_account(
        Command(at_ns=plan.clock.monotonic_ns(), kind=CommandKind.DRAIN, operator="shell", reason=reason.text)
    )
    with trio.move_on_after(plan.drain_s):
        async with trio.open_nursery() as race:
            race.start_soon(_then_cancel, plan.stop.wait_severe, race.cancel_scope)
            race.start_soon(_then_cancel, plan.drain.wait_settled, race.cancel_scope)


async def _then_cancel(wait: Callable[[], Awaitable[object]], scope: trio.CancelScope) -> None:
    await wait()
    scope.cancel()


def _classify(plan: Plan, name: str, failure: BaseExceptionGroup[BaseException]) -> None:
    """What failed decides how it ends; what a person must mend needs no stack."""
    for error in leaves(failure):
        if isinstance(error, ConfigError):
            plan.stop.ask(Stop.MISCONFIGURED, str(error))
            continue
        if isinstance(error, UnsafeToTrade):
            plan.stop.ask(Stop.UNSAFE, str(error))
            continue
        if isinstance(error, VenueUnavailable) and name == START:
            plan.stop.ask(Stop.FAILED, str(error))
            continue
        plan.on_failure(name, error)
        stop = Stop.CRITICAL if isinstance(error, JournalFull | InvariantBroken) else Stop.BUG
        plan.stop.ask(stop, f"{name}: {type(error).__name__}: {error}")


async def watch_signals(
    stop: StopRequest, exit_now: Callable[[int], Never], *, task_status: trio.TaskStatus[None]
) -> None:
    """First SIGINT or SIGTERM: stop gracefully. Second SIGINT: leave at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for number in received:
            if stop.is_asked and number == signal.SIGINT:
                exit_now(IMMEDIATE_EXIT)
            stop.ask(Stop.GRACEFUL, f"received {signal.Signals(number).name}")
