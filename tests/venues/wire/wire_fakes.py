"""Ports of this room, in memory: a clock over Trio's, a dialer over scripted servers, sinks that remember."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws_events

from arb.domain.events import DepthSeen, Event
from arb.domain.ids import FeedId, InstrumentId, VenueId
from arb.domain.order import ApprovedOrder
from arb.ports import Endpoint, OrderGateway, Synced, Trade
from arb.venues.spec import BackOff, Bucket, HttpResponse, RateReport
from arb.venues.wire.memory import MemoryStream, memory_pair

T = TypeVar("T")
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


def submit(gateway: OrderGateway, order: ApprovedOrder) -> None:
    """Prepare and release at once: the journal is not under test."""
    gateway.prepare(order, 1).release(Synced(1))


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
        self.nursery.start_soon(_until_gone, serve, theirs)
        return ours


async def _until_gone(serve: Serve, stream: MemoryStream) -> None:
    """A client that leaves is no error of the server."""
    try:
        await serve(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


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


class WsPeer:
    """The server's side of a WebSocket over any stream, step by step."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.ws = WSConnection(ConnectionType.SERVER)
        self.pending: list[ws_events.Event] = []

    async def accept(self) -> ws_events.Request:
        request = await self.next(ws_events.Request)
        await self.send(ws_events.AcceptConnection())
        return request

    async def send(self, event: ws_events.Event) -> None:
        await self.stream.send_all(self.ws.send(event))

    async def say(self, text: str) -> None:
        await self.send(ws_events.TextMessage(data=text))

    async def next(self, kind: type[T]) -> T:
        """The next event of this kind; others are dropped."""
        while True:
            while self.pending:
                event = self.pending.pop(0)
                if isinstance(event, kind):
                    return event
            data = await self.stream.receive_some()
            if not data:
                raise trio.EndOfChannel
            self.ws.receive_data(bytes(data))
            self.pending += list(self.ws.events())

    async def drain(self, *, pongs: bool = True) -> None:
        """Read until the client goes, answering pings and the farewell."""
        try:
            while True:
                event = await self.next(ws_events.Event)
                if isinstance(event, ws_events.Ping) and pongs:
                    await self.send(event.response())
                if isinstance(event, ws_events.CloseConnection):
                    await self.send(event.response())
                    return
        except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
            return


async def serve_http(
    stream: MemoryStream, answer: Callable[[str, str, bytes], HttpResponse | None], delay_s: float = 0.0
) -> None:
    """Answer requests one after the other until the client goes; None: end the connection instead of answering."""
    http = h11.Connection(h11.SERVER)
    method = target = ""
    body = b""
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                method, target, body = event.method.decode(), event.target.decode(), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if (response := answer(method, target, body)) is None:
                    return
                headers = [*response.headers.items(), ("content-length", str(len(response.body)))]
                head = h11.Response(status_code=response.status, headers=headers)
                parts = [http.send(head), http.send(h11.Data(data=response.body)), http.send(h11.EndOfMessage())]
                if delay_s:
                    await trio.sleep(delay_s)
                await stream.send_all(b"".join(part for part in parts if part))
                http.start_next_cycle()
            else:
                return
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
    finally:
        stream.close()


def ok(body: bytes = b"{}", status: int = 200, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=named, body=body)
