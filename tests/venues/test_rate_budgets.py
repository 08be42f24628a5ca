"""Rate budgets against simulated venues that count: reserves, the venues' own counts, and silence with its end."""

from __future__ import annotations

import attrs
import pytest
import trio

from arb.domain.effects import Cancel
from arb.domain.errors import RateLimited
from arb.domain.events import Event, OrderUpdated
from arb.domain.ids import ClientOrderId
from arb.domain.order import ApprovedOrder, OrderState, Purpose, Side, TimeInForce
from arb.venues import load_venue
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import HttpRequest, Priority
from arb.venues.wire.orders import VenueOrders
from tests.venues.private import answer, order
from tests.venues.town import Town, fault, open_orders, open_town
from tests.venues.wire.wire_fakes import Inbox, submit

VENUES = ("upbit", "binance_spot", "binance_usdm")


def resting(town: Town, venue: str, number: int, purpose: Purpose = Purpose.ENTRY) -> ApprovedOrder:
    """An order that stays in the book."""
    rules = town.instruments(venue)[0]
    image = town.simulation.world.exchange(venue).book(rules.id)
    assert image is not None
    price = rules.ticks.floor(image.bids[0][0] * 97 / 100)
    made = order(venue, side=Side.BUY, price=str(price), qty="0.002", time_in_force=TimeInForce.GTC)
    name = ClientOrderId(f"order{number:023d}")
    return attrs.evolve(made, request=attrs.evolve(made.request, client_order_id=name, purpose=purpose))


def reasons(events: list[Event]) -> list[str]:
    updates = [one.update for one in events if isinstance(one, OrderUpdated)]
    return [one.reason for one in updates if one.state is OrderState.REJECTED]


