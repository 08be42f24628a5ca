"""Rate budgets of one venue: who may send now, in which order, and when a venue wants silence.

Owns: what was taken from each bucket in its last window, the queue for the next token, and the back-off in force.
Never: sends; counts less than the venue's own headers tell.
Units: `_ns` monotonic; weights in the venue's own units.

A token comes back exactly one window after it was taken, so no window of the venue, whichever way it is aligned, sees
more than `capacity`. The reserve is for cancels and hedges, half of it for queries; the others stop short of it. Where
a venue counts orders in several windows, an order takes one unit of each.
"""

from __future__ import annotations

import heapq
from collections import deque
from datetime import UTC, datetime
from itertools import count
from typing import Final

import attrs
import trio

from arb.domain.errors import RateLimited
from arb.domain.ids import VenueId
from arb.ports import Clock
from arb.venues.spec import Bucket, HttpResponse, Priority, RateRules

_LEAVES: Final = {
    Priority.CANCEL: 0.0,
    Priority.HEDGE: 0.0,
    Priority.QUERY: 0.5,
    Priority.EXIT: 1.0,
    Priority.ENTRY: 1.0,
}
"""Part of a bucket's reserve that each priority leaves to the more urgent ones."""
_MERGE: Final = 64
"""Tokens taken within this fraction of a window are kept as one entry, dated by the last."""


@attrs.frozen(kw_only=True)
class BucketUse:
    """One bucket, as it stands."""

    name: str
    capacity: int
    used: int
    free: int
    """What entries may still take now."""
    waiting: int
    is_for_orders: bool


@attrs.frozen(kw_only=True)
class RateStatistics:
    """The rate budget of a venue, as it stands."""

    venue: VenueId
    silent_until_ns: int
    """No request before this; in the past: none in force."""
    is_banned: bool
    reason: str
    back_offs: int
    """How many times the venue asked for silence."""
    buckets: tuple[BucketUse, ...]


