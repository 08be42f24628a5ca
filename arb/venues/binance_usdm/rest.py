"""Binance USD-M's public REST half: instruments, books, funding, connections to open.

Owns: the requests and the reading of their answers.
Never: sends them.
Units: USDT per base unit; rates as fractions of notional; times UTC milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from arb.domain.depth import Depth
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.ids import FeedId, InstrumentId, instrument_id
from arb.domain.instrument import Instrument, InstrumentKind
from arb.venues.answers import body_of
from arb.venues.binance_frames import IntervalRow, PastRateRow, PremiumRow
from arb.venues.binance_rest import parse_image, parse_rules, parse_server_time, smallest_limit
from arb.venues.binance_streams import STREAMS_PER_CONNECTION, URL_STREAMS, BinanceStream
from arb.venues.binance_usdm.protocol import MARKET_KINDS, PUBLIC_KINDS, market_stream, public_stream
from arb.venues.binance_usdm.rules import DEFAULT_INTERVAL_S, DEPTH_WEIGHTS, PAST_RATES, SYNC_LEVELS
from arb.venues.spec import HttpRequest, HttpResponse, StatusSeen, StreamPlan

_PREMIUM: Final = msgspec.json.Decoder(PremiumRow, strict=False)
_INTERVALS: Final = msgspec.json.Decoder(list[IntervalRow])
_PAST: Final = msgspec.json.Decoder(list[PastRateRow], strict=False)
_INFO: Final = HttpRequest(method="GET", path="/fapi/v1/fundingInfo", bucket="funding")


@attrs.frozen
class UsdmMarket:
    """The public half of Binance USD-M."""

    rest_url: str = "https://fapi.binance.com"
    ws_url: str = "wss://fstream.binance.com"

    def streams(self, instruments: tuple[Instrument, ...], feed_prefix: str) -> tuple[StreamPlan, ...]:
        """Books on `/public`, funding and trades on `/market`."""
        step = (STREAMS_PER_CONNECTION - 24) // max(len(PUBLIC_KINDS), len(MARKET_KINDS))
        plans: list[StreamPlan] = []
        for start in range(0, len(instruments), step):
            part, number = instruments[start : start + step], start // step
            public, market = FeedId(f"{feed_prefix}/public/{number}"), FeedId(f"{feed_prefix}/market/{number}")
            books = public_stream(public, part, lambda symbol: self.depth_request(symbol, SYNC_LEVELS))
            plans.append(_plan("/public", part, books))
            plans.append(_plan("/market", (), market_stream(market, part)))
        return tuple(plans)

    def instruments_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """Every symbol comes in one answer; the funding intervals in another."""
        return (HttpRequest(method="GET", path="/fapi/v1/exchangeInfo", bucket="weight"), _INFO) if symbols else ()

    def parse_instruments(self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...]) -> tuple[Instrument, ...]:
        """Rules of the symbols, in their order."""
        intervals = _intervals_s(symbols, answers[1])
        return parse_rules("binance_usdm", InstrumentKind.PERPETUAL, symbols, answers[0], intervals)

    def depth_request(self, symbol: str, levels: int) -> HttpRequest:
        """An order book image."""
        limit = smallest_limit(levels, tuple(DEPTH_WEIGHTS))
        query = f"symbol={quote(symbol)}&limit={limit}"
        return HttpRequest(
            method="GET", path="/fapi/v1/depth", query=query, bucket="weight", weight=DEPTH_WEIGHTS[limit]
        )

    def parse_depth(self, instrument: InstrumentId, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
        """The image; its update id is its sequence."""
        return parse_image(instrument, "binance_usdm", feed, answer, received_ns)

    def status_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """Per symbol mark and predicted rate, then the intervals, then per symbol the settled rates."""
        if not symbols:
            return ()
        marks = (
            HttpRequest(method="GET", path="/fapi/v1/premiumIndex", query=f"symbol={quote(symbol)}", bucket="weight")
            for symbol in symbols
        )
        past = (
            HttpRequest(
                method="GET",
                path="/fapi/v1/fundingRate",
                query=f"symbol={quote(symbol)}&limit={PAST_RATES}",
                bucket="funding",
            )
            for symbol in symbols
        )
        return (*marks, _INFO, *past)

    def parse_status(
        self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[FundingRateSeen | FxSeen | StatusSeen, ...]:
        """One `FundingRateSeen` per symbol."""
        if not symbols:
            return ()
        count = len(symbols)
        intervals = _intervals_s(symbols, answers[count])
        return tuple(
            _funding(symbol, answers[number], intervals[symbol], answers[count + 1 + number], received_ns)
            for number, symbol in enumerate(symbols)
        )

    def time_request(self) -> HttpRequest | None:
        """The venue's clock."""
        return HttpRequest(method="GET", path="/fapi/v1/time", bucket="weight")

    def parse_time(self, answer: HttpResponse) -> int:
        """The venue's clock, UTC milliseconds."""
        return parse_server_time("binance_usdm", answer)


def _plan(root: str, instruments: tuple[Instrument, ...], protocol: BinanceStream) -> StreamPlan:
    path = f"{root}/stream?streams={quote('/'.join(protocol.names[:URL_STREAMS]), safe='/@')}"
    ids = tuple(item.id for item in instruments)
    return StreamPlan(feed=protocol.feed, path=path, instruments=ids, protocol=protocol)


def _intervals_s(symbols: tuple[str, ...], answer: HttpResponse) -> dict[str, int]:
    """Seconds between settlements; symbols that the answer leaves out settle every eight hours."""
    stated = {row.symbol: row.hours * 3600 for row in body_of("binance_usdm", answer, _INTERVALS)}
    return {symbol: stated.get(symbol) or DEFAULT_INTERVAL_S for symbol in symbols}


def _funding(symbol: str, mark: HttpResponse, interval_s: int, past: HttpResponse, received_ns: int) -> FundingRateSeen:
    row = body_of("binance_usdm", mark, _PREMIUM)
    rows = body_of("binance_usdm", past, _PAST)
    settled = sorted(rows, key=lambda item: item.settled_ms, reverse=True)
    rates: tuple[Decimal, ...] = tuple(item.rate for item in settled)
    return FundingRateSeen(
        at_ns=received_ns,
        instrument=instrument_id("binance_usdm", symbol),
        rate=row.rate,
        interval_s=interval_s,
        next_settlement_ms=row.settlement_ms,
        mark_price=row.mark,
        index_price=row.index,
        past_rates=rates,
    )
