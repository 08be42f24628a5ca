"""WebSocket, the client side: connect, heartbeat, and every frame at hand in one batch with its receipt time.

Owns: one connection from the dial to the end of its socket, and two small tasks beside its reader (heartbeat, pongs).
Never: reconnects (that is a wrapper around the task), decodes, or hands a batch to another task: whoever calls
`receive` reads the socket itself.
Units: `_s` seconds of Trio's clock; `received_ns` monotonic.

All of WebSocket lives here and in `frames.py`: h11 shakes hands, wsproto speaks (masks, control frames, closing), our
own reader cuts the inbound stream. Every error that comes out is `VenueUnavailable` or one of its kinds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import attrs
import h11
import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, generate_accept_token, generate_nonce

from arb.domain.errors import FeedSilent, RateLimited, VenueUnavailable
from arb.ports import Clock, Dialer, Endpoint
from arb.venues.wire.causes import plain_cause
from arb.venues.wire.dial import host_header
from arb.venues.wire.frames import FrameReader

READ_BYTES: Final = 256 * 1024
_MAX_REFUSAL_BYTES: Final = 4096
_MAX_UNANSWERED_PINGS: Final = 16
_DEFAULT_RETRY_AFTER_S: Final = 10.0
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.frozen(kw_only=True)
class WsTarget:
    """Where a WebSocket leads."""

    venue: str
    endpoint: Endpoint
    path: str
    """Path and query."""
    headers: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class WsHeartbeat:
    """When silence is questioned, and when it is a fault."""

    after_s: float
    """A ping is sent when nothing arrived for this long."""
    within_s: float
    """Nothing at all for this long after the ping: `FeedSilent`."""
    text: str | None = None
    """An application-level ping; None: a WebSocket ping."""


@attrs.frozen(kw_only=True)
class WsLimits:
    """How long opening and closing may take."""

    connect_within_s: float = 10.0
    close_within_s: float = 0.25


class Batch(NamedTuple):
    """What one read of the socket brought."""

    frames: list[bytes]
    """Whole data messages, text or binary, in order; empty: only control frames, but the connection lives."""
    received_ns: int


class WsConnection:
    """An open WebSocket; made by `open_ws`. One task reads, any task sends."""

    def __init__(self, stream: trio.abc.Stream, *, venue: str, clock: Clock, trailing: bytes = b"") -> None:
        self._stream = stream
        self._venue = venue
        self._clock = clock
        self._trailing = trailing
        self._reader = FrameReader()
        self._control = Connection(ConnectionType.CLIENT)
        self._send_lock = trio.StrictFIFOLock()
        self._fault: VenueUnavailable | None = None
        self._sign_of_life: trio.Event | None = None
        # Full: the oldest ping may go unanswered, a pong to the newest is enough (RFC 6455, 5.5.3).
        self._pings_in, self._pings_out = trio.open_memory_channel[bytes](_MAX_UNANSWERED_PINGS)
        self.last_heard_ns = clock.monotonic_ns()
        """When bytes of any kind last arrived."""

    async def receive(self) -> Batch:
        """Wait for the next bytes; stamp them once.

        Raises:
            FeedSilent: the heartbeat had no answer.
            VenueUnavailable: the connection ended, or the peer broke the protocol.
        """
        while True:
            data = await self._read()
            self.last_heard_ns = received_ns = self._clock.monotonic_ns()
            if self._sign_of_life is not None:
                self._sign_of_life.set()
                self._sign_of_life = None
            reader = self._reader
            frames = reader.feed(data)
            if reader.controls:
                self._take_controls()
            if frames or reader.controls:
                return Batch(frames, received_ns)
            if reader.fault is not None:
                self._fault = VenueUnavailable(self._venue, f"websocket: {reader.fault}")
            if self._fault is not None:
                raise self._fault

    async def send_text(self, text: str) -> None:
        """Send one text message.

        Raises:
            VenueUnavailable: the connection ended.
        """
        await self._send(TextMessage(data=text))

    async def ping(self) -> None:
        """Send a WebSocket ping; its answer counts as life.

        Raises:
            VenueUnavailable: the connection ended.
        """
        await self._send(Ping())

    async def keep_alive(self, heartbeat: WsHeartbeat) -> None:
        """Question silence for as long as the connection lives; then make the reader fail."""
        while True:
            idle_ns = self._clock.monotonic_ns() - self.last_heard_ns
            if (left_s := heartbeat.after_s - idle_ns / 1e9) > 1e-6:
                await trio.sleep(left_s)
                continue
            self._sign_of_life = sign = trio.Event()
            with trio.move_on_after(heartbeat.within_s):
                try:
                    await (self.ping() if heartbeat.text is None else self.send_text(heartbeat.text))
                except VenueUnavailable:
                    return  # the reader sees the same end
                await sign.wait()
            if not sign.is_set():
                silent_s = heartbeat.after_s + heartbeat.within_s
                self._fault = FeedSilent(self._venue, f"nothing heard for {silent_s:g} s, a ping included")
                await trio.aclose_forcefully(self._stream)
                return

    async def answer_pings(self) -> None:
        """Send the pongs that `receive` owes, so that a slow peer never blocks the reader."""
        async for payload in self._pings_out:
            try:
                await self._send(Pong(payload=payload))
            except VenueUnavailable:
                return

    async def say_goodbye(self) -> None:
        """Send a close frame and wait for the peer's. The caller bounds it."""
        if not self._may_say_goodbye():
            return
        try:
            code = CloseReason.NORMAL_CLOSURE if self._reader.fault is None else self._reader.fault.code
            await self._send(CloseConnection(code=code))
            while self._awaits_goodbye():
                if not (data := await self._stream.receive_some(READ_BYTES)):
                    return
                self._reader.feed(bytes(data))
                self._take_controls()
        except (VenueUnavailable, *_GONE):
            return

    def _may_say_goodbye(self) -> bool:
        return self._control.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)

    def _awaits_goodbye(self) -> bool:
        return self._reader.fault is None and self._control.state is ConnectionState.LOCAL_CLOSING

    def _ended(self, detail: str) -> VenueUnavailable:
        """Why the connection is over: what we found out first."""
        return self._fault or VenueUnavailable(self._venue, f"websocket: {detail}")

    async def _read(self) -> bytes:
        if self._trailing:
            await trio.lowlevel.checkpoint()
            data, self._trailing = self._trailing, b""
            return data
        if self._fault is not None:
            await trio.lowlevel.checkpoint()
            raise self._fault
        try:
            data = bytes(await self._stream.receive_some(READ_BYTES))
        except _GONE as error:
            raise self._ended("the connection broke") from error
        if not data:
            raise self._ended("the connection ended without a goodbye")
        return data

    def _take_controls(self) -> None:
        """Let wsproto judge the control frames: it keeps the closing state and checks close codes."""
        for opcode, payload in self._reader.controls:
            self._control.receive_data(bytes((0x80 | opcode, len(payload))) + payload)
            for event in self._control.events():
                if isinstance(event, Ping):
                    self._owe_pong(bytes(event.payload))
                elif isinstance(event, CloseConnection):
                    detail = f"websocket: closed by the venue, {int(event.code)} {event.reason or ''}".rstrip()
                    self._fault = VenueUnavailable(self._venue, detail)

    def _owe_pong(self, payload: bytes) -> None:
        try:
            self._pings_in.send_nowait(payload)
        except trio.WouldBlock:
            self._pings_out.receive_nowait()
            self._pings_in.send_nowait(payload)

    async def _send(self, event: TextMessage | Ping | Pong | CloseConnection) -> None:
        async with self._send_lock:
            try:
                data = self._control.send(event)
                await self._stream.send_all(data)
            except LocalProtocolError as error:
                raise self._ended("closed") from error
            except _GONE as error:
                raise self._ended("the connection broke") from error