class RateLimiter:
    """Every request of a venue passes here first."""

    def __init__(self, rules: RateRules, clock: Clock, *, venue: VenueId, ceiling_per_s: float | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._venue = venue
        self._windows = {bucket.name: _Window(bucket) for bucket in rules.buckets}
        self._ceiling = None if ceiling_per_s is None else _Window(_ceiling(ceiling_per_s))
        """What the operator allows on top of the venue's own budgets, whatever the bucket."""
        self._silent_until_ns = 0
        self._is_banned = False
        self._reason = ""
        self._back_offs = 0

    async def take(self, bucket: str, weight: int, priority: Priority) -> None:
        """Wait for `weight` tokens, behind whoever is more urgent."""
        for window, tokens in self._wanted(bucket, weight):
            await self._take(window, tokens, priority)

    def _wanted(self, bucket: str, weight: int) -> list[tuple[_Window, int]]:
        """Every window that a request counts in, and for how much."""
        own = self._windows[bucket]
        wanted = [(own, weight)]
        if own.bucket.is_for_orders:
            wanted += [(each, 1) for each in self._windows.values() if each.bucket.is_for_orders and each is not own]
        if self._ceiling is not None:
            wanted.append((self._ceiling, 1))
        return wanted

    async def _take(self, window: _Window, weight: int, priority: Priority) -> None:
        with window.queued(priority) as ticket:
            await trio.lowlevel.checkpoint()
            while (wait_ns := self._wait_ns(window, weight, priority)) > 0 or window.queue[0] != ticket:
                await window.wait_changed(max(wait_ns, 0) / 1e9 if window.queue[0] == ticket else None)
            window.take(weight, self._clock.monotonic_ns())

    def take_nowait(self, bucket: str, weight: int, priority: Priority) -> bool:
        """Take the tokens if they are there and nobody more urgent waits."""
        wanted = self._wanted(bucket, weight)
        for window, tokens in wanted:
            is_behind = bool(window.queue) and window.queue[0][0] <= priority.value
            if is_behind or self._wait_ns(window, tokens, priority) > 0:
                return False
        for window, tokens in wanted:
            window.take(tokens, self._clock.monotonic_ns())
        return True

    def check_back_off(self) -> None:
        """Refuse while the venue wants silence.

        Raises:
            RateLimited: with the time left.
        """
        left_ns = self._silent_until_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            raise RateLimited(self._venue, self._reason, left_ns / 1e9)

    def learn(self, answer: HttpResponse) -> None:
        """Take the venue's word on usage and silence from any answer."""
        now_ns = self._clock.monotonic_ns()
        for report in self._rules.reports(answer):
            window = self._windows.get(report.bucket)
            if window is None:
                continue
            used = report.used
            if used is None and report.remaining is not None:
                used = window.bucket.capacity - report.remaining
            if used is not None:
                window.raise_to(used, now_ns)
        if (wish := self._rules.back_off(answer, self._clock.wall_ns() // 1_000_000)) is not None:
            self._back_offs += 1
            until_ns = now_ns + round(wish.wait_s * 1e9)
            if until_ns >= self._silent_until_ns:
                self._silent_until_ns, self._is_banned = until_ns, wish.is_ban
                word = "banned" if wish.is_ban else "limited"
                self._reason = f"{word} until {_utc(self._clock.wall_ns() + until_ns - now_ns)}: {wish.reason}"

    def statistics(self) -> RateStatistics:
        """A frozen picture, for status and metrics."""
        now_ns = self._clock.monotonic_ns()
        return RateStatistics(
            venue=self._venue,
            silent_until_ns=self._silent_until_ns,
            is_banned=self._is_banned and self._silent_until_ns > now_ns,
            reason=self._reason if self._silent_until_ns > now_ns else "",
            back_offs=self._back_offs,
            buckets=tuple(window.use(now_ns) for window in self._windows.values()),
        )

    def _wait_ns(self, window: _Window, weight: int, priority: Priority) -> int:
        now_ns = self._clock.monotonic_ns()
        return max(self._silent_until_ns - now_ns, window.wait_ns(weight, priority, now_ns))


def _ceiling(per_s: float) -> Bucket:
    """`max_requests_per_sec` as a bucket; less than one a second is one in a longer window."""
    capacity = max(1, int(per_s))
    return Bucket(name="max_requests_per_sec", capacity=capacity, window_s=capacity / per_s, reserve=0)


def _utc(wall_ns: int) -> str:
    """Rounded up to the second: at this time it is over."""
    return f"{datetime.fromtimestamp(-(-wall_ns // 1_000_000_000), UTC):%Y-%m-%d %H:%M:%S} UTC"


class _Window:
    """One bucket: what was taken in the last window, and who waits."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.queue: list[tuple[int, int]] = []
        self._window_ns = round(bucket.window_s * 1e9)
        self._taken: deque[tuple[int, int]] = deque()
        self._used = 0
        self._order = count()
        self._changed = trio.Event()

    def queued(self, priority: Priority) -> _Ticket:
        return _Ticket(self, (priority.value, next(self._order)))

    def take(self, weight: int, now_ns: int) -> None:
        self._used += weight
        if self._taken and now_ns - self._taken[-1][0] < self._window_ns // _MERGE:
            weight += self._taken.pop()[1]
        self._taken.append((now_ns, weight))

    def raise_to(self, used: int, now_ns: int) -> None:
        """The venue has counted more than we did (another program, a restart): believe it."""
        self._forget(now_ns)
        if used > self._used:
            self.take(used - self._used, now_ns)

    def wait_ns(self, weight: int, priority: Priority, now_ns: int) -> int:
        """Until `weight` tokens are free for `priority`."""
        self._forget(now_ns)
        ceiling = self.bucket.capacity - int(self.bucket.reserve * _LEAVES[priority])
        excess = self._used + weight - max(ceiling, weight)
        for taken_ns, taken in self._taken:
            if excess <= 0:
                return 0
            excess -= taken
            if excess <= 0:
                return taken_ns + self._window_ns - now_ns
        return 0

    def use(self, now_ns: int) -> BucketUse:
        self._forget(now_ns)
        bucket = self.bucket
        return BucketUse(
            name=bucket.name,
            capacity=bucket.capacity,
            used=self._used,
            free=max(bucket.capacity - bucket.reserve - self._used, 0),
            waiting=len(self.queue),
            is_for_orders=bucket.is_for_orders,
        )

    async def wait_changed(self, at_most_s: float | None) -> None:
        if at_most_s is None:
            await self._changed.wait()
            return
        with trio.move_on_after(at_most_s):
            await self._changed.wait()

    def announce(self) -> None:
        """The queue changed: whoever waits looks again."""
        self._changed.set()
        self._changed = trio.Event()

    def _forget(self, now_ns: int) -> None:
        while self._taken and self._taken[0][0] + self._window_ns <= now_ns:
            self._used -= self._taken.popleft()[1]


class _Ticket:
    """A place in the queue of a bucket, given back however the wait ends."""

    def __init__(self, window: _Window, ticket: tuple[int, int]) -> None:
        self._window = window
        self._ticket = ticket

    def __enter__(self) -> tuple[int, int]:
        heapq.heappush(self._window.queue, self._ticket)
        self._window.announce()
        return self._ticket

    def __exit__(self, *_error: object) -> None:
        self._window.queue.remove(self._ticket)
        heapq.heapify(self._window.queue)
        self._window.announce()
