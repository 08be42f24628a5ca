"""Upbit's public REST half: instruments, books, connections to open.

Owns: the requests and the reading of their answers.
Never: sends them.
Units: quote of the market; times UTC milliseconds.

Ticks: `/v1/orderbook/instruments` states the price step at the *present* price, `/v1/ticker` that price; the
published band table supplies the steps at other prices (`rules.ticks_with`).
"""

from __future__ import annotations

from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from arb.domain.depth import Depth, DepthSource
from arb.domain.errors import ConfigError, ProtocolError
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.ids import AssetId, FeedId, InstrumentId, instrument_id
from arb.domain.instrument import Caution, Instrument, InstrumentKind
from arb.venues.answers import Measure, body_of, ns_of
from arb.venues.spec import HttpRequest, HttpResponse, StatusSeen, StreamPlan
from arb.venues.upbit.frames import UpbitMarketRow, UpbitRestBook, UpbitRuleRow, UpbitTickerRow
from arb.venues.upbit.protocol import UpbitStream, flatten
from arb.venues.upbit.rules import QUOTES, VOLUME_STEP, ticks_with

_SYMBOLS_PER_CONNECTION: Final = 100

_MARKETS: Final = msgspec.json.Decoder(list[UpbitMarketRow])
_RULES: Final = msgspec.json.Decoder(list[UpbitRuleRow[Decimal]], strict=False)
_TICKERS: Final = msgspec.json.Decoder(list[UpbitTickerRow[Decimal]], strict=False)
_BOOKS: Final = msgspec.json.Decoder(list[UpbitRestBook[Measure]], strict=False)

CAUTIONS: Final = {
    "PRICE_FLUCTUATIONS": Caution.PRICE_FLUCTUATIONS,
    "TRADING_VOLUME_SOARING": Caution.VOLUME_SOARING,
    "DEPOSIT_AMOUNT_SOARING": Caution.DEPOSIT_SOARING,
    "GLOBAL_PRICE_DIFFERENCES": Caution.GLOBAL_PRICE_DIFFERENCE,
    "CONCENTRATION_OF_SMALL_ACCOUNTS": Caution.SMALL_ACCOUNTS,
}


