from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio

from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.errors import InvariantBroken, OrderUnknown, ProtocolError, VenueUnavailable
from arb.domain.events import FillSeen, OrderUpdated
from arb.domain.ids import ClientOrderId, PairId, TradeId, VenueOrderId
from arb.domain.order import (
    ApprovedOrder,
    Fill,
    OrderRequest,
    OrderState,
    OrderType,
    OrderUpdate,
    Purpose,
    Side,
    TimeInForce,
)
from arb.venues.spec import Bucket, HttpRequest, HttpResponse, Stamp
from arb.venues.wire.order_http import WrittenRequest
from arb.venues.wire.order_parts import OrderParts
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.rate_limit import RateLimiter
from tests.strategies import A_BTC, instrument
from tests.venues.wire.wire_fakes import VENUE, Inbox, Rules, TrioClock, ok, submit


def order(name: str = "id1", purpose: Purpose = Purpose.ENTRY) -> ApprovedOrder:
    request = OrderRequest(
        client_order_id=ClientOrderId(name), instrument=A_BTC, side=Side.BUY, order_type=OrderType.LIMIT,
        qty=Decimal(1), price=Decimal(10), time_in_force=TimeInForce.IOC, reduce_only=False, purpose=purpose,
        pair=PairId("BTC"), leg="a", expected_price=Decimal(10),
    )  # fmt: skip
    return ApprovedOrder(request, 0)


def cancel(name: str = "id1") -> Cancel:
    return Cancel(client_order_id=ClientOrderId(name), venue_order_id=None, instrument=A_BTC)


def query(name: str = "id1", not_before_ns: int = 0) -> Query:
    return Query(
        client_order_id=ClientOrderId(name), venue_order_id=None, instrument=A_BTC, not_before_ns=not_before_ns
    )


class Words:
    """A codec whose requests and answers are words: a state, then how much was filled, then the fills it lists."""

    def __init__(self, *, has_trades: bool = False, has_dead_man: bool = False) -> None:
        self.has_trades = has_trades
        self.has_dead_man = has_dead_man

    def _request(self, verb, name, stamp):
        return HttpRequest(method="POST", path=f"/{verb}/{name}", query=f"nonce={stamp.nonce}", bucket="order")

    def submit(self, approved, rules, stamp):
        return self._request("submit", approved.request.client_order_id, stamp)

    def cancel(self, asked, stamp):
        return self._request("cancel", asked.client_order_id, stamp)

    most_cancels = 1

    def query(self, asked, stamp):
        return self._request("query", asked.client_order_id, stamp)

    def trades(self, asked, update, stamp):
        return self._request("trades", asked.client_order_id, stamp) if self.has_trades else None

    def parse_submit(self, approved, answer, received_ns):
        return self._parse(approved.request.client_order_id, answer, received_ns)

    def parse_cancel(self, asked, answer, received_ns):
        return self._parse(asked.client_order_id, answer, received_ns)

    def parse_query(self, asked, answer, received_ns):
        return self._parse(asked.client_order_id, answer, received_ns)

    def dead_man_request(self, rules, countdown_ms, stamp):
        return self._request("dead_man", f"{rules.id}/{countdown_ms}", stamp) if self.has_dead_man else None

    def cancel_many(self, asked, stamp):
        raise AssertionError(asked)

    def parse_cancel_many(self, asked, answer, received_ns):
        raise AssertionError(asked)

    def parse_trades(self, asked, answer, received_ns):
        return tuple(fill(asked.client_order_id, trade) for trade in answer.body.decode().split())

    def _parse(self, name, answer, received_ns):
        match answer.body.decode().split():
            case [state, filled, *trades]:
                update = OrderUpdate(
                    client_order_id=name, instrument=A_BTC, state=OrderState(state), filled_qty=Decimal(filled),
                    venue_order_id=VenueOrderId("v1"), received_ns=received_ns,
                )  # fmt: skip
                return (update, *(fill(name, trade) for trade in trades))
        raise ProtocolError("somewhere", "unreadable")


