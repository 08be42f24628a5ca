"""Orders, cancels and order queries of one venue: h11 on kept Trio streams, one in use and a warm spare.

Owns: the connections and the tasks that read them.
Never: repeats a request: once a byte may have left, a failure is `OrderUnknown`; before that it is `VenueUnavailable`.
Units: `_s` seconds of Trio's clock.

Each connection has one reading task, so one that the venue closes while idle is replaced before an order needs it.
Requests are written out by hand, before a connection is chosen for them; h11 reads the answers. Nothing stands between
the choice and the first byte: no checkpoint, no parsing, no other task.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import h11
import trio

from arb.domain.errors import InvariantBroken, OrderUnknown, VenueUnavailable
from arb.domain.ids import VenueId
from arb.ports import Dialer, Endpoint
from arb.venues.spec import HttpRequest, HttpResponse
from arb.venues.wire.causes import plain_cause
from arb.venues.wire.dial import host_header
from arb.venues.wire.plain_answer import plain_answer

READ_BYTES: Final = 65_536
_MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_KEPT: Final = 2
_REDIAL_FIRST_S: Final = 0.25
_REDIAL_MAX_S: Final = 30.0
_DIAL_GAP_S: Final = 0.05
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_ANY_REQUEST: Final = h11.Request(method="GET", target="/", headers=[("Host", "any")])
_HEAD: Final = re.compile(r"[A-Z]+ /[!-~]* HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [ -~]*\r\n)*")
"""What stands before the empty line: printable ASCII, so that no value can begin a line or a request of its own."""


@attrs.frozen(kw_only=True)
class OrderTarget:
    """Where the orders of a venue go, and how long they may take."""

    venue: VenueId
    endpoint: Endpoint
    prefix: str = ""
    """Path of the base URL, put in front of every request's own."""
    dial_within_s: float = 3.0
    answer_within_s: float = 5.0


@attrs.frozen
class WrittenRequest:
    """A request and its bytes."""

    request: HttpRequest
    data: bytes = attrs.field(repr=False)


class OrderHttp:
    """Order requests to one venue; made by `open_order_http`."""

    def __init__(self, target: OrderTarget, dialer: Dialer) -> None:
        self._target = target
        self._dialer = dialer
        self._host = host_header(target.endpoint)
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

    def written(self, request: HttpRequest) -> WrittenRequest:
        """The bytes of a request.

        Raises:
            InvariantBroken: it would not be one request on the wire.
        """
        parts = [f"{request.method} {self._target.prefix}{request.target} HTTP/1.1\r\nHost: {self._host}\r\n"]
        parts += [f"{name}: {value}\r\n" for name, value in request.headers]
        if request.body or request.method not in ("GET", "DELETE"):
            parts.append(f"Content-Length: {len(request.body)}\r\n")
        head = "".join(parts)
        if _HEAD.fullmatch(head) is None:
            raise InvariantBroken(
                f"{self._target.venue}: {request.method} {request.path} cannot be written as a request"
            )
        return WrittenRequest(request, head.encode("ascii") + b"\r\n" + request.body)

    async def send(self, written: WrittenRequest, client_order_id: str, wait_s: float = float("inf")) -> HttpResponse:
        """Send the request once and wait for its answer; `wait_s`: for a connection, where it is less than the target's
        own limit.

        Raises:
            VenueUnavailable: there was no connection; nothing was sent.
            OrderUnknown: it may have been sent and there is no answer.
        """
        if not self._idle:
            await self._wait_for_line(min(wait_s, self._target.dial_within_s))
        line = self._idle.pop(0)
        self._announce()
        is_whole = False
        try:
            answer = await line.exchange(written.data, self._target.answer_within_s)
            is_whole = True
        except (h11.RemoteProtocolError, *_GONE) as error:
            request = written.request
            detail = f"{request.method} {request.path}: {type(error).__name__} {error}".rstrip()
            raise OrderUnknown(client_order_id, self._target.venue, detail) from error
        finally:
            self._give_back(line, is_whole=is_whole)
        return answer

    async def keep_warm(self) -> None:
        """Hold connections ready for as long as it runs."""
        wait_s = _REDIAL_FIRST_S
        async with trio.open_nursery() as nursery:
            while True:
                while not self._is_line_wanted:
                    await self._changed.wait()
                try:
                    with trio.fail_after(self._target.dial_within_s):
                        stream = await self._dialer(self._target.endpoint)
                except (OSError, trio.TooSlowError):
                    wait_s = min(wait_s * 2, _REDIAL_MAX_S)
                else:
                    wait_s = _REDIAL_FIRST_S
                    line = _Line(stream)
                    self._idle.append(line)
                    self._standing += 1
                    nursery.start_soon(self._read, line)
                    self._announce()
                await self._pause(wait_s)

    async def _read(self, line: _Line) -> None:
        """Read one connection for its whole life."""
        try:
            await line.read()
        finally:
            self._standing -= 1
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

    @property
    def _is_line_wanted(self) -> bool:
        """Fewer than are kept stand, or no spare stands by beside the busy ones."""
        return self._standing < _KEPT or len(self._idle) <= self._waiting

    async def _wait_for_line(self, wait_s: float) -> None:
        self._waiting += 1
        self._announce()
        try:
            with trio.fail_after(wait_s):
                while not self._idle:
                    await self._changed.wait()
        except trio.TooSlowError as error:
            detail = f"no order connection within {wait_s:.3g} s"
            raise VenueUnavailable(self._target.venue, detail) from error
        finally:
            self._waiting -= 1

    def _give_back(self, line: _Line, *, is_whole: bool) -> None:
        if is_whole and len(self._idle) < _KEPT and line.make_ready():
            self._idle.insert(0, line)
        else:
            line.end.cancel()
        self._announce()

    def _announce(self) -> None:
        """Wake the dialling and those who wait for a line, where there is something for them."""
        if self._waiting or self._is_line_wanted:
            self._changed.set()
            self._changed = trio.Event()


