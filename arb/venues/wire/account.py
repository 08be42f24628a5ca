"""The private stream of one venue: drives any `AccountProtocol`, and re-reads the account after every connect.

Owns: the life of one private connection, its keep-alive requests, and the order in which stream and snapshot are told.
Never: restarts itself (a wrapper does), deduplicates, or judges what it reads: the core compares.
Units: `_s` seconds of Trio's clock, `_ms` UTC milliseconds, `_ns` monotonic.

While a snapshot is being read, fills and order updates of the stream pass at once (they are cumulative or unique),
balances and positions wait: told after the older snapshot, the newer word wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Final, assert_never

import attrs
import trio

from arb.domain.errors import ProtocolError, TransientError, VenueUnavailable
from arb.domain.events import BalanceSeen, Event, FeedDown, FeedUp, FillSeen, OrderUpdated, PositionSeen, Reconciled
from arb.domain.ids import FeedId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import Fill, OrderState, OrderUpdate, Position
from arb.ports import Clock, Dialer, EventSink, MarketTap
from arb.venues.spec import (
    AccountInbound,
    AccountProtocol,
    Alive,
    BalancesSeen,
    Fault,
    HttpResponse,
    OrderCodec,
    Priority,
    Reconnect,
    Reply,
    Reread,
    Stamp,
)
from arb.venues.wire.dial import split_url
from arb.venues.wire.executions import ExecutionParts, ExecutionReadings
from arb.venues.wire.http import HttpClient
from arb.venues.wire.ws import WsConnection, WsHeartbeat, WsLimits, WsTarget, open_ws

_LOG = logging.getLogger("arb.account")
_HELD: Final = 10_000
_KEEPALIVE_TRIES: Final = 3
_KEEPALIVE_RETRY_S: Final = 30.0
_PARTIAL_RETRY_S: Final = 5.0
"""Between two tries to read what traded, where only that failed."""
_TRANSFERS_MS: Final = 30 * 86_400_000
"""Venues refuse longer spans; what is listed later than this is not waited for."""


@attrs.frozen(kw_only=True)
class AccountParts:
    """What the account of one venue is made of."""

    venue: VenueId
    feed: FeedId
    protocols: Callable[[], AccountProtocol]
    """A fresh protocol for every connection."""
    instruments: tuple[Instrument, ...]
    ws_private_url: str
    dialer: Dialer
    http: HttpClient
    sink: EventSink
    tap: MarketTap
    clock: Clock
    stamp: Callable[[], Stamp]
    heard: Callable[[OrderUpdate], None]
    """Told every order update (`VenueOrders.heard`)."""
    heartbeat: WsHeartbeat
    max_connection_s: float | None
    bookings_since_ms: int
    """Executions, funding and transfers booked before this are not asked for."""
    codec: OrderCodec
    booked_qty: Callable[[OrderUpdate], Decimal]
    """How much of an order the core has booked."""
    ws_limits: WsLimits = attrs.field(factory=WsLimits)


class VenueAccount:
    """Balances, positions, orders and fills of one venue, by stream and by reading."""

    def __init__(self, parts: AccountParts) -> None:
        self._parts = parts
        self._protocol = parts.protocols()
        self._read_lock = trio.StrictFIFOLock()
        self._is_reading = False
        self._is_owed = False
        """Whether a re-read that was asked for has not begun."""
        self._is_whole = True
        """Whether the last reading had everything."""
        self._held: list[Event] = []
        self._funding_since_ms = parts.bookings_since_ms
        executions = ExecutionParts(
            venue=parts.venue,
            instruments=parts.instruments,
            codec=parts.codec,
            http=parts.http,
            clock=parts.clock,
            stamp=parts.stamp,
            booked_qty=parts.booked_qty,
        )
        self._executions = ExecutionReadings(executions, parts.bookings_since_ms)

    async def run_stream(self) -> None:
        """One private connection after the other as they reach their age limit; ends only by failing.

        Raises:
            TransientError: the connection or the reading after it failed.
        """
        while True:
            try:
                await self._connect_once()
            except TransientError as error:
                self._tell_down(str(error))
                raise
            self._tell_down("renewed before the venue's age limit")

    async def read(self, reason: str) -> None:
        """Read executions, funding, transfers, balances, positions and open orders again; tell them, then `Reconciled`.

        Raises:
            VenueUnavailable: no answer, or none that can be understood.
        """
        async with self._read_lock:
            self._is_reading, self._is_owed = True, False
            try:
                events = await self._snapshot()
                for event in events:
                    self._parts.sink.put_account(event)
            finally:
                self._is_reading = False
                held, self._held = self._held, []
                for event in held:
                    self._parts.sink.put_account(event)
        _LOG.info("account_read", extra={"venue": self._parts.venue, "reason": reason, "events": len(events)})

    async def read_again(self, reason: str) -> None:
        """As `read`; one that waits for its turn serves whoever asks meanwhile, so that a venue whose budget is spent
        is not owed ever more of them.

        Raises:
            VenueUnavailable: no answer, or none that can be understood.
        """
        if self._is_owed:
            return
        self._is_owed = True
        try:
            await self.read(reason)
        finally:
            self._is_owed = False

    async def _connect_once(self) -> None:
        parts = self._parts
        protocol = self._protocol = parts.protocols()
        prepared = await self._prepare(protocol)
        try:
            private = protocol.target(prepared, parts.stamp())
        except ProtocolError as error:
            raise VenueUnavailable(parts.venue, f"private stream not prepared: {error.detail}") from error
        endpoint, prefix = split_url(parts.ws_private_url)
        path = prefix + private.path or "/"
        target = WsTarget(venue=parts.venue, endpoint=endpoint, path=path, headers=private.headers)
        async with open_ws(
            target, dialer=parts.dialer, clock=parts.clock, heartbeat=parts.heartbeat, limits=parts.ws_limits
        ) as connection:
            for text in private.opening:
                await connection.send_text(text)
            with trio.move_on_after(parts.max_connection_s or float("inf")):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._keep_alive, protocol)
                    nursery.start_soon(self._reconcile)
                    await self._receive(connection, protocol, nursery)

    async def _prepare(self, protocol: AccountProtocol) -> HttpResponse | None:
        request = protocol.prepare_request(self._parts.stamp())
        return None if request is None else await self._parts.http.read(request, Priority.QUERY)

    async def _reconcile(self) -> None:
        """Read after every connect; what is left out for want of the executions is read until it is whole."""
        await self.read("connected")
        now_ns = self._parts.clock.monotonic_ns()
        self._parts.sink.put_account(FeedUp(at_ns=now_ns, feed=self._parts.feed, instruments=(), source="ws"))
        while not self._is_whole:
            await trio.sleep(_PARTIAL_RETRY_S)
            await self.read("executions were not readable")

    async def _keep_alive(self, protocol: AccountProtocol) -> None:
        """Extend the listen key for as long as the connection lives."""
        if (every_s := protocol.keepalive_s) is None:
            return
        while True:
            await trio.sleep(every_s)
            for attempt in range(1, _KEEPALIVE_TRIES + 1):
                request = protocol.keepalive_request(self._parts.stamp())
                if request is None:
                    return
                try:
                    await self._parts.http.read(request, Priority.QUERY)
                    break
                except VenueUnavailable:
                    if attempt == _KEEPALIVE_TRIES:
                        raise
                    await trio.sleep(_KEEPALIVE_RETRY_S)

    async def _receive(self, connection: WsConnection, protocol: AccountProtocol, nursery: trio.Nursery) -> None:
        while True:
            frames, received_ns = await connection.receive()
            self._parts.tap.frame(self._parts.feed, received_ns, None)
            for frame in frames:
                for inbound in protocol.receive(frame, received_ns):
                    await self._act(inbound, frame, connection, nursery)

    async def _act(
        self, inbound: AccountInbound, frame: bytes, connection: WsConnection, nursery: trio.Nursery
    ) -> None:
        match inbound:
            case OrderUpdate() | Fill():
                self._parts.sink.put_account(self._event_of(inbound))
            case BalancesSeen() | Position():
                self._tell_holding(self._event_of(inbound))
            case Reply(text):
                await connection.send_text(text)
            case Reread(reason):
                nursery.start_soon(self.read_again, reason)
            case Reconnect(reason):
                raise VenueUnavailable(self._parts.venue, f"the venue asks for a new connection: {reason}")
            case Fault(detail):
                self._parts.tap.fault(self._parts.feed, frame, detail)
            case Alive():
                pass
            case _:
                assert_never(inbound)

    async def _snapshot(self) -> list[Event]:
        """What traded, what was booked, balances, positions and open orders, and the line under them.

        Executions are read last and told first: none that the holdings know of is missing before them.
        """
        parts, protocol = self._parts, self._protocol
        begun_ns = parts.clock.monotonic_ns()
        stamps = tuple(parts.stamp() for _ in range(protocol.snapshot_count(parts.instruments)))
        requests = protocol.snapshot_requests(parts.instruments, stamps)
        answers = [await parts.http.read(request, Priority.QUERY) for request in requests]
        now_ns = parts.clock.monotonic_ns()
        try:
            inbounds = protocol.parse_snapshot(parts.instruments, tuple(answers), now_ns)
        except ProtocolError as error:
            raise VenueUnavailable(parts.venue, f"account not understood: {error.detail}") from error
        holdings: list[Event] = []
        open_orders: list[OrderUpdate] = []
        for inbound in inbounds:
            if isinstance(inbound, BalancesSeen | Position | OrderUpdate | Fill):
                holdings.append(_as_of(self._event_of(inbound), begun_ns))
            elif isinstance(inbound, Fault):
                parts.tap.fault(parts.feed, b" ".join(answer.body for answer in answers), inbound.detail)
            if isinstance(inbound, OrderUpdate) and inbound.state is OrderState.OPEN:
                open_orders.append(inbound)
        booked = [*await self._funding(), *await self._transfers()]
        traded = await self._traded(protocol)
        self._is_whole = traded is not None
        if traded is None:
            return [*booked, *holdings]
        line = Reconciled(
            at_ns=parts.clock.monotonic_ns(), venue=parts.venue, open_orders=tuple(open_orders), begun_ns=begun_ns
        )
        return [*traded, *booked, *holdings, line]

    async def _traded(self, protocol: AccountProtocol) -> list[Event] | None:
        """What traded since the last reading; None: it cannot be read now, which is no reason to be without balances,
        positions and their margin, but nothing is reconciled without it."""
        try:
            return [self._event_of(fill) for fill in await self._executions.read(protocol)]
        except VenueUnavailable as error:
            _LOG.warning("executions_unread", extra={"venue": self._parts.venue, "error": str(error)})
            return None

    async def _funding(self) -> list[Event]:
        parts = self._parts
        request = self._protocol.funding_request(self._funding_since_ms, parts.stamp())
        if request is None:
            return []
        answer = await parts.http.read(request, Priority.QUERY)
        try:
            bookings = self._protocol.parse_funding(answer, parts.clock.monotonic_ns())
        except ProtocolError as error:
            raise VenueUnavailable(parts.venue, f"funding not understood: {error.detail}") from error
        self._funding_since_ms = max((booking.settled_ms for booking in bookings), default=self._funding_since_ms)
        return list(bookings)

    async def _transfers(self) -> list[Event]:
        """Always from the beginning, at most a month: a deposit is listed long before it counts, and none counts twice.

        What cannot be read is no reason to be without balances and orders: money without an explanation is seen there.
        """
        parts, protocol = self._parts, self._protocol
        stamps = tuple(parts.stamp() for _ in range(protocol.transfers_count))
        since_ms = max(parts.bookings_since_ms, parts.stamp().wall_ms - _TRANSFERS_MS)
        requests = protocol.transfers_requests(since_ms, stamps)
        try:
            answers = [await parts.http.read(request, Priority.QUERY) for request in requests]
            return list(protocol.parse_transfers(tuple(answers), since_ms, parts.clock.monotonic_ns()))
        except (VenueUnavailable, ProtocolError) as error:
            _LOG.warning("transfers_unread", extra={"venue": parts.venue, "error": str(error)})
            return []

    def _event_of(self, inbound: BalancesSeen | Position | OrderUpdate | Fill) -> Event:
        now_ns = self._parts.clock.monotonic_ns()
        match inbound:
            case OrderUpdate():
                self._parts.heard(inbound)
                return OrderUpdated(at_ns=now_ns, update=inbound)
            case Fill():
                self._executions.told(inbound)
                return FillSeen(at_ns=now_ns, fill=inbound)
            case Position():
                return PositionSeen(at_ns=now_ns, position=inbound)
            case BalancesSeen():
                balances, venue = inbound.balances, self._parts.venue
                return BalanceSeen(at_ns=now_ns, venue=venue, balances=balances, is_full=inbound.is_full)

    def _tell_holding(self, event: Event) -> None:
        if not self._is_reading:
            self._parts.sink.put_account(event)
        elif len(self._held) < _HELD:
            self._held.append(event)
        else:
            raise VenueUnavailable(self._parts.venue, f"more than {_HELD} account events while reading the account")

    def _tell_down(self, reason: str) -> None:
        now_ns = self._parts.clock.monotonic_ns()
        self._parts.sink.put_account(FeedDown(at_ns=now_ns, feed=self._parts.feed, instruments=(), reason=reason))


def _as_of(event: Event, begun_ns: int) -> Event:
    """What a venue holds is told as of the beginning of a reading: nobody knows when in the course of it was looked."""
    return attrs.evolve(event, at_ns=begun_ns) if isinstance(event, BalanceSeen | PositionSeen) else event
