from decimal import Decimal
from typing import Any

import pytest

from arb.domain.errors import InvariantBroken, ProtocolError, VenueUnavailable
from arb.domain.fees import Fee
from arb.domain.ids import AssetId
from arb.domain.order import Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues.binance_codec import BinanceOrders
from arb.venues.binance_usdm.orders import USDM_ORDERS
from tests.venues.goldens import BINANCE_USDM
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer, cancel, order, query

CODEC: Any = BinanceOrders(KEYS, USDM_ORDERS)
BTC = INSTRUMENTS["binance_usdm"]

FORMS = {
    "ioc": (order("binance_usdm", side=Side.SELL), "type=LIMIT&timeInForce=IOC&quantity=0.01&price=100000"),
    "resting": (
        order("binance_usdm", side=Side.SELL, time_in_force=TimeInForce.GTC),
        "type=LIMIT&timeInForce=GTC&quantity=0.01&price=100000",
    ),
    "fok": (
        order("binance_usdm", side=Side.SELL, time_in_force=TimeInForce.FOK),
        "type=LIMIT&timeInForce=FOK&quantity=0.01&price=100000",
    ),
    "post only": (
        order("binance_usdm", side=Side.SELL, time_in_force=TimeInForce.POST_ONLY),
        "type=LIMIT&timeInForce=GTX&quantity=0.01&price=100000",
    ),
    "market": (
        order("binance_usdm", side=Side.SELL, order_type=OrderType.MARKET, price=None),
        "type=MARKET&quantity=0.01",
    ),
    "close": (
        order("binance_usdm", side=Side.SELL, reduce_only=True),
        "type=LIMIT&timeInForce=IOC&quantity=0.01&price=100000&reduceOnly=true",
    ),
}


@pytest.mark.parametrize(("approved", "form"), FORMS.values(), ids=FORMS)
def test_each_form_is_a_signed_query(approved, form):
    request = CODEC.submit(approved, BTC, STAMP)

    assert (request.method, request.path, request.bucket) == ("POST", "/fapi/v1/order", "orders-10s")
    assert request.query.startswith(
        f"symbol=BTCUSDT&side=SELL&{form}&newClientOrderId={NAME}&newOrderRespType=RESULT"
        f"&selfTradePreventionMode=EXPIRE_TAKER&recvWindow=5000&timestamp={STAMP.wall_ms}&signature="
    )


@pytest.mark.parametrize(
    "approved",
    [
        order("binance_usdm", order_type=OrderType.MARKET_BY_QUOTE, qty=None, price=None, quote_qty="1"),
        order("binance_usdm", order_type=OrderType.BEST, price=None),
        order("binance_usdm", order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.POST_ONLY),
        order("binance_usdm", qty=None),
    ],
)
def test_form_that_futures_lack_is_our_mistake(approved):
    with pytest.raises(InvariantBroken, match="binance_usdm has no"):
        CODEC.submit(approved, BTC, STAMP)


def test_order_for_another_instrument_is_our_mistake():
    with pytest.raises(InvariantBroken, match="encoded as"):
        CODEC.submit(order("binance_spot"), BTC, STAMP)


def test_cancel_and_query_go_by_our_own_name():
    asked, withdrawn = CODEC.query(query("binance_usdm"), STAMP), CODEC.cancel(cancel("binance_usdm"), STAMP)

    assert (asked.method, withdrawn.method) == ("GET", "DELETE")
    for request in (asked, withdrawn):
        assert request.query.startswith(f"symbol=BTCUSDT&origClientOrderId={NAME}&recvWindow=")


def test_result_tells_the_quantity_and_no_price():
    (update,) = CODEC.parse_submit(order("binance_usdm"), answer(BINANCE_USDM["result"]), NOW_NS)

    assert (update.state, update.filled_qty, update.avg_price) == (OrderState.FILLED, Decimal("0.014"), None)
    assert (update.venue_order_id, update.venue_ns) == ("8886774", 1_795_000_000_129_000_000)


def test_query_tells_the_price_and_its_executions_are_asked_for():
    (update,) = CODEC.parse_query(query("binance_usdm"), answer(BINANCE_USDM["queried"]), NOW_NS)
    request = CODEC.trades(query("binance_usdm"), update, STAMP)

    assert update.avg_price == Decimal("99100.50")
    assert request is not None
    assert request.path == "/fapi/v1/userTrades"
    assert request.query.startswith("symbol=BTCUSDT&orderId=8886774&")


def test_cancelled_order_without_executions_has_none_to_ask_for():
    body = BINANCE_USDM["result"].replace('"executedQty":"0.014"', '"executedQty":"0"').replace("FILLED", "CANCELED")

    (update,) = CODEC.parse_cancel(cancel("binance_usdm"), answer(body), NOW_NS)

    assert (update.state, update.filled_qty) == (OrderState.CANCELED, Decimal(0))
    assert CODEC.trades(query("binance_usdm"), update, STAMP) is None


def test_executions_carry_fee_side_and_liquidity():
    (fill,) = CODEC.parse_trades(query("binance_usdm"), answer(BINANCE_USDM["user_trades"]), NOW_NS)

    assert (fill.trade_id, fill.side, fill.qty) == ("2233445566", Side.SELL, Decimal("0.010"))
    assert (fill.fee, fill.liquidity) == (Fee(Decimal("0.4955"), AssetId("USDT")), Liquidity.TAKER)
    assert fill.client_order_id == NAME


def test_executions_of_another_symbol_are_not_understood():
    with pytest.raises(ProtocolError):
        CODEC.parse_trades(
            query("binance_usdm"), answer(BINANCE_USDM["user_trades"].replace("BTCUSDT", "ETHUSDT")), NOW_NS
        )


def test_refused_read_of_executions_is_an_unavailable_venue():
    with pytest.raises(VenueUnavailable, match="ban"):
        CODEC.parse_trades(query("binance_usdm"), answer("", 418), NOW_NS)


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("Unknown error, please check your request or try again later.", OrderState.UNKNOWN, "venue_error"),
        ("Service Unavailable.", OrderState.REJECTED, "unavailable"),
        ("Internal error; unable to process your request. Please try again.", OrderState.REJECTED, "unavailable"),
        ("Something never seen", OrderState.UNKNOWN, "venue_error"),
    ],
)
def test_busy_venue_means_four_things_by_its_words(text, state, reason):
    (update,) = CODEC.parse_submit(order("binance_usdm"), answer({"code": 0, "msg": text}, 503), NOW_NS)

    assert update.state is state
    assert update.reason.startswith(f"{reason}: ")


def test_dead_man_timer_names_its_symbol_and_its_milliseconds():
    request = CODEC.dead_man_request(BTC, 30_000, STAMP)

    assert request is not None
    assert (request.method, request.path, request.weight) == ("POST", "/fapi/v1/countdownCancelAll", 10)
    assert request.query.startswith("symbol=BTCUSDT&countdownTime=30000&recvWindow=")
