"""Spot's public stream besides its books."""

from __future__ import annotations

import json

from arb.ports import Trade
from arb.venues.spec import Alive, BookChanged, Fault, Inbound, Reconnect, TickerSeen
from tests.venues.markets import protocol


def received(stream: str, data: dict[str, object], pretty: bool = False) -> tuple[Inbound, ...]:
    body = {"stream": stream, "data": data}
    text = json.dumps(body, indent=1) if pretty else json.dumps(body, separators=(",", ":"))
    return protocol("binance_spot", "BTCUSDT", "ETHUSDT").receive(text.encode(), 9)


TRADE = {
    "e": "trade",
    "E": 3,
    "s": "BTCUSDT",
    "t": 12,
    "p": "61000.10000000",
    "q": "0.00200000",
    "T": 1795000000001,
    "m": True,
    "M": True,
}


def test_trades_are_read_with_and_without_envelope_however_spaced() -> None:
    for events in (received("btcusdt@trade", TRADE), received("btcusdt@trade", TRADE, pretty=True)):
        (trade,) = events
        assert isinstance(trade, Trade)
        assert (trade.price, trade.qty, trade.is_buy, trade.trade_id) == ("61000.10000000", "0.00200000", False, "12")
    bare = protocol("binance_spot", "BTCUSDT").receive(json.dumps(TRADE).encode(), 9)
    assert bare == received("btcusdt@trade", TRADE)


def test_best_quotes_have_no_time() -> None:
    data: dict[str, object] = {"u": 5, "s": "ETHUSDT", "b": "10.10", "B": "1", "a": "10.20", "A": "2"}
    (seen,) = received("ethusdt@bookTicker", data)
    assert seen == TickerSeen(instrument="binance_spot:ETHUSDT", last=None, bid="10.10", ask="10.20", venue_ns=None)  # type: ignore[arg-type]
    assert protocol("binance_spot", "ETHUSDT").receive(json.dumps(data).encode(), 1) == (seen,)


def test_day_ticker() -> None:
    (seen,) = received(
        "btcusdt@ticker", {"e": "24hrTicker", "E": 7, "s": "BTCUSDT", "c": "9.5", "b": "9.4", "a": "9.6"}
    )
    assert isinstance(seen, TickerSeen)
    assert (seen.last, seen.bid, seen.ask, seen.venue_ns) == ("9.5", "9.4", "9.6", 7_000_000)


def test_server_shutdown_asks_for_a_new_connection() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    assert stream.receive(b'{"e":"serverShutdown","E":1770123456789}', 1) == (Reconnect("serverShutdown"),)
    wrapped = b'{"stream":"!system","data":{"e":"serverShutdown","E":1770123456789}}'
    assert stream.receive(wrapped, 1) == (Reconnect("serverShutdown"),)


def test_acknowledgements_live_and_refusals_are_faults() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    assert stream.receive(b'{"result":null,"id":1}', 1) == (Alive(),)
    assert stream.receive(b'{"code":2,"msg":"Invalid request"}', 1) == (Fault("2: Invalid request"),)
    assert stream.receive(b'{"error":{"code":3,"msg":"bad"},"id":1}', 1) == (Fault("3: bad"),)
    assert isinstance(stream.receive(b'{"stream":"xrpusdt@trade","data":{"e":"trade","s":"XRPUSDT"}}', 1)[0], Fault)


def test_two_symbols_of_one_connection_do_not_mix() -> None:
    stream = protocol("binance_spot", "BTCUSDT", "ETHUSDT")
    for symbol, price in (("btcusdt", "100"), ("ethusdt", "10")):
        data = {"lastUpdateId": 3, "bids": [[price, "1"]], "asks": [[price + "1", "1"]]}
        text = json.dumps({"stream": f"{symbol}@depth20@100ms", "data": data}, separators=(",", ":"))
        (event,) = stream.receive(text.encode(), 1)
        assert isinstance(event, BookChanged)
        depth = stream.depth(event.instrument, 5)
        assert depth is not None
        assert depth.best_bid == float(price)
