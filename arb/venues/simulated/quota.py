"""Request budgets of a simulated venue, counted as the venue counts them.

Owns: fixed windows with their counts, and the ban that follows a client who does not listen.
Never: reads a clock; every call is given `now_ns`.
Units: windows in nanoseconds, counts in requests or weight.
"""

from __future__ import annotations

import attrs

SECOND_NS = 1_000_000_000


@attrs.define
class Quota:
    """One budget per fixed window: counts restart at each multiple of the window."""

    limit: int
    window_ns: int
    window: int = -1
    used: int = 0

    def take(self, weight: int, now_ns: int) -> bool:
        """Count `weight`; False when the budget of this window does not allow it (it is counted all the same)."""
        self._turn(now_ns)
        self.used += weight
        return self.used <= self.limit

    def spent(self, now_ns: int) -> int:
        """What has been counted in this window."""
        self._turn(now_ns)
        return self.used

    def left(self, now_ns: int) -> int:
        """What this window still allows."""
        return max(0, self.limit - self.spent(now_ns))

    def wait_s(self, now_ns: int) -> int:
        """Whole seconds until the next window, at least 1."""
        return max(1, -(-(self.window_ns - now_ns % self.window_ns) // SECOND_NS))

    def _turn(self, now_ns: int) -> None:
        window = now_ns // self.window_ns
        if window != self.window:
            self.window, self.used = window, 0


@attrs.define
class Offences:
    """Refusals in a row turn into a ban that doubles each time."""

    tolerated: int
    """Refused requests per minute before a ban."""
    first_ban_s: int
    counted: Quota = attrs.field(init=False)
    bans: int = 0
    banned_until_ns: int = 0

    def __attrs_post_init__(self) -> None:
        """Count by the minute."""
        self.counted = Quota(self.tolerated, 60 * SECOND_NS)

    def offend(self, now_ns: int) -> None:
        """A request came that the budget does not allow."""
        if not self.counted.take(1, now_ns) and now_ns >= self.banned_until_ns:
            self.banned_until_ns = now_ns + (self.first_ban_s << min(self.bans, 8)) * SECOND_NS
            self.bans += 1

    def ban_left_s(self, now_ns: int) -> int:
        """Whole seconds the ban still lasts; 0: none."""
        return max(0, -(-(self.banned_until_ns - now_ns) // SECOND_NS))
