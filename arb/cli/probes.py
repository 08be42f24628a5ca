"""The watchdog's inputs, read from the parts of a run.

Owns: what is measured, in milliseconds, counts per minute, percent and MiB; the thresholds come from `[watchdog]` and
`[sys_monitor]`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
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


def make_probes(
    watchdog: WatchdogSection,
    process: SysMonitorSection,
    *,
    venues: tuple[VenueId, ...],
    ages: FeedAges,
    meter: LoopMeter,
    waiting_ms: Callable[[], float],
    heartbeat: Heartbeat | None,
    safety: MinuteCount,
    errors: Mapping[VenueId, MinuteCount],
    sample: Callable[[], ProcessSample | None],
) -> tuple[Probe, ...]:
    """All inputs of engine.md, Watchdog, but those of stores that are not configured."""
    limit = watchdog

    def age(venue: VenueId) -> Probe:
        return lambda: Reading(
            name=f"{venue} data age",
            value=ages.age_ms(venue),
            warn=limit.warn_ws_lag_ms,
            error=limit.max_ws_lag_ms,
            unit="ms",
            is_excused=ages.is_excused(venue),
        )

    def venue_errors(venue: VenueId) -> Probe:
        most = limit.max_live_errors_per_minute
        return lambda: Reading(
            name=f"{venue} errors",
            value=errors[venue].count(),
            warn=max(1, most / 2),
            error=most + 1,
            unit="/min",
            is_excused=ages.is_excused(venue),
        )

    def loop() -> Reading:
        value = max(meter.statistics().last_ns / 1e6, waiting_ms())
        return Reading(
            name="decision loop latency",
            value=value,
            warn=limit.warn_loop_latency_ms,
            error=limit.max_loop_latency_ms,
            unit="ms",
        )

    def stall() -> Reading:
        stall_s = 0.0 if heartbeat is None else heartbeat.take_longest_s()
        return Reading(
            name="event loop stall",
            value=stall_s * 1e3,
            warn=limit.max_stall_ms / 2,
            error=limit.max_stall_ms,
            unit="ms",
        )

    def refusals() -> Reading:
        most = limit.max_safety_rejections_per_minute
        return Reading(name="safety refusals", value=safety.count(), warn=max(1, most / 2), error=most + 1, unit="/min")

    def cpu() -> Reading:
        found = sample()
        return Reading(
            name="cpu",
            value=0.0 if found is None else found.cpu_percent,
            warn=process.warn_cpu_pct,
            error=process.max_cpu_pct,
            unit="%",
        )

    def rss() -> Reading:
        found = sample()
        return Reading(
            name="rss",
            value=0.0 if found is None else found.rss_bytes / 2**20,
            warn=process.warn_rss_mb,
            error=process.max_rss_mb,
            unit="MiB",
        )

    return (
        *(age(venue) for venue in venues),
        *(venue_errors(venue) for venue in venues),
        loop,
        stall,
        refusals,
        cpu,
        rss,
    )
