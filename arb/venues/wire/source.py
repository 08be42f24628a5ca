"""One venue connection as a source of books: WebSocket, REST where it fails, and back.

Owns: the books of one `StreamPlan` for the life of one connection, the REST polls that stand in for them, and the pace
of snapshot requests.
Never: restarts itself (`restarting` is given), decides what a stale book means, or converts a depth nobody takes.
Units: `_s` seconds of Trio's clock, `_ms` milliseconds, `_ns` monotonic.

A connection is one run that fails honestly. Planned renewals (the venue's age limit) are no failures and happen inside.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, assert_never

import attrs
import trio

from arb.domain.depth import DepthSource
from arb.domain.errors import ProtocolError, RateLimited, TransientError, VenueUnavailable
from arb.domain.events import DepthSeen, FundingRateSeen
from arb.domain.ids import InstrumentId, VenueId, symbol_of
from arb.domain.instrument import Instrument
from arb.ports import Clock, Dialer, EventSink, MarketTap, Trade
from arb.venues.spec import (
    Alive,
    BookChanged,
    BookLost,
    Fault,
    HttpResponse,
    Inbound,
    MarketSpec,
    NeedSnapshot,
    Reconnect,
    Reply,
    StatusSeen,
    StreamPlan,
    TickerSeen,
)
from arb.venues.wire.dial import split_url
from arb.venues.wire.feed_state import BookSource, FeedState
from arb.venues.wire.http import HttpClient
from arb.venues.wire.status import VenueStatusBoard
from arb.venues.wire.ws import WsConnection, WsHeartbeat, WsLimits, WsTarget, open_ws

_LOG = logging.getLogger("arb.source")
_SNAPSHOT_FIRST_S: Final = 0.5
_SNAPSHOT_MAX_S: Final = 30.0
_SNAPSHOT_CALM_NS: Final = 60_000_000_000
_MAX_DOUBLINGS: Final = 4
"""Of the poll interval, while polls fail."""

Restarting = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Runs the task again after each `TransientError`; returns when its restart budget is spent."""


@attrs.frozen(kw_only=True)
class SourceSettings:
    """How one venue's connections are watched."""

    levels: int
    """Depth the core receives."""
    is_rest_only: bool
    """`data_source = "rest"`."""
    silent_after_ms: int
    heartbeat_s: float
    """Pings when idle this long, sooner where `silent_after_ms` asks for it."""
    pong_within_s: float
    rest_interval_s: float
    """Between two polls of a book."""
    max_connection_s: float | None
    """Renew before the venue closes the connection at this age."""
    ws_limits: WsLimits = attrs.field(factory=WsLimits)


@attrs.frozen(kw_only=True)
class SourceParts:
    """What a source is made of."""

    venue: VenueId
    market: MarketSpec
    instruments: Mapping[InstrumentId, Instrument]
    ws_url: str
    dialer: Dialer
    http: HttpClient
    clock: Clock
    sink: EventSink
    tap: MarketTap
    board: VenueStatusBoard
    settings: SourceSettings


async def run_source(plans: Callable[[], StreamPlan], parts: SourceParts, *, restarting: Restarting) -> None:
    """Keep the books of one connection filled until cancelled.

    Args:
        plans: a fresh plan of the same feed, with a fresh protocol, for every connection.
    """
    source = Source(plans, parts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.poll)
        if not parts.settings.is_rest_only:
            await restarting(source.run_stream)
            source.give_up_stream()


