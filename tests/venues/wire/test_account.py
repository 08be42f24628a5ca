from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import cast

import pytest
import trio

from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.domain.events import (
    BalanceSeen,
    FeedDown,
    FeedUp,
    FillSeen,
    FundingPaid,
    OrderUpdated,
    PositionSeen,
    Reconciled,
)
from arb.domain.ids import AssetId, ClientOrderId, FeedId, InstrumentId, VenueOrderId
from arb.domain.order import Balance, OrderState, OrderUpdate, Position
from arb.venues.spec import (
    AccountProtocol,
    Alive,
    BalancesSeen,
    ExecutionsSeen,
    Fault,
    HttpRequest,
    OrderCodec,
    PrivateTarget,
    Reconnect,
    Reread,
    Stamp,
)
from arb.venues.wire.account import AccountParts, VenueAccount
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.ws import WsHeartbeat
from tests.strategies import A_BTC, instrument
from tests.venues.wire.test_orders import fill
from tests.venues.wire.wire_fakes import (
    HERE,
    VENUE,
    Inbox,
    Rules,
    ScriptedDialer,
    Tap,
    TrioClock,
    WsPeer,
    ok,
    serve_http,
)

FEED = FeedId("somewhere/private")


def update(name="id1", state=OrderState.OPEN):
    return OrderUpdate(
        client_order_id=ClientOrderId(name), instrument=A_BTC, state=state, filled_qty=Decimal(0), received_ns=0
    )


def balances(amount, *, is_full=False):
    return BalancesSeen(balances=(Balance(AssetId("KRW"), Decimal(amount), Decimal(0)),), is_full=is_full)


def position():
    return Position(
        instrument=InstrumentId("x:y"), qty=Decimal(1), entry_price=Decimal(1), mark_price=None, liquidation_price=None
    )


EXECUTIONS = {
    b"fills": ExecutionsSeen(fills=(fill(ClientOrderId("id1"), "t1"), fill(None, "t2"))),
    b"page": ExecutionsSeen(fills=(fill(None, "t0"),), more_from_ms=400),
    b"orders": ExecutionsSeen(
        orders=(
            OrderUpdate(
                client_order_id=ClientOrderId("id1"), instrument=A_BTC, state=OrderState.FILLED,
                filled_qty=Decimal(1), venue_order_id=VenueOrderId("7"), received_ns=0,
            ),
        )
    ),
}  # fmt: skip


class Asked:
    """An order codec that is asked about orders of one execution."""

    def query(self, query, stamp):
        return HttpRequest(method="GET", path="/order", query=f"id={query.venue_order_id}", bucket="all")

    def parse_query(self, query, answer, received_ns):
        return (fill(query.client_order_id, "t7"), update(query.client_order_id, OrderState.FILLED))


class Words:
    """An account protocol whose frames are words."""

    ws_private_url = "ws://venue.test/private"

    def __init__(self, keepalive_s=None) -> None:
        self.keepalive_s = keepalive_s

    def _get(self, path, stamp):
        return HttpRequest(method="GET", path=path, query=f"n={stamp.nonce}", bucket="all")

    def prepare_request(self, stamp):
        return self._get("/key", stamp)

    def target(self, prepared, stamp):
        if prepared.body == b"nonsense":
            raise ProtocolError("somewhere", "no key")
        return PrivateTarget(path=f"/{prepared.body.decode()}", headers=(("X-Auth", "yes"),), opening=("hello",))

    def keepalive_request(self, stamp):
        return self._get("/extend", stamp)

    def receive(self, frame, received_ns):
        match frame.decode().split():
            case ["balance", amount]:
                return (balances(amount),)
            case ["order", state]:
                return (update(state=OrderState(state)),)
            case ["fill"]:
                return (fill(ClientOrderId("id1"), "t1"),)
            case ["position"]:
                return (position(),)
            case ["reread"]:
                return (Reread("margin call"),)
            case ["expired"]:
                return (Reconnect("listen key expired"),)
            case ["alive"]:
                return (Alive(),)
        return (Fault("what?"),)

    def snapshot_count(self, rules):
        return 2

    def snapshot_requests(self, rules, stamps):
        return tuple(self._get(f"/snapshot{number}", stamp) for number, stamp in enumerate(stamps))

    def parse_snapshot(self, rules, answers, received_ns):
        if answers[0].body == b"nonsense":
            raise ProtocolError("somewhere", "nonsense")
        odd = (Fault("an order nobody can read"),) if answers[0].body == b"odd" else ()
        return (balances("100", is_full=True), position(), update(), *odd)

    def funding_request(self, since_ms, stamp):
        return HttpRequest(method="GET", path="/funding", query=f"since={since_ms}", bucket="all")

    def parse_funding(self, answer, received_ns):
        paid = FundingPaid(
            at_ns=received_ns, instrument=A_BTC, income_id="1", amount=Decimal(1), asset=AssetId("USDT"), rate=None,
            settled_ms=777,
        )  # fmt: skip
        return (paid,)

    executions_window_ms = 1_000

    def executions_count(self, rules):
        return 1

    def executions_requests(self, rules, since_ms, until_ms, stamps):
        return (HttpRequest(method="GET", path="/executions", query=f"span={since_ms}-{until_ms}", bucket="all"),)

    def parse_executions(self, rules, answers, received_ns):
        (heard,) = answers
        if heard.body == b"nonsense":
            raise ProtocolError("somewhere", "nonsense")
        return EXECUTIONS.get(heard.body, ExecutionsSeen())

    transfers_count = 0

    def transfers_requests(self, since_ms, stamps):
        return ()

    def parse_transfers(self, answers, since_ms, received_ns):
        return ()


