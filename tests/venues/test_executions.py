"""Executions as the venues list them: the documented lists, and simulated ones that no stream told of."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from arb.domain.errors import VenueUnavailable
from arb.domain.events import FillSeen, PositionSeen, Reconciled
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.order import Fill, Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues import load_venue
from arb.venues.simulated.facts import NewOrder
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.spec import AccountProtocol, ExecutionsSeen, HttpResponse
from arb.venues.wire.simulation import ACCOUNT
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer
from tests.venues.town import open_account, open_town
from tests.venues.wire.wire_fakes import Inbox

SINCE_MS = 1_795_000_000_000
VENUES = ("upbit", "binance_spot", "binance_usdm")
TRADED = {
    "upbit": InstrumentId("upbit:KRW-BTC"),
    "binance_spot": InstrumentId("binance_spot:BTCUSDT"),
    "binance_usdm": InstrumentId("binance_usdm:BTCUSDT"),
}
Brief = tuple[str, str | None, str, Side, Decimal, Decimal, Fee | None]


def protocol(venue: str) -> AccountProtocol:
    half = load_venue(venue).account
    assert half is not None
    return half.account(KEYS, (INSTRUMENTS[venue],))


def targets(venue: str, until_ms: int | None) -> list[str]:
    """What is asked, without signatures."""
    reader, instruments = protocol(venue), (INSTRUMENTS[venue],)
    stamps = (STAMP,) * reader.executions_count(instruments)
    requests = reader.executions_requests(instruments, SINCE_MS, until_ms, stamps)
    return [request.target.partition("&recvWindow")[0].partition("&timestamp")[0] for request in requests]


def seen(venue: str, *answers: HttpResponse) -> ExecutionsSeen:
    return protocol(venue).parse_executions((INSTRUMENTS[venue],), answers, NOW_NS)


def brief(fill: Fill) -> Brief:
    number = None if fill.venue_order_id is None else str(fill.venue_order_id)
    return (fill.trade_id, fill.client_order_id, number or "", fill.side, fill.qty, fill.price, fill.fee)


def test_binance_futures_lists_the_venue_s_own_orders_by_their_names() -> None:
    row = {"symbol": "BTCUSDT", "quoteQty": "0", "realizedPnl": "1.2", "positionSide": "BOTH", "maker": False,
           "commissionAsset": "USDT"}  # fmt: skip
    trades = [
        {**row, "id": 698759, "orderId": 25851813, "side": "SELL", "price": "7819.01", "qty": "0.002",
         "commission": "0.0078", "time": SINCE_MS + 2, "buyer": False},
        {**row, "id": 698760, "orderId": 25851999, "side": "BUY", "price": "7820.5", "qty": "0.001",
         "commission": "0", "time": SINCE_MS + 5, "buyer": True},
        {**row, "id": 698758, "orderId": 3, "side": "BUY", "price": "7820.5", "qty": "0.001",
         "commission": "0", "time": SINCE_MS + 1, "buyer": True},
    ]  # fmt: skip
    orders = [
        {"orderId": 25851813, "clientOrderId": NAME, "time": SINCE_MS, "status": "FILLED", "symbol": "BTCUSDT"},
        {"orderId": 25851999, "clientOrderId": "adl_autoclose", "time": SINCE_MS + 5, "status": "FILLED"},
    ]
    found = seen("binance_usdm", answer(trades), answer(orders))

    usdt = AssetId("USDT")
    assert [brief(fill) for fill in found.fills] == [
        ("698758", None, "3", Side.BUY, Decimal("0.001"), Decimal("7820.5"), Fee(Decimal(0), usdt)),
        ("698759", NAME, "25851813", Side.SELL, Decimal("0.002"), Decimal("7819.01"), Fee(Decimal("0.0078"), usdt)),
        ("698760", "adl_autoclose", "25851999", Side.BUY, Decimal("0.001"), Decimal("7820.5"), Fee(Decimal(0), usdt)),
    ]
    assert found.fills[2].venue_ns == (SINCE_MS + 5) * 1_000_000
    assert found.fills[2].liquidity is Liquidity.TAKER
    assert (found.orders, found.more_from_ms) == ((), None)
    assert targets("binance_usdm", None) == [
        f"/fapi/v1/userTrades?symbol=BTCUSDT&startTime={SINCE_MS}&limit=1000",
        f"/fapi/v1/allOrders?symbol=BTCUSDT&startTime={SINCE_MS - 60_000}&limit=1000",
    ]


def test_binance_spot_lists_executions_with_the_fee_they_cost() -> None:
    trades = [{"symbol": "BTCUSDT", "id": 28457, "orderId": 100234, "orderListId": -1, "price": "4.00000100",
               "qty": "12.00000000", "quoteQty": "48.000012", "commission": "10.10000000", "commissionAsset": "BNB",
               "time": SINCE_MS + 2, "isBuyer": True, "isMaker": True, "isBestMatch": True}]  # fmt: skip
    orders = [{"orderId": 100234, "clientOrderId": "web_f00", "time": SINCE_MS + 1, "symbol": "BTCUSDT"}]
    found = seen("binance_spot", answer(trades), answer(orders))

    fee = Fee(Decimal("10.1"), AssetId("BNB"))
    assert [brief(fill) for fill in found.fills] == [
        ("28457", "web_f00", "100234", Side.BUY, Decimal(12), Decimal("4.000001"), fee)
    ]
    until_ms = SINCE_MS + protocol("binance_spot").executions_window_ms
    assert targets("binance_spot", until_ms) == [
        f"/api/v3/myTrades?symbol=BTCUSDT&startTime={SINCE_MS}&endTime={until_ms}&limit=1000",
        f"/api/v3/allOrders?symbol=BTCUSDT&startTime={SINCE_MS - 60_000}&endTime={until_ms}&limit=1000",
    ]
    assert until_ms - (SINCE_MS - 60_000) == 86_400_000


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_a_full_list_of_binance_ends_what_is_told_and_says_from_where_to_read_on(venue: str) -> None:
    trade = {"symbol": "BTCUSDT", "orderId": 7, "price": "1", "qty": "1", "commission": "0", "commissionAsset": "USDT",
             "side": "BUY", "maker": False, "isBuyer": True, "isMaker": False}  # fmt: skip
    trades = [{**trade, "id": number, "time": SINCE_MS + 10 * number} for number in range(1_000)]
    orders = [{"orderId": number, "clientOrderId": "x", "time": SINCE_MS + number} for number in range(1_000)]

    by_orders = seen(venue, answer(trades), answer(orders))
    by_trades = seen(venue, answer(trades), answer(orders[:10]))

    assert (len(by_orders.fills), by_orders.more_from_ms) == (100, SINCE_MS + 999)
    assert (len(by_trades.fills), by_trades.more_from_ms) == (1_000, SINCE_MS + 9_990)


def test_upbit_lists_closed_orders_and_those_that_traded_are_asked_for_one_by_one() -> None:
    row = {"market": "KRW-BTC", "side": "ask", "ord_type": "limit", "price": "1", "volume": "1", "paid_fee": "0.1",
           "created_at": "2026-11-18T22:26:40+09:00"}  # fmt: skip
    orders = [
        {**row, "uuid": "u1", "state": "cancel", "executed_volume": "0.3", "trades_count": 2, "identifier": NAME},
        {**row, "uuid": "u2", "state": "cancel", "executed_volume": "0.0", "trades_count": 0},
        {**row, "uuid": "u3", "state": "done", "executed_volume": "1.0", "trades_count": 1},
    ]
    found = seen("upbit", answer(orders))
    full = seen("upbit", answer(orders * 334))

    told = [(one.client_order_id, one.venue_order_id, one.filled_qty, one.state) for one in found.orders]
    assert told == [
        (NAME, "u1", Decimal("0.3"), OrderState.CANCELED),
        ("u3", "u3", Decimal(1), OrderState.FILLED),
    ]
    assert (found.fills, found.more_from_ms) == ((), None)
    assert full.more_from_ms == 1_795_008_400_000
    words = "/v1/orders/closed?market=KRW-BTC&states[]=done&states[]=cancel"
    assert targets("upbit", None) == [f"{words}&start_time={SINCE_MS}&limit=1000&order_by=asc"]
    assert targets("upbit", SINCE_MS + 5) == [
        f"{words}&start_time={SINCE_MS}&end_time={SINCE_MS + 5}&limit=1000&order_by=asc"
    ]


@pytest.mark.parametrize("venue", VENUES)
def test_an_error_of_the_venue_is_no_list_without_executions(venue: str) -> None:
    reader, instruments = protocol(venue), (INSTRUMENTS[venue],)
    refused = answer("{}", 503)

    with pytest.raises(VenueUnavailable):
        reader.parse_executions(instruments, (refused,) * reader.executions_count(instruments), NOW_NS)


# --- simulated venues ---


def by_hand(venue: str, name: str = "") -> NewOrder:
    """A small order at any price."""
    is_upbit = venue == "upbit"
    return NewOrder(
        client_order_id=name,
        instrument=TRADED[venue],
        side=Side.BUY,
        order_type=OrderType.MARKET_BY_QUOTE if is_upbit else OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        qty=None if is_upbit else Decimal("0.01"),
        quote_qty=Decimal(500_000) if is_upbit else None,
        price=None,
        reduce_only=False,
    )


def fills(inbox: Inbox) -> list[Fill]:
    return [one.fill for one in inbox.events() if isinstance(one, FillSeen)]


@pytest.mark.parametrize("venue", VENUES)
async def test_what_traded_while_nobody_listened_is_told_once_with_price_and_fee(
    venue: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town() as town, open_account(town, venue, has_stream=False) as (account, inbox):
        exchange = town.simulation.world.exchange(venue)
        await trio.sleep(2)
        exchange.submit(ACCOUNT, by_hand(venue, "by-hand"), town.clock.wall_ns())
        exchange.submit(ACCOUNT, by_hand(venue), town.clock.wall_ns())
        await account.read("connected")
        told = inbox.events()
        for _ in range(3):
            await trio.sleep(1)
            await account.read("again")

        truth = exchange.executions(ACCOUNT, TRADED[venue])
        assert len(truth) >= 2
        assert sorted((one.qty, one.price) for one in fills(inbox)) == sorted((one.qty, one.price) for one in truth)
        assert sum((fill.fee.amount for fill in fills(inbox) if fill.fee is not None), Decimal(0)) == sum(
            one.fee.amount for one in truth
        )
        assert {fill.client_order_id for fill in fills(inbox)} >= {"by-hand"}
        assert [type(one) for one in told if isinstance(one, FillSeen | Reconciled)][-1] is Reconciled


async def test_what_the_venue_took_away_while_the_stream_was_down_is_told_before_the_position(
    autojump_clock: trio.testing.MockClock,
) -> None:
    venue = "binance_usdm"
    faults = (
        FaultScript(at_s=2.0, venue=VenueId(venue), kind=FaultKind.DISCONNECT, duration_s=3.0),
        FaultScript(at_s=3.0, venue=VenueId(venue), kind=FaultKind.ADL, duration_s=0.0),
    )
    async with open_town(*faults) as town, open_account(town, venue, has_stream=False) as (account, inbox):
        exchange = town.simulation.world.exchange(venue)
        await trio.sleep(1)
        exchange.submit(ACCOUNT, by_hand(venue, "ours"), town.clock.wall_ns())
        await account.read("start")
        before = len(inbox.events())
        await trio.sleep(5)
        await account.read("connected")

        late = inbox.events()[before:]
        (taken,) = (one.fill for one in late if isinstance(one, FillSeen))
        (truth,) = (one for one in exchange.executions(ACCOUNT) if one.view.order.client_order_id == "adl_autoclose")
        assert (taken.client_order_id, taken.side, taken.qty) == ("adl_autoclose", Side.SELL, truth.qty)
        assert (taken.price, taken.fee) == (truth.price, Fee(Decimal(0), AssetId("USDT")))
        kinds = [type(one) for one in late]
        assert kinds.index(FillSeen) < kinds.index(PositionSeen)
