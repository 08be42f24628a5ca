"""HTTP/1.1 and WebSocket server of one simulated venue, over any Trio stream.

Owns: the connections of one venue: keep-alive, bodies, handshakes, pings, idle and age limits, slow clients.
Never: knows a venue's fields, or what time it is but by the clock it is given; what is said is the dialect's business.
Units: `_s` seconds, `_bytes` bytes, `_ns` nanoseconds.
"""

from __future__ import annotations

import email.utils
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import attrs
import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws_events
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from arb.ports import Clock
from arb.venues.simulated.dialect import Ask, Closing, Dialect, HttpAnswer, Out, Session
from arb.venues.wire.memory import MemoryStream

MAX_BODY_BYTES = 1_048_576
MAX_FRAME_BYTES = 65_536
SEND_LIMIT_S = 10.0
CLOSE_LIMIT_S = 1.0
KEEP_ALIVE_S = 120.0
TURN_S = 0.001
"""Timers look again at most so often."""
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           408: "Request Timeout", 409: "Conflict", 418: "I'm a teapot", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}  # fmt: skip


@attrs.define(eq=False)
class OpenStream:
    """One accepted WebSocket connection: the frames that wait for it and the sign to send them."""

    session: Session
    max_queued: int
    queue: deque[Out] = attrs.field(factory=deque)
    wake: trio.Event = attrs.field(factory=trio.Event)
    is_overrun: bool = False

    def collect(self) -> None:
        """Take what the session has to say; mark a client that is too slow for it."""
        fresh = self.session.take()
        if fresh:
            self.queue.extend(fresh)
            self.is_overrun = len(self.queue) > self.max_queued
            self.wake.set()


@attrs.define(eq=False)
class VenueFront:
    """Everything the connections of one venue share."""

    dialect: Dialect
    clock: Clock
    on_activity: Callable[[], None]
    """Brings the world and all sessions up to now; called around everything a client does."""
    control: Callable[[Ask, int], HttpAnswer | None]
    """Answers what is asked of the simulator, not of the venue; None: the venue is asked."""
    keep_alive_s: float = KEEP_ALIVE_S
    streams: set[OpenStream] = attrs.field(factory=set)

    def flush(self) -> None:
        """Hand what the dialect's sessions have to say to their connections."""
        for stream in self.streams:
            stream.collect()


