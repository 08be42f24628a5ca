"""Ports of this room, in memory: a clock over Trio's, a dialer over scripted servers, sinks that remember."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from arb.domain.events import DepthSeen, Event
from arb.domain.ids import FeedId, InstrumentId, VenueId
from arb.ports import Endpoint, Trade
from arb.venues.spec import BackOff, Bucket, HttpResponse, RateReport
from arb.venues.wire.memory import MemoryStream, memory_pair

HERE = Endpoint(host="venue.test", port=80, is_tls=False)
VENUE = VenueId("somewhere")
WALL_START_NS = 1_700_000_000_000_000_000


class TrioClock:
    """The clock port over Trio's clock; wall time starts at a round number."""

    def __init__(self) -> None:
        self.start = trio.current_time()

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return WALL_START_NS + round((trio.current_time() - self.start) * 1e9)


Serve = Callable[[MemoryStream], Awaitable[None]]


class ScriptedDialer:
    """Each dial takes the next server of the script; when it is used up, nothing answers. `None`: refuse this one."""

    def __init__(self, nursery: trio.Nursery, *script: Serve | None) -> None:
        self.nursery = nursery
        self.script = list(script)
        self.opened: list[MemoryStream] = []
        self.dials: list[float] = []

    async def __call__(self, endpoint: Endpoint) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dials.append(trio.current_time())
        serve = self.script.pop(0) if self.script else None
        if serve is None:
            raise ConnectionRefusedError("nothing listens")
        ours, theirs = memory_pair()
        self.opened.append(ours)
        self.nursery.start_soon(serve, theirs)
        return ours


class Tap:
    """A `MarketTap` that remembers."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.frames: list[tuple[FeedId, int, int | None]] = []
        self.faults: list[tuple[FeedId, bytes, str]] = []

    def trade(self, trade: Trade) -> None:
        self.trades.append(trade)

    def frame(self, feed: FeedId, received_ns: int, venue_ns: int | None) -> None:
        self.frames.append((feed, received_ns, venue_ns))

    def fault(self, feed: FeedId, raw: bytes, detail: str) -> None:
        self.faults.append((feed, raw, detail))


class Inbox:
    """An `EventSink` that remembers, with the time at which each thing came."""

    def __init__(self) -> None:
        self.account: list[tuple[float, Event]] = []
        self.latest: list[tuple[float, str, Event]] = []
        self.depths: list[tuple[float, DepthSeen | None]] = []

    def put_depth(self, instrument: InstrumentId, take: Callable[[], DepthSeen | None]) -> None:
        self.depths.append((trio.current_time(), take()))

    def put_latest(self, key: str, event: Event) -> None:
        self.latest.append((trio.current_time(), key, event))

    def put_account(self, event: Event) -> None:
        self.account.append((trio.current_time(), event))

    def events(self) -> list[Event]:
        return [event for _, event in self.account]


class Rules:
    """Rate rules read from plain headers: `used` and `wait`."""

    def __init__(self, *buckets: Bucket) -> None:
        self.buckets = buckets or (Bucket(name="all", capacity=1000, window_s=1.0, reserve=0),)

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        if "used" not in response.headers:
            return ()
        return (RateReport(bucket=self.buckets[0].name, used=int(response.headers["used"])),)

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        if response.status not in (418, 429):
            return None
        wait_s = float(response.headers.get("retry-after", "1"))
        return BackOff(wait_s=wait_s, is_ban=response.status == 418, reason=f"status {response.status}")
