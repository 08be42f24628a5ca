"""Upbit's public stream: both spellings, whole images, padding, times, notices."""

from __future__ import annotations

import json

import pytest

from arb.domain.ids import InstrumentId
from arb.ports import Trade
from arb.venues.spec import Alive, BookChanged, Fault, StatusSeen, TickerSeen
from tests.venues.markets import plans, protocol

BTC = InstrumentId("upbit:KRW-BTC")
LONG = (
    '{"type":"orderbook","code":"KRW-BTC","timestamp":%d,"total_ask_size":1.0,"total_bid_size":2.0,"orderbook_units":['
    '{"ask_price":149000000,"bid_price":148990000.0,"ask_size":0.5,"bid_size":9.101e-05},'
    '{"ask_price":149010000.0,"bid_price":%s,"ask_size":1.25,"bid_size":3.0}],"stream_type":"REALTIME","level":0}'
)
SHORT = (
    '{"ty":"orderbook","cd":"KRW-BTC","tms":%d,"tas":1.0,"tbs":2.0,"obu":['
    '{"ap":149000000,"bp":148990000.0,"as":0.5,"bs":9.101e-05},'
    '{"ap":149010000.0,"bp":%s,"as":1.25,"bs":3.0}],"st":"REALTIME"}'
)


@pytest.mark.parametrize("text", [LONG, SHORT])
def test_either_spelling_gives_the_same_depth(text: str) -> None:
    stream = protocol("upbit", "KRW-BTC")
    assert stream.receive((text % (1795000000123, "148980000.0")).encode(), 77) == (BookChanged(BTC),)
    depth = stream.depth(BTC, 15)
    assert depth is not None
    assert depth.bids == (148990000.0, 9.101e-05, 148980000.0, 3.0)
    assert depth.asks == (149000000.0, 0.5, 149010000.0, 1.25)
    assert (depth.received_ns, depth.venue_ns, depth.feed) == (77, 1795000000123 * 10**6, "upbit/public/0")


def test_levels_of_price_zero_are_left_out() -> None:
    stream = protocol("upbit", "KRW-BTC")
    stream.receive((LONG % (1795000000123, "0")).encode(), 1)
    depth = stream.depth(BTC, 15)
    assert depth is not None
    assert (depth.bids, len(depth.asks)) == ((148990000.0, 9.101e-05), 4)


def test_an_image_older_than_the_one_held_is_dropped_and_an_equal_time_is_not() -> None:
    stream = protocol("upbit", "KRW-BTC")
    stream.receive((LONG % (1795000000123, "148980000.0")).encode(), 1)
    assert stream.receive((LONG % (1795000000122, "1.0")).encode(), 2) == (Alive(),)
    assert stream.receive((LONG % (1795000000123, "148970000.0")).encode(), 3) == (BookChanged(BTC),)
    depth = stream.depth(BTC, 15)
    assert depth is not None
    assert (depth.bids[2], depth.received_ns, depth.sequence) == (148970000.0, 3, 2)


def test_microseconds_are_recognised() -> None:
    stream = protocol("upbit", "KRW-BTC")
    stream.receive((LONG % (1795000000123456, "1.0")).encode(), 1)
    depth = stream.depth(BTC, 15)
    assert depth is not None
    assert depth.venue_ns == 1795000000123456000


def test_crossed_image_is_flagged() -> None:
    stream = protocol("upbit", "KRW-BTC")
    stream.receive(
        (LONG % (1795000000123, "1.0")).replace('"bid_price":148990000.0', '"bid_price":149000000.0').encode(), 1
    )
    depth = stream.depth(BTC, 15)
    assert depth is not None
    assert depth.is_crossed