async def serve_venue(front: VenueFront, stream: trio.abc.Stream) -> None:
    """Serve one connection until either side ends it."""
    try:
        await _serve_http(front, stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
        pass  # the client went away or spoke nonsense: its connection ends, nobody else's
    finally:
        with trio.move_on_after(CLOSE_LIMIT_S, shield=True):
            await stream.aclose()


async def reset(stream: trio.abc.Stream) -> None:
    """End a connection as a crashed host would: TCP reset, nothing flushed."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(inner, MemoryStream):
        inner.abort()
    elif isinstance(inner, trio.SocketStream) and inner.socket.fileno() >= 0:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)


# --- HTTP -----------------------------------------------------------------------------------------


async def _serve_http(front: VenueFront, stream: trio.abc.Stream) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        with trio.move_on_after(front.keep_alive_s) as patience:
            request, body = await _next_request(connection, stream)
        if patience.cancelled_caught or request is None:
            return
        ask = _as_ask(request, body)
        controlled = front.control(ask, front.clock.wall_ns())
        if controlled is None and await _stay_frozen(front, stream):
            return
        if ask.headers.get("upgrade", "").lower() == "websocket":
            await _upgrade(front, stream, ask, request, connection.trailing_data[0])
            return
        answer = controlled or await _answer_of(front, ask)
        front.on_activity()
        if answer is None:  # a venue that never answers: hold the line until the client gives up
            await _drain(stream)
            return
        if controlled is None and await _stay_frozen(front, stream):
            return
        await stream.send_all(_encode_answer(connection, front.clock, answer))
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _next_request(connection: h11.Connection, stream: trio.abc.Stream) -> tuple[h11.Request | None, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                await stream.send_all(connection.send(go_on) or b"")
            connection.receive_data(bytes(await stream.receive_some(65_536)))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                return None, b""
        elif isinstance(event, h11.EndOfMessage) or (event is h11.PAUSED and request is not None):
            return request, bytes(body)
        else:
            return None, b""


def _as_ask(request: h11.Request, body: bytes) -> Ask:
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    return Ask(method=request.method.decode("ascii"), path=path, query=query, headers=headers, body=body)


async def _answer_of(front: VenueFront, ask: Ask) -> HttpAnswer | None:
    found = front.dialect.ask(ask, front.clock.wall_ns())
    front.on_activity()
    if isinstance(found, HttpAnswer):
        return found
    await _sleep_until_ns(front.clock, found.ready_ns)
    front.on_activity()
    return found.resolve()


def _now_s(clock: Clock) -> float:
    return clock.monotonic_ns() / 1e9


async def _sleep_until_ns(clock: Clock, ready_ns: int) -> None:
    await trio.sleep(max(0.0, (ready_ns - clock.wall_ns()) / 1e9))


def _encode_answer(connection: h11.Connection, clock: Clock, answer: HttpAnswer) -> bytes:
    date = email.utils.formatdate(clock.wall_ns() / 1e9, usegmt=True)
    headers = [("Date", date), ("Content-Type", "application/json;charset=utf-8"), *answer.headers]
    headers.append(("Content-Length", str(len(answer.body))))
    response = h11.Response(status_code=answer.status, headers=headers, reason=REASONS.get(answer.status, ""))
    parts = [
        connection.send(response),
        connection.send(h11.Data(data=answer.body)),
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)


async def _stay_frozen(front: VenueFront, stream: trio.abc.Stream) -> bool:
    """While the venue is half-open: say nothing, end nothing; then reset. Whether that happened."""
    until_ns = front.dialect.frozen_until_ns(front.clock.wall_ns())
    if until_ns is None:
        return False
    await _sleep_until_ns(front.clock, until_ns)
    await reset(stream)
    return True


async def _drain(stream: trio.abc.Stream) -> None:
    while await stream.receive_some(65_536):
        pass


# --- WebSocket ------------------------------------------------------------------------------------


@attrs.define(eq=False)
class StreamTask:
    """The state that the three tasks of one WebSocket connection share."""

    front: VenueFront
    stream: trio.abc.Stream
    ws: WSConnection
    open: OpenStream
    opened_at: float
    heard_at: float
    moved_at: float
    """Last traffic in either direction."""
    text: str = ""
    """Fragments of a message that is not finished yet."""
    lock: trio.Lock = attrs.field(factory=trio.Lock)

    async def send(self, data: bytes) -> None:
        """Send whole frames in order, or drop a client that does not read."""
        with trio.move_on_after(SEND_LIMIT_S) as limit:
            async with self.lock:
                await self.stream.send_all(data)
        if limit.cancelled_caught:
            await reset(self.stream)


async def _upgrade(front: VenueFront, stream: trio.abc.Stream, ask: Ask, request: h11.Request, extra: bytes) -> None:
    ws = WSConnection(ConnectionType.SERVER)
    try:
        ws.initiate_upgrade_connection(list(request.headers), request.target)
    except RemoteProtocolError:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    session = front.dialect.open(ask, front.clock.wall_ns())
    if isinstance(session, HttpAnswer):
        refusal = ws_events.RejectConnection(
            status_code=session.status, headers=[(b"content-length", b"%d" % len(session.body))], has_body=True
        )
        await stream.send_all(ws.send(refusal) + ws.send(ws_events.RejectData(data=session.body)))
        return
    front.on_activity()
    try:
        await stream.send_all(ws.send(ws_events.AcceptConnection()))
        if extra:
            ws.receive_data(extra)
        await _run_stream(front, stream, ws, session)
    finally:
        front.dialect.close(session)


async def _run_stream(front: VenueFront, stream: trio.abc.Stream, ws: WSConnection, session: Session) -> None:
    now = _now_s(front.clock)
    opened = OpenStream(session, front.dialect.rules.max_queued_frames)
    task = StreamTask(front, stream, ws, opened, now, now, now)
    front.streams.add(opened)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_with, nursery.cancel_scope, _write_stream, task)
            nursery.start_soon(_end_with, nursery.cancel_scope, _keep_stream, task)
            await _end_with(nursery.cancel_scope, _read_stream, task)
    finally:
        front.streams.discard(opened)


async def _end_with(scope: trio.CancelScope, part: Callable[[StreamTask], Awaitable[None]], task: StreamTask) -> None:
    """Run one part of a connection; however it ends, the connection ends, also while the client is closing it."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
        await part(task)
    scope.cancel(reason="the connection is over")


async def _read_stream(task: StreamTask) -> None:
    while True:
        if not await _handle_events(task):
            return
        data = await task.stream.receive_some(MAX_FRAME_BYTES)
        if await _stay_frozen(task.front, task.stream):
            return
        task.moved_at = _now_s(task.front.clock)
        try:
            task.ws.receive_data(bytes(data) or None)
        except RemoteProtocolError:
            return


async def _handle_events(task: StreamTask) -> bool:
    """Act on decoded frames; False: the connection is over."""
    for event in task.ws.events():
        match event:
            case ws_events.TextMessage() | ws_events.BytesMessage():
                task.text += event.data if isinstance(event.data, str) else bytes(event.data).decode("utf-8", "replace")
                if len(task.text) > MAX_FRAME_BYTES:
                    return False
                if event.message_finished:
                    _receive(task)
            case ws_events.Ping():
                await task.send(task.ws.send(event.response()))
            case ws_events.Pong():
                task.heard_at = _now_s(task.front.clock)
            case ws_events.CloseConnection():
                if task.ws.state.name != "CLOSED":
                    await task.send(task.ws.send(event.response()))
                return False
    return True


def _receive(task: StreamTask) -> None:
    text, task.text = task.text, ""
    task.open.session.receive(text, task.front.clock.wall_ns())
    task.front.on_activity()
    task.open.collect()


async def _write_stream(task: StreamTask) -> None:
    while True:
        task.open.collect()
        if task.open.is_overrun:
            await reset(task.stream)
            return
        if not task.open.queue:
            task.open.wake = trio.Event()
            await task.open.wake.wait()
            continue
        closing = await _write_queue(task)
        if closing is not None:
            await _close_stream(task, closing)
            return


async def _write_queue(task: StreamTask) -> Closing | None:
    """Send everything that waits as one piece; returns the end of the stream where it is reached."""
    closing: Closing | None = None
    parts: list[bytes] = []
    while task.open.queue:
        out = task.open.queue.popleft()
        if isinstance(out, Closing):
            closing = out
            break
        message = ws_events.TextMessage(data=out) if isinstance(out, str) else ws_events.BytesMessage(data=out)
        parts.append(task.ws.send(message))
    if parts:
        task.moved_at = _now_s(task.front.clock)
        await task.send(b"".join(parts))
    return closing


async def _close_stream(task: StreamTask, closing: Closing) -> None:
    if closing.code == 0:
        await reset(task.stream)
        return
    await task.send(task.ws.send(ws_events.CloseConnection(code=closing.code, reason=closing.reason or None)))
    with trio.move_on_after(CLOSE_LIMIT_S):
        await trio.sleep_forever()  # the reader ends the connection when the client's close arrives


async def _keep_stream(task: StreamTask) -> None:
    """Pings, and the three reasons for which a venue ends a connection by itself."""
    rules = task.front.dialect.rules
    next_ping = task.opened_at + (rules.ping_every_s or float("inf"))
    while True:
        idle_end = task.moved_at + (rules.idle_close_s or float("inf"))
        pong_end = task.heard_at + (rules.pong_within_s if rules.ping_every_s else float("inf"))
        age_end = task.opened_at + rules.max_connection_s
        await trio.sleep(max(TURN_S, min(next_ping, idle_end, pong_end, age_end) - _now_s(task.front.clock)))
        now = _now_s(task.front.clock)
        if task.front.dialect.frozen_until_ns(task.front.clock.wall_ns()) is not None:
            await trio.sleep_forever()
        if now >= min(task.moved_at + (rules.idle_close_s or float("inf")), age_end) or now >= (
            task.heard_at + rules.pong_within_s if rules.ping_every_s else float("inf")
        ):
            await _close_stream(task, Closing(1000 if now >= age_end else 1008, "connection limit"))
            return
        if now >= next_ping:
            next_ping = now + (rules.ping_every_s or float("inf"))
            await task.send(task.ws.send(ws_events.Ping(payload=str(task.front.clock.wall_ns() // 1_000_000).encode())))
