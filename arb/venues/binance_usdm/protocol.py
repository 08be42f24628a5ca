"""Binance USD-M's public streams: two sockets, because the host is split by path.

Owns: which stream lives on which path; the reading is `binance_streams`, the books `binance_books`.
Never: waits, reads a clock. Subscribing on the wrong path is acknowledged and then silent for ever.

`/public` carries what the matching engine pushes (depth, bookTicker, trade), `/market` what is aggregated (markPrice,
aggTrade).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from arb.domain.ids import FeedId
from arb.domain.instrument import Instrument
from arb.venues.binance_books import USDM_RULE, DiffBook
from arb.venues.binance_streams import (
    BinanceStream,
    StreamRoute,
    aggregate_route,
    day_route,
    diff_route,
    mark_route,
    quotes_route,
    trade_route,
)
from arb.venues.binance_usdm.rules import DEFAULT_INTERVAL_S
from arb.venues.spec import HttpRequest

PUBLIC_KINDS: Final = ("depth@100ms",)
MARKET_KINDS: Final = ("markPrice@1s", "aggTrade")


def public_stream(
    feed: FeedId, instruments: tuple[Instrument, ...], image_request: Callable[[str], HttpRequest]
) -> BinanceStream:
    """A fresh protocol object for one `/public` connection."""
    routes: dict[bytes, StreamRoute] = {}
    books: dict[str, DiffBook] = {}
    for instrument in instruments:
        book = DiffBook(instrument.id, USDM_RULE, image_request(instrument.symbol))
        books[instrument.symbol] = book
        diff = diff_route(book)
        own = {
            "depth": diff,
            "depth@100ms": diff,
            "depth@500ms": diff,
            "depth@0ms": diff,
            "bookTicker": quotes_route(instrument.id),
            "trade": trade_route(instrument.id),
        }
        routes.update(_named(instrument, own))
    return BinanceStream(feed, _names(instruments, PUBLIC_KINDS), routes, books)


def market_stream(feed: FeedId, instruments: tuple[Instrument, ...]) -> BinanceStream:
    """A fresh protocol object for one `/market` connection; it carries no books."""
    routes: dict[bytes, StreamRoute] = {}
    for instrument in instruments:
        mark = mark_route(instrument.id, instrument.funding_interval_s or DEFAULT_INTERVAL_S)
        own = {
            "markPrice": mark,
            "markPrice@1s": mark,
            "aggTrade": aggregate_route(instrument.id),
            "ticker": day_route(instrument.id),
        }
        routes.update(_named(instrument, own))
    return BinanceStream(feed, _names(instruments, MARKET_KINDS), routes, {})


def _names(instruments: tuple[Instrument, ...], kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{instrument.symbol.lower()}@{kind}" for instrument in instruments for kind in kinds)


def _named(instrument: Instrument, own: dict[str, StreamRoute]) -> dict[bytes, StreamRoute]:
    return {f"{instrument.symbol.lower()}@{kind}".encode(): route for kind, route in own.items()}