def test_trades_keep_their_digits_and_the_takers_side() -> None:
    raw = (
        '{"type":"trade","code":"KRW-BTC","timestamp":1795000000200,"trade_timestamp":1795000000150,'
        '"trade_price":149000000.0,"trade_volume":0.00000001,"ask_bid":"BID","sequential_id":17950000001500001}'
    )
    (trade,) = protocol("upbit", "KRW-BTC").receive(raw.encode(), 5)
    assert isinstance(trade, Trade)
    assert (trade.price, trade.qty, trade.is_buy) == ("149000000.0", "0.00000001", True)
    assert (trade.trade_id, trade.venue_ns, trade.received_ns) == ("17950000001500001", 1795000000150 * 10**6, 5)


def test_ticker_tells_the_market_state_when_it_changes() -> None:
    stream = protocol("upbit", "KRW-BTC")

    def tick(state: str, is_suspended: bool = False) -> list[str]:
        frame = {
            "ty": "ticker",
            "cd": "KRW-BTC",
            "tms": 1795000000200,
            "tp": 149000000.0,
            "ms": state,
            "its": is_suspended,
        }
        return [type(event).__name__ for event in stream.receive(json.dumps(frame).encode(), 5)]

    assert tick("ACTIVE") == ["TickerSeen"]
    assert tick("DELISTED") == ["TickerSeen", "StatusSeen"]
    assert tick("DELISTED") == ["TickerSeen"]
    assert tick("ACTIVE") == ["TickerSeen", "StatusSeen"]
    assert tick("ACTIVE", is_suspended=True) == ["TickerSeen", "StatusSeen"]


def test_status_seen_says_which_way() -> None:
    stream = protocol("upbit", "KRW-BTC")
    frame = '{"type":"ticker","code":"KRW-BTC","timestamp":1795000000200,"trade_price":1,"market_state":"PREVIEW"}'
    ticker, status = stream.receive(frame.encode(), 5)
    assert isinstance(ticker, TickerSeen)
    assert isinstance(status, StatusSeen)
    assert not status.is_tradable


def test_lists_of_messages_are_read_one_by_one() -> None:
    stream = protocol("upbit", "KRW-BTC")
    pair = [json.loads(SHORT % (1795000000123, "1.0")), {"status": "UP"}]
    assert stream.receive(json.dumps(pair).encode(), 1) == (BookChanged(BTC), Alive())


def test_heartbeat_answer_is_alive_and_an_error_is_a_fault() -> None:
    stream = protocol("upbit", "KRW-BTC")
    assert stream.receive(b'{"status":"UP"}', 1) == (Alive(),)
    (fault,) = stream.receive(b'{"error":{"name":"TOO_MANY_REQUEST","message":"slow down"}}', 1)
    assert fault == Fault("TOO_MANY_REQUEST: slow down")
    assert isinstance(stream.receive((LONG % (1, "1.0")).replace("KRW-BTC", "KRW-XRP").encode(), 1)[0], Fault)


def test_one_request_subscribes_every_market_at_fifteen_levels() -> None:
    (plan,) = plans("upbit", "KRW-BTC", "KRW-USDT")
    (text,) = plan.protocol.opening()
    parts = json.loads(text)
    assert parts[0] == {"ticket": "upbit/public/0"}
    assert parts[1] == {"type": "orderbook", "codes": ["KRW-BTC.15", "KRW-USDT.15"]}
    assert [part["type"] for part in parts[2:4]] == ["trade", "ticker"]
    assert (plan.path, plan.ping_text, plan.instruments) == ("", "PING", ("upbit:KRW-BTC", "upbit:KRW-USDT"))


def test_many_markets_are_split_over_connections() -> None:
    found = plans("upbit", *(f"KRW-C{number}" for number in range(201)))
    assert [len(plan.instruments) for plan in found] == [100, 100, 1]
    assert [plan.feed for plan in found] == ["upbit/public/0", "upbit/public/1", "upbit/public/2"]


def test_a_market_that_was_not_subscribed_has_no_depth() -> None:
    assert protocol("upbit", "KRW-BTC").depth(InstrumentId("upbit:KRW-ETH"), 15) is None
    assert protocol("upbit", "KRW-BTC").depth(BTC, 15) is None
    assert isinstance(protocol("upbit", "KRW-BTC").receive_snapshot(BTC, b"[]", 1)[0], Fault)
