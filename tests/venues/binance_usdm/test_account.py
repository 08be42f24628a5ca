from decimal import Decimal
from typing import Any

import pytest

from arb.domain.errors import ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, TradeId, VenueOrderId
from arb.domain.order import Balance, Fill, Liquidity, OrderState, OrderUpdate, Position, Side
from arb.venues.binance_usdm.account import BinanceUsdmAccount
from arb.venues.spec import Alive, BalancesSeen, Fault, Reconnect, Reread
from tests.venues.goldens import BINANCE_USDM
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer

BTC = INSTRUMENTS["binance_usdm"]
ACCOUNT: Any = BinanceUsdmAccount(KEYS, (BTC,))
DONE = answer({"code": 200, "msg": "success"})


def heard(name: str):
    return ACCOUNT.receive(BINANCE_USDM[name].encode(), NOW_NS)


def test_listen_key_is_made_with_the_key_alone_and_extended_twice_an_hour():
    made, extended = ACCOUNT.prepare_request(STAMP), ACCOUNT.keepalive_request(STAMP)

    assert made is not None
    assert extended is not None
    assert (made.method, made.target) == ("POST", "/fapi/v1/listenKey")
    assert (extended.method, extended.target) == ("PUT", "/fapi/v1/listenKey")
    assert made.headers == extended.headers == (("X-MBX-APIKEY", KEYS.key),)
    assert ACCOUNT.keepalive_s == 1800.0


def test_private_socket_names_the_key_and_every_event_it_wants():
    target = ACCOUNT.target(answer(BINANCE_USDM["listen_key"]), STAMP)

    path, _, events = target.path.partition("&events=")
    assert path == "/private/ws?listenKey=pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
    assert events.split("/") == [
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "MARGIN_CALL",
        "ACCOUNT_CONFIG_UPDATE",
        "TRADE_LITE",
        "listenKeyExpired",
    ]


@pytest.mark.parametrize("prepared", [None, answer("{}"), answer({"code": -2015, "msg": "Invalid API-key"}, 401)])
def test_without_a_listen_key_there_is_nothing_to_connect_to(prepared):
    with pytest.raises(ProtocolError):
        ACCOUNT.target(prepared, STAMP)


@pytest.mark.parametrize("name", ["trade", "trade_streamed"])
def test_execution_is_told_with_its_fee(name):
    fill, update = heard(name)

    assert fill == Fill(
        instrument=BTC.id,
        trade_id=TradeId("2233445566"),
        client_order_id=NAME,
        venue_order_id=VenueOrderId("8886774"),
        side=Side.SELL,
        qty=Decimal("0.010"),
        price=Decimal(99100),
        fee=Fee(Decimal("0.4955"), AssetId("USDT")),
        liquidity=Liquidity.TAKER,
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_129_000_000,
    )
    assert update == OrderUpdate(
        client_order_id=NAME,
        instrument=BTC.id,
        state=OrderState.FILLED,
        filled_qty=Decimal("0.014"),
        avg_price=Decimal("99100.50"),
        venue_order_id=VenueOrderId("8886774"),
        received_ns=NOW_NS,
        venue_ns=1_795_000_000_129_000_000,
    )


def test_new_order_has_no_fee_and_no_price():
    (update,) = heard("new_without_fee")

    assert (update.state, update.avg_price, update.filled_qty) == (OrderState.OPEN, None, Decimal(0))


def test_expired_remainder_says_why():
    (update,) = heard("expired")

    assert (update.state, update.filled_qty, update.reason) == (OrderState.CANCELED, Decimal("0.004"), "expired: 5")


def test_liquidation_is_an_execution_of_other_hands():
    fill, update = heard("liquidation")

    assert (fill.client_order_id, fill.qty, fill.side) == ("autoclose-1234567890123456", Decimal("0.1"), Side.BUY)
    assert update.state is OrderState.FILLED


def test_account_update_tells_wallets_and_our_positions_only():
    balances, position = heard("account_update")

    assert balances == BalancesSeen(
        balances=(Balance(AssetId("USDT"), Decimal("8000.5"), Decimal("1999.62345678")),), is_full=False
    )
    assert position == Position(
        instrument=BTC.id,
        qty=Decimal("-0.014"),
        entry_price=Decimal("99100.5"),
        mark_price=None,
        liquidation_price=None,
        is_isolated=True,
    )