def fill(name, trade) -> Fill:
    return Fill(
        instrument=A_BTC, trade_id=TradeId(trade), client_order_id=name, venue_order_id=None, side=Side.BUY,
        qty=Decimal("0.5"), price=Decimal(10), fee=None, liquidity=None, received_ns=0, venue_ns=None,
    )  # fmt: skip


class Wire:
    """Answers by a function of the path; counts how many are out at once."""

    def __init__(self, answer, delay_s=0.0) -> None:
        self.answer, self.delay_s = answer, delay_s
        self.sent: list[tuple[float, str, str]] = []
        self.out = self.most_out = 0

    def written(self, request: HttpRequest) -> WrittenRequest:
        return WrittenRequest(request, b"")

    async def send(self, written: WrittenRequest, client_order_id: str, wait_s: float) -> HttpResponse:
        request = written.request
        self.sent.append((trio.current_time(), request.path, request.query))
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            await trio.sleep(self.delay_s)
            answer = self.answer(request.path)
        finally:
            self.out -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, HttpResponse) else ok(answer.encode())


@asynccontextmanager
async def running(answer, *, delay_s=0.0, codec=None, bucket=None, read_account=None):
    clock, inbox = TrioClock(), Inbox()
    wire = Wire(answer, delay_s)
    nonces = iter(range(10_000))
    bucket = bucket or Bucket(name="order", capacity=1000, window_s=1.0, reserve=0)

    async def no_read(reason):
        raise AssertionError("not asked")

    parts = OrderParts(
        venue=VENUE, codec=codec or Words(), instruments={A_BTC: instrument(A_BTC)}, wire=wire,
        limiter=RateLimiter(Rules(bucket), clock, venue=VENUE), sink=inbox, clock=clock,
        stamp=lambda: Stamp(wall_ms=clock.wall_ns() // 1_000_000, nonce=str(next(nonces))),
        read_account=read_account or no_read,
    )  # fmt: skip
    orders = VenueOrders(parts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.run)
        yield orders, wire, inbox
        nursery.cancel_scope.cancel()


def told(inbox):
    return [
        (at, event.update.client_order_id, event.update.state.value, event.update.reason.partition(":")[0])
        for at, event in inbox.account
        if isinstance(event, OrderUpdated)
    ]


async def test_an_order_goes_out_once_and_its_answer_comes_as_events(autojump_clock):
    async with running(lambda _: "filled 1 t1 t2", delay_s=0.2) as (orders, wire, inbox):
        submit(orders, order())
        assert orders.unfinished() == (("id1", A_BTC),)
        await trio.sleep(1)
        assert [path for _, path, _ in wire.sent] == ["/submit/id1"]
        assert told(inbox) == [(0.2, "id1", "filled", "")]
        assert [event.fill.trade_id for event in inbox.events() if isinstance(event, FillSeen)] == ["t1", "t2"]
        assert orders.unfinished() == ()


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (OrderUnknown("id1", "somewhere", "timeout"), "unknown", "no_answer"),
        (VenueUnavailable("somewhere", "no connection"), "rejected", "not_sent"),
        ("", "unknown", "unreadable"),
    ],
)
async def test_what_may_have_left_is_unknown_and_what_cannot_have_is_rejected(autojump_clock, answer, state, reason):
    async with running(lambda _: answer) as (orders, wire, inbox):
        submit(orders, order())
        await trio.sleep(60)
        assert [(what, why) for _, _, what, why in told(inbox)] == [(state, reason)]
        assert len(wire.sent) == 1, "never resubmitted"
        assert bool(orders.unfinished()) == (state == "unknown")


async def test_an_entry_that_would_wait_for_its_token_is_refused_and_a_hedge_waits_a_little(autojump_clock):
    bucket = Bucket(name="order", capacity=2, window_s=1.0, reserve=1)
    async with running(lambda _: "canceled 0", bucket=bucket) as (orders, wire, inbox):
        for at, name, purpose in [
            (0, "one", Purpose.ENTRY),
            (0.2, "two", Purpose.ENTRY),
            (0.4, "three", Purpose.HEDGE),
            (0.6, "four", Purpose.EMERGENCY),
        ]:
            await trio.sleep(at - trio.current_time())
            submit(orders, order(name, purpose))
        await trio.sleep(3)
        assert told(inbox) == [
            (0, "one", "canceled", ""),
            (pytest.approx(0.3), "two", "rejected", "rate_budget"),
            (0.4, "three", "canceled", ""),
            (1, "four", "canceled", ""),
        ]
        assert len(wire.sent) == 3


