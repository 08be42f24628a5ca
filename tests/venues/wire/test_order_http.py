from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from arb.domain.errors import InvariantBroken, OrderUnknown, VenueUnavailable
from arb.venues.spec import HttpRequest
from arb.venues.wire.dial import SocketDialer
from arb.venues.wire.order_http import OrderHttp, OrderTarget, open_order_http
from tests.venues.wire.wire_fakes import HERE, VENUE, ScriptedDialer, ok, serve_http

ORDER = HttpRequest(method="POST", path="/order", query="qty=1", bucket="all", headers=(("X-Key", "k"),), body=b"{}")


@asynccontextmanager
async def lines(*script):
    async with trio.open_nursery() as nursery:
        dialer = ScriptedDialer(nursery, *script)
        target = OrderTarget(venue=VENUE, endpoint=HERE, prefix="/p", dial_within_s=3.0, answer_within_s=5.0)
        async with open_order_http(target, dialer=dialer) as orders:
            yield orders, dialer
        assert all(stream.is_closed for stream in dialer.opened), "a connection leaked"
        nursery.cancel_scope.cancel()


def answering(log=None, **kwargs):
    def answer(method, target, body):
        if log is not None:
            log.append((method, target, body))
        return ok(b'{"id":1}', **kwargs)

    return partial(serve_http, answer=answer)


async def hang(stream):
    await stream.receive_some()
    await trio.sleep_forever()


async def test_one_connection_serves_and_a_spare_stands_by(autojump_clock):
    log: list[tuple[str, str, bytes]] = []
    async with lines(answering(log), answering(log)) as (orders, dialer):
        await trio.sleep(1)
        assert orders.idle_count == 2
        for _ in range(3):
            answer = await orders.send(orders.written(ORDER), "id1")
            assert answer.status == 200
            assert answer.body == b'{"id":1}'
        assert len(dialer.opened) == 2
        assert orders.idle_count == 2
    assert log == [("POST", "/p/order?qty=1", b"{}")] * 3


async def test_an_order_waits_for_the_first_connection(autojump_clock):
    async with lines(answering()) as (orders, _):
        assert (await orders.send(orders.written(ORDER), "id1")).status == 200
        assert trio.current_time() == 0


async def test_no_connection_means_nothing_was_sent(autojump_clock):
    async with lines() as (orders, _):
        with pytest.raises(VenueUnavailable, match="no order connection within 3 s"):
            await orders.send(orders.written(ORDER), "id1")
        assert trio.current_time() == 3


async def test_no_answer_leaves_the_fate_open(autojump_clock):
    async with lines(hang, hang) as (orders, _):
        await trio.sleep(1)
        with pytest.raises(OrderUnknown) as caught:
            await orders.send(orders.written(ORDER), "id1")
        assert caught.value.client_order_id == "id1"
        assert trio.current_time() == 6


@pytest.mark.parametrize("how", ["eof", "reset", "half an answer", "nonsense"])
async def test_a_connection_that_breaks_after_the_request_leaves_the_fate_open(autojump_clock, how):
    async def serve(stream):
        await stream.receive_some()
        if how == "half an answer":
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        if how == "nonsense":
            await stream.send_all(b"\0\0\0\0 nonsense\r\n\r\n")
        if how == "reset":
            stream.abort()
        else:
            stream.close()

    async with lines(serve, serve, answering()) as (orders, _):
        await trio.sleep(1)
        with pytest.raises(OrderUnknown):
            await orders.send(orders.written(ORDER), "id1")


async def test_a_connection_closed_while_idle_is_replaced_before_it_is_needed(autojump_clock):
    async def close_soon(stream):
        await trio.sleep(10)
        stream.close()

    async with lines(close_soon, close_soon, answering(), answering()) as (orders, dialer):
        await trio.sleep(9)
        assert orders.idle_count == 2
        await trio.sleep(3)
        assert orders.idle_count == 2
        assert len(dialer.opened) == 4
        assert (await orders.send(orders.written(ORDER), "id1")).status == 200


async def test_requests_at_once_each_get_a_line_of_their_own(autojump_clock):
    async def slow(stream):
        data = await stream.receive_some()
        await trio.sleep(1)
        assert data.startswith(b"POST")
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep_forever()

    answers = []

    async def one(orders):
        answers.append((await orders.send(orders.written(ORDER), "id")).status)

    async with lines(*[slow] * 12) as (orders, _):
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one, orders)
        assert answers == [200] * 4
        assert trio.current_time() < 2.2
        await trio.sleep(1)
        assert orders.idle_count == 2