class Rig:
    def __init__(self, account, ws, inbox, tap, asked, heard) -> None:
        self.account, self.ws, self.inbox, self.tap, self.asked, self.heard = account, ws, inbox, tap, asked, heard

    def kinds(self):
        return [(at, type(event)) for at, event in self.inbox.account]


@asynccontextmanager
async def running(*script, answer=None, keepalive_s=None, delay_s=0.0, max_connection_s=None, errors=None, wall_ms=0,
                  booked=Decimal(0)):  # fmt: skip
    clock, inbox, tap = TrioClock(), Inbox(), Tap()
    asked: list[tuple[float, str]] = []
    heard: list[OrderUpdate] = []
    nonces = iter(range(10_000))

    def default_answer(method, target, body):
        asked.append((trio.current_time(), target))
        return (answer or (lambda _target: ok(b"listen")))(target)

    async def http_server(stream):
        await serve_http(stream, default_answer, delay_s=delay_s)

    async def run(account):
        try:
            while True:
                try:
                    await account.run_stream()
                except VenueUnavailable as error:
                    if errors is not None:
                        errors.append((trio.current_time(), str(error)))
                    await trio.sleep(10)
        finally:
            assert all(stream.is_closed for stream in ws.opened), "a socket leaked"

    async with trio.open_nursery() as nursery:
        ws = ScriptedDialer(nursery, *script)
        rest = ScriptedDialer(nursery, *[http_server] * 20)
        limiter = RateLimiter(Rules(), clock, venue=VENUE)
        async with open_http(HttpTarget(venue=VENUE, endpoint=HERE), dialer=rest, limiter=limiter, clock=clock) as http:
            parts = AccountParts(
                venue=VENUE, feed=FEED, protocols=lambda: cast(AccountProtocol, Words(keepalive_s)),
                instruments=(instrument(A_BTC),),
                ws_private_url=Words.ws_private_url, dialer=ws, http=http, sink=inbox, tap=tap, clock=clock,
                stamp=lambda: Stamp(wall_ms=wall_ms, nonce=str(next(nonces))), heard=heard.append,
                heartbeat=WsHeartbeat(after_s=10.0, within_s=5.0), max_connection_s=max_connection_s,
                bookings_since_ms=5, codec=cast(OrderCodec, Asked()), booked_qty=lambda _update: booked,
            )  # fmt: skip
            account = VenueAccount(parts)
            async with trio.open_nursery() as inner:
                inner.start_soon(run, account)
                yield Rig(account, ws, inbox, tap, asked, heard)
                inner.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


def saying(*lines, seen=None):
    async def serve(stream):
        peer = WsPeer(stream)
        request = await peer.accept()
        if seen is not None:
            seen.append((request.target, dict(request.extra_headers)[b"x-auth"]))
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.drain)
            for at, text in lines:
                await trio.sleep(max(began + at - trio.current_time(), 0))
                await peer.say(text)

    return serve


SNAPSHOT = [FundingPaid, BalanceSeen, PositionSeen, OrderUpdated, Reconciled, FeedUp]


