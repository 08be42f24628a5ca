"""The recorded messages beside the checkout, and an independent way to read the numbers in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FILES = sorted(path for path in CORPUS.glob("*.jsonl*")) if CORPUS.exists() else []
MARKETS = {"upbit": "upbit", "usdm": "binance_usdm"}
"""Which inspector reads a record: by venue, or by the kind of Binance market; anything else of Binance is read as
spot."""


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        yield from stream


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Records of the venues we know; a line may speak of several venues and is then none of them."""
    for line in lines(path):
        record = json.loads(line)
        if record.get("venue") in ("upbit", "binance") and isinstance(record.get("raw"), str):
            yield record


def venue_of(record: dict[str, Any]) -> str:
    return MARKETS.get(record["venue"]) or MARKETS.get(record.get("market_type", ""), "binance_spot")


def numbers(value: object) -> Iterator[Decimal]:
    """Every number of decoded JSON, texts that are numbers included, exactly."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        yield Decimal(value)
    elif isinstance(value, str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            return
        if number.is_finite():
            yield number


def parsed(raw: str) -> Any:
    """The standard library's reading, no digit lost."""
    return json.loads(raw, parse_float=Decimal)


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Every object in decoded JSON, outer ones first."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)
