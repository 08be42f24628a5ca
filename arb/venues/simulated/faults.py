"""Fault scripts on the time line of the simulated world.

Owns: which faults are active when, and when anything changes.
Never: breaks anything itself: the world disturbs matching, the dialects and the server disturb the wire.
Units: UTC nanoseconds; scripts are in seconds after the start.
"""

from __future__ import annotations

import attrs

from arb.domain.ids import VenueId
from arb.venues.simulated.models import FaultKind, FaultScript

_NANOS = 1e9


@attrs.frozen
class FaultBoard:
    """A script and the start it counts from."""

    scripts: tuple[FaultScript, ...]
    start_ns: int

    def begins_ns(self, script: FaultScript) -> int:
        """When it begins."""
        return self.start_ns + int(script.at_s * _NANOS)

    def ends_ns(self, script: FaultScript) -> int:
        """When it is over; what happens once is over as it begins."""
        return self.begins_ns(script) + (0 if script.kind.is_once else int(script.duration_s * _NANOS))

    def running(self, now_ns: int, venue: VenueId) -> tuple[FaultScript, ...]:
        """Scripts of a venue that last at `now_ns`, with their targets."""
        return tuple(
            each for each in self.scripts if each.venue == venue and self.begins_ns(each) <= now_ns < self.ends_ns(each)
        )

    def active(self, now_ns: int, venue: VenueId) -> frozenset[FaultKind]:
        """Kinds that last at `now_ns`."""
        return frozenset(each.kind for each in self.running(now_ns, venue))

    def edges(self, after_ns: int, until_ns: int, venue: VenueId) -> tuple[FaultScript, ...]:
        """Scripts of a venue that begin in `(after_ns, until_ns]`, oldest first."""
        begun = (each for each in self.scripts if each.venue == venue and after_ns < self.begins_ns(each) <= until_ns)
        return tuple(sorted(begun, key=self.begins_ns))

    def next_change_ns(self, after_ns: int) -> int | None:
        """The next beginning or end of anything; None: nothing more happens."""
        times = [moment for each in self.scripts for moment in (self.begins_ns(each), self.ends_ns(each))]
        return min((moment for moment in times if moment > after_ns), default=None)
