from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio
import trustme

from arb.domain.errors import ConfigError
from arb.ports import Endpoint
from arb.venues.wire.dial import SocketDialer, host_header, split_url
from arb.venues.wire.memory import memory_pair
from arb.venues.wire.tls import TlsStream

AUTHORITY = trustme.CA()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    AUTHORITY.issue_cert("localhost").configure_cert(server)
    AUTHORITY.configure_trust(client)
    return server, client


async def tls_pair() -> tuple[TlsStream, trio.SSLStream]:
    ours, theirs = memory_pair()
    server_context, client_context = contexts()
    client = TlsStream(ours, client_context, "localhost")
    server = trio.SSLStream(theirs, server_context, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        nursery.start_soon(server.do_handshake)
    return client, server


async def test_every_record_at_hand_comes_in_one_answer():
    client, server = await tls_pair()
    for number in range(50):
        await server.send_all(b"record %d;" % number)
    data = await client.receive_some()
    assert data == b"".join(b"record %d;" % number for number in range(50))


async def test_max_bytes_keeps_the_rest_for_later():
    client, server = await tls_pair()
    await server.send_all(b"abcdef")
    assert [await client.receive_some(4), await client.receive_some(4)] == [b"abcd", b"ef"]


async def test_a_goodbye_is_an_end_and_its_absence_a_break():
    client, server = await tls_pair()
    await server.send_all(b"last")
    with trio.move_on_after(0.05):
        await server.unwrap()
    assert await client.receive_some() == b"last"
    assert await client.receive_some() == b""
    assert await client.receive_some() == b""

    client, server = await tls_pair()
    await server.transport_stream.aclose()
    with pytest.raises(trio.BrokenResourceError, match="close_notify"):
        await client.receive_some()


async def test_garbage_in_the_stream_breaks_it_after_the_good_records():
    client, server = await tls_pair()
    await server.send_all(b"good")
    await server.transport_stream.send_all(b"\x17\x03\x03\x00\x05junk!")
    assert await client.receive_some() == b"good"
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()


async def test_closing_says_goodbye_and_is_bounded(autojump_clock):
    client, server = await tls_pair()
    await client.aclose()
    assert await server.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await client.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await client.receive_some()
    await client.aclose()


async def test_large_data_passes_both_ways_at_once():
    client, server = await tls_pair()
    big = bytes(range(256)) * 8000

    async def receive(stream, size):
        received = bytearray()
        while len(received) < size:
            received += await stream.receive_some()
        assert bytes(received) == big

    async with trio.open_nursery() as nursery:
        for stream in (client, server):
            nursery.start_soon(stream.send_all, big)
            nursery.start_soon(receive, stream, len(big))


async def test_the_dialer_opens_plain_and_tls_and_refuses_strangers():
    server_context, client_context = contexts()

    async def echo(stream):
        async with stream:
            try:
                async for data in stream:
                    await stream.send_all(data)
            except trio.BrokenResourceError:
                return

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            [plain] = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
            [tls] = await nursery.start(partial(trio.serve_ssl_over_tcp, echo, 0, server_context, host="127.0.0.1"))
            for listener, is_tls in ((plain, False), (tls.transport_listener, True)):
                port = listener.socket.getsockname()[1]
                stream = await SocketDialer(client_context)(Endpoint(host="localhost", port=port, is_tls=is_tls))
                await stream.send_all(b"hello")
                assert bytes(await stream.receive_some()) == b"hello"
                await stream.aclose()
            port = tls.transport_listener.socket.getsockname()[1]
            with pytest.raises(ssl.SSLCertVerificationError):
                await SocketDialer()(Endpoint(host="localhost", port=port, is_tls=True))
            no_tls = Endpoint(host="localhost", port=plain.socket.getsockname()[1], is_tls=True)
            with pytest.raises(ssl.SSLError):
                await SocketDialer(client_context)(no_tls)
            nursery.cancel_scope.cancel()


def test_base_urls_are_taken_apart():
    assert split_url("wss://api.test/ws/") == (Endpoint(host="api.test", port=443, is_tls=True), "/ws")
    assert split_url("http://127.0.0.1:8080") == (Endpoint(host="127.0.0.1", port=8080, is_tls=False), "")
    assert host_header(Endpoint(host="::1", port=81, is_tls=False)) == "[::1]:81"
    assert host_header(Endpoint(host="api.test", port=443, is_tls=True)) == "api.test"
    for wrong in ("api.test", "ftp://api.test", "https://"):
        with pytest.raises(ConfigError):
            split_url(wrong)
