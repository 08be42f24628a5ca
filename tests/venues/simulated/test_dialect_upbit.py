"""Upbit's dialect: tokens, budgets, error bodies, stream semantics."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import unquote

import pytest

from arb.domain.ids import VenueId
from arb.venues.simulated.dialect import HttpAnswer
from arb.venues.simulated.models import FaultKind, FaultScript
from tests.venues.served import Floor, frames

BOOK = [{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC"]}]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(
    floor: Floor, text: str = "", *, algorithm: str = "HS512", secret: str | None = None, **claims: object
) -> str:
    """A token written here by hand from the venue's page."""
    body: dict[str, object] = {"access_key": floor.credentials.key, "nonce": f"n{next(floor.nonces)}"}
    if text:
        body |= {"query_hash": hashlib.sha512(text.encode()).hexdigest(), "query_hash_alg": "SHA512"}
    head = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(body | claims)}"
    digest = {"HS512": "sha512", "HS256": "sha256"}[algorithm]
    made = hmac.new((secret or floor.credentials.secret).encode(), head.encode(), digest).digest()
    return f"Bearer {head}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def call(
    floor: Floor, method: str, target: str, text: str | None = None, body: object = None, **claims: Any
) -> tuple[int, Any]:
    raw = b"" if body is None else json.dumps(body).encode()
    hashed = unquote(target.partition("?")[2]) if text is None else text
    answer = floor.http(method, target, {"authorization": token(floor, hashed, **claims)}, raw)
    assert answer is not None
    return answer.status, json.loads(answer.body)


def place(floor: Floor, **fields: object) -> tuple[int, Any]:
    body = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "volume": "0.001", "price": "140000000", **fields}
    body = {name: value for name, value in body.items() if value is not None}
    return call(floor, "POST", "/v1/orders", "&".join(f"{name}={value}" for name, value in body.items()), body)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_both_algorithms_are_accepted(algorithm: str) -> None:
    floor = Floor("upbit")

    assert call(floor, "GET", "/v1/accounts", algorithm=algorithm)[0] == 200


def test_each_flaw_of_a_token_has_its_own_name() -> None:
    floor = Floor("upbit")

    def name(**claims: Any) -> str:
        status, body = call(floor, "GET", "/v1/order?uuid=x", **claims)
        assert status == 401
        return str(body["error"]["name"])

    assert name(secret="wrong") == "jwt_verification"
    assert name(access_key="other") == "invalid_access_key"
    assert name(text="uuid=y") == "invalid_query_payload"
    assert name(nonce="") == "jwt_verification"
    bare = floor.http("GET", "/v1/accounts")
    assert bare is not None
    assert json.loads(bare.body)["error"]["name"] == "no_authorization_token"


def test_a_nonce_serves_once() -> None:
    floor = Floor("upbit")

    assert call(floor, "GET", "/v1/accounts", nonce="same")[0] == 200
    assert call(floor, "GET", "/v1/accounts", nonce="same")[1]["error"]["name"] == "nonce_used"


def test_the_hash_is_over_the_query_without_percent_encoding() -> None:
    floor = Floor("upbit")

    target = "/v1/orders/open?market=KRW-BTC&states%5B%5D=wait&states[]=watch"

    assert call(floor, "GET", target, "market=KRW-BTC&states[]=wait&states[]=watch")[0] == 200


@pytest.mark.parametrize(
    ("fields", "status", "name"),
    [
        ({"price": "140000500"}, 400, "invalid_price_bid"),
        ({"volume": "0.00001"}, 400, "under_min_total_bid"),
        ({"volume": "3"}, 400, "insufficient_funds_bid"),
        ({"side": "ask", "volume": "3", "price": "160000000"}, 400, "insufficient_funds_ask"),
        ({"market": "KRW-NONE"}, 404, "notfoundmarket"),
        ({"side": "up"}, 400, "validation_error"),
        ({"time_in_force": "gtc"}, 400, "invalid_time_in_force"),
        ({"time_in_force": "post_only", "smp_type": "reduce"}, 400, "invalid_post_only"),
        ({"ord_type": "market"}, 400, "create_bid_error"),
        ({"ord_type": "price"}, 400, "create_bid_error"),
        ({"ord_type": "best", "volume": None}, 400, "invalid_time_in_force"),
        ({"price": "cheap"}, 400, "invalid_parameter"),
    ],
)
def test_a_refused_order_has_the_venues_name(fields: dict[str, object], status: int, name: str) -> None:
    found = place(Floor("upbit"), **fields)

    assert (found[0], found[1]["error"]["name"]) == (status, name)


