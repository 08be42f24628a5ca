import base64
import hashlib
import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from arb.domain.errors import InvariantBroken
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId
from arb.domain.order import Fill, OrderState, OrderType, Side, TimeInForce
from arb.venues.upbit.orders import UpbitOrders
from tests.venues.goldens import UPBIT
from tests.venues.private import INSTRUMENTS, KEYS, NAME, NOW_NS, STAMP, answer, cancel, order, query

CODEC: Any = UpbitOrders(KEYS)
BTC = INSTRUMENTS["upbit"]

FORMS = {
    "ioc": (
        order("upbit"),
        {"side": "bid", "ord_type": "limit", "volume": "0.01", "price": "100000", "time_in_force": "ioc"},
    ),
    "resting": (
        order("upbit", side=Side.SELL, time_in_force=TimeInForce.GTC, qty="1E-8", price="1E+8"),
        {"side": "ask", "ord_type": "limit", "volume": "0.00000001", "price": "100000000"},
    ),
    "fok": (
        order("upbit", time_in_force=TimeInForce.FOK),
        {"side": "bid", "ord_type": "limit", "volume": "0.01", "price": "100000", "time_in_force": "fok"},
    ),
    "spend": (
        order("upbit", order_type=OrderType.MARKET_BY_QUOTE, qty=None, price=None, quote_qty="50000.5"),
        {"side": "bid", "ord_type": "price", "price": "50000.5"},
    ),
    "market sell": (
        order("upbit", side=Side.SELL, order_type=OrderType.MARKET, price=None),
        {"side": "ask", "ord_type": "market", "volume": "0.01"},
    ),
    "best buy": (
        order("upbit", order_type=OrderType.BEST, qty=None, quote_qty="50000", price=None),
        {"side": "bid", "ord_type": "best", "price": "50000", "time_in_force": "ioc"},
    ),
    "best sell": (
        order("upbit", side=Side.SELL, order_type=OrderType.BEST, price=None, time_in_force=TimeInForce.FOK),
        {"side": "ask", "ord_type": "best", "volume": "0.01", "time_in_force": "fok"},
    ),
}


@pytest.mark.parametrize(("approved", "fields"), FORMS.values(), ids=FORMS)
def test_each_form_is_a_json_body_with_self_trades_prevented(approved, fields):
    request = CODEC.submit(approved, BTC, STAMP)

    assert (request.method, request.target, request.bucket) == ("POST", "/v1/orders", "order")
    assert json.loads(request.body) == {
        "market": "KRW-BTC",
        **fields,
        "smp_type": "cancel_taker",
        "identifier": NAME,
    }


def test_post_only_goes_without_smp_type():
    request = CODEC.submit(order("upbit", time_in_force=TimeInForce.POST_ONLY), BTC, STAMP)

    body = json.loads(request.body)
    assert body["time_in_force"] == "post_only"
    assert "smp_type" not in body


def test_body_is_hashed_as_pairs_in_its_own_order():
    request = CODEC.submit(order("upbit"), BTC, STAMP)

    token = dict(request.headers)["Authorization"].removeprefix("Bearer ")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    pairs = "&".join(f"{name}={value}" for name, value in json.loads(request.body).items())
    assert claims["query_hash"] == hashlib.sha512(pairs.encode()).hexdigest()
    assert claims["nonce"] == STAMP.nonce


@pytest.mark.parametrize(
    "approved",
    [
        order("upbit", order_type=OrderType.MARKET, price=None),
        order("upbit", side=Side.SELL, order_type=OrderType.MARKET_BY_QUOTE, qty=None, price=None, quote_qty="1"),
        order("upbit", side=Side.SELL, order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.FOK),
        order("upbit", side=Side.SELL, order_type=OrderType.BEST, price=None, time_in_force=TimeInForce.GTC),
        order("upbit", order_type=OrderType.BEST, price=None),
        order("upbit", price=None),
        order("upbit", qty=None),
    ],
)
def test_form_that_upbit_lacks_is_our_mistake(approved):
    with pytest.raises(InvariantBroken, match="upbit has no"):
        CODEC.submit(approved, BTC, STAMP)


def test_order_for_another_instrument_is_our_mistake():
    with pytest.raises(InvariantBroken, match="encoded as"):
        CODEC.submit(order("binance_spot"), BTC, STAMP)


