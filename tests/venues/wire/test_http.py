from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from arb.domain.errors import RateLimited, VenueUnavailable
from arb.venues.spec import Bucket, HttpRequest
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from tests.venues.wire.wire_fakes import HERE, VENUE, Rules, ScriptedDialer, TrioClock, ok, serve_http

GET = HttpRequest(method="GET", path="/v1/thing", query="a=1%2C2", bucket="all", headers=(("X-Key", "k"),))
POST = HttpRequest(method="POST", path="/v1/thing", bucket="all", body=b'{"a":1}')


@asynccontextmanager
async def client(*script, rules=None, **target_words):
    clock = TrioClock()
    async with trio.open_nursery() as nursery:
        dialer = ScriptedDialer(nursery, *script)
        limiter = RateLimiter(rules or Rules(), clock, venue=VENUE)
        target = HttpTarget(venue=VENUE, endpoint=HERE, prefix="/base", answer_within_s=5.0, **target_words)
        async with open_http(target, dialer=dialer, limiter=limiter, clock=clock) as http:
            yield http, dialer
        assert all(stream.is_closed for stream in dialer.opened), "a connection leaked"
        nursery.cancel_scope.cancel()


async def test_a_connection_is_kept_and_the_request_goes_out_as_built(autojump_clock):
    seen = []

    def answer(method, target, body):
        seen.append((method, target, body))
        return ok(b'{"n":%d}' % len(seen), x_thing="y")

    async with client(partial(serve_http, answer=answer)) as (http, dialer):
        first = await http.request(GET)
        second = await http.read(POST)
        assert len(dialer.opened) == 1
    assert (first.body, second.body) == (b'{"n":1}', b'{"n":2}')
    assert first.headers["x-thing"] == "y"
    assert seen == [("GET", "/base/v1/thing?a=1%2C2", b""), ("POST", "/base/v1/thing", b'{"a":1}')]


async def test_a_read_takes_only_success_for_an_answer(autojump_clock):
    async with client(partial(serve_http, answer=lambda *_: ok(b"no such symbol", status=400))) as (http, _):
        assert (await http.request(GET)).status == 400
        with pytest.raises(VenueUnavailable, match="400 no such symbol"):
            await http.read(GET)


async def test_429_is_obeyed_by_every_request_after_it(autojump_clock):
    async with client(partial(serve_http, answer=lambda *_: ok(status=429, retry_after="9"))) as (http, _):
        with pytest.raises(RateLimited) as caught:
            await http.read(GET)
        assert caught.value.retry_after_s == pytest.approx(9)
        await trio.sleep(4)
        with pytest.raises(RateLimited) as caught:
            await http.request(POST)
        assert caught.value.retry_after_s == pytest.approx(5)


async def test_a_stale_connection_is_replaced_once_for_a_get_and_never_for_a_post(autojump_clock):
    def once(method, target, body, asked=[]):  # noqa: B006
        asked.append(1)
        return ok() if len(asked) == 1 else None

    good = partial(serve_http, answer=lambda *_: ok(b"again"))
    async with client(partial(serve_http, answer=partial(once, asked=[])), good) as (http, dialer):
        await http.read(GET)
        assert (await http.read(GET)).body == b"again"
        assert len(dialer.opened) == 2
    async with client(partial(serve_http, answer=partial(once, asked=[])), good) as (http, dialer):
        await http.read(GET)
        with pytest.raises(VenueUnavailable, match=r"RemoteProtocolError|ReadError|WriteError"):
            await http.read(POST)
        assert len(dialer.opened) == 1


async def test_no_answer_ends_at_the_limit(autojump_clock):
    async def hang(stream):
        await trio.sleep_forever()

    async with client(hang) as (http, _):
        with pytest.raises(VenueUnavailable, match="no answer in 5 s"):
            await http.read(GET)
        assert trio.current_time() == 5


async def test_nobody_there_is_venue_unavailable(autojump_clock):
    async with client() as (http, _):
        with pytest.raises(VenueUnavailable, match="nothing listens"):
            await http.read(GET)


async def test_requests_wait_for_their_tokens(autojump_clock):
    rules = Rules(Bucket(name="all", capacity=2, window_s=1.0, reserve=0))
    async with client(partial(serve_http, answer=lambda *_: ok()), rules=rules) as (http, _):
        for _ in range(5):
            timed = await http.read_timed(GET)
            assert timed.received_ns == timed.sent_ns
        assert trio.current_time() == 2


async def test_cancelling_a_request_leaks_no_connection(autojump_clock):
    async def slow(stream):
        await trio.sleep(1)
        await serve_http(stream, lambda *_: ok())

    for step in range(6):
        async with client(slow) as (http, _):
            with trio.move_on_after(step * 0.25):
                await http.read(GET)


async def test_a_read_that_fails_is_asked_again_as_often_as_configured_and_ever_later(autojump_clock):
    asked = []

    def answer(*_):
        asked.append(trio.current_time())
        return ok(b"down", status=503) if len(asked) < 4 else ok(b"up")

    async with client(partial(serve_http, answer=answer), max_retry=3, base_backoff_s=0.5) as (http, _):
        assert (await http.read(GET)).body == b"up"
        assert asked == [0, 0.5, 1.5, 3.5]
    asked.clear()
    async with client(partial(serve_http, answer=answer), max_retry=1) as (http, _):
        with pytest.raises(VenueUnavailable, match="503"):
            await http.read(GET)
    assert len(asked) == 2


async def test_a_venue_that_limits_us_is_not_asked_again(autojump_clock):
    asked = []

    def answer(*_):
        asked.append(trio.current_time())
        return ok(status=429, retry_after="9")

    async with client(partial(serve_http, answer=answer), max_retry=3) as (http, _):
        with pytest.raises(RateLimited):
            await http.read(GET)
    assert len(asked) == 1
