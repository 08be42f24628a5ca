from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import cast

import pytest
import trio

from arb.domain.depth import Depth, DepthSource
from arb.domain.errors import ProtocolError, TransientError
from arb.domain.events import FeedDown, FeedSeen, FeedUp, InstrumentSeen, VenueStatus
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import InstrumentStatus
from arb.ports import Trade
from arb.venues.spec import (
    BookChanged,
    BookLost,
    Fault,
    HttpRequest,
    MarketSpec,
    NeedSnapshot,
    Reconnect,
    Reply,
    StatusSeen,
    StreamPlan,
)
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.source import SourceParts, SourceSettings, run_source
from arb.venues.wire.status import VenueStatusBoard
from tests.strategies import A_BTC, instrument
from tests.venues.wire.wire_fakes import (
    HERE,
    VENUE,
    WALL_START_NS,
    Inbox,
    Rules,
    ScriptedDialer,
    Tap,
    TrioClock,
    WsPeer,
    ok,
    serve_http,
)

FEED = FeedId("somewhere/public/0")
ONE, TWO = A_BTC, InstrumentId("upbit:KRW-ETH")


class Words:
    """A protocol whose frames are words: `book ONE`, `lost ONE why`, `need ONE`, `reply text`, `halt ONE` …"""

    def __init__(self) -> None:
        self.count = 0

    def opening(self):
        return ("subscribe",)

    def receive(self, frame, received_ns):
        self.received_ns = received_ns
        match frame.decode().split():
            case ["book", *names]:
                self.count += 1
                return tuple(BookChanged(InstrumentId(name)) for name in names)
            case ["lost", name, why]:
                return (BookLost(InstrumentId(name), why),)
            case ["need", name]:
                return (NeedSnapshot(InstrumentId(name), HttpRequest(method="GET", path="/snap", bucket="all")),)
            case ["reply", text]:
                return (Reply(text),)
            case ["reconnect"]:
                return (Reconnect("serverShutdown"),)
            case ["halt", name]:
                return (StatusSeen(instrument=InstrumentId(name), is_tradable=False, detail="halted"),)
            case ["maintenance"]:
                return (StatusSeen(instrument=None, is_tradable=False, detail="until 9"),)
            case ["trade"]:
                trade = Trade(
                    instrument=ONE, price="1", qty="2", is_buy=True, trade_id="t", venue_ns=1, received_ns=received_ns
                )
                return (trade,)
        return (Fault("what?"),)

    def receive_snapshot(self, name, body, received_ns):
        return self.receive(body, received_ns)

    def depth(self, name, levels):
        return image(name, received_ns=self.received_ns, sequence=self.count)


def image(name, *, received_ns, sequence=1, source=DepthSource.WS):
    venue_ns = received_ns + WALL_START_NS - 30_000_000
    return Depth(
        instrument=name, feed=FEED, bids=(9.0, 1.0), asks=(10.0, 1.0), received_ns=received_ns,
        venue_ns=venue_ns, sequence=sequence, source=source,
    )  # fmt: skip


class Market:
    """The REST half: an image is a number."""

    rest_url = "http://venue.test"
    ws_url = "ws://venue.test/base"

    def depth_request(self, symbol, levels):
        return HttpRequest(method="GET", path=f"/depth/{symbol}/{levels}", bucket="all")

    def parse_depth(self, name, feed, answer, received_ns):
        if answer.body == b"nonsense":
            raise ProtocolError("somewhere", "nonsense")
        return image(name, received_ns=received_ns, source=DepthSource.REST)


class Rig:
    """A source over scripted WebSocket servers and one HTTP server."""

    def __init__(self, ws: ScriptedDialer, inbox: Inbox, tap: Tap, asked: list[tuple[float, str]]) -> None:
        self.ws, self.inbox, self.tap, self.asked = ws, inbox, tap, asked

    def story(self):
        """What was told of the feed: time, up source or down reason, instruments."""
        return [
            (at, event.source if isinstance(event, FeedUp) else "down", event.instruments)
            for at, event in self.inbox.account
            if isinstance(event, FeedUp | FeedDown)
        ]


