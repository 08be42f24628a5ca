"""The watchdog's levels, reached and left."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from arb.domain.events import Event, HealthSeen, Level
from arb.supervision.clock import AnchoredClock
from arb.supervision.inbox import Inbox
from arb.supervision.stopping import Stop, StopRequest
from arb.supervision.watchdog import Probe, Reading, Verdict, Watchdog, judge, level_of, watch

INPUTS = (
    "upbit data age",
    "binance_usdm data age",
    "decision loop latency",
    "safety refusals",
    "venue errors",
    "event loop stall",
    "cpu",
    "rss",
)


def reading(value: float | None, *, name: str = "upbit data age", excused: bool = False) -> Reading:
    return Reading(name=name, value=value, warn=2_000, error=5_000, unit="ms", is_excused=excused)


@pytest.mark.parametrize(
    ("value", "starting", "excused", "level"),
    [
        (None, True, False, Level.WARN),
        (None, False, False, Level.ERROR),
        (None, False, True, Level.WARN),
        (0, False, False, Level.OK),
        (1_999, False, False, Level.OK),
        (2_000, False, False, Level.WARN),
        (5_000, False, False, Level.ERROR),
        (5_000, True, False, Level.ERROR),
        (5_000, False, True, Level.WARN),
        (0, False, True, Level.WARN),
    ],
)
def test_level_of_a_reading(value: float | None, starting: bool, excused: bool, level: Level) -> None:
    assert level_of(reading(value, excused=excused), starting) is level


def test_the_worst_reading_decides_and_every_reason_is_told() -> None:
    verdict = judge([reading(0, name="a"), reading(3_000, name="b"), reading(9_000, name="c")], is_starting=False)

    assert verdict.level is Level.ERROR
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["b", "c"]


def test_only_consecutive_errors_make_critical() -> None:
    watchdog = Watchdog(3)
    values = [9_000, 9_000, 0, 9_000, 9_000, 9_000, 0]

    levels = [watchdog.evaluate([reading(value)], False).level for value in values]

    assert levels == [Level.ERROR, Level.ERROR, Level.OK, Level.ERROR, Level.ERROR, Level.CRITICAL, Level.OK]


@pytest.mark.parametrize("name", INPUTS)
async def test_critical_from_every_input_asks_for_the_end(name: str, autojump_clock: MockClock) -> None:
    inbox, stop, clock = Inbox(), StopRequest(), AnchoredClock(lambda: 0)
    bad_since = trio.current_time() + 20
    verdicts: list[Verdict] = []

    def probe_of(other: str) -> Probe:
        return lambda: reading(9_000 if other == name and trio.current_time() >= bad_since else 0, name=other)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: watch(
                Watchdog(3),
                [probe_of(other) for other in INPUTS],
                interval_s=5,
                startup_grace_s=60,
                clock=clock,
                sink=inbox,
                stop=stop,
                on_verdict=verdicts.append,
            )
        )
        reason = await stop.wait_severe()
        elapsed = trio.current_time() - bad_since
        nursery.cancel_scope.cancel()

    assert reason.stop is Stop.CRITICAL
    assert name in reason.text
    assert elapsed == pytest.approx(10)
    seen: list[Level] = []
    while (event := inbox.receive_nowait()) is not None:
        seen.append(_level(event))
    assert seen == [Level.OK, Level.ERROR, Level.CRITICAL]


def _level(event: Event) -> Level:
    assert isinstance(event, HealthSeen)
    return event.level
