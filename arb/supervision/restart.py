"""A restartable task: run it, and run it again when the world has failed it.

Owns: backoff (capped exponential, full jitter, reset after proven health), the restart budget and its escalation.
Never: restarts on a bug: whatever is not transient propagates unchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

import attrs
import trio

from arb.domain.errors import TransientError
from arb.ports import Clock

HEALTHY_S: Final = 60.0
"""A run of this length proves health and resets the backoff."""


@attrs.frozen(kw_only=True)
class Backoff:
    """How long to wait before the next run; the wait is uniform in [0, cap] (full jitter)."""

    initial_s: float
    max_s: float
    multiplier: float

    def cap_s(self, failures: int) -> float:
        """Longest wait after so many failures in a row, from 1."""
        return float(min(self.max_s, self.initial_s * self.multiplier ** min(failures - 1, 64)))


@attrs.frozen(kw_only=True)
class RestartBudget:
    """At most `restarts` within `window_s`; beyond it the task is given up."""

    restarts: int
    window_s: float


class BudgetSpent(Exception):
    """The task has failed more often than its budget allows; `__cause__` is the last failure."""

    def __init__(self, name: str, restarts: int, window_s: float) -> None:
        super().__init__(f"{name}: {restarts} restarts within {window_s:g} s")
        self.name = name


@attrs.frozen(kw_only=True)
class Restart:
    """Told to observers before each wait."""

    name: str
    error: TransientError
    failures: int
    wait_s: float


async def restart(
    run: Callable[[], Awaitable[None]],
    *,
    name: str,
    backoff: Backoff,
    budget: RestartBudget,
    random: Random,
    clock: Clock,
    on_restart: Callable[[Restart], None],
) -> None:
    """Run until it returns; after each `TransientError` wait and run again.

    Raises:
        BudgetSpent: the budget is spent.
    """
    failures = 0
    recent: deque[int] = deque()
    while True:
        began_ns = clock.monotonic_ns()
        error = await _run_once(run)
        if error is None:
            return
        now_ns = clock.monotonic_ns()
        failures = 1 if now_ns - began_ns >= HEALTHY_S * 1e9 else failures + 1
        recent.append(now_ns)
        while recent and now_ns - recent[0] > budget.window_s * 1e9:
            recent.popleft()
        if len(recent) > budget.restarts:
            raise BudgetSpent(name, budget.restarts, budget.window_s) from error
        wait_s = random.uniform(0.0, backoff.cap_s(failures))
        on_restart(Restart(name=name, error=error, failures=failures, wait_s=wait_s))
        await trio.sleep(wait_s)


async def _run_once(run: Callable[[], Awaitable[None]]) -> TransientError | None:
    """Run once; None when it ended by itself, the failure when it is transient, alone or as a group of nothing else."""
    try:
        await run()
    except TransientError as error:
        return error
    except BaseExceptionGroup as group:
        transient, rest = group.split(TransientError)
        if transient is None or rest is not None:
            raise
        return _first(transient)
    return None


def _first(group: BaseExceptionGroup[TransientError]) -> TransientError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, TransientError)
    return error