def test_funding_margin_calls_and_settings_are_read_again():
    assert isinstance(heard("funding_fee")[-1], Reread)
    assert isinstance(heard("funding_fee")[0], BalancesSeen)
    assert isinstance(heard("margin_call")[0], Reread)
    assert isinstance(heard("config")[0], Reread)


def test_position_in_hedge_mode_is_a_fault():
    faults = [fact for fact in heard("hedge_mode") if isinstance(fact, Fault)]

    assert [fault.detail for fault in faults] == ["BTCUSDT is held in hedge mode (LONG)"]


def test_expired_key_asks_for_a_new_connection_and_light_trades_are_signs_of_life():
    assert heard("key_expired") == (Reconnect("listen key expired"),)
    assert heard("trade_lite") == (Alive(),)


def test_snapshot_reads_balances_positions_and_open_orders():
    requests = ACCOUNT.snapshot_requests((BTC,), (STAMP,) * ACCOUNT.snapshot_count((BTC,)))
    answers = tuple(answer(BINANCE_USDM[name]) for name in ("balance", "position_risk", "open_orders"))
    balances, position, resting = ACCOUNT.parse_snapshot((BTC,), answers, NOW_NS)

    assert [request.path for request in requests] == [
        "/fapi/v3/balance",
        "/fapi/v2/positionRisk",
        "/fapi/v1/openOrders",
    ]
    assert balances == BalancesSeen(
        balances=(
            Balance(AssetId("USDT"), Decimal("23.72469206"), Decimal("122583.62668697")),
            Balance(AssetId("BNB"), Decimal(1), Decimal(0)),
        ),
        is_full=True,
    )
    assert position == Position(
        instrument=BTC.id,
        qty=Decimal("-0.014"),
        entry_price=Decimal("99100.5"),
        mark_price=Decimal("99120.50671178"),
        liquidation_price=Decimal("108000.1"),
        leverage=Decimal(10),
        is_isolated=True,
    )
    assert (resting.client_order_id, resting.state) == ("an-order-by-hand", OrderState.OPEN)


def test_position_that_is_not_listed_is_zero_and_one_in_hedge_mode_a_fault():
    def position(body: str):
        answers = (answer(BINANCE_USDM["balance"]), answer(body), answer("[]"))
        return ACCOUNT.parse_snapshot((BTC,), answers, NOW_NS)[1]

    absent = position("[]")
    assert isinstance(absent, Position)
    assert absent.qty == 0
    assert isinstance(position(BINANCE_USDM["position_risk"].replace("BOTH", "SHORT")), Fault)


def test_liquidation_price_of_no_position_is_none():
    body = BINANCE_USDM["position_risk"].replace('"108000.1"', '"0"')
    answers = (answer(BINANCE_USDM["balance"]), answer(body), answer("[]"))

    position = ACCOUNT.parse_snapshot((BTC,), answers, NOW_NS)[1]

    assert isinstance(position, Position)
    assert position.liquidation_price is None


def test_fees_are_the_venues_own():
    (request,) = ACCOUNT.fees_requests((BTC,), (STAMP,))
    (fees,) = ACCOUNT.parse_fees((BTC,), (answer(BINANCE_USDM["commission"]),))

    assert (request.path, request.weight) == ("/fapi/v1/commissionRate", 20)
    assert (fees.maker_rate, fees.taker_rate, fees.source) == (Decimal("0.0002"), Decimal("0.0004"), "venue")


def test_funding_of_our_instruments_is_told_oldest_first():
    request = ACCOUNT.funding_request(1_794_900_000_000, STAMP)
    first, second = ACCOUNT.parse_funding(answer(BINANCE_USDM["income"]), NOW_NS)

    assert request is not None
    assert request.query.startswith("incomeType=FUNDING_FEE&startTime=1794900000000&limit=1000&")
    assert (first.amount, first.settled_ms) == (Decimal("0.125"), 1_794_974_400_000)
    assert (second.amount, second.asset, second.instrument) == (Decimal("-0.375"), "USDT", BTC.id)
    assert first.income_id != second.income_id


def test_wallets_are_told_by_the_spot_venue():
    assert ACCOUNT.wallets_request(STAMP) is None
    assert ACCOUNT.parse_wallets(answer("[]")) == ()
