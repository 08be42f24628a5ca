"""Orders, cancels and order queries of one venue: h11 on kept Trio streams, one in use and a warm spare.

Owns: the connections and the tasks that read them.
Never: repeats a request: once a byte may have left, a failure is `OrderUnknown`; before that it is `VenueUnavailable`.
Units: `_s` seconds of Trio's clock.

Each connection has one reading task, so one that the venue closes while idle is replaced before an order needs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import h11
import trio

from arb.domain.errors import OrderUnknown, VenueUnavailable
from arb.domain.ids import VenueId
from arb.ports import Dialer, Endpoint
from arb.venues.spec import HttpRequest, HttpResponse
from arb.venues.wire.causes import plain_cause
from arb.venues.wire.dial import host_header

READ_BYTES: Final = 65_536
_MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_KEPT: Final = 2
_REDIAL_FIRST_S: Final = 0.25
_REDIAL_MAX_S: Final = 30.0
_DIAL_GAP_S: Final = 0.05
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.frozen(kw_only=True)
class OrderTarget:
    """Where the orders of a venue go, and how long they may take."""

    venue: VenueId
    endpoint: Endpoint
    prefix: str = ""
    """Path of the base URL, put in front of every request's own."""
    dial_within_s: float = 3.0
    answer_within_s: float = 5.0


