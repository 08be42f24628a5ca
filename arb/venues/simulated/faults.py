"""Fault scripts on the time line of the simulated world.

Owns: which faults are active when, and when anything changes.
Never: breaks anything itself: the world disturbs matching, the dialects and the server disturb the wire.
Units: UTC nanoseconds; scripts are in seconds after the start.
"""

from __future__ import annotations

from bisect import bisect_right

import attrs

from arb.domain.ids import VenueId
from arb.venues.simulated.models import FaultKind, FaultScript

_NANOS = 1e9


@attrs.frozen
class FaultBoard:
    """A script and the start it counts from."""

    scripts: tuple[FaultScript, ...]
    start_ns: int
    _changes_ns: tuple[int, ...] = attrs.field(init=False, eq=False, repr=False)
    """Beginnings and ends, in order: asked for at every move of the world."""

    def __attrs_post_init__(self) -> None:
        moments = {moment for each in self.scripts for moment in (self.begins_ns(each), self.ends_ns(each))}
        object.__setattr__(self, "_changes_ns", tuple(sorted(moments)))

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
        place = bisect_right(self._changes_ns, after_ns)
        return self._changes_ns[place] if place < len(self._changes_ns) else None
