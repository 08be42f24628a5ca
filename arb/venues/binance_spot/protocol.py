"""Binance spot's public stream: which streams a connection carries and how they are read.

Owns: the choice of streams; the reading is `binance_streams`, the books `binance_books`.
Never: waits, reads a clock.

Books come from diffs (`@depth@100ms`), the only stream with a sequence to check; `@depth20@100ms` and `@bookTicker`
are read where a connection carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from arb.domain.ids import FeedId
from arb.domain.instrument import Instrument
from arb.venues.binance_books import SPOT_RULE, DiffBook
from arb.venues.binance_streams import (
    BinanceStream,
    StreamRoute,
    aggregate_route,
    day_route,
    diff_route,
    image_route,
    quotes_route,
    trade_route,
)
from arb.venues.spec import HttpRequest

KINDS: Final = ("depth@100ms", "trade", "ticker")
"""Streams of each symbol on a connection of the engine."""


def spot_stream(
    feed: FeedId, instruments: tuple[Instrument, ...], image_request: Callable[[str], HttpRequest]
) -> BinanceStream:
    """A fresh protocol object for one connection; it reads every stream that spot has for these symbols."""
    routes: dict[bytes, StreamRoute] = {}
    books: dict[str, DiffBook] = {}
    names: list[str] = []
    for instrument in instruments:
        book = DiffBook(instrument.id, SPOT_RULE, image_request(instrument.symbol))
        books[instrument.symbol] = book
        stem = instrument.symbol.lower()
        names += (f"{stem}@{kind}" for kind in KINDS)
        whole, diff = image_route(book), diff_route(book)
        own = {
            "depth": diff,
            "depth@100ms": diff,
            "depth5@100ms": whole,
            "depth10@100ms": whole,
            "depth20@100ms": whole,
            "bookTicker": quotes_route(instrument.id),
            "trade": trade_route(instrument.id),
            "aggTrade": aggregate_route(instrument.id),
            "ticker": day_route(instrument.id),
        }
        routes.update({f"{stem}@{kind}".encode(): route for kind, route in own.items()})
    return BinanceStream(feed, tuple(names), routes, books)