async def burst(town: Town, orders: VenueOrders, venue: str, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        submit(orders, resting(town, venue, number))
    await trio.sleep(0.3)


async def test_entries_that_used_up_their_share_leave_a_hedge_and_a_cancel(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        inbox = Inbox()
        async with open_orders(town, "upbit", inbox) as orders:
            await trio.sleep(1)
            await burst(town, orders, "upbit", 12)
            assert reasons(inbox.events()) == ["rate_budget"] * 4

            submit(orders, resting(town, "upbit", 99, Purpose.HEDGE))
            first = resting(town, "upbit", 0).request
            orders.cancel_nowait(
                Cancel(client_order_id=first.client_order_id, venue_order_id=None, instrument=first.instrument)
            )
            await trio.sleep(0.3)

            exchange = town.simulation.world.exchange("upbit")
            assert exchange.find("main", client_order_id=f"order{99:023d}") is not None
            cancelled = exchange.find("main", client_order_id=first.client_order_id)
            assert cancelled is not None
            assert cancelled.state is OrderState.CANCELED
            assert exchange.accounts["main"].refusals == {}


async def test_weight_used_up_by_reads_leaves_cancels_their_share(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        limiter = town.limiters["binance_usdm"]
        weight = next(one for one in load_venue("binance_usdm").rate.buckets if one.name == "weight")
        with trio.move_on_after(5):
            while True:
                await limiter.take("weight", 20, Priority.QUERY)
        used = next(one for one in limiter.statistics().buckets if one.name == "weight").used

        assert weight.capacity - weight.reserve < used <= weight.capacity - weight.reserve // 2
        assert not limiter.take_nowait("weight", 20, Priority.QUERY)
        assert limiter.take_nowait("weight", 20, Priority.CANCEL)


async def test_an_order_counts_in_every_window_of_orders(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        limiter = town.limiters["binance_usdm"]
        limiter.take_nowait("orders-10s", 1, Priority.ENTRY)

        assert {one.name: one.used for one in limiter.statistics().buckets if one.is_for_orders} == {
            "orders-10s": 1,
            "orders-1m": 1,
        }


async def test_the_venues_headers_are_believed(autojump_clock: trio.testing.MockClock) -> None:
    """Another program of the same owner has used the budget; ours learns it from the next answer."""
    async with open_town() as town:
        budgets = town.simulation.fronts["binance_usdm"].dialect.budgets  # type: ignore[attr-defined]  # of this dialect
        budgets.weight.take(1_500, town.clock.wall_ns())
        market = town.spec("binance_usdm").market
        assert market is not None
        await town.http["binance_usdm"].read(market.depth_request("BTCUSDT", 5))

        used = next(one for one in town.limiters["binance_usdm"].statistics().buckets if one.name == "weight").used
        assert used >= 1_500


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMIT, FaultKind.BAN])
@pytest.mark.parametrize("venue", VENUES)
async def test_a_venue_that_wants_silence_gets_it_and_we_say_until_when(
    venue: str, kind: FaultKind, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town(fault(venue, kind, duration_s=20)) as town:
        market = town.spec(venue).market
        assert market is not None
        asked = market.depth_request(town.instruments(venue)[0].symbol, 5)
        with pytest.raises(RateLimited) as refused:
            await town.http[venue].read(asked)
        seen = town.limiters[venue].statistics()
        word = "banned" if kind is FaultKind.BAN else "limited"

        assert f"{word} until 2025-10-09 " in str(refused.value)
        assert " UTC: " in str(refused.value)
        assert seen.is_banned is (kind is FaultKind.BAN)
        if venue != "upbit" or kind is FaultKind.BAN:  # Upbit counts by the second
            assert 18 <= refused.value.retry_after_s <= 21
        inbox = Inbox()
        async with open_orders(town, venue, inbox) as orders:
            await trio.sleep(0.4)
            if town.limiters[venue].statistics().reason:
                submit(orders, resting(town, venue, 1))
                await trio.sleep(0.3)
                assert [words.partition(":")[0] for words in reasons(inbox.events())] == ["rate_budget"]
                assert seen.reason in reasons(inbox.events())[0]
        await trio.sleep(21)

        assert (await town.http[venue].read(asked)).status == 200


def test_upbit_ban_is_read_in_either_language() -> None:
    rate = load_venue("upbit").rate
    for text, wait_s in (
        ("600초 동안 차단되었습니다.", 600),
        ("10분 동안 차단", 600),
        ("blocked for 30 seconds", 30),
        ("2 hours", 7200),
        ("you are blocked", 60),
    ):
        wish = rate.back_off(answer({"error": {"name": "x", "message": text}}, 418), 0)
        assert wish is not None
        assert (wish.wait_s, wish.is_ban) == (wait_s, True)


def test_binance_ban_ends_when_its_message_says() -> None:
    rate = load_venue("binance_spot").rate
    words = "Way too much request weight used; IP banned until 1795000090000. Please use WebSocket Streams."

    wish = rate.back_off(answer({"code": -1003, "msg": words}, 418), 1_795_000_000_000)

    assert wish is not None
    assert (wish.wait_s, wish.is_ban) == (90.0, True)


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_too_many_orders_stop_orders_and_nothing_else(venue: str) -> None:
    rate = load_venue(venue).rate
    heard = answer({"code": -1015, "msg": "Too many new orders; current limit is 50 orders per 10 SECOND."}, 429)

    assert rate.back_off(heard, 0) is None
    assert [(one.bucket, one.remaining) for one in rate.reports(heard)] == [("orders-10s", 0)]


async def test_an_order_budget_that_another_program_used_up_still_lets_a_cancel_pass(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        inbox = Inbox()
        dialect = town.simulation.fronts["binance_usdm"].dialect
        async with open_orders(town, "binance_usdm", inbox) as orders:
            await trio.sleep(1)
            await burst(town, orders, "binance_usdm", 1)
            for _ in range(300):
                dialect.budgets.take_order(town.clock.wall_ns())  # type: ignore[attr-defined]  # of this dialect
            await burst(town, orders, "binance_usdm", 1, first=1)
            await burst(town, orders, "binance_usdm", 1, first=2)
            first = resting(town, "binance_usdm", 0).request
            orders.cancel_nowait(
                Cancel(client_order_id=first.client_order_id, venue_order_id=None, instrument=first.instrument)
            )
            await trio.sleep(0.3)

            told = reasons(inbox.events())
            assert told[0].startswith("rate: -1015 ")
            assert told[1] == "rate_budget"
            cancelled = town.simulation.world.exchange("binance_usdm").find(
                "main", client_order_id=first.client_order_id
            )
            assert cancelled is not None
            assert cancelled.state is OrderState.CANCELED


async def test_a_request_that_is_not_for_orders_takes_none_of_their_units(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        await town.http["binance_spot"].read(HttpRequest(method="GET", path="/api/v3/time", bucket="weight"))

        buckets = town.limiters["binance_spot"].statistics().buckets
        assert {one.name: one.used for one in buckets} == {"weight": 1, "orders-10s": 0, "orders-1d": 0}