class Source:
    """The books of one feed, whichever way they come."""

    def __init__(self, plans: Callable[[], StreamPlan], parts: SourceParts) -> None:
        plan = plans()
        settings = parts.settings
        self._plans = plans
        self._parts = parts
        self.state = FeedState(
            plan.feed,
            plan.instruments,
            silent_after_ms=0 if settings.is_rest_only else settings.silent_after_ms,
            clock=parts.clock,
            sink=parts.sink,
            tap=parts.tap,
        )
        self._snapshot_pace: dict[InstrumentId, _Pace] = {}

    async def run_stream(self) -> None:
        """One connection after the other as they reach their age limit; ends only by failing.

        Raises:
            TransientError: the connection failed.
        """
        while True:
            try:
                await self._connect_once()
            except TransientError as error:
                self.state.stream_down(str(error))
                raise
            self.state.stream_renewed("renewed before the venue's age limit")

    def give_up_stream(self) -> None:
        """The restart budget is spent: REST goes on alone."""
        self.state.stream_down("restart budget spent", is_final=True)
        _LOG.error("stream_given_up", extra={"feed": self.state.feed})

    async def poll(self) -> None:
        """Poll the books that the stream does not bring, for as long as it does not."""
        clock, state, settings = self._parts.clock, self.state, self._parts.settings
        if not state.instruments:  # a stream without books: nothing stands in for it
            return
        failures = 0
        while True:
            began_ns = clock.monotonic_ns()
            if not (wanted := state.wanted_over_rest(began_ns)):
                failures = 0
                with trio.move_on_after(max((state.next_look_ns() - began_ns) / 1e9, 1e-6)):
                    await state.changed.wait()
                continue
            wait_s = 0.0
            for instrument in wanted:
                wait_s = max(wait_s, await self._poll_book(instrument))
            failures = failures + 1 if wait_s > 0.0 else 0
            due_s = settings.rest_interval_s * 2.0 ** min(failures, _MAX_DOUBLINGS)
            took_s = (clock.monotonic_ns() - began_ns) / 1e9
            await trio.sleep(max(due_s - took_s, wait_s, 0.0))

    async def _poll_book(self, instrument: InstrumentId) -> float:
        """Fetch one image; return how long to wait at least: 0 after a success."""
        parts = self._parts
        request = parts.market.depth_request(symbol_of(instrument), parts.settings.levels)
        try:
            timed = await parts.http.read_timed(request)
            middle_ns = (timed.sent_ns + timed.received_ns) // 2
            depth = parts.market.parse_depth(instrument, self.state.feed, timed.answer, middle_ns)
        except (VenueUnavailable, ProtocolError) as error:
            self.state.rest_failed(instrument, str(error))
            extra = {"feed": self.state.feed, "instrument": instrument, "error": str(error)}
            _LOG.warning("rest_poll_failed", extra=extra)
            return error.retry_after_s if isinstance(error, RateLimited) else parts.settings.rest_interval_s
        uncertainty_ns = (timed.received_ns - timed.sent_ns) // 2
        depth = attrs.evolve(depth, source=DepthSource.REST, uncertainty_ns=uncertainty_ns)
        if self.state.rest_image(depth):
            parts.sink.put_depth(instrument, partial(self._take_rest, DepthSeen(at_ns=timed.received_ns, depth=depth)))
        return 0.0

    def _take_rest(self, seen: DepthSeen) -> DepthSeen | None:
        return seen if self.state.source_of(seen.depth.instrument) is BookSource.REST else None

    async def _connect_once(self) -> None:
        """One connection until it fails or is old enough to be renewed."""
        parts, settings = self._parts, self._parts.settings
        plan = self._plans()
        endpoint, prefix = split_url(parts.ws_url)
        target = WsTarget(venue=parts.venue, endpoint=endpoint, path=prefix + plan.path or "/")
        after_s = min(settings.heartbeat_s, settings.silent_after_ms / 2000)
        heartbeat = WsHeartbeat(after_s=after_s, within_s=settings.pong_within_s, text=plan.ping_text)
        async with open_ws(
            target, dialer=parts.dialer, clock=parts.clock, heartbeat=heartbeat, limits=settings.ws_limits
        ) as connection:
            stream = Stream(plan, parts, self.state, connection, self._snapshot_pace)
            self.state.stream_up()
            try:
                with trio.move_on_after(settings.max_connection_s or float("inf")):
                    await stream.run()
            finally:
                stream.is_current = False


