from __future__ import annotations

import base64
import os
import ssl
from contextlib import asynccontextmanager

import pytest
import trio
import trio_websocket
import trustme
from wsproto import events as ws_events

from arb.domain.errors import FeedSilent, RateLimited, VenueUnavailable
from arb.ports import Endpoint
from arb.venues.wire.dial import SocketDialer
from arb.venues.wire.ws import WsHeartbeat, WsLimits, WsTarget, open_ws
from tests.venues.wire.wire_fakes import HERE, VENUE, ScriptedDialer, TrioClock, WsPeer

TARGET = WsTarget(venue=VENUE, endpoint=HERE, path="/stream?x=1", headers=(("Authorization", "Bearer token"),))
CALM = WsHeartbeat(after_s=1000.0, within_s=1000.0)


@asynccontextmanager
async def opened(*script, heartbeat=CALM, limits=None):
    async with trio.open_nursery() as nursery:
        dialer = ScriptedDialer(nursery, *script)
        try:
            async with open_ws(TARGET, dialer=dialer, clock=TrioClock(), heartbeat=heartbeat, limits=limits) as ws:
                yield ws
        finally:
            nursery.cancel_scope.cancel()
            assert all(stream.is_closed for stream in dialer.opened), "a socket leaked"


async def failure(*script, heartbeat=CALM, limits=None):
    """The error that reading to the end gives, out of its test nursery's group."""
    try:
        async with opened(*script, heartbeat=heartbeat, limits=limits) as ws:
            while True:
                await ws.receive()
    except ExceptionGroup as group:
        error = group.exceptions[0]
        assert isinstance(error, VenueUnavailable)
        return error
    raise AssertionError("it did not fail")