class OrderHttp:
    """Order requests to one venue; made by `open_order_http`."""

    def __init__(self, target: OrderTarget, dialer: Dialer) -> None:
        self._target = target
        self._dialer = dialer
        self._host = (b"Host", host_header(target.endpoint).encode())
        self._idle: list[_Line] = []
        self._waiting = 0
        self._standing = 0
        self._changed = trio.Event()

    @property
    def is_reachable(self) -> bool:
        """Whether any connection stands, busy ones included."""
        return self._standing > 0

    @property
    def idle_count(self) -> int:
        """Connections ready for a request now."""
        return len(self._idle)

    async def send(self, request: HttpRequest, client_order_id: str) -> HttpResponse:
        """Send the request once and wait for its answer.

        Raises:
            VenueUnavailable: there was no connection; nothing was sent.
            OrderUnknown: it may have been sent and there is no answer.
        """
        data_of = self._request_of(request)
        line = await self._take()
        answer: HttpResponse | None = None
        try:
            with trio.fail_after(self._target.answer_within_s):
                answer = await line.exchange(*data_of)
        except (trio.TooSlowError, h11.RemoteProtocolError, *_GONE) as error:
            detail = f"{request.method} {request.path}: {type(error).__name__} {error}".rstrip()
            raise OrderUnknown(client_order_id, self._target.venue, detail) from error
        finally:
            self._give_back(line, is_whole=answer is not None)
        return answer

    async def keep_warm(self) -> None:
        """Hold connections ready for as long as it runs."""
        wait_s = _REDIAL_FIRST_S
        async with trio.open_nursery() as nursery:
            while True:
                while len(self._idle) >= _KEPT + self._waiting:
                    await self._changed.wait()
                try:
                    with trio.fail_after(self._target.dial_within_s):
                        stream = await self._dialer(self._target.endpoint)
                except (OSError, trio.TooSlowError):
                    wait_s = min(wait_s * 2, _REDIAL_MAX_S)
                else:
                    wait_s = _REDIAL_FIRST_S
                    line = _Line(stream, self._target.venue)
                    self._idle.append(line)
                    nursery.start_soon(self._read, line)
                    self._announce()
                await self._pause(wait_s)

    async def _read(self, line: _Line) -> None:
        """Read one connection for its whole life."""
        self._standing += 1
        try:
            await line.read()
        finally:
            self._standing -= 1
            line.is_usable = False
            if line in self._idle:
                self._idle.remove(line)
                self._announce()
            await trio.aclose_forcefully(line.stream)

    async def _pause(self, wait_s: float) -> None:
        """Between two dials: a venue that refuses or drops us is not hammered; an order waiting shortens it."""
        await trio.sleep(_DIAL_GAP_S)
        with trio.move_on_after(wait_s - _DIAL_GAP_S):
            while not self._waiting:
                await self._changed.wait()

    async def _take(self) -> _Line:
        if not self._idle:
            await self._wait_for_line()
        line = self._idle.pop(0)
        line.is_busy = True
        self._announce()
        return line

    async def _wait_for_line(self) -> None:
        self._waiting += 1
        self._announce()
        try:
            with trio.fail_after(self._target.dial_within_s):
                while not self._idle:
                    await self._changed.wait()
        except trio.TooSlowError as error:
            detail = f"no order connection within {self._target.dial_within_s:g} s"
            raise VenueUnavailable(self._target.venue, detail) from error
        finally:
            self._waiting -= 1

    def _give_back(self, line: _Line, *, is_whole: bool) -> None:
        if is_whole and len(self._idle) < _KEPT and line.make_ready():
            self._idle.insert(0, line)
        else:
            line.end.cancel()
        self._announce()

    def _request_of(self, request: HttpRequest) -> tuple[h11.Request, bytes]:
        headers = [self._host, *((name.encode(), value.encode()) for name, value in request.headers)]
        if request.body or request.method not in ("GET", "DELETE"):
            headers.append((b"Content-Length", b"%d" % len(request.body)))
        target = self._target.prefix + request.target
        return h11.Request(method=request.method, target=target, headers=headers), request.body

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _Line:
    """One kept connection: a reading task, and at most one exchange."""

    def __init__(self, stream: trio.abc.Stream, venue: VenueId) -> None:
        self.stream = stream
        self.is_usable = True
        self.is_busy = False
        self.end = trio.CancelScope()
        """Cancelled: the reading ends and the connection is closed."""
        self._venue = venue
        self._http = h11.Connection(h11.CLIENT)
        self._arrived = trio.Event()
        self._is_fed = False

    async def read(self) -> None:
        """Hand arriving bytes to the exchange; whatever an idle connection says is its end."""
        with self.end:
            try:
                while True:
                    data = await self.stream.receive_some(READ_BYTES)
                    if not self.is_busy:
                        break
                    self._http.receive_data(bytes(data))
                    self._is_fed = True
                    self._arrived.set()
                    if not data:
                        break
            except _GONE:
                pass
            finally:
                self.is_usable = False
                self._arrived.set()

    async def exchange(self, head: h11.Request, body: bytes) -> HttpResponse:
        """Send the request in one piece; collect its answer."""
        send = self._http.send
        parts = (send(head), send(h11.Data(data=body)) if body else b"", send(h11.EndOfMessage()))
        await self.stream.send_all(b"".join(part for part in parts if part))
        head_seen: h11.Response | None = None
        received = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._wait_arrived()
            elif isinstance(event, h11.Response):
                head_seen = event
            elif isinstance(event, h11.Data):
                received += event.data
                if len(received) > _MAX_BODY_BYTES:
                    raise trio.BrokenResourceError(f"an answer of more than {_MAX_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and head_seen is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head_seen.headers}
                return HttpResponse(status=head_seen.status_code, headers=headers, body=bytes(received))
            elif not isinstance(event, h11.InformationalResponse):
                raise trio.BrokenResourceError("the connection ended before its answer")

    def make_ready(self) -> bool:
        """Prepare for the next exchange; False: it cannot carry one."""
        if not self.is_usable or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self.is_busy = False
        return True

    async def _wait_arrived(self) -> None:
        """Wait until the reader has fed more; bytes fed before a break were looked at first."""
        await self._arrived.wait()
        if not self.is_usable and not self._is_fed:
            raise trio.BrokenResourceError("the connection broke before its answer")
        self._is_fed = False
        if self.is_usable:
            self._arrived = trio.Event()


@asynccontextmanager
async def open_order_http(target: OrderTarget, *, dialer: Dialer) -> AsyncIterator[OrderHttp]:
    """Connections for orders for as long as the block lasts."""
    order_http = OrderHttp(target, dialer)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(order_http.keep_warm)
            yield order_http
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        cause = plain_cause(group)
        raise cause from cause.__cause__