async def test_an_answer_that_ends_the_connection_is_read_and_the_line_not_kept(autojump_clock):
    async def once(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole")
        stream.close()

    async with lines(once, once, once, once) as (orders, dialer):
        assert (await orders.send(orders.written(ORDER), "id1")).body == b"whole"
        await trio.sleep(1)
        assert (await orders.send(orders.written(ORDER), "id2")).body == b"whole"
        assert len(dialer.opened) >= 3


async def test_a_venue_that_refuses_or_drops_us_is_not_hammered(autojump_clock):
    async def drop(stream):
        stream.close()

    async with lines(*[drop] * 30) as (_, dialer):
        await trio.sleep(5)
        assert len(dialer.dials) < 30
    async with lines() as (_, dialer):
        began = trio.current_time()
        await trio.sleep(100)
        gaps = [later - at for at, later in zip(dialer.dials, dialer.dials[1:], strict=False)]
        assert dialer.dials[0] == began
        assert max(gaps) == pytest.approx(30)
        assert len(dialer.dials) < 12


async def test_cancelling_a_request_at_any_moment_closes_its_line(autojump_clock):
    async def slow(stream):
        await stream.receive_some()
        await trio.sleep(1)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await trio.sleep(1)
        await stream.send_all(b"ok")
        await trio.sleep_forever()

    for step in range(12):
        async with lines(*[slow] * 6) as (orders, _):
            await wait_all_tasks_blocked()
            with trio.move_on_after(step * 0.2):
                await orders.send(orders.written(ORDER), "id")
            await trio.sleep(3)
            assert orders.idle_count == 2


PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nA: b\r\n\r\n{"id":1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"id\r\n4\r\n":1}\r\n0\r\n\r\n'
INFORMED = b"HTTP/1.1 103 Early Hints\r\nA: c\r\n\r\n" + PLAIN


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, INFORMED], ids=["plain", "chunked", "informed"])
async def test_an_answer_is_the_same_however_its_bytes_arrive_and_its_line_is_kept(autojump_clock, answer):
    async def serve(stream):
        for cut in range(len(answer)):
            assert (await stream.receive_some()).startswith(b"POST")
            for part in (answer[:cut], answer[cut:]):
                if part:
                    await trio.sleep(0.01)
                    await stream.send_all(part)
        await trio.sleep_forever()

    async with lines(serve) as (orders, dialer):
        for _ in range(len(answer)):
            found = await orders.send(orders.written(ORDER), "id1")
            assert (found.status, found.headers["a"], found.body) == (200, "b", b'{"id":1}')
        assert len(dialer.opened) == 1


@pytest.mark.parametrize("answer", [PLAIN + PLAIN, PLAIN + b"x", CHUNKED + b"HTTP/1.1 200"])
async def test_what_follows_an_answer_is_never_the_next_ones(autojump_clock, answer):
    async def talkative(stream):
        await stream.receive_some()
        await stream.send_all(answer)
        await trio.sleep_forever()

    async with lines(talkative, talkative, answering()) as (orders, dialer):
        await trio.sleep(1)
        for _ in range(2):
            assert (await orders.send(orders.written(ORDER), "id1")).body == b'{"id":1}'
        await trio.sleep(1)
        assert dialer.opened[0].is_closed, "its line is not used again"
        assert dialer.opened[1].is_closed


async def test_a_second_answer_that_comes_late_ends_the_line(autojump_clock):
    async def twice(stream):
        await stream.receive_some()
        await stream.send_all(PLAIN)
        await trio.sleep(0.5)
        await stream.send_all(PLAIN)
        await trio.sleep_forever()

    async with lines(twice, twice) as (orders, dialer):
        await trio.sleep(1)
        await orders.send(orders.written(ORDER), "id1")
        await trio.sleep(1)
        assert dialer.opened[0].is_closed


async def test_an_answer_without_end_is_given_up(autojump_clock):
    async def endless(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    async with lines(endless, answering()) as (orders, _):
        with pytest.raises(OrderUnknown, match="more than 4194304 bytes"):
            await orders.send(orders.written(ORDER), "id1")


async def test_an_order_does_not_bring_about_a_dial_while_a_spare_stands_by(autojump_clock):
    async def slow(stream):
        while await stream.receive_some():
            await trio.sleep(2)
            await stream.send_all(PLAIN)

    async with lines(slow, slow, slow, slow) as (orders, dialer):
        await trio.sleep(1)
        for _ in range(3):
            await orders.send(orders.written(ORDER), "id1")
        assert len(dialer.opened) == 2


TOKENS = st.text("abcXYZ-_!", min_size=1, max_size=8)
REQUESTS = st.builds(
    HttpRequest,
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "G T", ""]),
    path=st.text("/ab%+&= \r\n\xe9", max_size=6).map(lambda text: "/" + text),
    query=st.text("ab%=& \r\n#", max_size=6),
    headers=st.lists(
        st.tuples(TOKENS | st.sampled_from(["", "a b", "a:"]), st.text("ab :\t\r\n\0\xe9", max_size=5)), max_size=3
    ).map(tuple),
    body=st.binary(max_size=5),
    bucket=st.just("all"),
)


@given(request=REQUESTS)
def test_what_is_written_is_one_request_as_h11_reads_it_or_nothing(request: HttpRequest) -> None:
    orders = OrderHttp(OrderTarget(venue=VENUE, endpoint=HERE, prefix="/p"), SocketDialer())
    try:
        data = orders.written(request).data
    except InvariantBroken:
        return

    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    head, body = server.next_event(), b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)

    assert isinstance(head, h11.Request)
    assert isinstance(event, h11.EndOfMessage)
    assert not server.trailing_data[0]
    assert (head.method.decode(), head.target.decode()) == (request.method, "/p" + request.target)
    assert body == request.body
    told = [(name.decode(), value.decode()) for name, value in head.headers.raw_items()]
    added = {"Host", "Content-Length"}
    assert [one for one in told if one[0] not in added] == [(name, value.strip()) for name, value in request.headers]