async def test_every_frame_at_hand_comes_in_one_batch_with_one_stamp(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        request = await peer.accept()
        assert request.target == "/stream?x=1"
        assert (b"authorization", b"Bearer token") in request.extra_headers
        await trio.sleep(2)
        batch = b"".join(peer.ws.send(ws_events.TextMessage(data=text)) for text in ("one", "zwei", "셋"))
        await stream.send_all(batch + peer.ws.send(ws_events.BytesMessage(data=b"\0\1")))
        await peer.drain()

    async with opened(serve) as ws:
        began_ns = ws.last_heard_ns
        frames, received_ns = await ws.receive()
        assert frames == [b"one", b"zwei", "셋".encode(), b"\0\1"]
        assert received_ns - began_ns == 2_000_000_000
    assert trio.current_time() == 2  # closing waited for the peer's answer and no longer


async def test_frames_that_come_with_the_handshake_answer_are_not_lost(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        await peer.next(ws_events.Request)
        answer = peer.ws.send(ws_events.AcceptConnection())
        await stream.send_all(answer + peer.ws.send(ws_events.TextMessage(data="first")))
        await peer.drain()

    async with opened(serve) as ws:
        assert (await ws.receive()).frames == [b"first"]


async def test_pings_are_answered_and_count_as_life(autojump_clock):
    pongs = []

    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        await trio.sleep(5)
        await peer.send(ws_events.Ping(payload=b"are you there"))
        pongs.append((await peer.next(ws_events.Pong)).payload)
        await peer.say("done")
        await peer.drain()

    async with opened(serve) as ws:
        began_ns = ws.last_heard_ns
        batch = await ws.receive()
        assert batch.frames == []
        assert ws.last_heard_ns - began_ns == 5_000_000_000
        assert (await ws.receive()).frames == [b"done"]
    assert pongs == [b"are you there"]


async def test_silence_is_questioned_and_then_a_fault_at_an_exact_time(autojump_clock):
    async def serve(stream):
        await WsPeer(stream).accept()
        await trio.sleep_forever()

    error = await failure(serve, heartbeat=WsHeartbeat(after_s=3.0, within_s=2.0))
    assert isinstance(error, FeedSilent)
    assert trio.current_time() == 5.0


async def test_a_pong_keeps_a_quiet_connection(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        await peer.drain()

    async with opened(serve, heartbeat=WsHeartbeat(after_s=1.0, within_s=0.5)) as ws:
        with trio.move_on_after(60) as scope:
            while True:
                assert (await ws.receive()).frames == []
    assert scope.cancelled_caught


async def test_an_application_ping_is_sent_as_text(autojump_clock):
    seen = []

    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        text = (await peer.next(ws_events.TextMessage)).data
        seen.append((trio.current_time(), text))
        await peer.say('{"status":"UP"}')
        await peer.drain()

    async with opened(serve, heartbeat=WsHeartbeat(after_s=4.0, within_s=1.0, text="PING")) as ws:
        await ws.receive()
    assert seen == [(4.0, "PING")]


@pytest.mark.parametrize("how", ["close", "eof", "reset", "violation"])
async def test_every_way_a_connection_ends_is_one_error_and_leaks_no_socket(autojump_clock, how):
    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        if how == "close":
            await peer.send(ws_events.CloseConnection(code=1012, reason="restart"))
        elif how == "eof":
            stream.close()
        elif how == "reset":
            stream.abort()
        else:
            await stream.send_all(b"\xc1\x01x")
            await trio.sleep_forever()

    error = await failure(serve)
    assert type(error) is VenueUnavailable
    assert {"close": "1012 restart", "eof": "", "reset": "", "violation": "reserved bits"}[how] in str(error)


async def test_messages_before_a_violation_are_delivered_first(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        await stream.send_all(peer.ws.send(ws_events.TextMessage(data="good")) + b"\x83\x00")
        await trio.sleep_forever()

    with pytest.RaisesGroup(VenueUnavailable):
        async with opened(serve) as ws:
            assert (await ws.receive()).frames == [b"good"]
            await ws.receive()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow", RateLimited, "429: slow"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", VenueUnavailable, "503"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", VenueUnavailable, "200: hello"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", VenueUnavailable, "fit"),
        (b"not http at all\r\n\r\n", VenueUnavailable, "no websocket"),
        (b"", VenueUnavailable, ""),
    ],
)
async def test_a_refused_handshake_is_worded(autojump_clock, answer, kind, words):
    async def serve(stream):
        await stream.receive_some()
        if answer:
            await stream.send_all(answer)
        stream.close()

    error = await failure(serve)
    assert type(error) is kind
    assert words in str(error)
    if isinstance(error, RateLimited):
        assert error.retry_after_s == 7.0


async def test_a_peer_that_never_shakes_hands_is_given_up_at_the_limit(autojump_clock):
    async def serve(stream):
        await trio.sleep_forever()

    error = await failure(serve, limits=WsLimits(connect_within_s=3.0))
    assert "TooSlow" in str(error)
    assert trio.current_time() == 3.0


async def test_nothing_that_answers_is_venue_unavailable(autojump_clock):
    assert "nothing listens" in str(await failure(None))


async def test_cancelling_at_any_moment_leaks_nothing_and_ends_in_time(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        await trio.sleep(1)
        await peer.accept()
        for _ in range(3):
            await trio.sleep(1)
            await peer.say("x")
        await trio.sleep_forever()

    for step in range(20):
        began = trio.current_time()
        with trio.move_on_after(step * 0.25):
            async with opened(serve) as ws:
                while True:
                    await ws.receive()
        assert trio.current_time() - began <= step * 0.25 + 0.25 + 1e-9


async def test_a_peer_that_does_not_read_cannot_block_reading(autojump_clock):
    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        for _ in range(5):
            await peer.send(ws_events.Ping(payload=b"p" * 100))
        await peer.say("still here")
        await trio.sleep_forever()

    async with opened(serve) as ws:
        frames: list[bytes] = []
        while not frames:
            frames = (await ws.receive()).frames
    assert frames == [b"still here"]


async def test_it_talks_with_another_library_over_real_tls_sockets():
    """Stock trio-websocket as the server: handshake, both directions, large messages, pings and the farewell."""
    authority = trustme.CA()
    server_context, client_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server_context)
    authority.configure_trust(client_context)
    big = base64.b64encode(os.urandom(300_000)).decode()
    ended = []

    async def handler(request):
        ws = await request.accept()
        await ws.send_message(big)
        await ws.ping()
        await ws.send_message(await ws.get_message())
        with pytest.raises(trio_websocket.ConnectionClosed):
            await ws.get_message()
        ended.append(ws.closed.code)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(
                lambda task_status: trio_websocket.serve_websocket(
                    handler, "127.0.0.1", 0, server_context, task_status=task_status
                )
            )
            endpoint = Endpoint(host="localhost", port=server.port, is_tls=True)
            target = WsTarget(venue=VENUE, endpoint=endpoint, path="/")
            dialer = SocketDialer(client_context)
            async with open_ws(target, dialer=dialer, clock=TrioClock(), heartbeat=CALM) as ws:
                frames: list[bytes] = []
                while not frames:
                    frames = (await ws.receive()).frames
                assert frames == [big.encode()]
                await ws.send_text("안녕")
                frames = []
                while not frames:
                    frames = (await ws.receive()).frames
                assert frames == ["안녕".encode()]
            while not ended:  # noqa: ASYNC110  the server's side has no event to wait for
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert [int(code) for code in ended] == [1000]