@asynccontextmanager
async def open_ws(
    target: WsTarget, *, dialer: Dialer, clock: Clock, heartbeat: WsHeartbeat, limits: WsLimits | None = None
) -> AsyncIterator[WsConnection]:
    """Connect, shake hands, keep alive; on leaving say goodbye within a bound and close the socket whatever happens.

    Raises:
        RateLimited: the venue refused the handshake for our rate (429, 418).
        VenueUnavailable: no connection, no handshake, or one of them took too long.
    """
    limits = limits or WsLimits()
    connection, stream = await _connect(target, dialer, clock, limits)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.keep_alive, heartbeat)
            nursery.start_soon(connection.answer_pings)
            try:
                yield connection
            finally:
                nursery.cancel_scope.cancel()
                with trio.move_on_after(limits.close_within_s, shield=True):
                    await connection.say_goodbye()
    except BaseExceptionGroup as group:
        cause = plain_cause(group)
        raise cause from cause.__cause__
    finally:
        await trio.aclose_forcefully(stream)


async def _connect(
    target: WsTarget, dialer: Dialer, clock: Clock, limits: WsLimits
) -> tuple[WsConnection, trio.abc.Stream]:
    try:
        with trio.fail_after(limits.connect_within_s):
            stream = await dialer(target.endpoint)
            try:
                trailing = await _shake_hands(stream, target)
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
    except (OSError, *_GONE, trio.TooSlowError, h11.RemoteProtocolError) as error:
        detail = f"no websocket at {target.endpoint.host}: {type(error).__name__} {error}".rstrip()
        raise VenueUnavailable(target.venue, detail) from error
    return WsConnection(stream, venue=target.venue, clock=clock, trailing=trailing), stream