def test_an_identifier_is_spent_for_ever() -> None:
    floor = Floor("upbit")

    status, order = place(floor, identifier="mine")
    call(floor, "DELETE", "/v1/order?identifier=mine")
    again = place(floor, identifier="mine")

    assert (status, order["state"], order["identifier"]) == (201, "wait", "mine")
    assert (again[0], again[1]["error"]["name"]) == (400, "duplicated_identifier")
    ledger = floor.http("GET", "/sim/ledger")
    assert ledger is not None
    assert json.loads(ledger.body)["accounts"]["main"]["duplicated_ids"] == 1


def test_a_buy_by_total_ends_cancelled_with_its_fills() -> None:
    floor = Floor("upbit")

    _, order = place(floor, ord_type="price", volume=None, price="100000")
    _, found = call(floor, "GET", f"/v1/order?uuid={order['uuid']}")

    assert found["state"] == "cancel"
    assert float(found["executed_volume"]) > 0
    assert len(found["trades"]) == found["trades_count"] > 0


def test_a_test_order_leaves_nothing_behind() -> None:
    floor = Floor("upbit")
    body = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "volume": "0.001", "price": "140000000"}

    status, order = call(
        floor, "POST", "/v1/orders/test", "&".join(f"{name}={value}" for name, value in body.items()), body
    )

    assert (status, order["state"]) == (201, "wait")
    assert call(floor, "GET", f"/v1/order?uuid={order['uuid']}")[0] == 404


def test_open_orders_are_cancelled_in_a_batch() -> None:
    floor = Floor("upbit")
    for number in range(3):
        place(floor, identifier=f"o{number}")

    _, named = call(floor, "DELETE", "/v1/orders/uuids?identifiers[]=o0&identifiers[]=nobody")
    _, rest = call(floor, "DELETE", "/v1/orders/open?pairs=KRW-BTC&count=10")

    assert named["success"]["count"] == 1
    assert rest["success"]["count"] == 2
    assert call(floor, "GET", "/v1/orders/open")[1] == []
    assert len(call(floor, "GET", "/v1/orders/closed")[1]) == 3


def test_an_order_is_exchanged_for_a_new_one() -> None:
    floor = Floor("upbit")
    place(floor, identifier="old")
    body = {
        "prev_order_identifier": "old",
        "new_ord_type": "limit",
        "new_volume": "remain_only",
        "new_price": "139000000",
        "new_identifier": "new",
    }

    status, answer = call(
        floor, "POST", "/v1/orders/cancel_and_new", "&".join(f"{name}={value}" for name, value in body.items()), body
    )

    assert status == 201
    opened = call(floor, "GET", "/v1/orders/open")[1]
    assert [(one["uuid"], one["identifier"], one["price"]) for one in opened] == [
        (answer["new_order_uuid"], "new", "139000000")
    ]


def test_budgets_are_counted_down_refused_and_punished() -> None:
    floor = Floor("upbit")
    left, statuses = [], []

    for _ in range(12):
        answer = floor.http("GET", "/v1/orderbook?markets=KRW-BTC")
        assert answer is not None
        statuses.append(answer.status)
        left.append(answer.headers.get("remaining-req"))
    floor.run(1.0)
    after = floor.http("GET", "/v1/orderbook?markets=KRW-BTC")
    for _ in range(90):
        floor.http("GET", "/v1/orderbook?markets=KRW-BTC")
    banned = floor.http("GET", "/v1/orderbook?markets=KRW-BTC")

    assert left[0] == "group=orderbook; min=1800; sec=9"
    assert statuses == [200] * 10 + [429] * 2
    assert after is not None
    assert after.status == 200
    assert banned is not None
    assert banned.status == 418


