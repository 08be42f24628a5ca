"""A restartable task."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from arb.domain.errors import VenueUnavailable
from arb.supervision.restart import HEALTHY_S, Backoff, BudgetSpent, Restart, RestartBudget, restart
from tests.fakes import TrioClock

BACKOFF = Backoff(initial_s=1.0, max_s=30.0, multiplier=2.0)


class FullJitter(Random):
    """Always the longest wait, so that times are exact."""

    def uniform(self, a: float, b: float) -> float:
        return b


def down() -> VenueUnavailable:
    return VenueUnavailable("upbit", "connection refused")


async def test_waits_double_up_to_the_cap_and_reset_after_a_healthy_minute(autojump_clock: MockClock) -> None:
    told: list[Restart] = []
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 8:
            await trio.sleep(HEALTHY_S)
        if runs < 10:
            raise down()

    began = trio.current_time()
    await restart(
        run,
        name="upbit",
        backoff=BACKOFF,
        budget=RestartBudget(restarts=20, window_s=900),
        random=FullJitter(),
        clock=TrioClock(),
        on_restart=told.append,
    )

    assert [item.wait_s for item in told] == [1, 2, 4, 8, 16, 30, 30, 1, 2]
    assert trio.current_time() - began == pytest.approx(sum([1, 2, 4, 8, 16, 30, 30, 1, 2]) + HEALTHY_S)


async def test_the_wait_is_anywhere_below_the_cap(autojump_clock: MockClock) -> None:
    told: list[Restart] = []

    async def run() -> None:
        if len(told) < 200:
            raise down()

    budget = RestartBudget(restarts=1_000, window_s=1e9)
    await restart(
        run,
        name="upbit",
        backoff=Backoff(initial_s=30, max_s=30, multiplier=1),
        budget=budget,
        random=Random(7),
        clock=TrioClock(),
        on_restart=told.append,
    )

    waits = [item.wait_s for item in told]
    assert 0 <= min(waits) < 3
    assert 27 < max(waits) <= 30


async def test_the_budget_escalates_and_forgets_old_failures(autojump_clock: MockClock) -> None:
    async def run() -> None:
        await trio.sleep(100)
        raise down()

    began = trio.current_time()
    with pytest.raises(BudgetSpent) as caught:
        await restart(
            run,
            name="upbit",
            backoff=BACKOFF,
            budget=RestartBudget(restarts=3, window_s=350),
            random=FullJitter(),
            clock=TrioClock(),
            on_restart=lambda _: None,
        )

    assert isinstance(caught.value.__cause__, VenueUnavailable)
    assert trio.current_time() - began == pytest.approx(403)


async def test_a_bug_is_never_restarted() -> None:
    async def run() -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError):
        await restart(
            run,
            name="x",
            backoff=BACKOFF,
            budget=RestartBudget(restarts=3, window_s=10),
            random=Random(1),
            clock=TrioClock(),
            on_restart=lambda _: None,
        )


async def test_a_group_with_a_bug_in_it_is_not_restarted() -> None:
    async def run() -> None:
        raise ExceptionGroup("children", [down(), ValueError("a bug")])

    with pytest.RaisesGroup(VenueUnavailable, ValueError):
        await restart(
            run,
            name="x",
            backoff=BACKOFF,
            budget=RestartBudget(restarts=3, window_s=10),
            random=Random(1),
            clock=TrioClock(),
            on_restart=lambda _: None,
        )


async def test_a_group_of_nothing_but_transient_errors_is_restarted(autojump_clock: MockClock) -> None:
    told: list[Restart] = []

    async def run() -> None:
        if not told:
            raise ExceptionGroup("children", [ExceptionGroup("inner", [down()]), down()])

    await restart(
        run,
        name="x",
        backoff=BACKOFF,
        budget=RestartBudget(restarts=3, window_s=10),
        random=Random(1),
        clock=TrioClock(),
        on_restart=told.append,
    )

    assert len(told) == 1


async def test_cancelling_ends_the_wait_at_once(autojump_clock: MockClock) -> None:
    async def run() -> None:
        raise down()

    began = trio.current_time()
    with trio.move_on_after(0.5):
        await restart(
            run,
            name="x",
            backoff=BACKOFF,
            budget=RestartBudget(restarts=3, window_s=1e9),
            random=FullJitter(),
            clock=TrioClock(),
            on_restart=lambda _: None,
        )

    assert trio.current_time() - began == pytest.approx(0.5)
