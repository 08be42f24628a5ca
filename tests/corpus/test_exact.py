"""Every recorded message: decoded exactly, or refused with a reason that is on the list.

The numbers are read a second time by the standard library and compared as decimals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arb.domain.errors import ProtocolError
from arb.venues import load_venue
from tests.corpus.records import CORPUS, FILES, numbers, objects, parsed, records, venue_of

PUBLIC = {"book", "trade", "ticker"}
MEASURES = ("price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "volume", "quote_volume")
MONEY = (
    *MEASURES,
    "free",
    "locked",
    "total",
    "change",
    "filled",
    "remaining",
    "avg_price",
    "fee",
    "entry_price",
    "mark_price",
)

REFUSED = {
    "no message this venue is known to send",
    "a level of 1 values",
    "an array of 1 values",
    "where an object belongs",
    "JSON is malformed",
}
"""Reasons for which a record may be refused; anything else is a fault of ours."""

REFUSED_MARKET_DATA = {
    "ticker_book_ticker", "ticker_book", "ticker_price", "klines", "book_ticker_subscription",
    "get_futures_trade_download_link_by_id", "depthUpdate", "request:tickers",
    "parse_trade", "fetch_my_trades", "parse_transaction", "fetch_convert_trade",
    "GET /sapi/v1/margin/tradeCoeff", "GET /sapi/v1/pay/transactions",
}  # fmt: skip
"""Records tagged as market data that hold none: prices stripped by the source, options, transfers, payments,
requests."""

TAGGED = {"book", "trade", "ticker", "bbo", "kline", "funding", "instruments"}


def levels_of(body: Any) -> list[tuple[list[Any], list[Any]]]:
    """Raw sides of every book in a body, whatever its shape, padding left out."""
    found = []
    for item in objects(body):
        units = item.get("orderbook_units", item.get("obu"))
        if isinstance(units, list):
            names = (
                ("bid_price", "bid_size", "ask_price", "ask_size")
                if "orderbook_units" in item
                else ("bp", "bs", "ap", "as")
            )
            rows = [[unit[name] for name in names] for unit in units]
            found.append(([row[:2] for row in rows if Decimal(row[0])], [row[2:] for row in rows if Decimal(row[2])]))
        elif isinstance(item.get("bids"), list) and isinstance(item.get("asks"), list):
            found.append((item["bids"], item["asks"]))
        elif item.get("e") == "depthUpdate":
            found.append((item["b"], item["a"]))
    return found


def as_decimals(side: list[Any]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(level[0]), Decimal(level[1])) for level in side]


def texts(event: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if isinstance(event.get(name), str):
            yield event[name]
    for side in ("bids", "asks"):
        for level in event.get(side, ()):
            yield from level


def check(record: dict[str, Any], events: list[dict[str, Any]]) -> None:
    raw = record["raw"]
    body = parsed(raw)
    unfound = [text for event in events for text in texts(event, MONEY) if f'"{text}"' not in raw]
    there = set(numbers(body)) if unfound else set()
    for text in unfound:
        assert Decimal(text) in there, (record["source"], text)
    for event in events:
        if event["channel"] in PUBLIC:
            assert {"venue", "channel", "symbol", "ts_ms"} <= event.keys()
    books = [event for event in events if event["channel"] == "book"]
    raw_books = levels_of(body)
    if raw_books and len(raw_books) == len(books):
        for event, (bids, asks) in zip(books, raw_books, strict=True):
            assert event["bids"] == bids or as_decimals(event["bids"]) == as_decimals(bids), record["source"]
            assert event["asks"] == asks or as_decimals(event["asks"]) == as_decimals(asks), record["source"]
    else:
        assert not raw_books, record["source"]


def check_trade(record: dict[str, Any], event: dict[str, Any]) -> None:
    """A single trade's own fields, by name."""
    pairs = ("p", "q"), ("tp", "tv"), ("trade_price", "trade_volume")
    (found,) = [(item, pair) for item in objects(parsed(record["raw"])) for pair in pairs if set(pair) <= item.keys()]
    fields, (price, size) = found[0], (found[0][name] for name in found[1])
    assert (Decimal(event["price"]), Decimal(event["size"])) == (Decimal(price), Decimal(size)), record["source"]
    if "ab" in fields:
        assert event["side"] == {"BID": "buy", "ASK": "sell"}[fields["ab"]]
        assert event["trade_id"] == str(fields["sid"])
    elif "m" in fields:
        assert event["side"] == ("sell" if fields["m"] else "buy")


