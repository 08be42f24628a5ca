"""The end, in order and bounded: emergency orders, sweep, flush, report.

Owns: the steps after the trading scope has gone and before the services scope goes; each has its own limit and its
own failure.
Never: waits longer than the sum of its limits, whatever hangs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from arb.ports import Clock


@attrs.frozen(kw_only=True)
class ShutdownStep:
    """One thing to do at the end."""

    name: str
    limit_s: float
    run: Callable[[], Awaitable[None]]


@attrs.frozen(kw_only=True)
class StepReport:
    """How a step ended."""

    name: str
    elapsed_s: float
    is_complete: bool
    failure: str | None


async def perform(
    steps: Sequence[ShutdownStep], clock: Clock, on_report: Callable[[StepReport], None]
) -> tuple[StepReport, ...]:
    """Run the steps one after the other, shielded; a step that hangs or fails does not keep the next from running."""
    reports = []
    for step in steps:
        report = await _perform(step, clock)
        on_report(report)
        reports.append(report)
    return tuple(reports)


async def _perform(step: ShutdownStep, clock: Clock) -> StepReport:
    began_ns = clock.monotonic_ns()
    failure: str | None = None
    with trio.move_on_after(step.limit_s, shield=True) as scope:
        failure = await _contained(step.run)
    return StepReport(
        name=step.name,
        elapsed_s=(clock.monotonic_ns() - began_ns) / 1e9,
        is_complete=failure is None and not scope.cancelled_caught,
        failure=f"not done within {step.limit_s:g} s" if scope.cancelled_caught else failure,
    )


async def _contained(run: Callable[[], Awaitable[None]]) -> str | None:
    """Run in an own nursery, so that whatever fails arrives as a group at this boundary; say what failed."""
    try:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112  a failure must arrive as a group
            nursery.start_soon(run)
    except ExceptionGroup as failure:
        return "; ".join(f"{type(error).__name__}: {error}" for error in leaves(failure))
    return None


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The single exceptions inside a group, in order."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