@attrs.frozen
class UpbitMarket:
    """The public half of Upbit."""

    rest_url: str = "https://api.upbit.com"
    ws_url: str = "wss://api.upbit.com/websocket/v1"

    def streams(self, instruments: tuple[Instrument, ...], feed_prefix: str) -> tuple[StreamPlan, ...]:
        """Connections of up to 100 markets each; everything is subscribed by the opening frame."""
        plans: list[StreamPlan] = []
        for start in range(0, len(instruments), _SYMBOLS_PER_CONNECTION):
            part = instruments[start : start + _SYMBOLS_PER_CONNECTION]
            feed = FeedId(f"{feed_prefix}/public/{len(plans)}")
            protocol = UpbitStream(feed, tuple(item.symbol for item in part))
            ids = tuple(item.id for item in part)
            plans.append(StreamPlan(feed=feed, path="", instruments=ids, protocol=protocol, ping_text="PING"))
        return tuple(plans)

    def instruments_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """The list of markets with their warnings, the steps of these, and their prices."""
        query = f"markets={quote(','.join(symbols))}"
        return (
            HttpRequest(method="GET", path="/v1/market/all", query="is_details=true", bucket="market"),
            HttpRequest(method="GET", path="/v1/orderbook/instruments", query=query, bucket="orderbook"),
            HttpRequest(method="GET", path="/v1/ticker", query=query, bucket="ticker"),
        )

    def parse_instruments(self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...]) -> tuple[Instrument, ...]:
        """Rules of the symbols, in their order."""
        markets = {row.market: row for row in body_of("upbit", answers[0], _MARKETS)}
        for symbol in symbols:
            if symbol not in markets:
                raise ConfigError(
                    f"upbit lists no market {symbol!r}: write QUOTE-BASE in capitals, for example KRW-BTC"
                )
        ticks = {row.market: row.tick_size for row in body_of("upbit", answers[1], _RULES)}
        prices = {row.market: row.trade_price for row in body_of("upbit", answers[2], _TICKERS)}
        for symbol in symbols:
            if symbol not in ticks or symbol not in prices:
                raise ProtocolError("upbit", f"no price step or no price told for {symbol}")
            if not (ticks[symbol].is_finite() and ticks[symbol] > 0):
                raise ProtocolError("upbit", f"price step of {symbol} is {ticks[symbol]}")
        return tuple(_instrument(markets[symbol], ticks[symbol], prices[symbol]) for symbol in symbols)

    def depth_request(self, symbol: str, levels: int) -> HttpRequest:
        """An order book image; Upbit gives at most 30 levels."""
        query = f"markets={quote(symbol)}&count={min(levels, 30)}"
        return HttpRequest(method="GET", path="/v1/orderbook", query=query, bucket="orderbook")

    def parse_depth(self, instrument: InstrumentId, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
        """The image; its timestamp is its sequence."""
        for row in body_of("upbit", answer, _BOOKS):
            if instrument_id("upbit", row.market) == instrument:
                bids, asks = flatten(row.orderbook_units, len(row.orderbook_units))
                return Depth(
                    instrument=instrument,
                    feed=feed,
                    bids=tuple(bids),
                    asks=tuple(asks),
                    received_ns=received_ns,
                    venue_ns=ns_of(row.timestamp),
                    sequence=row.timestamp,
                    source=DepthSource.REST,
                )
        raise ProtocolError("upbit", f"the answer holds no book of {instrument}")

    def status_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """The list of markets with their warnings: one that is gone from it can no longer be traded."""
        if not symbols:
            return ()
        return (HttpRequest(method="GET", path="/v1/market/all", query="is_details=true", bucket="market"),)

    def parse_status(
        self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[FundingRateSeen | FxSeen | StatusSeen, ...]:
        """Whether each symbol is listed, and its warnings; whether a listed one trades, the stream tells."""
        if not answers:
            return ()
        listed = {row.market: row for row in body_of("upbit", answers[0], _MARKETS)}
        return tuple(
            StatusSeen(
                instrument=instrument_id("upbit", symbol),
                is_tradable=symbol in listed,
                detail="listed" if symbol in listed else "not listed",
                cautions=_cautions(listed[symbol]) if symbol in listed else None,
            )
            for symbol in symbols
        )

    def time_request(self) -> HttpRequest | None:
        """Upbit has no clock to ask: the `Date` header serves."""
        return None

    def parse_time(self, answer: HttpResponse) -> int:
        """The `Date` header, whole seconds."""
        try:
            return int(parsedate_to_datetime(answer.headers["date"]).timestamp() * 1000)
        except (KeyError, ValueError, TypeError) as error:
            raise ProtocolError("upbit", "the answer has no readable Date header") from error


def _instrument(row: UpbitMarketRow, tick: Decimal, price: Decimal) -> Instrument:
    quote_asset, _, base = row.market.partition("-")
    rules = QUOTES.get(quote_asset)
    if rules is None:
        raise ConfigError(f"upbit market {row.market!r}: the rules of {quote_asset!r} markets are not known")
    return Instrument(
        id=instrument_id("upbit", row.market),
        kind=InstrumentKind.SPOT,
        base=AssetId(base),
        quote=AssetId(quote_asset),
        ticks=ticks_with(rules.ticks, tick, price),
        lot=VOLUME_STEP,
        min_qty=VOLUME_STEP,
        max_qty=None,
        min_notional=rules.min_notional,
        max_notional=rules.max_notional,
        cautions=_cautions(row),
    )


def _cautions(row: UpbitMarketRow) -> frozenset[Caution]:
    if row.market_event is None:
        return frozenset()
    named = {CAUTIONS[name] for name, is_on in row.market_event.caution.items() if is_on and name in CAUTIONS}
    return frozenset(named | {Caution.WARNING} if row.market_event.warning else named)