async def test_a_back_off_refuses_orders_instead_of_sending_them_late(autojump_clock):
    async with running(lambda _: ok(b"", status=429, retry_after="60")) as (orders, wire, inbox):
        submit(orders, order("one"))
        await trio.sleep(1)
        submit(orders, order("two"))
        submit(orders, order("three", Purpose.HEDGE))
        orders.cancel_nowait(cancel("four"))
        await trio.sleep(120)
        assert told(inbox)[1:] == [
            (1.1, "two", "rejected", "rate_budget"),
            (3, "three", "rejected", "rate_budget"),
            (31, "four", "unknown", "rate_budget"),
        ]
        assert len(wire.sent) == 1


async def test_a_request_that_waited_is_stamped_anew(autojump_clock):
    bucket = Bucket(name="order", capacity=1, window_s=1.0, reserve=0)
    async with running(lambda _: "canceled 0", bucket=bucket) as (orders, wire, _):
        submit(orders, order("one", Purpose.HEDGE))
        await trio.sleep(0.5)
        submit(orders, order("two", Purpose.HEDGE))
        await trio.sleep(2)
        assert wire.sent == [(0, "/submit/one", "nonce=0"), (1, "/submit/two", "nonce=2")]


async def test_cancels_go_before_entries_when_tokens_are_short(autojump_clock):
    bucket = Bucket(name="order", capacity=1, window_s=1.0, reserve=0)
    async with running(lambda _: "canceled 0", bucket=bucket) as (orders, wire, _):
        submit(orders, order("first", Purpose.HEDGE))
        await trio.sleep(0.5)
        submit(orders, order("hedge", Purpose.HEDGE))
        orders.query_nowait(query("query"))
        await trio.lowlevel.checkpoint()
        orders.cancel_nowait(cancel("cancel"))
        await trio.sleep(10)
        paths = [path for _, path, _ in wire.sent]
        assert paths == ["/submit/first", "/cancel/cancel", "/submit/hedge", "/query/query"]


async def test_a_query_waits_for_its_time(autojump_clock):
    async with running(lambda _: "not_found 0") as (orders, _wire, inbox):
        start_ns = round(trio.current_time() * 1e9)
        orders.query_nowait(query(not_before_ns=start_ns + 2_500_000_000))
        await trio.sleep(5)
        assert told(inbox) == [(2.5, "id1", "not_found", "")]


async def test_executions_that_an_answer_counts_but_does_not_list_are_fetched_until_they_are_whole(autojump_clock):
    trades = iter(["", OrderUnknown("id1", "somewhere", "timeout"), "t1 t2"])

    def answer(path):
        return next(trades) if path.startswith("/trades") else "filled 1 t1"

    async with running(answer, codec=Words(has_trades=True)) as (orders, wire, inbox):
        submit(orders, order())
        await trio.sleep(10)
        assert [event.fill.trade_id for event in inbox.events() if isinstance(event, FillSeen)] == ["t1", "t1", "t2"]
        assert {path for _, path, _ in wire.sent[1:]} == {"/trades/id1"}
        assert [at for at, _, _ in wire.sent[1:]] == [0, 0.5, 1.5]
        assert told(inbox) == [(0, "id1", "filled", "")]


async def test_at_most_sixteen_requests_are_out_at_once(autojump_clock):
    async with running(lambda _: "canceled 0", delay_s=1.0) as (orders, wire, inbox):
        for number in range(40):
            orders.query_nowait(query(f"id{number}"))
        await trio.sleep(10)
        assert wire.most_out == 16
        assert len(told(inbox)) == 40


