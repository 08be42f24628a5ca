"""The end is bounded, whatever hangs."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from arb.supervision.shutdown import ShutdownStep, StepReport, perform
from tests.fakes import TrioClock


async def hang() -> None:
    await trio.sleep_forever()


async def hang_shielded_by_nobody_but_us() -> None:
    with trio.CancelScope():
        await trio.sleep_forever()


async def fail() -> None:
    await trio.lowlevel.checkpoint()
    raise OSError(28, "No space left on device")


async def quick() -> None:
    await trio.sleep(0.1)


async def test_every_step_runs_even_when_others_hang_or_fail(autojump_clock: MockClock) -> None:
    told: list[StepReport] = []
    steps = [
        ShutdownStep(name="sweep", limit_s=2, run=hang),
        ShutdownStep(name="flush", limit_s=1, run=fail),
        ShutdownStep(name="close", limit_s=1, run=hang_shielded_by_nobody_but_us),
        ShutdownStep(name="report", limit_s=1, run=quick),
    ]
    began = trio.current_time()

    reports = await perform(steps, TrioClock(), told.append)

    assert trio.current_time() - began == pytest.approx(3.1)
    assert [(report.name, report.is_complete) for report in reports] == [
        ("sweep", False),
        ("flush", False),
        ("close", False),
        ("report", True),
    ]
    assert "No space left" in str(reports[1].failure)
    assert told == list(reports)


async def test_a_cancelled_parent_does_not_cut_the_end_short(autojump_clock: MockClock) -> None:
    done: list[str] = []

    async def slow() -> None:
        await trio.sleep(0.5)
        done.append("slow")

    with trio.CancelScope() as scope:
        scope.cancel()
        await perform([ShutdownStep(name="slow", limit_s=1, run=slow)], TrioClock(), lambda _: None)

    assert done == ["slow"]