async def restarting(run, *, wait_s=10.0, runs=1000):
    """Restarts after a fixed wait; gives up after so many runs."""
    for _ in range(runs):
        try:
            await run()
        except TransientError:
            await trio.sleep(wait_s)


@asynccontextmanager
async def source(*script, answer=None, names=(ONE,), restart=restarting, http_delay_s=0.0, **settings):
    clock, inbox, tap = TrioClock(), Inbox(), Tap()
    asked: list[tuple[float, str]] = []

    def default_answer(method, target, body):
        asked.append((trio.current_time(), target))
        return (answer or (lambda _target: ok(b"1")))(target)

    async def http_server(stream):
        await serve_http(stream, default_answer, delay_s=http_delay_s)

    values = {
        "levels": 5, "is_rest_only": False, "silent_after_ms": 1500, "heartbeat_s": 15.0, "pong_within_s": 5.0,
        "rest_interval_s": 1.0, "max_connection_s": None,
    } | settings  # fmt: skip
    async with trio.open_nursery() as nursery:
        ws = ScriptedDialer(nursery, *script)
        rest = ScriptedDialer(nursery, *[http_server] * 50)
        limiter = RateLimiter(Rules(), clock, venue=VENUE)
        async with open_http(HttpTarget(venue=VENUE, endpoint=HERE), dialer=rest, limiter=limiter, clock=clock) as http:
            parts = SourceParts(
                venue=VENUE, market=cast(MarketSpec, Market()), instruments={ONE: instrument(ONE)},
                ws_url=Market.ws_url, dialer=ws, http=http, clock=clock, sink=inbox, tap=tap,
                board=VenueStatusBoard(VENUE, clock, inbox),
                settings=SourceSettings(**values),
            )  # fmt: skip
            plans = lambda: StreamPlan(feed=FEED, path="/public", instruments=names, protocol=Words())  # noqa: E731
            async with trio.open_nursery() as inner:
                inner.start_soon(partial(run_source, plans, parts, restarting=restart))
                yield Rig(ws, inbox, tap, asked)
                inner.cancel_scope.cancel()
        assert all(stream.is_closed for stream in [*ws.opened, *rest.opened]), "a socket leaked"
        nursery.cancel_scope.cancel()


def saying(*lines, then="pongs"):
    """A WebSocket server that says each `(at, text)` at its time after the handshake."""

    async def serve(stream):
        peer = WsPeer(stream)
        await peer.accept()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            if then == "pongs":
                nursery.start_soon(peer.drain)
            for at, text in lines:
                await trio.sleep(max(began + at - trio.current_time(), 0))
                await peer.say(text)
            if then == "eof":
                await trio.sleep(1)
                stream.close()
            if then == "mute":
                await trio.sleep_forever()

    return serve


async def test_a_synchronised_book_is_told_once_and_taken_when_wanted(autojump_clock):
    async with source(saying((0, f"book {ONE}"), (1, f"book {ONE}"), (1, "trade"), (1, "?"))) as rig:
        await trio.sleep(2)
        assert rig.story() == [(0, "ws", (ONE,))]
        assert [at for at, _ in rig.inbox.depths] == [0, 1]
        assert [seen.depth.sequence for _, seen in rig.inbox.depths] == [1, 2]
        assert rig.inbox.depths[1][1].depth.source is DepthSource.WS
        assert len(rig.tap.trades) == 1
        assert rig.tap.faults == [(FEED, b"?", "what?")]
        assert rig.asked == []
        seen = [event for _, _, event in rig.inbox.latest if isinstance(event, FeedSeen)]
        assert seen[-1].latency_ns == 30_000_000


async def test_pongs_do_not_break_the_silence_of_books(autojump_clock):
    async with source(saying((0, f"book {ONE}"))) as rig:
        await trio.sleep(3)
        assert rig.story() == [(0, "ws", (ONE,)), (1.5, "down", (ONE,)), (1.5, "rest", (ONE,))]
        assert [at for at, _ in rig.asked] == [1.5, 2.5]