def test_cancel_and_query_go_by_our_own_name():
    asked, withdrawn = CODEC.query(query("upbit"), STAMP), CODEC.cancel(cancel("upbit"), STAMP)

    assert (asked.method, asked.target, asked.bucket) == ("GET", f"/v1/order?identifier={NAME}", "default")
    assert (withdrawn.method, withdrawn.target) == ("DELETE", f"/v1/order?identifier={NAME}")
    assert asked.headers[0][0] == "Authorization"


def test_accepted_order_is_open_until_something_is_heard():
    (update,) = CODEC.parse_submit(order("upbit"), answer(UPBIT["placed"], 201), NOW_NS)

    assert (update.state, update.filled_qty, update.client_order_id) == (OrderState.OPEN, Decimal(0), NAME)
    assert update.venue_order_id == "c1f7a3d2-0001-4000-8000-000000000001"


def test_query_tells_executions_with_their_share_of_the_fee():
    *fills, update = CODEC.parse_query(query("upbit"), answer(UPBIT["queried"]), NOW_NS)

    assert update.state is OrderState.CANCELED
    assert update.filled_qty == Decimal("0.003")
    assert update.avg_price == Decimal("329860") / Decimal("0.003")
    assert [(fill.qty, fill.price, fill.fee) for fill in fills] == [
        (Decimal("0.001"), Decimal(109940000), Fee(Decimal("54.97"), AssetId("KRW"))),
        (Decimal("0.002"), Decimal(109960000), Fee(Decimal("109.96"), AssetId("KRW"))),
    ]
    assert fills[0].venue_ns == 1_795_008_400_123_000_000
    assert {fill.client_order_id for fill in fills} == {NAME}


@pytest.mark.parametrize(("paid", "count"), [('"164.93"', "3"), ('"100.001"', "2"), ('"0.0"', "2"), ('"9e30"', "2")])
def test_fee_that_no_short_rate_explains_is_left_open(paid, count):
    body = UPBIT["queried"].replace('"164.93"', paid).replace('"trades_count":2', f'"trades_count":{count}')

    *fills, _ = CODEC.parse_query(query("upbit"), answer(body), NOW_NS)

    fees = {fill.fee for fill in fills}
    assert fees == ({Fee(Decimal(0), AssetId("KRW"))} if paid == '"0.0"' else {None})


def test_executions_alone_are_those_of_the_query():
    fills = CODEC.parse_trades(query("upbit"), answer(UPBIT["queried"]), NOW_NS)

    assert [fill.trade_id[-1] for fill in fills] == ["1", "2"]
    assert all(isinstance(fill, Fill) for fill in fills)


def test_executions_that_an_answer_counts_but_does_not_list_are_asked_for():
    counted = UPBIT["placed"].replace('"executed_volume":"0.0"', '"executed_volume":"0.01"')
    (update,) = CODEC.parse_submit(order("upbit"), answer(counted, 201), NOW_NS)
    (nothing,) = CODEC.parse_submit(order("upbit"), answer(UPBIT["placed"], 201), NOW_NS)

    assert CODEC.trades(query("upbit"), update, STAMP) == CODEC.query(query("upbit"), STAMP)
    assert CODEC.trades(query("upbit"), nothing, STAMP) is None


def test_order_without_identifier_goes_by_its_uuid():
    uuid = "c1f7a3d2-0001-4000-8000-000000000001"
    nameless = attrs.evolve(query("upbit", uuid), client_order_id=ClientOrderId(uuid))

    assert CODEC.query(nameless, STAMP).query == f"uuid={uuid}"
    (update,) = CODEC.parse_query(nameless, answer(UPBIT["placed"].replace(f'"identifier":"{NAME}",', "")), NOW_NS)
    assert update.client_order_id == uuid


@pytest.mark.parametrize(
    ("old", "new"),
    [(NAME, "zzzzzzzzzzzzzzzzzzzzzzzzzzzz"), ("KRW-BTC", "KRW-ETH"), ('"wait"', '"asleep"'), ('"bid"', '"both"')],
)
def test_answer_about_something_else_leaves_the_fate_open(old, new):
    (update,) = CODEC.parse_submit(order("upbit"), answer(UPBIT["placed"].replace(old, new), 201), NOW_NS)

    assert (update.state, update.filled_qty) == (OrderState.UNKNOWN, None)
    assert update.reason.startswith("unreadable: ")
    assert (update.client_order_id, update.instrument) == (NAME, BTC.id)
