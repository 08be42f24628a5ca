"""The watchdog's inputs, read from the parts of a run.

Owns: what is measured, in milliseconds, counts per minute, percent and MiB; the thresholds come from `[watchdog]` and
`[sys_monitor]`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs

from arb.cli.schema import SysMonitorSection, WatchdogSection
from arb.domain.ids import FeedId, VenueId
from arb.ports import Clock
from arb.supervision.deadman import Heartbeat
from arb.supervision.decision import LoopMeter
from arb.supervision.sys_monitor import ProcessSample
from arb.supervision.watchdog import Probe, Reading

_MINUTE_NS: Final = 60_000_000_000


class MinuteCount:
    """How often something happened in the last 60 seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moments: deque[int] = deque(maxlen=100_000)

    def add(self) -> None:
        """It happened."""
        self._moments.append(self._clock.monotonic_ns())

    def count(self) -> int:
        """Of the last minute."""
        since = self._clock.monotonic_ns() - _MINUTE_NS
        while self._moments and self._moments[0] < since:
            self._moments.popleft()
        return len(self._moments)


@attrs.define
class FeedAges:
    """When each venue was last heard, over whichever source is fresher, and which outages are known."""

    clock: Clock
    heard_ns: dict[VenueId, int] = attrs.field(factory=dict)
    down: dict[FeedId, bool] = attrs.field(factory=dict)
    """Feeds known to be down; the value says that their restart budget is spent."""

    def heard(self, venue: VenueId, received_ns: int) -> None:
        """A frame or a REST image arrived."""
        self.heard_ns[venue] = max(received_ns, self.heard_ns.get(venue, 0))

    def age_ms(self, venue: VenueId) -> float | None:
        """None: never heard."""
        heard_ns = self.heard_ns.get(venue)
        return None if heard_ns is None else (self.clock.monotonic_ns() - heard_ns) / 1e6

    def is_excused(self, venue: VenueId) -> bool:
        """Whether an outage is known and every feed of it still has restart budget."""
        states = [spent for feed, spent in self.down.items() if feed.startswith(f"{venue}/")]
        return bool(states) and not any(states)


@attrs.frozen(kw_only=True)
class Probes:
    """All inputs of the watchdog but those of stores that are not configured."""

    limits: WatchdogSection
    process: SysMonitorSection
    venues: tuple[VenueId, ...]
    ages: FeedAges
    meter: LoopMeter
    waiting_ms: Callable[[], float]
    """How long an evaluation that is due has been waiting."""
    heartbeat: Heartbeat | None
    """None in simulations: nothing can block there."""
    safety: MinuteCount
    errors: Mapping[VenueId, MinuteCount]
    sample: Callable[[], ProcessSample | None]

    def all(self) -> tuple[Probe, ...]:
        """One probe per input."""
        ages = (partial(self._age, venue) for venue in self.venues)
        errors = (partial(self._venue_errors, venue) for venue in self.venues)
        return (*ages, *errors, self._loop, self._stall, self._refusals, self._cpu, self._rss)

    def _age(self, venue: VenueId) -> Reading:
        return Reading(
            name=f"{venue} data age",
            value=self.ages.age_ms(venue),
            warn=self.limits.warn_ws_lag_ms,
            error=self.limits.max_ws_lag_ms,
            unit="ms",
            is_excused=self.ages.is_excused(venue),
        )

    def _venue_errors(self, venue: VenueId) -> Reading:
        most, excused = self.limits.max_live_errors_per_minute, self.ages.is_excused(venue)
        return _rate(f"{venue} errors", self.errors[venue].count(), most, is_excused=excused)

    def _refusals(self) -> Reading:
        return _rate("safety refusals", self.safety.count(), self.limits.max_safety_rejections_per_minute)

    def _loop(self) -> Reading:
        value = max(self.meter.last_ns / 1e6, self.waiting_ms())
        warn, error = self.limits.warn_loop_latency_ms, self.limits.max_loop_latency_ms
        return Reading(name="decision loop latency", value=value, warn=warn, error=error, unit="ms")

    def _stall(self) -> Reading:
        stall_ms = 0.0 if self.heartbeat is None else self.heartbeat.take_longest_s() * 1e3
        most = self.limits.max_stall_ms
        return Reading(name="event loop stall", value=stall_ms, warn=most / 2, error=most, unit="ms")

    def _cpu(self) -> Reading:
        found = self.sample()
        value = 0.0 if found is None else found.cpu_percent
        return Reading(
            name="cpu", value=value, warn=self.process.warn_cpu_pct, error=self.process.max_cpu_pct, unit="%"
        )

    def _rss(self) -> Reading:
        found = self.sample()
        value = 0.0 if found is None else found.rss_bytes / 2**20
        return Reading(
            name="rss", value=value, warn=self.process.warn_rss_mb, error=self.process.max_rss_mb, unit="MiB"
        )


def _rate(name: str, count: int, most: int, *, is_excused: bool = False) -> Reading:
    """A count per minute: up to `most` is tolerated, from half of it on it is told."""
    return Reading(name=name, value=count, warn=max(1, most / 2), error=most + 1, unit="/min", is_excused=is_excused)