async def test_after_every_connect_the_account_is_read_and_then_the_stream_goes_on(autojump_clock):
    seen: list[tuple[str, bytes]] = []
    async with running(saying((1, "fill"), (2, "order filled"), (2, "alive"), (2, "?"), seen=seen)) as rig:
        await trio.sleep(5)
        assert seen == [("/private/listen", b"yes")]
        assert [kind for _, kind in rig.kinds()] == [*SNAPSHOT, FillSeen, OrderUpdated]
        [reconciled] = [event for event in rig.inbox.events() if isinstance(event, Reconciled)]
        assert [order.client_order_id for order in reconciled.open_orders] == ["id1"]
        assert [order.state for order in rig.heard] == [OrderState.OPEN, OrderState.FILLED]
        targets = [target for _, target in rig.asked]
        assert targets == [
            "/key?n=0",
            "/snapshot0?n=2",
            "/snapshot1?n=3",
            "/funding?since=5",
            "/executions?span=5-None",
        ]
        assert rig.tap.faults == [(FEED, b"?", "what?")]


async def test_a_part_of_the_account_that_cannot_be_read_is_kept_and_the_rest_is_told(autojump_clock):
    async with running(saying(), answer=lambda target: ok(b"odd" if "snapshot" in target else b"listen")) as rig:
        await trio.sleep(5)
        assert [kind for _, kind in rig.kinds()] == SNAPSHOT
        assert rig.tap.faults == [(FEED, b"odd odd", "an order nobody can read")]


async def test_while_the_account_is_read_fills_pass_and_balances_wait_behind_the_older_snapshot(autojump_clock):
    async with running(saying((0.2, "balance 55"), (0.3, "fill"), (9, "balance 56")), delay_s=0.5) as rig:
        await trio.sleep(20)
        kinds = [kind for _, kind in rig.kinds()]
        assert kinds == [FillSeen, *SNAPSHOT[:5], BalanceSeen, FeedUp, BalanceSeen]
        amounts = [event.balances[0].free for event in rig.inbox.events() if isinstance(event, BalanceSeen)]
        assert amounts == [100, 55, 56]


async def test_what_is_held_is_told_as_of_the_beginning_of_a_reading_however_long_it_took(autojump_clock):
    async with running(saying(), delay_s=4.0) as rig:
        await trio.sleep(60)
        [line] = [event for event in rig.inbox.events() if isinstance(event, Reconciled)]
        held = [event for event in rig.inbox.events() if isinstance(event, BalanceSeen | PositionSeen)]
        assert {event.at_ns for event in held} == {line.begun_ns}
        assert line.begun_ns == line.at_ns - 16_000_000_000


def paths(rig, name):
    return [target for _, target in rig.asked if target.startswith(f"/{name}")]


def trades(rig):
    return [event.fill.trade_id for event in rig.inbox.events() if isinstance(event, FillSeen)]


def executions(body, *, then=b""):
    pages = iter([body])
    return lambda target: ok(next(pages, then) if target.startswith("/executions") else b"listen")


async def test_what_traded_is_told_before_what_is_held_and_each_execution_once(autojump_clock):
    async with running(saying((2, "fill"), (3, "reread")), answer=executions(b"fills", then=b"fills")) as rig:
        await trio.sleep(5)
        assert [kind for _, kind in rig.kinds()][:3] == [FillSeen, FillSeen, FundingPaid]
        assert trades(rig) == ["t1", "t2", "t1"]  # the last one by the stream: the core knows it


async def test_a_reading_of_executions_begins_a_minute_before_the_last_one_did(autojump_clock):
    async with running(saying((2, "reread")), wall_ms=60_900, answer=executions(b"")) as rig:
        await trio.sleep(5)
        spans = [5 + 1_000 * number for number in range(61)]
        told = [f"/executions?span={at}-{at + 1_000 if at + 1_000 < 60_900 else None}" for at in spans]
        assert paths(rig, "executions")[:61] == told
        assert paths(rig, "executions")[61] == "/executions?span=900-1900"


async def test_a_list_that_is_full_is_read_on_from_its_last_row(autojump_clock):
    async with running(saying(), answer=executions(b"page", then=b"fills")) as rig:
        await trio.sleep(5)
        assert paths(rig, "executions") == ["/executions?span=5-None", "/executions?span=400-None"]
        assert trades(rig) == ["t0", "t1", "t2"]


async def test_an_order_that_the_core_knows_whole_is_not_asked_for_its_executions(autojump_clock):
    async with running(saying((2, "reread")), answer=executions(b"orders", then=b"orders"), booked=Decimal(1)) as rig:
        await trio.sleep(5)
        assert paths(rig, "order") == trades(rig) == []


async def test_an_order_that_lists_less_than_it_traded_is_asked_for_again(autojump_clock):
    async with running(saying((2, "reread")), answer=executions(b"orders", then=b"orders")) as rig:
        await trio.sleep(5)
        assert paths(rig, "order") == ["/order?id=7", "/order?id=7"]
        assert trades(rig) == ["t7"]


