"""The server of simulated venues: HTTP, WebSocket, limits and faults, over in-memory streams on a virtual clock."""

from __future__ import annotations

import socket
from typing import cast

import h11
import pytest
import trio
from trio_websocket import ConnectionClosed, HandshakeError, wrap_client_stream

from arb.ports import Endpoint
from arb.venues.simulated.dialect import Ask, Closing, HttpAnswer, Later, Out, Session, StreamRules
from arb.venues.simulated.facts import Fact
from arb.venues.wire.memory import MemoryNetwork, memory_pair, open_memory_network
from arb.venues.wire.serve import VenueFront, reset, serve_venue

HOST = Endpoint(host="venue", port=80, is_tls=False)


class VirtualClock:
    def monotonic_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + self.monotonic_ns()


class EchoSession:
    def __init__(self) -> None:
        self.out: list[Out] = []

    def receive(self, text: str, now_ns: int) -> None:
        if text == "close":
            self.out.append(Closing(1001, "bye"))
        elif text == "reset":
            self.out.append(Closing(0))
        else:
            self.out.append(f"echo {text}".encode())

    def take(self) -> tuple[Out, ...]:
        out = tuple(self.out)
        self.out.clear()
        return out


class EchoDialect:
    venue = "echo"

    def __init__(self, rules: StreamRules | None = None) -> None:
        self.rules = rules or StreamRules(ping_every_s=None, pong_within_s=60, idle_close_s=None)
        self.frozen: int | None = None
        self.sessions: list[EchoSession] = []

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        body = f"{ask.method} {ask.path}?{ask.query} {ask.body.decode()}".encode()
        if ask.path == "/slow":
            return Later(now_ns + 3_000_000_000, lambda: HttpAnswer(status=200, body=body))
        if ask.path == "/never":
            return Later(now_ns, lambda: None)
        return HttpAnswer(status=200, body=body)

    def open(self, ask: Ask, now_ns: int) -> Session | HttpAnswer:
        if ask.path == "/full":
            return HttpAnswer(status=429, body=b"too many")
        self.sessions.append(EchoSession())
        return self.sessions[-1]

    def close(self, session: Session) -> None:
        self.sessions = [one for one in self.sessions if one is not session]

    def advance(self, facts: tuple[Fact, ...], now_ns: int) -> None:
        return None

    def due_ns(self) -> int | None:
        return None

    def frozen_until_ns(self, now_ns: int) -> int | None:
        return self.frozen if self.frozen is not None and now_ns < self.frozen else None


def start(network: MemoryNetwork, dialect: EchoDialect) -> VenueFront:
    front = VenueFront(dialect, VirtualClock(), lambda: None, lambda _ask, _now_ns: None)

    async def accept(stream: trio.abc.Stream) -> None:
        await serve_venue(front, stream)

    network.listen("venue", 80, accept)
    return front


async def http(
    connection: h11.Connection, stream: trio.abc.Stream, target: str, body: bytes = b""
) -> tuple[int, bytes]:
    headers = [("Host", "venue"), ("Content-Length", str(len(body)))]
    request = h11.Request(method="POST" if body else "GET", target=target, headers=headers)
    await stream.send_all(
        (connection.send(request) or b"")
        + (connection.send(h11.Data(data=body)) or b"")
        + (connection.send(h11.EndOfMessage()) or b"")
    )
    status, got = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            got += bytes(event.data)
        else:
            connection.start_next_cycle()
            return status, got