class _Line:
    """One kept connection: a reading task, and at most one exchange."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.end = trio.CancelScope()
        """Cancelled: the reading ends and the connection is closed."""
        self._is_usable = True
        self._is_busy = False
        self._http = h11.Connection(h11.CLIENT)
        self._is_looked_into = False
        """h11 has seen bytes of this answer."""
        self._expect_answer()
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._answer: HttpResponse | None = None
        self._error: Exception | None = None
        self._is_over = trio.Event()

    async def read(self) -> None:
        """Read arriving answers; whatever an idle connection says is its end."""
        try:
            with self.end:
                while True:
                    data = await self.stream.receive_some(READ_BYTES)
                    if not self._is_busy:
                        break
                    self._take_in(bytes(data))
                    if not data:
                        break
        except (h11.RemoteProtocolError, *_GONE) as error:
            self._error = error
        finally:
            self._is_usable = False
            self._is_over.set()

    async def exchange(self, data: bytes, within_s: float) -> HttpResponse:
        """Send the request in one piece; wait for its answer."""
        self._is_busy = True
        with trio.move_on_after(within_s) as limit:
            await self.stream.send_all(data)
            await self._is_over.wait()
        if limit.cancelled_caught:
            raise trio.BrokenResourceError(f"no answer within {within_s:g} s")
        if self._answer is None:
            raise self._error or trio.BrokenResourceError("the connection ended before its answer")
        return self._answer

    def make_ready(self) -> bool:
        """Prepare for the next exchange; False: it cannot carry one."""
        if not self._is_usable or self._is_busy:
            return False
        if self._is_looked_into:
            is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
            if not is_done or self._http.trailing_data[0]:
                return False
            self._http.start_next_cycle()
            self._expect_answer()
            self._head, self._body, self._is_looked_into = None, bytearray(), False
        self._answer = None
        self._is_over = trio.Event()
        return True

    def _expect_answer(self) -> None:
        """What h11 must know of a request to read its answer: there is one, and its answer may have a body."""
        self._http.send(_ANY_REQUEST)
        self._http.send(h11.EndOfMessage())

    def _take_in(self, data: bytes) -> None:
        """Read what has arrived: the ordinary answer at one glance, any other as h11 reads it."""
        answer = None if self._is_looked_into else plain_answer(data)
        if answer is None:
            self._is_looked_into = True
            self._http.receive_data(data)
            answer = self._read_on()
        if answer is not None:
            self._answer = answer
            self._is_busy = False
            self._is_over.set()

    def _read_on(self) -> HttpResponse | None:
        """The answer, when this was the end of it."""
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MAX_BODY_BYTES:
                    raise trio.BrokenResourceError(f"an answer of more than {_MAX_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.headers}
                return HttpResponse(status=self._head.status_code, headers=headers, body=bytes(self._body))
            elif not isinstance(event, h11.InformationalResponse):
                raise trio.BrokenResourceError("the connection ended before its answer")
        return None


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
