"""USD-M's instruments, funding and split streams."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from arb.domain.errors import ProtocolError
from arb.domain.events import FundingRateSeen
from arb.domain.instrument import InstrumentKind, InstrumentStatus
from arb.ports import Trade
from arb.venues.spec import Alive, Fault
from tests.venues.markets import answer, instrument, market, plans

USDM = market("binance_usdm")
D = Decimal
ROW = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000,
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "556.80", "maxPrice": "4529764"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
    ],
}
TERMS = [{"symbol": "XYZUSDT", "fundingIntervalHours": 4}]
FRAME: dict[str, Any] = {
    "stream": "btcusdt@markPrice@1s",
    "data": {
        "e": "markPriceUpdate", "E": 1795000000000, "s": "BTCUSDT", "p": "61000.12000000", "i": "60990.5", "P":
        "61000.0",
        "r": "0.00010000", "T": 1795046400000,
    },
}  # fmt: skip


def test_instrument_comes_from_filters_not_from_precisions() -> None:
    requests = USDM.instruments_requests(("BTCUSDT",))
    assert [request.path for request in requests] == ["/fapi/v1/exchangeInfo", "/fapi/v1/fundingInfo"]
    (btc,) = USDM.parse_instruments(("BTCUSDT",), (answer({"symbols": [ROW]}), answer(TERMS)))
    assert (btc.kind, btc.lot, btc.min_notional) == (InstrumentKind.PERPETUAL, D("0.001"), D(100))
    assert (btc.band_up, btc.band_down, btc.ticks.tick_at(D(61_000))) == (D("1.05"), D("0.95"), D("0.1"))
    assert (btc.listed_ms, btc.delisting_ms, btc.funding_interval_s) == (1569398400000, None, 28_800)


def test_a_contract_to_be_settled_says_when() -> None:
    closing = ROW | {"status": "SETTLING", "deliveryDate": 1795046400000}
    (btc,) = USDM.parse_instruments(("BTCUSDT",), (answer({"symbols": [closing]}), answer([])))
    assert (btc.status, btc.delisting_ms) == (InstrumentStatus.DELISTING, 1795046400000)


def test_funding_is_mark_interval_and_settled_rates_newest_first() -> None:
    symbols = ("BTCUSDT", "XYZUSDT")
    paths = [request.path.rpartition("/")[2] for request in USDM.status_requests(symbols)]
    assert paths == ["premiumIndex", "premiumIndex", "fundingInfo", "fundingRate", "fundingRate"]

    def mark(symbol: str) -> dict[str, object]:
        return {
            "symbol": symbol,
            "markPrice": "61000.5",
            "indexPrice": "60999.1",
            "lastFundingRate": "-0.0001",
            "nextFundingTime": 1795046400000,
        }

    past = [{"symbol": "BTCUSDT", "fundingRate": f"0.000{n}", "fundingTime": 1000 + n} for n in (1, 2, 3)]
    answers = (answer(mark("BTCUSDT")), answer(mark("XYZUSDT")), answer(TERMS), answer(past), answer([]))
    btc, xyz = USDM.parse_status(symbols, answers, 5)
    assert isinstance(btc, FundingRateSeen)
    assert isinstance(xyz, FundingRateSeen)
    assert (btc.rate, btc.mark_price, btc.index_price, btc.interval_s) == (
        D("-0.0001"),
        D("61000.5"),
        D("60999.1"),
        28_800,
    )
    assert btc.past_rates == (D("0.0003"), D("0.0002"), D("0.0001"))
    assert (xyz.interval_s, xyz.past_rates) == (14_400, ())
    with pytest.raises(ProtocolError):
        USDM.parse_status(symbols, (answer([]), *answers[1:]), 5)


def test_books_and_funding_are_on_different_paths() -> None:
    public, second = plans("binance_usdm", "BTCUSDT", "ETHUSDT")
    assert (public.feed, second.feed) == ("binance_usdm/public/0", "binance_usdm/market/0")
    assert public.path == "/public/stream?streams=btcusdt@depth@100ms/ethusdt@depth@100ms"
    assert (
        second.path
        == "/market/stream?streams=btcusdt@markPrice@1s/btcusdt@aggTrade/ethusdt@markPrice@1s/ethusdt@aggTrade"
    )
    assert second.protocol.depth(instrument("binance_usdm", "BTCUSDT").id, 15) is None


def test_mark_price_carries_the_instruments_own_interval() -> None:
    for interval_s, expected in ((14_400, 14_400), (None, 28_800)):
        stream = USDM.streams((instrument("binance_usdm", "BTCUSDT", interval_s),), "x")[1].protocol
        (seen,) = stream.receive(json.dumps(FRAME, separators=(",", ":")).encode(), 4)
        assert isinstance(seen, FundingRateSeen)
        assert (seen.rate, seen.mark_price, seen.index_price) == (D("0.0001"), D("61000.12"), D("60990.5"))
        assert (seen.interval_s, seen.next_settlement_ms, seen.at_ns) == (expected, 1795046400000, 4)


@pytest.mark.parametrize(("rate", "kind"), [("", Alive), ("nonsense", Fault), ("NaN", Fault)])
def test_contracts_without_funding_are_silent_and_nonsense_is_a_fault(rate: str, kind: type) -> None:
    stream = plans("binance_usdm", "BTCUSDT")[1].protocol
    frame = FRAME | {"data": FRAME["data"] | {"r": rate}}
    assert isinstance(stream.receive(json.dumps(frame, separators=(",", ":")).encode(), 4)[0], kind)


def test_rows_of_insurance_fund_and_price_zero_are_no_trades() -> None:
    stream = plans("binance_usdm", "BTCUSDT")[0].protocol

    def events(kind: str, price: str) -> object:
        data = {"e": "trade", "E": 1, "T": 1, "s": "BTCUSDT", "t": 5, "p": price, "q": "1", "X": kind, "m": False}
        return stream.receive(json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":")).encode(), 1)[
            0
        ]

    assert isinstance(events("MARKET", "61000.1"), Trade)
    assert events("INSURANCE_FUND", "61000.1") == Alive()
    assert events("MARKET", "0") == Alive()


def test_depth_request_weighs_by_limit_and_the_image_has_a_time() -> None:
    assert USDM.depth_request("BTCUSDT", 15).query == "symbol=BTCUSDT&limit=20"
    assert [USDM.depth_request("BTCUSDT", count).weight for count in (5, 50, 100, 500, 1000, 5000)] == [
        2,
        2,
        5,
        10,
        20,
        20,
    ]
    body = {"lastUpdateId": 9, "E": 1795000000001, "T": 1795000000000, "bids": [["1.0", "2"]], "asks": []}
    depth = USDM.parse_depth(
        instrument("binance_usdm", "BTCUSDT").id, plans("binance_usdm", "BTCUSDT")[0].feed, answer(body), 1
    )
    assert (depth.bids, depth.asks, depth.venue_ns) == ((1.0, 2.0), (), 1795000000001 * 10**6)
