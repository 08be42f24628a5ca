"""The watchdog: readings in, a level out; CRITICAL asks for the end.

Owns: the thresholds, the count of consecutive ERROR evaluations and the verdict.
Never: measures; the probes do. A blocked loop is the dead-man's business.
Units: in each reading's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Never

import attrs
import trio

from arb.domain.events import HealthSeen, Level
from arb.ports import Clock, EventSink
from arb.supervision.stopping import Stop, StopRequest

_ORDER: Final = (Level.OK, Level.WARN, Level.ERROR, Level.CRITICAL)


@attrs.frozen(kw_only=True)
class Reading:
    """One input at one moment."""

    name: str
    value: float | None
    """None: there has never been data."""
    warn: float
    error: float
    """At or above: ERROR."""
    unit: str
    is_excused: bool = False
    """A known outage with restart budget left: at most WARN."""


@attrs.frozen
class Verdict:
    """A level and the readings behind it."""

    level: Level
    reasons: tuple[str, ...]


Probe = Callable[[], Reading]


def level_of(reading: Reading, is_starting: bool) -> Level:
    """The level of a single reading; until the grace is over missing data is WARN."""
    if reading.value is None:
        return Level.WARN if is_starting or reading.is_excused else Level.ERROR
    if reading.value >= reading.error:
        return Level.WARN if reading.is_excused else Level.ERROR
    return Level.WARN if reading.value >= reading.warn or reading.is_excused else Level.OK


def judge(readings: Sequence[Reading], is_starting: bool) -> Verdict:
    """The worst level and everything that is not OK."""
    levels = [(level_of(reading, is_starting), reading) for reading in readings]
    worst = max((level for level, _ in levels), key=_ORDER.index, default=Level.OK)
    return Verdict(worst, tuple(_words(level, reading) for level, reading in levels if level is not Level.OK))


def _words(level: Level, reading: Reading) -> str:
    found = "no data yet" if reading.value is None else f"{reading.value:.0f} {reading.unit}"
    excuse = ", outage known" if reading.is_excused else ""
    return f"{reading.name}: {found} ({level.value}; warn {reading.warn:g}, error {reading.error:g}{excuse})"


class Watchdog:
    """Counts ERROR evaluations in a row; enough of them make CRITICAL."""

    def __init__(self, consecutive_errors: int) -> None:
        self._limit = consecutive_errors
        self._errors = 0

    def evaluate(self, readings: Sequence[Reading], is_starting: bool) -> Verdict:
        """The verdict of this moment."""
        verdict = judge(readings, is_starting)
        self._errors = self._errors + 1 if verdict.level is Level.ERROR else 0
        return Verdict(Level.CRITICAL, verdict.reasons) if self._errors >= self._limit else verdict


async def watch(
    watchdog: Watchdog,
    probes: Sequence[Probe],
    *,
    interval_s: float,
    startup_grace_s: float,
    clock: Clock,
    sink: EventSink,
    stop: StopRequest,
    on_verdict: Callable[[Verdict], None],
) -> Never:
    """Evaluate every `interval_s`; tell the core when the level changes; CRITICAL asks for the end."""
    began_ns = clock.monotonic_ns()
    last: Verdict | None = None
    while True:
        await trio.sleep(interval_s)
        is_starting = clock.monotonic_ns() - began_ns < startup_grace_s * 1e9
        verdict = watchdog.evaluate([probe() for probe in probes], is_starting)
        on_verdict(verdict)
        if last is None or verdict.level is not last.level:
            sink.put_account(HealthSeen(at_ns=clock.monotonic_ns(), level=verdict.level, reasons=verdict.reasons))
        last = verdict
        if verdict.level is Level.CRITICAL:
            stop.ask(Stop.CRITICAL, "CRITICAL: " + "; ".join(verdict.reasons))