async def test_silence_goes_to_rest_and_back_at_exact_times(autojump_clock):
    """The venue stops talking for 4 s (pongs too), then goes on in the same connection."""
    server = saying((0, f"book {ONE}"), (4, f"book {ONE}"), (4.1, f"book {ONE}"), then="mute")
    async with source(server) as rig:
        await trio.sleep(4.5)
        assert rig.story() == [(0, "ws", (ONE,)), (1.5, "down", (ONE,)), (1.5, "rest", (ONE,)), (4, "ws", (ONE,))]
        assert [at for at, _ in rig.asked] == [1.5, 2.5, 3.5]
        rests = [(at, seen) for at, seen in rig.inbox.depths if seen and seen.depth.source is DepthSource.REST]
        assert [at for at, _ in rests] == [1.5, 2.5, 3.5]


async def test_rest_stands_in_at_once_while_the_restart_waits(autojump_clock):
    first = saying((0, f"book {ONE}"), then="eof")
    second = saying((2, f"book {ONE}"))
    async with source(first, second) as rig:
        await trio.sleep(14)
        assert rig.story() == [(0, "ws", (ONE,)), (1, "down", (ONE,)), (1, "rest", (ONE,)), (13, "ws", (ONE,))]
        assert [at for at, _ in rig.asked] == [*range(1, 12), 12.5]
        assert rig.asked[0][1] == "/depth/KRW-BTC/5"


async def test_a_first_connection_that_does_not_come_is_replaced_by_rest(autojump_clock):
    async with source(None, None, saying((0, f"book {ONE}"))) as rig:
        await trio.sleep(21)
        assert rig.story() == [(0, "rest", (ONE,)), (20, "ws", (ONE,))]


async def test_rest_alone_polls_and_never_opens_a_websocket(autojump_clock):
    async with source(is_rest_only=True, names=(ONE, TWO)) as rig:
        await trio.sleep(2.5)
        assert rig.ws.dials == []
        assert rig.story() == [(0, "rest", (ONE,)), (0, "rest", (TWO,))]
        assert [at for at, _ in rig.asked] == [0, 0, 1, 1, 2, 2]


async def test_a_rest_image_is_dated_at_the_middle_of_its_request(autojump_clock):
    async with source(is_rest_only=True, http_delay_s=0.4) as rig:
        await trio.sleep(0.9)
        [(at, seen)] = rig.inbox.depths
        assert at == pytest.approx(0.4)
        assert seen.depth.uncertainty_ns == 200_000_000
        assert seen.at_ns - seen.depth.received_ns == 200_000_000
        assert seen.depth.source is DepthSource.REST


async def test_polls_that_fail_slow_down_and_are_told_once(autojump_clock):
    answers = iter([ok(b"1"), *[ok(b"nonsense")] * 3, *[ok(status=503)] * 3, *[ok(b"1")] * 200])
    async with source(is_rest_only=True, answer=lambda _: next(answers)) as rig:
        await trio.sleep(120)
        assert [what for _, what, _ in rig.story()] == ["rest", "down", "rest"]
        gaps = [b - a for (a, _), (b, _) in pairwise(rig.asked)]
        assert gaps[:8] == pytest.approx([1, 2, 4, 8, 16, 16, 16, 1])


async def test_a_lost_book_is_told_alone_and_polled_if_it_stays_lost(autojump_clock):
    lines = [
        (0, f"book {ONE} {TWO}"),
        (1, f"lost {ONE} gap"),
        *((at, f"book {TWO}") for at in (1.25, 2.25, 3.25, 4.25)),
    ]
    async with source(saying(*lines, (5, f"book {ONE}")), names=(ONE, TWO)) as rig:
        await trio.sleep(6)
        story = [line for line in rig.story() if line[0] > 0]
        assert story == [(1, "down", (ONE,)), (2.5, "rest", (ONE,)), (5, "ws", (ONE,))]
        assert {target for _, target in rig.asked} == {"/depth/KRW-BTC/5"}


async def test_a_snapshot_loop_is_slowed_down(autojump_clock):
    answer = lambda target: ok(b"need upbit:KRW-BTC" if target == "/snap" else b"1")  # noqa: E731
    async with source(saying((0, f"need {ONE}")), answer=answer, silent_after_ms=1_000_000) as rig:
        await trio.sleep(40)
        assert [at for at, _ in rig.asked] == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])


