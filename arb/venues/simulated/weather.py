"""What fault scripts do to one venue's connections and answers.

Owns: which scripts of the venue have begun. What they do to matching is the world's business.
Never: waits or draws.
Units: times UTC nanoseconds; delays in seconds.
"""

from __future__ import annotations

import attrs

from arb.domain.ids import VenueId
from arb.venues.simulated.dialect import HttpAnswer, Later
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.simulated.quota import SECOND_NS

SLOW_S = 3
STATUSES = {FaultKind.HTTP_5XX: 503, FaultKind.RATE_LIMIT: 429, FaultKind.BAN: 418}
BREAKS = {FaultKind.DISCONNECT: 1001, FaultKind.TCP_RESET: 0}
SILENT = (FaultKind.SILENCE, FaultKind.HALF_OPEN)


@attrs.define(eq=False)
class Weather:
    """The scripts of one venue."""

    venue: VenueId
    scripts: tuple[FaultScript, ...]
    start_ns: int
    breaks_done: set[int] = attrs.field(factory=set)
    gaps_done: set[tuple[int, str]] = attrs.field(factory=set)
    next_garbage_ns: int = 0

    def add(self, script: FaultScript) -> None:
        """One more of this venue."""
        self.scripts = (*self.scripts, script)

    def is_on(self, kind: FaultKind, now_ns: int, target: str | None = None) -> bool:
        """Whether `kind` is on now, for a symbol or path."""
        return any(
            self._lasts(one, now_ns) and one.target in (None, target) for one in self.scripts if one.kind is kind
        )

    def left_s(self, kind: FaultKind, now_ns: int) -> int:
        """Whole seconds that `kind` still lasts; 0: it is off."""
        ends = [self._end_ns(one) for one in self.scripts if one.kind is kind and self._lasts(one, now_ns)]
        return -(-(max(ends) - now_ns) // SECOND_NS) if ends else 0

    def status(self, now_ns: int, path: str) -> int | None:
        """The HTTP status that every request is answered with; None: requests are answered."""
        return next((status for kind, status in STATUSES.items() if self.is_on(kind, now_ns, path)), None)

    def delayed(self, found: HttpAnswer | Later, now_ns: int, path: str) -> HttpAnswer | Later:
        """The same answer, late while the venue is slow."""
        if not self.is_on(FaultKind.SLOW, now_ns, path):
            return found
        if isinstance(found, HttpAnswer):
            return Later(now_ns + SLOW_S * SECOND_NS, lambda: found)
        return Later(found.ready_ns + SLOW_S * SECOND_NS, found.resolve)

    def refuses_streams(self, now_ns: int) -> bool:
        """Whether new streams are refused."""
        return self.is_on(FaultKind.DISCONNECT, now_ns)

    def is_silent(self, now_ns: int) -> bool:
        """Whether streams say nothing."""
        return any(self.is_on(kind, now_ns) for kind in SILENT)

    def breaks(self, now_ns: int) -> tuple[int, ...]:
        """Close codes (0: reset) for every open stream, each script once."""
        codes: list[int] = []
        for index, one in enumerate(self.scripts):
            at_ns = self._break_ns(one)
            if at_ns is not None and at_ns <= now_ns and index not in self.breaks_done:
                self.breaks_done.add(index)
                codes.append(BREAKS.get(one.kind, 0))
        return tuple(codes[:1])

    def loses(self, symbol: str, now_ns: int) -> bool:
        """Whether the next depth update of a symbol is lost on the way; true once per script and symbol."""
        for index, one in enumerate(self.scripts):
            is_gap = (
                one.kind is FaultKind.SEQUENCE_GAP and self._begin_ns(one) <= now_ns and one.target in (None, symbol)
            )
            if is_gap and (index, symbol) not in self.gaps_done:
                self.gaps_done.add((index, symbol))
                return True
        return False

    def wants_garbage(self, now_ns: int) -> bool:
        """Whether a frame that nobody understands is due: one a second while it lasts."""
        if now_ns < self.next_garbage_ns or not self.is_on(FaultKind.GARBAGE, now_ns):
            return False
        self.next_garbage_ns = now_ns + SECOND_NS
        return True

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when."""
        ends = [
            self._end_ns(one) for one in self.scripts if one.kind is FaultKind.HALF_OPEN and self._lasts(one, now_ns)
        ]
        return max(ends) if ends else None

    def due_ns(self) -> int | None:
        """When the next stream break is due."""
        waiting = [
            at
            for index, one in enumerate(self.scripts)
            if index not in self.breaks_done and (at := self._break_ns(one)) is not None
        ]
        return min(waiting) if waiting else None

    def _begin_ns(self, script: FaultScript) -> int:
        return self.start_ns + int(script.at_s * SECOND_NS)

    def _end_ns(self, script: FaultScript) -> int:
        return self._begin_ns(script) + int(script.duration_s * SECOND_NS)

    def _lasts(self, script: FaultScript, now_ns: int) -> bool:
        return self._begin_ns(script) <= now_ns < self._end_ns(script)

    def _break_ns(self, script: FaultScript) -> int | None:
        """A half-open stream is reset when the fault is over."""
        if script.kind is FaultKind.HALF_OPEN:
            return self._end_ns(script)
        return self._begin_ns(script) if script.kind in BREAKS else None