class Stream:
    """One open connection and its books; older connections' images are dropped."""

    def __init__(
        self,
        plan: StreamPlan,
        parts: SourceParts,
        state: FeedState,
        connection: WsConnection,
        pace: dict[InstrumentId, _Pace],
    ) -> None:
        self.is_current = True
        self._plan = plan
        self._protocol = plan.protocol
        self._parts = parts
        self._state = state
        self._connection = connection
        self._pace = pace
        self._fetching: set[InstrumentId] = set()
        self._takes = {name: partial(self._take, name) for name in plan.instruments}

    async def run(self) -> None:
        """Subscribe, then read until the connection fails."""
        for text in self._protocol.opening():
            await self._connection.send_text(text)
        async with trio.open_nursery() as nursery:
            await self._read(nursery)

    async def _read(self, nursery: trio.Nursery) -> None:
        receive, decode, state = self._connection.receive, self._protocol.receive, self._state
        put_depth, takes = self._parts.sink.put_depth, self._takes
        while True:
            frames, received_ns = await receive()
            state.heard(received_ns)
            for frame in frames:
                for inbound in decode(frame, received_ns):
                    if type(inbound) is BookChanged:
                        state.book_changed(inbound.instrument, received_ns)
                        put_depth(inbound.instrument, takes[inbound.instrument])
                    else:
                        await self._act(inbound, frame, nursery)

    def _take(self, instrument: InstrumentId) -> DepthSeen | None:
        """The newest image, frozen when the decision loop is ready for it."""
        if not self.is_current or self._state.source_of(instrument) is not BookSource.WS:
            return None
        depth = self._protocol.depth(instrument, self._parts.settings.levels)
        if depth is None:
            return None
        self._state.measure(depth)
        return DepthSeen(at_ns=self._parts.clock.monotonic_ns(), depth=depth)

    async def _act(self, inbound: Inbound, frame: bytes, nursery: trio.Nursery) -> None:
        match inbound:
            case Trade():
                self._parts.tap.trade(inbound)
            case TickerSeen() | Alive():
                pass
            case BookChanged(instrument):
                self._state.book_changed(instrument, self._parts.clock.monotonic_ns())
                self._parts.sink.put_depth(instrument, self._takes[instrument])
            case BookLost(instrument, reason):
                self._state.book_lost(instrument, reason)
            case NeedSnapshot(instrument):
                if instrument not in self._fetching:
                    self._fetching.add(instrument)
                    nursery.start_soon(self._fetch, inbound, nursery)
            case FundingRateSeen():
                self._parts.sink.put_latest(f"funding_rate/{inbound.instrument}", inbound)
            case Reply(text):
                await self._connection.send_text(text)
            case Reconnect(reason):
                raise VenueUnavailable(self._parts.venue, f"the venue asks for a new connection: {reason}")
            case Fault(detail):
                self._parts.tap.fault(self._plan.feed, frame, detail)
            case StatusSeen():
                self._tell_status(inbound)
            case _:
                assert_never(inbound)

    def _tell_status(self, status: StatusSeen) -> None:
        if status.instrument is None:
            self._parts.board.see_maintenance(not status.is_tradable, status.detail)
        elif (instrument := self._parts.instruments.get(status.instrument)) is not None:
            self._parts.board.see_instrument(instrument, "stream", status)

    async def _fetch(self, need: NeedSnapshot, nursery: trio.Nursery) -> None:
        """Fetch a snapshot, at a bounded pace however often it is asked for."""
        clock = self._parts.clock
        pace = self._pace.setdefault(need.instrument, _Pace())
        answer: HttpResponse | None = None
        while answer is None:
            await trio.sleep(pace.wait_s(clock.monotonic_ns()))
            try:
                answer = await self._parts.http.read(need.request)
            except RateLimited as error:
                await trio.sleep(error.retry_after_s)
            except VenueUnavailable as error:
                extra = {"feed": self._plan.feed, "instrument": need.instrument, "error": str(error)}
                _LOG.warning("snapshot_failed", extra=extra)
        self._fetching.discard(need.instrument)
        received_ns = clock.monotonic_ns()
        for inbound in self._protocol.receive_snapshot(need.instrument, answer.body, received_ns):
            await self._act(inbound, answer.body, nursery)


@attrs.define
class _Pace:
    """How soon a book's next snapshot may be asked for: at once, then ever later until it stays calm."""

    next_ns: int = 0
    gap_s: float = _SNAPSHOT_FIRST_S

    def wait_s(self, now_ns: int) -> float:
        """Seconds to wait before the next request; the one after it is planned."""
        if now_ns - self.next_ns > _SNAPSHOT_CALM_NS:
            self.gap_s = _SNAPSHOT_FIRST_S
        at_ns = max(now_ns, self.next_ns)
        self.next_ns = at_ns + round(self.gap_s * 1e9)
        self.gap_s = min(self.gap_s * 2, _SNAPSHOT_MAX_S)
        return (at_ns - now_ns) / 1e9