async def _shake_hands(stream: trio.abc.Stream, target: WsTarget) -> bytes:
    """Upgrade the connection; return the bytes that came after the answer."""
    nonce = generate_nonce()
    http = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", host_header(target.endpoint)),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", nonce.decode()),
        ("Sec-WebSocket-Version", "13"),
        *target.headers,
    ]
    opening = http.send(h11.Request(method="GET", target=target.path, headers=headers)) or b""
    await stream.send_all(opening + (http.send(h11.EndOfMessage()) or b""))
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(READ_BYTES)))
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                _check_upgrade(event, nonce, target.venue)
                return bytes(http.trailing_data[0])
        elif isinstance(event, h11.Response):
            raise await _refusal(event, http, stream, target.venue)
        else:
            raise VenueUnavailable(target.venue, "websocket: the connection ended during the handshake")


def _check_upgrade(answer: h11.InformationalResponse, nonce: bytes, venue: str) -> None:
    headers = dict(answer.headers)
    if headers.get(b"sec-websocket-accept", b"") != generate_accept_token(nonce):
        raise VenueUnavailable(venue, "websocket: the handshake's answer does not fit its question")
    if headers.get(b"upgrade", b"").lower() != b"websocket" or b"sec-websocket-extensions" in headers:
        raise VenueUnavailable(venue, "websocket: the handshake's answer agrees to what was not asked")


async def _refusal(answer: h11.Response, http: h11.Connection, stream: trio.abc.Stream, venue: str) -> VenueUnavailable:
    """What an HTTP answer instead of a handshake means, with the beginning of its body."""
    body = bytearray()
    while len(body) < _MAX_REFUSAL_BYTES:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(READ_BYTES)))
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            break
    detail = f"websocket handshake answered {answer.status_code}: {bytes(body[:200]).decode(errors='replace')}"
    if answer.status_code not in (418, 429):
        return VenueUnavailable(venue, detail)
    told = dict(answer.headers).get(b"retry-after", b"")
    return RateLimited(venue, detail, float(told) if told.isdigit() else _DEFAULT_RETRY_AFTER_S)