async def test_a_broken_stream_is_told_at_once_and_the_account_read_again_after_the_next_connect(autojump_clock):
    errors: list[tuple[float, str]] = []
    async with running(saying((3, "expired")), saying(), errors=errors) as rig:
        await trio.sleep(20)
        assert errors == [(3, "somewhere: the venue asks for a new connection: listen key expired")]
        assert [kind for _, kind in rig.kinds()] == [*SNAPSHOT, FeedDown, *SNAPSHOT]
        assert [at for at, kind in rig.kinds() if kind is Reconciled] == [0, 13]
        # Funding already seen is not asked for again.
        assert [target for _, target in rig.asked if "funding" in target] == ["/funding?since=5", "/funding?since=777"]


async def test_what_the_stream_does_not_tell_in_full_is_read(autojump_clock):
    async with running(saying((2, "reread"))) as rig:
        await trio.sleep(5)
        assert [at for at, kind in rig.kinds() if kind is Reconciled] == [0, 2]


async def test_a_reading_that_has_not_begun_serves_everybody_who_asks_for_one(autojump_clock):
    async with running(saying(), delay_s=0.5) as rig:
        await trio.sleep(5)
        before = len([target for _, target in rig.asked if "funding" in target])
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(rig.account.read_again, "asked")
                await trio.sleep(0.01)
        await rig.account.read_again("later")
        asked = [target for _, target in rig.asked if "funding" in target]
        assert len(asked) - before == 3  # the one that had begun, the one that waited for it, the later one


async def test_the_listen_key_is_extended_and_three_failures_end_the_connection(autojump_clock):
    errors: list[tuple[float, str]] = []

    def answer(target):
        return ok(status=500) if target.startswith("/extend") and trio.current_time() > 150 else ok(b"listen")

    async with running(saying(), answer=answer, keepalive_s=100.0, errors=errors) as rig:
        await trio.sleep(265)
        assert [at for at, target in rig.asked if "extend" in target] == [100, 200, 230, 260]
        assert [at for at, _ in errors] == [260]


@pytest.mark.parametrize("path", ["/key", "/snapshot0"])
async def test_an_answer_that_is_nonsense_or_an_error_fails_the_run_honestly(autojump_clock, path):
    for bad in (ok(b"nonsense"), ok(status=503)):
        errors: list[tuple[float, str]] = []
        served = iter([bad])

        def answer(target, served=served):
            return next(served, ok(b"listen")) if target.startswith(path) else ok(b"listen")

        began = trio.current_time()
        async with running(saying(), saying(), answer=answer, errors=errors) as rig:
            await trio.sleep(15)
            assert [at - began for at, _ in errors] == [0]
            assert [kind for _, kind in rig.kinds()] == [FeedDown, *SNAPSHOT]


async def test_a_reading_whose_wait_was_cancelled_keeps_nobody_else_from_reading(autojump_clock):
    async with running(saying(), delay_s=1.0) as rig:
        await trio.sleep(1.5)
        with trio.move_on_after(0.5):
            await rig.account.read_again("asked by a stream that ends")
        await trio.sleep(8)
        before = [kind for _, kind in rig.kinds()].count(Reconciled)
        await rig.account.read_again("asked by the core")

        assert [kind for _, kind in rig.kinds()].count(Reconciled) == before + 1


async def test_executions_that_cannot_be_read_leave_the_stream_and_the_holdings_and_are_read_again(autojump_clock):
    errors: list[tuple[float, str]] = []

    def answer(target):
        is_bad = target.startswith("/executions") and trio.current_time() < 12
        return ok(status=503) if is_bad else ok(b"listen")

    async with running(saying(), answer=answer, errors=errors) as rig:
        await trio.sleep(30)
        kinds = [kind for _, kind in rig.kinds()]

        assert errors == []
        assert kinds.count(FeedUp) == 1
        assert kinds.count(BalanceSeen) == 4
        assert [at for at, kind in rig.kinds() if kind is Reconciled] == [15]


async def test_the_age_limit_renews_without_a_failure(autojump_clock):
    errors: list[tuple[float, str]] = []
    async with running(saying(), saying(), saying(), max_connection_s=100.0, errors=errors) as rig:
        await trio.sleep(250)
        assert rig.ws.dials == [0, 100, 200]
        assert errors == []


async def test_cancelling_at_any_moment_leaks_nothing(autojump_clock):
    for step in range(15):
        async with running(saying((0.1, "balance 1"), (0.4, "reread")), delay_s=0.3):
            await trio.sleep(step * 0.1)
