"""Binance's dialects: signatures, weights, error codes, streams by path, listen keys."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from arb.venues.simulated.dialect import Closing, HttpAnswer
from tests.venues.served import Floor, frames

ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=100000"
PATHS = {"binance_spot": "/api/v3", "binance_usdm": "/fapi/v1"}


def signed(floor: Floor, text: str, *, at_ms: int | None = None, secret: str | None = None) -> str:
    stamp = floor.now_ns // 1_000_000 if at_ms is None else at_ms
    text = f"{text}&timestamp={stamp}".lstrip("&")
    made = hmac.new((secret or floor.credentials.secret).encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{text}&signature={made}"


def call(
    floor: Floor, method: str, path: str, text: str = "", *, key: str | None = None, **words: Any
) -> tuple[int, Any]:
    headers = {"x-mbx-apikey": floor.credentials.key if key is None else key}
    answer = floor.http(method, f"{path}?{signed(floor, text, **words)}", headers)
    assert answer is not None
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("venue", PATHS)
def test_each_flaw_of_a_request_has_its_own_code(venue: str) -> None:
    floor = Floor(venue)
    path, now_ms = PATHS[venue] + "/openOrders", floor.now_ns // 1_000_000

    assert call(floor, "GET", path)[0] == 200
    assert call(floor, "GET", path, key="")[1]["code"] == -2014
    assert call(floor, "GET", path, key="other")[1]["code"] == -2015
    assert call(floor, "GET", path, secret="wrong")[1]["code"] == -1022
    assert call(floor, "GET", path, at_ms=now_ms - 6_000)[1]["code"] == -1021
    assert call(floor, "GET", path, at_ms=now_ms + 1_500)[1]["code"] == -1021
    assert call(floor, "GET", path, "recvWindow=60001")[1]["code"] == -1131
    unsigned = floor.http("GET", f"{path}?timestamp={now_ms}", {"x-mbx-apikey": floor.credentials.key})
    assert unsigned is not None
    assert json.loads(unsigned.body)["code"] == -1102


@pytest.mark.parametrize("venue", PATHS)
def test_a_form_body_is_signed_like_a_query(venue: str) -> None:
    floor = Floor(venue)
    body = signed(floor, ORDER).encode()

    answer = floor.http("POST", PATHS[venue] + "/order", {"x-mbx-apikey": floor.credentials.key}, body)

    assert answer is not None
    assert json.loads(answer.body)["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    ("change", "spot", "future"),
    [
        ("price=100000.001", -1013, -4014),
        ("quantity=0.0000123", -1013, -4023),
        ("quantity=0.123456789", -1111, -1111),
        ("quantity=0", -1013, -4003),
        ("quantity=0.00004", -1013, -4023),
        ("quantity=5", -2010, -2019),
        ("symbol=NONE", -1121, -1121),
        ("side=UP", -1117, -1117),
        ("type=STOP_MARKET", -1116, -4120),
        ("timeInForce=", -1102, -1102),
        ("price=", -1102, -1102),
        ("quantity=x", -1100, -1100),
        ("newClientOrderId=a b", -1100, -1100),
    ],
)
def test_a_refused_order_has_the_venues_code(change: str, spot: int, future: int) -> None:
    name = change.partition("=")[0]
    kept = [one for one in ORDER.split("&") if not one.startswith(name + "=")]
    text = "&".join([*kept, change.replace(" ", "%20")])

    found = {venue: call(Floor(venue), "POST", path + "/order", text)[1]["code"] for venue, path in PATHS.items()}

    if change == "quantity=5":  # 500,000 USDT at 20 times leverage needs more margin than there is
        assert found["binance_spot"] == spot
    assert found == {"binance_spot": spot, "binance_usdm": future}


@pytest.mark.parametrize(("venue", "code"), [("binance_spot", -2010), ("binance_usdm", -4116)])
def test_a_name_is_refused_while_open_and_free_afterwards(venue: str, code: int) -> None:
    floor, path = Floor(venue), PATHS[venue] + "/order"

    first = call(floor, "POST", path, ORDER + "&newClientOrderId=mine")
    twice = call(floor, "POST", path, ORDER + "&newClientOrderId=mine")
    gone = call(floor, "DELETE", path, "symbol=BTCUSDT&origClientOrderId=mine")
    again = call(floor, "POST", path, ORDER + "&newClientOrderId=mine")
    unknown = call(floor, "DELETE", path, "symbol=BTCUSDT&origClientOrderId=nobody")
    missing = call(floor, "GET", path, "symbol=BTCUSDT&origClientOrderId=nobody")

    assert (first[0], gone[0], again[0]) == (200, 200, 200)
    assert (twice[1]["code"], unknown[1]["code"], missing[1]["code"]) == (code, -2011, -2013)


def test_futures_answers_to_orders_carry_no_average_price_but_queries_do() -> None:
    floor = Floor("binance_usdm")

    _, made = call(
        floor, "POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newOrderRespType=RESULT"
    )
    _, found = call(floor, "GET", "/fapi/v1/order", f"symbol=BTCUSDT&orderId={made['orderId']}")

    assert made["status"] == "FILLED"
    assert not {"avgPrice", "cumQuote"} & set(made)
    assert float(found["avgPrice"]) > 90_000


@pytest.mark.parametrize(("venue", "limit"), [("binance_spot", 6_000), ("binance_usdm", 2_400)])
def test_weight_is_told_refused_and_punished(venue: str, limit: int) -> None:
    floor = Floor(venue)
    path = f"{PATHS[venue]}/depth?symbol=BTCUSDT&limit=1000"
    statuses = []
    for _ in range(limit // 20 + 40):
        answer = floor.http("GET", path)
        assert answer is not None
        statuses.append(answer.status)

    assert statuses[0] == 200
    assert 429 in statuses
    assert statuses[-1] == 418
    last = floor.http("GET", path)
    assert last is not None
    assert 0 < int(last.headers["retry-after"]) <= 120
    assert "IP banned until" in json.loads(last.body)["msg"]


def test_orders_are_counted_apart() -> None:
    floor = Floor("binance_usdm")
    headers = {"x-mbx-apikey": floor.credentials.key}

    answer = floor.http("POST", f"/fapi/v1/order?{signed(floor, ORDER)}", headers)

    assert answer is not None
    assert (answer.headers["x-mbx-order-count-10s"], answer.headers["x-mbx-order-count-1m"]) == ("1", "1")


def test_a_stream_on_the_wrong_path_is_acknowledged_and_silent() -> None:
    floor = Floor("binance_usdm")
    subscribe = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1})

    wrong, right = floor.session("/public/ws", subscribe), floor.session("/market/ws", subscribe)
    floor.run(3)

    assert [json.loads(one) for one in frames(wrong)] == [{"result": None, "id": 1}]
    assert len(frames(right)) >= 3


@pytest.mark.parametrize(("venue", "head"), [("binance_spot", ""), ("binance_usdm", "/public")])
def test_streams_are_listed_left_and_limited(venue: str, head: str) -> None:
    floor = Floor(venue)
    session = floor.session(f"{head}/stream?streams=btcusdt@bookTicker")

    session.receive('{"method":"LIST_SUBSCRIPTIONS","id":3}', floor.now_ns)
    session.receive('{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":"x"}', floor.now_ns)
    session.receive("nonsense", floor.now_ns)
    heard = [json.loads(one) for one in frames(session)]
    floor.run(2)
    after = frames(session)
    for _ in range(12):
        session.receive('{"method":"LIST_SUBSCRIPTIONS","id":3}', floor.now_ns)

    assert heard[0] == {"result": ["btcusdt@bookTicker"], "id": 3}
    assert heard[1] == {"result": None, "id": "x"}
    assert heard[2]["error"]["code"] == 3
    assert after == ()
    assert isinstance(session.take()[-1], Closing)


def test_every_spot_stream_has_its_shape() -> None:
    floor = Floor("binance_spot")
    kinds = ("trade", "aggTrade", "bookTicker", "depth", "depth5", "ticker", "miniTicker", "kline_1m")
    session = floor.session("/stream?streams=" + "/".join(f"btcusdt@{kind}" for kind in kinds))

    floor.run(5)
    seen = {one["stream"].partition("@")[2]: one["data"] for one in map(json.loads, frames(session))}

    assert set(seen) == set(kinds)
    assert set(seen["bookTicker"]) == {"u", "s", "b", "B", "a", "A"}
    assert set(seen["depth5"]) == {"lastUpdateId", "bids", "asks"}
    assert {name: seen[name]["e"] for name in ("trade", "depth", "ticker", "kline_1m")} == {
        "trade": "trade", "depth": "depthUpdate", "ticker": "24hrTicker", "kline_1m": "kline",
    }  # fmt: skip


def test_a_listen_key_opens_the_private_stream_for_an_hour() -> None:
    floor = Floor("binance_usdm")
    headers = {"x-mbx-apikey": floor.credentials.key}

    def key(method: str) -> dict[str, Any]:
        answer = floor.http(method, "/fapi/v1/listenKey", headers)
        assert answer is not None
        return dict(json.loads(answer.body))

    assert key("PUT")["code"] == -1125
    first = key("POST")["listenKey"]
    assert key("POST")["listenKey"] == first
    refused = floor.open("/private/ws?listenKey=other")
    session = floor.session(f"/private/ws?listenKey={first}&events=ORDER_TRADE_UPDATE/listenKeyExpired")
    call(floor, "POST", "/fapi/v1/order", ORDER)
    floor.run(0.1)
    heard = [json.loads(one)["e"] for one in frames(session)]
    floor.front.dialect.listen_key.end()  # type: ignore[attr-defined]  # the USD-M front has a listen key
    floor.run(0.2)
    *events, end = session.take()

    assert isinstance(refused, HttpAnswer)
    assert heard == ["ORDER_TRADE_UPDATE"]
    assert json.loads(str(events[-1]))["e"] == "listenKeyExpired"
    assert isinstance(end, Closing)


def test_the_dead_man_timer_cancels_what_rests() -> None:
    floor = Floor("binance_usdm")
    call(floor, "POST", "/fapi/v1/order", ORDER)

    call(floor, "POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=1000")
    floor.run(0.5)
    before = call(floor, "GET", "/fapi/v1/openOrders")[1]
    floor.run(1.0)

    assert len(before) == 1
    assert call(floor, "GET", "/fapi/v1/openOrders")[1] == []


def test_an_hmac_key_cannot_log_on_but_may_subscribe_once() -> None:
    floor = Floor("binance_spot")
    session = floor.session("/ws-api/v3")

    def ask(method: str, **params: object) -> dict[str, Any]:
        session.receive(json.dumps({"id": 1, "method": method, "params": params}), floor.now_ns)
        return dict(json.loads(frames(session)[-1]))

    assert ask("session.logon")["error"]["code"] == -2028
    assert ask("userDataStream.subscribe")["error"]["code"] == -1193
    sent: dict[str, object] = {"apiKey": floor.credentials.key, "timestamp": floor.now_ns // 1_000_000}
    text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    made = hmac.new(floor.credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert ask("userDataStream.subscribe.signature", **sent, signature="0")["error"]["code"] == -1022
    assert ask("userDataStream.subscribe.signature", **sent, signature=made)["result"] == {"subscriptionId": 0}

    call(floor, "POST", "/api/v3/order", ORDER)
    floor.run(0.1)
    events = [json.loads(one) for one in frames(session)]
    assert [one["event"]["e"] for one in events] == ["executionReport", "outboundAccountPosition"]
    assert {one["subscriptionId"] for one in events} == {0}