async def test_one_connection_serves_many_requests(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        start(network, EchoDialect())
        stream, connection = await network(HOST), h11.Connection(h11.CLIENT)
        assert await http(connection, stream, "/a?b=c%20d") == (200, b"GET /a?b=c%20d ")
        assert await http(connection, stream, "/a", b'{"x":1}') == (200, b'POST /a? {"x":1}')


async def test_an_answer_comes_when_the_dialect_has_it(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        start(network, EchoDialect())
        began = trio.current_time()
        assert (await http(h11.Connection(h11.CLIENT), await network(HOST), "/slow"))[0] == 200
        assert trio.current_time() - began == pytest.approx(3.0, abs=1e-3)


async def test_a_request_that_is_never_answered_holds_the_line(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        start(network, EchoDialect())
        with trio.move_on_after(500) as limit:
            await http(h11.Connection(h11.CLIENT), await network(HOST), "/never")
        assert limit.cancelled_caught


async def test_bytes_that_are_no_http_end_only_their_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        start(network, EchoDialect())
        bad = await network(HOST)
        await bad.send_all(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert await bad.receive_some() == b""
        assert (await http(h11.Connection(h11.CLIENT), await network(HOST), "/"))[0] == 200


async def test_frames_travel_both_ways(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        start(network, EchoDialect())
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/ws")
        await ws.send_message("hello")
        assert await ws.get_message() == b"echo hello"
        await ws.aclose()


async def test_a_refused_handshake_carries_its_status(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        start(network, EchoDialect())
        with pytest.RaisesGroup(HandshakeError, allow_unwrapped=True, flatten_subgroups=True):
            async with trio.open_nursery() as nursery:
                await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/full")


async def test_a_closing_session_closes_its_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        dialect = EchoDialect()
        front = start(network, dialect)
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/ws")
        await ws.send_message("close")
        with pytest.raises(ConnectionClosed):
            await ws.get_message()
        await trio.sleep(5)
        assert not front.streams
        assert not dialect.sessions


async def test_a_reset_session_breaks_the_stream(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        start(network, EchoDialect())
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/ws")
        await ws.send_message("reset")
        with pytest.raises(ConnectionClosed):
            await ws.get_message()


async def test_a_client_without_pongs_is_dropped_after_the_venues_patience(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_memory_network() as network:
        front = start(network, EchoDialect(StreamRules(ping_every_s=20, pong_within_s=60, idle_close_s=None)))
        stream = await network(HOST)
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        began = trio.current_time()
        while await stream.receive_some():
            pass
        assert 60 <= trio.current_time() - began <= 62
        assert not front.streams


async def test_a_client_that_answers_pings_stays_for_a_day_and_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        start(network, EchoDialect(StreamRules(ping_every_s=180, pong_within_s=600, idle_close_s=None)))
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/ws")
        with pytest.raises(ConnectionClosed):
            await ws.get_message()
        assert trio.current_time() == pytest.approx(86_400, abs=5)


async def test_an_idle_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        start(network, EchoDialect(StreamRules(ping_every_s=None, pong_within_s=60, idle_close_s=120)))
        ws = await wrap_client_stream(nursery, cast(trio.SocketStream, await network(HOST)), "venue", "/ws")
        with pytest.raises(ConnectionClosed):
            await ws.get_message()
        assert trio.current_time() == pytest.approx(120, abs=3)


async def test_a_client_that_does_not_read_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        rules = StreamRules(ping_every_s=None, pong_within_s=60, idle_close_s=None, max_queued_frames=50)
        dialect = EchoDialect(rules)
        front = start(network, dialect)
        stream = await network(HOST)
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await trio.sleep(0.1)
        for _ in range(40):
            dialect.sessions[0].out += ["x" * 10_000] * 20 if dialect.sessions else []
            front.flush()
            await trio.sleep(1)
            if not front.streams:
                break
        assert not front.streams


async def test_a_half_open_venue_says_nothing_and_then_resets(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        dialect = EchoDialect()
        front = start(network, dialect)
        dialect.frozen = front.clock.wall_ns() + 30_000_000_000
        stream = await network(HOST)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: venue\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        assert trio.current_time() == pytest.approx(30, abs=0.1)


async def test_nothing_listens_on_an_unknown_address(autojump_clock: trio.testing.MockClock) -> None:
    async with open_memory_network() as network:
        with pytest.raises(ConnectionRefusedError):
            await network(HOST)


async def test_a_memory_stream_waits_for_its_reader_and_ends_after_what_was_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    left, right = memory_pair()
    got = bytearray()
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            await left.send_all(b"x" * 1_000_000)
            await left.aclose()

        nursery.start_soon(send)
        while chunk := await right.receive_some(70_000):
            got += chunk
    assert len(got) == 1_000_000
    with pytest.raises(trio.BrokenResourceError):
        await right.send_all(b"y")


async def test_a_connection_that_is_closed_already_can_be_reset_once_more() -> None:
    here, there = socket.socketpair()
    with there:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(here))
        await reset(stream)
        await reset(stream)

        assert here.fileno() == -1