async def test_a_snapshot_is_fetched_once_at_a_time_and_repeated_when_it_fails(autojump_clock):
    answers = iter([ok(status=500), ok(b"book upbit:KRW-BTC")])
    server = saying((0, f"need {ONE}"), (0.1, f"need {ONE}"))
    async with source(server, answer=lambda _: next(answers)) as rig:
        await trio.sleep(1)
        assert [at for at, _ in rig.asked] == [0, 0.5]
        assert rig.story() == [(0.5, "ws", (ONE,))]


async def test_images_of_an_older_connection_are_dropped(autojump_clock):
    kept = []

    class Late(Inbox):
        def put_depth(self, name, take):
            kept.append(take)

    server = saying((0, f"book {ONE}"), then="eof")
    async with source(server, saying((0, f"book {ONE}"))) as rig:
        rig.inbox.put_depth = Late().put_depth
        await trio.sleep(0.5)
        assert kept[0]() is not None
        await trio.sleep(1)
        assert kept[0]() is None
        await trio.sleep(12)
        assert kept[0]() is None
        assert kept[-1]() is not None


async def test_the_age_limit_renews_the_connection_without_a_restart(autojump_clock):
    failures = []

    async def no_restart(run):
        try:
            await run()
        except TransientError as error:
            failures.append(error)

    servers = [saying((0, f"book {ONE}"))] * 3
    async with source(*servers, restart=no_restart, max_connection_s=100.0, silent_after_ms=1_000_000) as rig:
        await trio.sleep(250)
        assert rig.ws.dials == [0, 100, 200]
        assert failures == []
        assert [what for _, what, _ in rig.story()] == ["ws", "down", "ws", "down", "ws"]


async def test_a_venue_that_asks_for_a_new_connection_gets_one(autojump_clock):
    async with source(saying((1, "reconnect")), saying((0, f"book {ONE}"))) as rig:
        await trio.sleep(15)
        assert rig.ws.dials == [0, 11]


async def test_replies_go_out_and_statuses_reach_the_core(autojump_clock):
    heard: list[str] = []

    async def server(stream):
        peer = WsPeer(stream)
        await peer.accept()
        await peer.say("reply hello")
        for _ in range(2):
            data = await stream.receive_some()
            peer.ws.receive_data(data)
            heard.extend(event.data for event in peer.ws.events() if hasattr(event, "data"))
            if len(heard) > 1:
                break
        await peer.say(f"halt {ONE}")
        await peer.say("maintenance")
        await peer.drain()

    async with source(server) as rig:
        await trio.sleep(1)
        assert heard == ["subscribe", "hello"]
        [halted] = [event for event in rig.inbox.events() if isinstance(event, InstrumentSeen)]
        assert halted.instrument.status is InstrumentStatus.HALTED
        [status] = [event for event in rig.inbox.events() if isinstance(event, VenueStatus)]
        assert status.reason == "until 9"


async def test_a_spent_budget_is_final_and_rest_goes_on(autojump_clock):
    async with source(None, None, restart=partial(restarting, wait_s=1.0, runs=2)) as rig:
        await trio.sleep(10)
        [down] = [event for event in rig.inbox.events() if isinstance(event, FeedDown)]
        assert down.is_final
        assert [(at, what) for at, what, _ in rig.story()] == [(0, "rest"), (2, "down"), (2, "rest")]
        assert rig.asked[-1][0] >= 9


async def test_cancelling_at_any_moment_leaks_nothing(autojump_clock):
    for step in range(30):
        servers = [saying((0.5, f"book {ONE}"), (1, f"need {ONE}"), then="eof")] * 10
        async with source(*servers, restart=partial(restarting, wait_s=0.3), http_delay_s=0.2):
            await trio.sleep(step * 0.13)


async def test_every_change_of_source_is_told_once(autojump_clock):
    servers = [saying((0.5, f"book {ONE} {TWO}"), (1, f"lost {TWO} gap"), then="eof")] * 10
    async with source(*servers, names=(ONE, TWO)) as rig:
        await trio.sleep(100)
    for name in (ONE, TWO):
        told = [what for _, what, names in rig.story() if name in names]
        assert len(told) > 10
        assert all(now != before for before, now in pairwise(told))
