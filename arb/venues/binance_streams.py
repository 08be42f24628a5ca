"""Binance's public streams: frames in, market events out, for spot and USD-M.

Owns: the routes of one connection (stream name to decoder) and, through them, its books.
Never: waits, reads a clock.
Units: `received_ns` monotonic; venue times UTC nanoseconds.

1. The combined envelope names its stream first; that name finds decoder and book without looking at the payload.
2. Anything else (another key order, payloads without envelope, answers, errors) takes the slow path to the same routes.
3. What a connection subscribes to is in its URL; past `URL_STREAMS` the rest follows in SUBSCRIBE frames.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

import attrs
import msgspec

from arb.domain.depth import Depth
from arb.domain.events import FundingRateSeen
from arb.domain.ids import FeedId, InstrumentId, symbol_of
from arb.ports import Trade
from arb.venues.answers import UNREADABLE, Measure, ns_of, shown
from arb.venues.binance_books import DiffBook
from arb.venues.binance_frames import (
    AggregateFrame,
    BestQuotes,
    DayFrame,
    DepthDiff,
    DepthImage,
    LooseFrame,
    MarkFrame,
    StreamFrame,
    TradeFrame,
)
from arb.venues.spec import Alive, Fault, Inbound, Reconnect, TickerSeen

Take = Callable[[bytes, int], tuple[Inbound, ...]]

STREAMS_PER_CONNECTION: Final = 1024
URL_STREAMS: Final = 200
"""Streams named in the URL; the rest is subscribed by at most four frames (five a second are allowed)."""

_ALIVE: Final = (Alive(),)
_HEAD: Final = b'{"stream":"'
_NAME_AT: Final = len(_HEAD)
_LOOSE: Final = msgspec.json.Decoder(LooseFrame, strict=False)
_IMAGE: Final = msgspec.json.Decoder(DepthImage[Measure], strict=False)

_STREAM_OF_EVENT: Final = {
    "depthUpdate": "depth@100ms",
    "trade": "trade",
    "aggTrade": "aggTrade",
    "bookTicker": "bookTicker",
    "24hrTicker": "ticker",
    "markPriceUpdate": "markPrice@1s",
}
"""Which stream a payload without envelope belongs to."""


@attrs.frozen
class StreamRoute:
    """How to read one stream: `enveloped` takes the whole frame, `bare` the payload."""

    enveloped: Take
    bare: Take


@attrs.define(eq=False)
class BinanceStream:
    """Sans-IO public stream of one connection."""

    feed: FeedId
    names: tuple[str, ...]
    """Streams subscribed, `btcusdt@depth@100ms`."""
    routes: dict[bytes, StreamRoute]
    books: dict[str, DiffBook]
    """By symbol; empty where the connection carries none."""

    def opening(self) -> tuple[str, ...]:
        """SUBSCRIBE frames for what the URL does not name."""
        rest = self.names[URL_STREAMS:]
        parts = [rest[start : start + URL_STREAMS + 6] for start in range(0, len(rest), URL_STREAMS + 6)]
        return tuple(
            msgspec.json.encode({"method": "SUBSCRIBE", "params": part, "id": number}).decode()
            for number, part in enumerate(parts, start=1)
        )

    def receive(self, frame: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """One data frame."""
        try:
            if frame.startswith(_HEAD):
                route = self.routes.get(frame[_NAME_AT : frame.find(b'"', _NAME_AT)])
                if route is not None:
                    return route.enveloped(frame, received_ns)
            return self._other(frame, received_ns)
        except UNREADABLE as error:
            return (Fault(f"{error}: {shown(frame)}"),)

    def receive_snapshot(self, instrument: InstrumentId, body: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """The answer to a `NeedSnapshot`; one that cannot be read is asked for again."""
        book = self.books.get(symbol_of(instrument))
        if book is None:
            return (Fault(f"image of {instrument}, which this connection does not carry"),)
        try:
            image = _IMAGE.decode(body)
        except UNREADABLE as error:
            return Fault(f"image of {instrument}: {error}: {shown(body)}"), *book.ask_again()
        return book.on_image(image, received_ns)

    def depth(self, instrument: InstrumentId, levels: int) -> Depth | None:
        """Freeze the best levels of a synchronised book."""
        book = self.books.get(symbol_of(instrument))
        sides = None if book is None else book.top(levels)
        if book is None or sides is None:
            return None
        return Depth(
            instrument=book.instrument,
            feed=self.feed,
            bids=sides[0],
            asks=sides[1],
            received_ns=book.received_ns,
            venue_ns=None if book.event_ms is None else ns_of(book.event_ms),
            sequence=book.sequence,
        )

    def _other(self, frame: bytes, received_ns: int) -> tuple[Inbound, ...]:
        loose = _LOOSE.decode(frame)
        if loose.stream is not None and isinstance(loose.data, msgspec.Raw):
            route = self.routes.get(loose.stream.encode())
            payload = bytes(loose.data)
            return route.bare(payload, received_ns) if route is not None else self._payload(payload, received_ns)
        return self._payload(frame, received_ns)

    def _payload(self, payload: bytes, received_ns: int) -> tuple[Inbound, ...]:
        loose = _LOOSE.decode(payload)
        if loose.event == "serverShutdown":
            return (Reconnect("serverShutdown"),)
        if loose.error is not None:
            return (Fault(f"{loose.error.code}: {loose.error.msg}"),)
        if loose.code is not None:
            return (Fault(f"{loose.code}: {loose.msg}"),)
        if loose.symbol is not None:
            name = f"{loose.symbol.lower()}@{_STREAM_OF_EVENT.get(loose.event or 'bookTicker')}"
            route = self.routes.get(name.encode())
            if route is not None:
                return route.bare(payload, received_ns)
        if not isinstance(loose.result, msgspec.UnsetType):
            return _ALIVE
        return (Fault(f"unknown frame: {shown(payload)}"),)


# --- routes ----------------------------------------------------------------------------------------------------------

_DIFF_FRAME: Final = msgspec.json.Decoder(StreamFrame[DepthDiff[Measure]], strict=False)
_DIFF: Final = msgspec.json.Decoder(DepthDiff[Measure], strict=False)
_IMAGE_FRAME: Final = msgspec.json.Decoder(StreamFrame[DepthImage[Measure]], strict=False)
_QUOTES_FRAME: Final = msgspec.json.Decoder(StreamFrame[BestQuotes[Decimal]])
_QUOTES: Final = msgspec.json.Decoder(BestQuotes[Decimal])
_TRADE_FRAME: Final = msgspec.json.Decoder(StreamFrame[TradeFrame[Decimal]])
_TRADE: Final = msgspec.json.Decoder(TradeFrame[Decimal])
_AGGREGATE_FRAME: Final = msgspec.json.Decoder(StreamFrame[AggregateFrame[Decimal]])
_AGGREGATE: Final = msgspec.json.Decoder(AggregateFrame[Decimal])
_DAY_FRAME: Final = msgspec.json.Decoder(StreamFrame[DayFrame[Decimal]])
_DAY: Final = msgspec.json.Decoder(DayFrame[Decimal])
_MARK_FRAME: Final = msgspec.json.Decoder(StreamFrame[MarkFrame[Decimal]])
_MARK: Final = msgspec.json.Decoder(MarkFrame[Decimal])


def diff_route(book: DiffBook) -> StreamRoute:
    """`@depth@100ms`."""
    enveloped, bare, on_diff = _DIFF_FRAME.decode, _DIFF.decode, book.on_diff
    return StreamRoute(
        lambda frame, at_ns: on_diff(enveloped(frame).data, at_ns),
        lambda payload, at_ns: on_diff(bare(payload), at_ns),
    )


def image_route(book: DiffBook) -> StreamRoute:
    """Spot `@depth20@100ms`: the payload names no symbol."""
    enveloped, bare, on_whole = _IMAGE_FRAME.decode, _IMAGE.decode, book.on_whole
    return StreamRoute(
        lambda frame, at_ns: on_whole(enveloped(frame).data, at_ns),
        lambda payload, at_ns: on_whole(bare(payload), at_ns),
    )


def quotes_route(instrument: InstrumentId) -> StreamRoute:
    """`@bookTicker`."""
    return StreamRoute(
        lambda frame, _: _quotes(instrument, _QUOTES_FRAME.decode(frame).data),
        lambda payload, _: _quotes(instrument, _QUOTES.decode(payload)),
    )


def trade_route(instrument: InstrumentId) -> StreamRoute:
    """`@trade`; rows of insurance fund and deleveraging (`X`) are no market trades, nor are rows of price 0."""
    return StreamRoute(
        lambda frame, at_ns: _single(instrument, _TRADE_FRAME.decode(frame).data, at_ns),
        lambda payload, at_ns: _single(instrument, _TRADE.decode(payload), at_ns),
    )


def aggregate_route(instrument: InstrumentId) -> StreamRoute:
    """`@aggTrade`."""
    return StreamRoute(
        lambda frame, at_ns: _trade(instrument, _AGGREGATE_FRAME.decode(frame).data, at_ns),
        lambda payload, at_ns: _trade(instrument, _AGGREGATE.decode(payload), at_ns),
    )


def day_route(instrument: InstrumentId) -> StreamRoute:
    """`@ticker`."""
    return StreamRoute(
        lambda frame, _: _day(instrument, _DAY_FRAME.decode(frame).data),
        lambda payload, _: _day(instrument, _DAY.decode(payload)),
    )


def mark_route(instrument: InstrumentId, interval_s: int) -> StreamRoute:
    """`@markPrice@1s`, which does not tell the interval between settlements."""
    return StreamRoute(
        lambda frame, at_ns: _mark(instrument, interval_s, _MARK_FRAME.decode(frame).data, at_ns),
        lambda payload, at_ns: _mark(instrument, interval_s, _MARK.decode(payload), at_ns),
    )


def _quotes(instrument: InstrumentId, quotes: BestQuotes[Decimal]) -> tuple[Inbound, ...]:
    venue_ns = None if quotes.event_ms is None else ns_of(quotes.event_ms)
    seen = TickerSeen(instrument=instrument, last=None, bid=str(quotes.bid), ask=str(quotes.ask), venue_ns=venue_ns)
    return (seen,)


def _single(instrument: InstrumentId, frame: TradeFrame[Decimal], received_ns: int) -> tuple[Inbound, ...]:
    return _trade(instrument, frame, received_ns) if frame.kind == "MARKET" and frame.price else _ALIVE


def _trade(
    instrument: InstrumentId, frame: TradeFrame[Decimal] | AggregateFrame[Decimal], received_ns: int
) -> tuple[Inbound, ...]:
    return (
        Trade(
            instrument=instrument,
            price=str(frame.price),
            qty=str(frame.qty),
            is_buy=not frame.is_buyer_maker,
            trade_id=str(frame.trade_id),
            venue_ns=ns_of(frame.trade_ms),
            received_ns=received_ns,
        ),
    )


def _day(instrument: InstrumentId, frame: DayFrame[Decimal]) -> tuple[Inbound, ...]:
    bid = None if frame.bid is None else str(frame.bid)
    ask = None if frame.ask is None else str(frame.ask)
    venue_ns = ns_of(frame.event_ms)
    return (TickerSeen(instrument=instrument, last=str(frame.last), bid=bid, ask=ask, venue_ns=venue_ns),)


def _mark(
    instrument: InstrumentId, interval_s: int, frame: MarkFrame[Decimal], received_ns: int
) -> tuple[Inbound, ...]:
    try:
        rate = Decimal(frame.rate)
    except InvalidOperation:
        return _ALIVE if not frame.rate else (Fault(f"funding rate {frame.rate!r} of {instrument}"),)
    if not (rate.is_finite() and frame.mark.is_finite()):
        return (Fault(f"funding rate {rate} at mark {frame.mark} of {instrument}"),)
    return (
        FundingRateSeen(
            at_ns=received_ns,
            instrument=instrument,
            rate=rate,
            interval_s=interval_s,
            next_settlement_ms=frame.settlement_ms,
            mark_price=frame.mark,
            index_price=frame.index,
        ),
    )
