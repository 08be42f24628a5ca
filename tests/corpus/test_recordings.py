"""The real recordings through the very protocols that live uses: books rebuild without a gap."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from arb.ports import Trade
from arb.venues.spec import BookChanged, BookLost, Fault, MarketProtocol, NeedSnapshot
from tests.corpus.records import CORPUS, FILES, records
from tests.venues.markets import instrument, plans, protocol

RECORDINGS = [
    ("hftbacktest_spot_btcusdt_20240808.jsonl.gz", "spot", "binance_spot"),
    ("hftbacktest_usdm_btcusdt_20240808.jsonl.gz", "usdm", "binance_usdm"),
    ("cryptofeed_binance.jsonl.gz", "spot", "binance_spot"),
    ("cryptofeed_binance.jsonl.gz", "usdm", "binance_usdm"),
]


class PlainBook:
    """Dicts of floats, kept beside the protocol's book."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"b": {}, "a": {}}
        self.last: int | None = None

    def load(self, image: dict[str, Any]) -> None:
        self.sides = {
            short: {float(p): float(s) for p, s in image[name]} for short, name in (("b", "bids"), ("a", "asks"))
        }
        self.last = image["lastUpdateId"]

    def apply(self, data: dict[str, Any]) -> None:
        assert self.last is not None
        if data["u"] < self.last:
            return
        for short in ("b", "a"):
            for price, size in data[short]:
                if float(size):
                    self.sides[short][float(price)] = float(size)
                else:
                    self.sides[short].pop(float(price), None)

    def best(self, short: str, count: int) -> tuple[float, ...]:
        side = self.sides[short]
        return tuple(value for price in sorted(side, reverse=short == "b")[:count] for value in (price, side[price]))


def symbol_of_image(record: dict[str, Any], symbols: tuple[str, ...]) -> str:
    """The symbol of an image: from the request's address, else the only one recorded."""
    return next((symbol for symbol in symbols if f"symbol={symbol}&" in record.get("url", "")), symbols[0])


def replay(path: Path, market_type: str, venue: str) -> tuple[Counter[str], int]:
    found = [record for record in records(path) if record["market_type"] == market_type]
    if all("ts" in record for record in found):
        found.sort(key=lambda record: float(record["ts"]))
    frames = [json.loads(record["raw"]) for record in found if '"stream"' in record["raw"][:12]]
    symbols = tuple(sorted({frame["data"]["s"] for frame in frames if frame["data"].get("e") == "depthUpdate"}))
    stream = protocol(venue, *symbols)
    plain = {symbol: PlainBook() for symbol in symbols}
    waiting: dict[str, list[dict[str, Any]]] = {symbol: [] for symbol in symbols}
    counts: Counter[str] = Counter()
    compared = 0
    for at_ns, record in enumerate(found):
        raw = record["raw"]
        if '"lastUpdateId"' in raw and '"stream"' not in raw[:12]:
            symbol = symbol_of_image(record, symbols)
            image = json.loads(raw)
            plain[symbol].load(image)
            for data in waiting[symbol]:
                plain[symbol].apply(data)
            events = stream.receive_snapshot(instrument(venue, symbol).id, raw.encode(), at_ns)
        elif '"stream"' in raw[:12]:
            events = stream.receive(raw.encode(), at_ns)
            data = json.loads(raw)["data"]
            if data.get("e") == "depthUpdate":
                (plain[data["s"]].apply if plain[data["s"]].last is not None else waiting[data["s"]].append)(data)
        else:
            continue
        compared += note(events, counts, stream, plain)
    return counts, compared


def note(events: tuple[Any, ...], counts: Counter[str], stream: MarketProtocol, plain: dict[str, PlainBook]) -> int:
    compared = 0
    for event in events:
        counts[type(event).__name__] += 1
        if isinstance(event, Fault):
            counts[f"fault {event.detail[:40]}"] += 1
        if isinstance(event, BookChanged) and counts["BookChanged"] % 7 == 0:
            depth = stream.depth(event.instrument, 15)
            assert depth is not None
            book = plain[event.instrument.partition(":")[2]]
            assert depth.bids == book.best("b", 15)
            assert depth.asks == book.best("a", 15)
            assert not depth.is_crossed
            compared += 1
    return compared


if FILES:

    @pytest.mark.parametrize(("name", "market_type", "venue"), RECORDINGS)
    def test_recorded_books_rebuild_without_a_gap(name: str, market_type: str, venue: str) -> None:
        counts, compared = replay(CORPUS / name, market_type, venue)
        assert counts[BookLost.__name__] == 0
        assert counts[NeedSnapshot.__name__] >= 1
        assert counts[BookChanged.__name__] > 100
        assert compared > 15
        faults = {kind: count for kind, count in counts.items() if kind.startswith("fault") and "kline" not in kind}
        assert not {kind for kind in faults if "unknown frame" not in kind}

    def test_recorded_upbit_books_and_trades_are_all_understood() -> None:
        found = list(records(CORPUS / "cryptofeed_upbit.jsonl"))
        symbols = sorted({json.loads(record["raw"])["cd"] for record in found})
        counts: Counter[str] = Counter()
        split = plans("upbit", *symbols)
        streams = {item: plan.protocol for plan in split for item in plan.instruments}
        for at_ns, record in enumerate(found):
            fields = json.loads(record["raw"])
            stream = streams[instrument("upbit", fields["cd"]).id]
            for event in stream.receive(record["raw"].encode(), at_ns):
                counts[type(event).__name__] += 1
                if isinstance(event, BookChanged):
                    depth = stream.depth(event.instrument, 15)
                    assert depth is not None
                    assert depth.bids[::2] == tuple(unit["bp"] for unit in fields["obu"] if unit["bp"])
                    assert depth.asks[1::2] == tuple(unit["as"] for unit in fields["obu"] if unit["ap"])
                if isinstance(event, Trade):
                    assert float(event.price) == fields["tp"]
        assert counts[Fault.__name__] == 0
        assert counts[Trade.__name__] == 201
        assert counts[BookChanged.__name__] + counts["Alive"] == 69
