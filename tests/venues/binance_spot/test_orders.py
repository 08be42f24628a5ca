from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from arb.domain.errors import InvariantBroken, ProtocolError, VenueUnavailable
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId
from arb.domain.order import Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues.binance_codec import BinanceOrders
from arb.venues.binance_spot.orders import SPOT_ORDERS
from tests.venues.goldens import BINANCE_SPOT
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer, cancel, order, query

CODEC: Any = BinanceOrders(KEYS, SPOT_ORDERS)
BTC = INSTRUMENTS["binance_spot"]

FORMS = {
    "ioc": (order("binance_spot"), "type=LIMIT&timeInForce=IOC&quantity=0.01&price=100000"),
    "resting": (
        order("binance_spot", time_in_force=TimeInForce.GTC, qty="1E-5", price="1E+5"),
        "type=LIMIT&timeInForce=GTC&quantity=0.00001&price=100000",
    ),
    "fok": (
        order("binance_spot", time_in_force=TimeInForce.FOK),
        "type=LIMIT&timeInForce=FOK&quantity=0.01&price=100000",
    ),
    "post only": (
        order("binance_spot", time_in_force=TimeInForce.POST_ONLY),
        "type=LIMIT_MAKER&quantity=0.01&price=100000",
    ),
    "market": (order("binance_spot", order_type=OrderType.MARKET, price=None), "type=MARKET&quantity=0.01"),
    "spend": (
        order("binance_spot", order_type=OrderType.MARKET_BY_QUOTE, qty=None, price=None, quote_qty="50.5"),
        "type=MARKET&quoteOrderQty=50.5",
    ),
}


@pytest.mark.parametrize(("approved", "form"), FORMS.values(), ids=FORMS)
def test_each_form_is_a_signed_query(approved, form):
    request = CODEC.submit(approved, BTC, STAMP)

    assert (request.method, request.path, request.bucket) == ("POST", "/api/v3/order", "orders-10s")
    assert request.query.startswith(
        f"symbol=BTCUSDT&side=BUY&{form}&newClientOrderId={NAME}&newOrderRespType=FULL"
        f"&selfTradePreventionMode=EXPIRE_TAKER&recvWindow=5000&timestamp={STAMP.wall_ms}&signature="
    )


@pytest.mark.parametrize(
    "approved",
    [
        order("binance_spot", order_type=OrderType.BEST, qty=None, quote_qty="1", price=None),
        order("binance_spot", order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.FOK),
        order("binance_spot", order_type=OrderType.MARKET, price="1"),
        order("binance_spot", order_type=OrderType.MARKET_BY_QUOTE, price=None, quote_qty="1"),
        order("binance_spot", price=None),
    ],
)
def test_form_that_spot_lacks_is_our_mistake(approved):
    with pytest.raises(InvariantBroken, match="binance_spot has no"):
        CODEC.submit(approved, BTC, STAMP)


def test_order_for_another_instrument_is_our_mistake():
    with pytest.raises(InvariantBroken, match="encoded as"):
        CODEC.submit(order("binance_usdm"), BTC, STAMP)


def test_symbol_beyond_ascii_is_percent_encoded_before_signing():
    chinese = attrs.evolve(BTC, id=InstrumentId("binance_spot:测试USDT"))
    approved = order("binance_spot")
    approved = attrs.evolve(approved, request=attrs.evolve(approved.request, instrument=chinese.id))

    request = CODEC.submit(approved, chinese, STAMP)

    assert request.query.startswith("symbol=%E6%B5%8B%E8%AF%95USDT&")
    assert dict(parse_qsl(request.query))["symbol"] == "测试USDT"


def test_cancel_and_query_go_by_our_own_name():
    asked, withdrawn = CODEC.query(query("binance_spot"), STAMP), CODEC.cancel(cancel("binance_spot"), STAMP)

    assert (asked.method, asked.weight, withdrawn.method) == ("GET", 4, "DELETE")
    for request in (asked, withdrawn):
        assert request.query.startswith(f"symbol=BTCUSDT&origClientOrderId={NAME}&recvWindow=")
        assert request.bucket == "weight"


def test_full_answer_tells_executions_with_fees_in_whatever_asset():
    first, second, update = CODEC.parse_submit(order("binance_spot"), answer(BINANCE_SPOT["full"]), NOW_NS)

    assert (update.state, update.filled_qty, update.avg_price) == (
        OrderState.FILLED,
        Decimal("0.01"),
        Decimal("99994"),
    )
    assert (first.trade_id, first.qty, first.price) == ("88685053", Decimal("0.004"), Decimal("99990"))
    assert first.fee == Fee(Decimal("0.00000400"), AssetId("BTC"))
    assert second.fee == Fee(Decimal("0.00131"), AssetId("BNB"))
    assert (second.side, second.liquidity, second.client_order_id) == (Side.BUY, Liquidity.TAKER, NAME)
    assert second.venue_ns == 1_795_000_000_123_000_000


def test_expired_remainder_is_a_cancel_with_its_cause_and_its_executions_are_asked_for():
    (update,) = CODEC.parse_query(query("binance_spot"), answer(BINANCE_SPOT["queried"]), NOW_NS)
    request = CODEC.trades(query("binance_spot"), update, STAMP)

    assert (update.state, update.filled_qty) == (OrderState.CANCELED, Decimal("0.004"))
    assert update.reason == "unfilled_ioc_quantity_expired"
    assert request is not None
    assert request.path == "/api/v3/myTrades"
    assert request.query.startswith("symbol=BTCUSDT&orderId=4293153&")


def test_order_without_executions_has_none_to_ask_for():
    (update,) = CODEC.parse_cancel(cancel("binance_spot"), answer(BINANCE_SPOT["canceled_answer"]), NOW_NS)

    assert (update.state, update.client_order_id) == (OrderState.CANCELED, NAME)
    assert CODEC.trades(query("binance_spot"), update, STAMP) is None


def test_executions_of_an_order_have_the_ids_of_the_full_answer():
    (fill,) = CODEC.parse_trades(query("binance_spot"), answer(BINANCE_SPOT["my_trades"]), NOW_NS)
    (same, *_) = CODEC.parse_submit(order("binance_spot"), answer(BINANCE_SPOT["full"]), NOW_NS)

    assert fill == same


def test_executions_of_another_symbol_are_not_understood():
    with pytest.raises(ProtocolError):
        CODEC.parse_trades(
            query("binance_spot"), answer(BINANCE_SPOT["my_trades"].replace("BTCUSDT", "ETHUSDT")), NOW_NS
        )


def test_refused_read_of_executions_is_an_unavailable_venue():
    with pytest.raises(VenueUnavailable, match="rate"):
        CODEC.parse_trades(query("binance_spot"), answer({"code": -1003, "msg": "Too many"}, 429), NOW_NS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NAME, "someone-else"),
        ('"BTCUSDT"', '"ETHUSDT"'),
        ("FILLED", "SLEEPING"),
        ('"BUY"', '"BOTH"'),
        ('"0.01000000"', '"NaN"'),
    ],
)
def test_answer_about_something_else_leaves_the_fate_open(old, new):
    (update,) = CODEC.parse_submit(order("binance_spot"), answer(BINANCE_SPOT["full"].replace(old, new)), NOW_NS)

    assert (update.state, update.filled_qty) == (OrderState.UNKNOWN, None)
    assert update.reason.startswith("unreadable: ")