def is_explained(record: dict[str, Any], reason: str) -> bool:
    """Whether a refusal is one of the known ones, and of a record that holds no market data."""
    is_market_data = record.get("kind") in TAGGED and record["channel"] not in REFUSED_MARKET_DATA
    return any(known in reason for known in REFUSED) and not is_market_data


if FILES:

    @pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
    def test_every_record_is_exact_or_refused_for_a_known_reason(path: Path) -> None:
        inspectors = {name: load_venue(name).inspect for name in ("upbit", "binance_spot", "binance_usdm")}
        counts: Counter[str] = Counter()
        skipped = 0
        unexplained: list[str] = []
        for record in records(path):
            inspector = inspectors[venue_of(record)]
            assert inspector is not None
            if record["channel"].startswith("candle") and (skipped := skipped + 1) % 25:
                continue
            counts["records"] += 1
            try:
                events = [dict(event.values) for event in inspector.decode(record["raw"])]
            except ProtocolError as error:
                counts["refused"] += 1
                unexplained += [] if is_explained(record, error.detail) else [f"{record['source']}: {error.detail}"]
                continue
            check(record, events)
            if (
                record["channel"] in ("trade", "aggTrade", "trade_SIMPLE")
                and len(events) == 1
                and events[0]["channel"] == "trade"
                and events[0]["price"] is not None
            ):
                check_trade(record, events[0])
            counts["exact"] += 1
        assert not unexplained
        assert counts["records"] == counts["exact"] + counts["refused"]
        if path.name.startswith(
            ("hftbacktest", "cryptofeed", "tardis", "kimchi_orderbook", "cryptomsgparser", "jkorf_upbit")
        ):
            assert not counts["refused"]

    @pytest.mark.parametrize("name", ["tardis_binance.jsonl", "tardis_upbit.jsonl"])
    def test_events_agree_with_what_another_normaliser_published(name: str) -> None:
        compared = 0
        for record in records(CORPUS / name):
            inspector = load_venue(venue_of(record)).inspect
            assert inspector is not None
            events: list[dict[str, Any]] = [dict(event.values) for event in inspector.decode(record["raw"])]
            for expected in record["expected"]["normalized"]:
                if expected["type"] == "trade":
                    (event,) = events
                    assert (Decimal(event["price"]), Decimal(event["size"])) == tuple(
                        Decimal(str(expected[field])) for field in ("price", "amount")
                    )
                    assert (event["side"], event["symbol"], event["trade_id"]) == (
                        expected["side"],
                        expected["symbol"],
                        expected["id"],
                    )
                    compared += 1
                if expected["type"] == "book_change":
                    (event,) = events
                    for side in ("bids", "asks"):
                        assert as_decimals(event[side]) == [
                            (Decimal(str(level["price"])), Decimal(str(level["amount"]))) for level in expected[side]
                        ]
                    assert (event["snapshot"], event["symbol"]) == (expected["isSnapshot"], expected["symbol"])
                    compared += 1
                if expected["type"] == "book_ticker":
                    (event,) = events
                    assert Decimal(event["bid"]) == Decimal(str(expected["bidPrice"]))
                    assert Decimal(event["ask_size"]) == Decimal(str(expected["askAmount"]))
                    compared += 1
        assert compared