async def test_a_full_queue_refuses_orders_and_breaks_on_cancels(autojump_clock):
    async with running(lambda _: "canceled 0") as (orders, _wire, inbox):
        for number in range(513):
            submit(orders, order(f"id{number}"))
        assert told(inbox) == [(0, "id512", "rejected", "queue_full")]
        with pytest.raises(InvariantBroken):
            orders.cancel_nowait(cancel())


async def test_the_account_streams_word_ends_an_order(autojump_clock):
    async with running(lambda _: "open 0") as (orders, _, _):
        submit(orders, order())
        await trio.sleep(1)
        assert orders.unfinished() == (("id1", A_BTC),)
        update = OrderUpdate(
            client_order_id=ClientOrderId("id1"), instrument=A_BTC, state=OrderState.FILLED, filled_qty=Decimal(1),
            received_ns=0,
        )  # fmt: skip
        orders.heard(update)
        assert orders.unfinished() == ()


async def test_an_account_read_is_passed_on_and_its_failure_survived(autojump_clock):
    reasons = []

    async def read(reason):
        reasons.append(reason)
        raise VenueUnavailable("somewhere", "502")

    async with running(lambda _: "", read_account=read) as (orders, _, _):
        orders.query_account_nowait(QueryAccount(venue=VENUE, reason="check"))
        await trio.sleep(1)
        assert reasons == ["check"]


async def test_the_sweep_waits_for_answers_and_cancels_what_is_left(autojump_clock):
    def answer(path):
        return "canceled 0" if path.startswith("/cancel") else "open 0"

    async with running(answer, delay_s=0.3) as (orders, _wire, inbox):
        submit(orders, order("one"))
        submit(orders, order("two"))
        events = await orders.sweep(2.0)
        assert trio.current_time() == pytest.approx(0.6)
        states = [(event.update.client_order_id, event.update.state.value) for event in events]
        assert sorted(states) == [("one", "canceled"), ("one", "open"), ("two", "canceled"), ("two", "open")]
        assert inbox.account == []
        assert orders.unfinished() == ()


async def test_the_sweep_is_bounded_when_the_venue_hangs(autojump_clock):
    async with running(lambda _: "open 0", delay_s=1000.0) as (orders, wire, _):
        submit(orders, order())
        assert await orders.sweep(2.0) == ()
        assert trio.current_time() == 4
        assert [path for _, path, _ in wire.sent] == ["/submit/id1", "/cancel/id1"]
        assert orders.unfinished() == (("id1", A_BTC),)


async def test_an_entry_that_waited_too_long_never_leaves_and_a_hedge_does(autojump_clock):
    async with running(lambda _: "filled 1 t1 t2") as (orders, wire, inbox):
        await trio.sleep(1.5)
        submit(orders, order("late"))
        submit(orders, order("hedge", Purpose.HEDGE))
        await trio.sleep(1)

        assert [path for _, path, _ in wire.sent] == ["/submit/hedge"]
        assert ("late", "rejected", "too_old") in [row[1:] for row in told(inbox)]


async def test_an_entry_that_finds_no_room_in_time_never_leaves(autojump_clock):
    async with running(lambda _: "filled 1 t1 t2", delay_s=5.0) as (orders, wire, inbox):
        for number in range(16):
            submit(orders, order(f"hedge{number}", Purpose.HEDGE))
        await trio.sleep(0.01)
        submit(orders, order("entry"))
        await trio.sleep(30)

        assert "/submit/entry" not in [path for _, path, _ in wire.sent]
        assert ("entry", "rejected", "too_old") in [row[1:] for row in told(inbox)]


async def test_an_order_that_still_waits_when_cancels_go_out_never_follows_its_own(autojump_clock):
    bucket = Bucket(name="order", capacity=1, window_s=3.0, reserve=0)
    async with running(lambda _: "canceled 0", bucket=bucket) as (orders, wire, _):
        submit(orders, order("first", Purpose.HEDGE))
        await trio.sleep(1.5)
        submit(orders, order("second", Purpose.HEDGE))
        await trio.sleep(0.1)
        await orders.sweep(0.5)
        await trio.sleep(30)

        assert "/submit/second" not in [path for _, path, _ in wire.sent]
