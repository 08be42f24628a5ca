"""Upbit's instruments, books and listing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.depth import DepthSource
from arb.domain.errors import ConfigError, ProtocolError, VenueUnavailable
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import Caution
from arb.venues.spec import HttpResponse, StatusSeen
from tests.venues.markets import answer, market

UPBIT = market("upbit")
SYMBOLS = ("KRW-BTC", "KRW-USDT")
MARKETS = [
    {
        "market": "KRW-USDT",
        "korean_name": "테더",
        "english_name": "Tether",
        "market_event": {"warning": False, "caution": {}},
    },
    {
        "market": "KRW-BTC",
        "korean_name": "비트코인",
        "english_name": "Bitcoin",
        "market_event": {"warning": True, "caution": {"GLOBAL_PRICE_DIFFERENCES": True, "PRICE_FLUCTUATIONS": False}},
    },
]


def rules(usdt_tick: object = "1") -> tuple[HttpResponse, HttpResponse, HttpResponse]:
    steps = [{"market": "KRW-BTC", "quote_currency": "KRW", "tick_size": 1000, "supported_levels": ["0"]}]
    steps.append({"market": "KRW-USDT", "quote_currency": "KRW", "tick_size": usdt_tick, "supported_levels": ["0"]})
    prices = [{"market": "KRW-BTC", "trade_price": 149000000.0}, {"market": "KRW-USDT", "trade_price": 1450.0}]
    return answer(MARKETS), answer(steps), answer(prices)


def test_instruments_are_asked_for_in_three_groups() -> None:
    requests = UPBIT.instruments_requests(SYMBOLS)
    assert [request.bucket for request in requests] == ["market", "orderbook", "ticker"]
    assert requests[1].target == "/v1/orderbook/instruments?markets=KRW-BTC%2CKRW-USDT"


def test_instruments_carry_rules_and_warnings_in_the_order_asked() -> None:
    btc, usdt = UPBIT.parse_instruments(SYMBOLS, rules("0.5"))
    assert (btc.id, btc.base, btc.quote) == ("upbit:KRW-BTC", "BTC", "KRW")
    assert btc.cautions == {Caution.WARNING, Caution.GLOBAL_PRICE_DIFFERENCE}
    assert (btc.min_notional, btc.lot, btc.ticks.tick_at(Decimal(149_000_000))) == (
        Decimal(5000),
        Decimal("1e-8"),
        Decimal(1000),
    )
    assert usdt.ticks.tick_at(Decimal(1450)) == Decimal("0.5")
    assert usdt.cautions == frozenset()


def test_unknown_symbol_is_a_configuration_error_and_a_useless_tick_a_protocol_error() -> None:
    with pytest.raises(ConfigError, match="KRW-NOPE"):
        UPBIT.parse_instruments(("KRW-NOPE",), rules())
    with pytest.raises(ProtocolError, match="price step"):
        UPBIT.parse_instruments(SYMBOLS, rules("0"))
    with pytest.raises(VenueUnavailable, match="HTTP 503"):
        UPBIT.parse_instruments(SYMBOLS, (answer({}, 503), *rules()[1:]))


def test_depth_over_rest_is_sequenced_by_its_time() -> None:
    assert UPBIT.depth_request("KRW-BTC", 15).target == "/v1/orderbook?markets=KRW-BTC&count=15"
    units = [
        {"ask_price": 2, "bid_price": 1.5, "ask_size": 3, "bid_size": 4},
        {"ask_price": 0, "bid_price": 1, "ask_size": 0, "bid_size": 1},
    ]
    body = [{"market": "KRW-BTC", "timestamp": 1795000000123, "orderbook_units": units}]
    depth = UPBIT.parse_depth(InstrumentId("upbit:KRW-BTC"), FeedId("f"), answer(body), 9)
    assert (depth.bids, depth.asks) == ((1.5, 4.0, 1.0, 1.0), (2.0, 3.0))
    assert (depth.sequence, depth.source, depth.received_ns) == (1795000000123, DepthSource.REST, 9)
    with pytest.raises(ProtocolError):
        UPBIT.parse_depth(InstrumentId("upbit:KRW-ETH"), FeedId("f"), answer(body), 9)


def test_a_market_gone_from_the_list_is_not_tradable() -> None:
    there, gone = UPBIT.parse_status(("KRW-BTC", "KRW-GONE"), (answer(MARKETS),), 1)

    assert isinstance(there, StatusSeen)
    assert (there.is_tradable, there.cautions) == (
        True,
        frozenset((Caution.GLOBAL_PRICE_DIFFERENCE, Caution.WARNING)),
    )
    assert gone == StatusSeen(instrument=InstrumentId("upbit:KRW-GONE"), is_tradable=False, detail="not listed")


def test_time_comes_from_the_date_header() -> None:
    assert UPBIT.time_request() is None
    assert UPBIT.parse_time(answer({}, date="Sat, 21 Nov 2026 06:00:00 GMT")) == 1795240800000
    with pytest.raises(ProtocolError):
        UPBIT.parse_time(answer({}))
