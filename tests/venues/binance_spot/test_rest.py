"""Spot's instruments, books, budgets and streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from arb.domain.errors import ConfigError, ProtocolError
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import InstrumentStatus
from arb.venues.binance_spot.rules import RATE
from arb.venues.spec import RateReport, StatusSeen
from tests.venues.markets import answer, market, plans

SPOT = market("binance_spot")
D = Decimal


def row(symbol: str, *filters: Mapping[str, object], status: str = "TRADING") -> dict[str, object]:
    always: list[Mapping[str, object]] = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    ]
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol[:-4],
        "quoteAsset": "USDT",
        "filters": always + list(filters),
    }


NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"}
BY_SIDE = {
    "filterType": "PERCENT_PRICE_BY_SIDE",
    "bidMultiplierUp": "5",
    "bidMultiplierDown": "0.2",
    "askMultiplierUp": "5",
    "askMultiplierDown": "0.3",
}


def test_one_request_asks_for_all_symbols() -> None:
    (request,) = SPOT.instruments_requests(("BTCUSDT", "ETHUSDT"))
    assert request.target == "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"
    assert (request.bucket, request.weight) == ("weight", 20)


def test_filters_become_rules() -> None:
    old = {"filterType": "MIN_NOTIONAL", "minNotional": "10.0"}
    both_ways = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9"}
    body = {"symbols": [row("ETHUSDT", old, both_ways, status="BREAK"), row("BTCUSDT", NOTIONAL, BY_SIDE)]}
    btc, eth = SPOT.parse_instruments(("BTCUSDT", "ETHUSDT"), (answer(body),))
    assert (btc.base, btc.lot, btc.min_qty, btc.max_qty) == ("BTC", D("0.00001"), D("0.00001"), D(9000))
    assert (btc.min_notional, btc.max_notional, btc.band_up, btc.band_down) == (D(5), D(9_000_000), D(5), D("0.3"))
    assert btc.ticks.tick_at(D(60_000)) == D("0.01")
    assert (eth.min_notional, eth.band_up, eth.band_down) == (D(10), D("1.1"), D("0.9"))
    assert (btc.status, eth.status) == (InstrumentStatus.TRADING, InstrumentStatus.HALTED)


def test_missing_symbol_and_missing_step_are_told_apart() -> None:
    with pytest.raises(ConfigError, match="NOPEUSDT"):
        SPOT.parse_instruments(("NOPEUSDT",), (answer({"symbols": []}),))
    bare = row("BTCUSDT") | {"filters": []}
    with pytest.raises(ProtocolError, match="price step"):
        SPOT.parse_instruments(("BTCUSDT",), (answer({"symbols": [bare]}),))


@pytest.mark.parametrize(
    ("levels", "limit", "weight"), [(15, 15, 5), (100, 100, 5), (101, 101, 25), (1000, 1000, 50), (9000, 5000, 250)]
)
def test_depth_weighs_by_its_limit(levels: int, limit: int, weight: int) -> None:
    request = SPOT.depth_request("BTCUSDT", levels)
    assert (request.query, request.weight) == (f"symbol=BTCUSDT&limit={limit}", weight)


def test_depth_over_rest_has_no_time() -> None:
    body = {"lastUpdateId": 7, "bids": [["100.10", "1"]], "asks": [["100.20", "2"]]}
    depth = SPOT.parse_depth(InstrumentId("binance_spot:BTCUSDT"), FeedId("f"), answer(body), 5)
    assert (depth.bids, depth.asks, depth.sequence, depth.venue_ns) == ((100.1, 1.0), (100.2, 2.0), 7, None)


def test_server_time() -> None:
    request = SPOT.time_request()
    assert request is not None
    assert request.target == "/api/v3/time"
    assert SPOT.parse_time(answer({"serverTime": 1795240800000})) == 1795240800000


def test_usage_headers() -> None:
    response = answer(
        {}, x_mbx_used_weight_1m="57", x_mbx_order_count_10s="3", x_mbx_order_count_1d="99", x_mbx_used_weight="x"
    )
    assert RATE.reports(response) == (
        RateReport(bucket="weight", used=57),
        RateReport(bucket="orders-10s", used=3),
        RateReport(bucket="orders-1d", used=99),
    )
    assert {bucket.name for bucket in RATE.buckets} >= {report.bucket for report in RATE.reports(response)}


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, {"code": -1003, "msg": "Too much request weight used."}, {"retry_after": "17"}, (17.0, False)),
        (429, {"code": -1003, "msg": "Too much request weight used."}, {}, (50.0, False)),
        (418, {"code": -1003, "msg": "Way too much; IP banned until 1795000045000."}, {}, (15.0, True)),
        (418, {}, {}, (120.0, True)),
        (
            400,
            {"code": -1003, "msg": "IP(1.2.3.4) banned until 1795000040000. Please use websocket."},
            {},
            (10.0, True),
        ),
    ],
)
def test_silence_after_a_refusal(
    status: int, body: dict[str, object], headers: dict[str, str], expected: tuple[float, bool]
) -> None:
    wait = RATE.back_off(answer(body, status, **headers), 1795000030000)
    assert wait is not None
    assert (wait.wait_s, wait.is_ban) == expected


def test_other_refusals_need_no_silence() -> None:
    assert RATE.back_off(answer({"code": -1121, "msg": "Invalid symbol."}, 400), 0) is None
    assert RATE.back_off(answer({"serverTime": 1}), 0) is None


def test_streams_are_named_in_the_url_and_the_rest_subscribed_in_few_frames() -> None:
    (small,) = plans("binance_spot", "BTCUSDT", "ETHUSDT")
    assert small.path == (
        "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@ticker"
        "/ethusdt@depth@100ms/ethusdt@trade/ethusdt@ticker"
    )
    assert small.protocol.opening() == ()
    found = plans("binance_spot", *(f"C{number}USDT" for number in range(400)))
    assert [len(plan.instruments) for plan in found] == [333, 67]
    texts = found[0].protocol.opening()
    named = found[0].path.partition("=")[2].split("/")
    asked = [name for text in texts for name in json.loads(text)["params"]]
    assert len(texts) <= 4
    assert len(named) + len(asked) == 999
    assert len(set(named) | set(asked)) == 999


def test_symbols_outside_ascii_are_encoded() -> None:
    (plan,) = plans("binance_spot", "测试USDT")
    assert plan.path.startswith("/stream?streams=%E6%B5%8B%E8%AF%95usdt@depth@100ms/")
    assert SPOT.depth_request("测试USDT", 5).query.startswith("symbol=%E6%B5%8B")


@pytest.mark.parametrize(("status", "is_tradable"), [(0, True), (1, False)])
def test_the_venue_says_whether_it_is_in_maintenance(status: int, is_tradable: bool) -> None:
    (request,) = SPOT.status_requests(("BTCUSDT",))
    (seen,) = SPOT.parse_status(("BTCUSDT",), (answer({"status": status, "msg": "system_maintenance"}),), 1)

    assert (request.method, request.path) == ("GET", "/sapi/v1/system/status")
    assert seen == StatusSeen(instrument=None, is_tradable=is_tradable, detail="system_maintenance")