@pytest.mark.parametrize(
    ("request_text", "name"),
    [
        ("nonsense", "WRONG_FORMAT"),
        ('[{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"t"}]', "NO_TYPE"),
        ('[{"ticket":"t"},{"type":"ticker"}]', "NO_CODES"),
        ('[{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"format":"XML"}]', "INVALID_PARAM"),
        ('[{"ticket":"t"},{"type":"myOrder"}]', "INVALID_AUTH"),
    ],
)
def test_a_bad_request_gets_an_error_frame(request_text: str, name: str) -> None:
    session = Floor("upbit").session("/websocket/v1", request_text)

    assert json.loads(frames(session)[0])["error"]["name"] == name


def test_a_new_subscription_replaces_the_old_one() -> None:
    floor = Floor("upbit")
    session = floor.session("/websocket/v1", json.dumps(BOOK))

    session.receive(
        json.dumps([{"ticket": "t"}, {"type": "ticker", "codes": ["KRW-BTC"], "is_only_realtime": True}]), floor.now_ns
    )
    session.take()
    floor.run(3)
    session.receive('[{"ticket":"t"},{"method":"LIST_SUBSCRIPTIONS"}]', floor.now_ns)
    seen = [json.loads(frame) for frame in frames(session)]

    assert {one.get("type") for one in seen} == {"ticker", None}
    assert [one["type"] for one in seen[-1]["result"]] == ["ticker"]


def test_simple_lists_use_short_names_and_only_snapshot_ends_there() -> None:
    floor = Floor("upbit")
    wish = {"type": "orderbook", "codes": ["KRW-BTC.5"], "is_only_snapshot": True}
    session = floor.session("/websocket/v1", json.dumps([{"ticket": "t"}, wish, {"format": "SIMPLE_LIST"}]))

    floor.run(2)
    seen = frames(session)

    assert len(seen) == 1
    (book,) = json.loads(seen[0])
    assert (book["ty"], book["cd"], book["st"], len(book["obu"])) == ("orderbook", "KRW-BTC", "SNAPSHOT", 5)


@pytest.mark.parametrize(("level", "is_heard"), [(10_000, True), (7, False)])
def test_an_unsupported_level_is_silent(level: int, is_heard: bool) -> None:
    floor = Floor("upbit")
    session = floor.session(
        "/websocket/v1", json.dumps([{"ticket": "t"}, {"type": "orderbook", "codes": ["KRW-BTC"], "level": level}])
    )

    floor.run(1)
    seen = [json.loads(frame) for frame in frames(session)]

    assert bool(seen) is is_heard
    assert all(unit["bid_price"] % level == 0 for one in seen for unit in one["orderbook_units"])


def test_a_text_ping_is_answered_and_repeated() -> None:
    floor = Floor("upbit")
    session = floor.session("/websocket/v1", "PING")

    floor.run(20.5)

    assert frames(session) == (b'{"status":"UP"}',) * 3


def test_too_many_messages_get_an_error() -> None:
    session = Floor("upbit").session("/websocket/v1", *[json.dumps(BOOK)] * 6)

    assert json.loads(frames(session)[-1])["error"]["name"] == "TOO_MANY_REQUEST"


def test_the_private_stream_needs_a_token() -> None:
    floor = Floor("upbit")

    refused = floor.open("/websocket/v1/private")

    assert isinstance(refused, HttpAnswer)
    assert refused.status == 401
    floor.session("/websocket/v1/private", headers=(("Authorization", token(floor)),))


def test_maintenance_takes_no_orders_and_pauses_wallets() -> None:
    floor = Floor(
        "upbit", faults=(FaultScript(at_s=0.1, venue=VenueId("upbit"), kind=FaultKind.MAINTENANCE, duration_s=60),)
    )

    status, body = place(floor)

    assert (status, body["error"]["name"]) == (403, "market_offline")
    assert {row["wallet_state"] for row in call(floor, "GET", "/v1/status/wallet")[1]} == {"paused"}
