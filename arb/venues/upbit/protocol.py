"""Upbit's public stream: frames in, market events out.

Owns: the newest image of each book of one connection.
Never: waits, reads a clock, keeps levels of an older image: every message is a whole image, so there is nothing to
patch.
Units: `received_ns` monotonic; venue times UTC, normalised to nanoseconds.

1. One request subscribes to everything; a second one would replace it.
2. There are no sequence numbers. An image older than the one held is dropped; equal times are kept (several images per
   millisecond are normal).
3. Short books are padded with price 0: such levels are left out.
4. The image is kept as decoded; flattening waits until `depth` is called.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs
import msgspec

from arb.domain.depth import Depth
from arb.domain.ids import FeedId, InstrumentId, instrument_id, symbol_of
from arb.ports import Trade
from arb.venues.answers import UNREADABLE, Measure, ns_of, plain, shown
from arb.venues.spec import Alive, BookChanged, Fault, Inbound, StatusSeen, TickerSeen
from arb.venues.upbit.frames import (
    UpbitBook,
    UpbitBookSimple,
    UpbitNotice,
    UpbitTicker,
    UpbitTickerSimple,
    UpbitTrade,
    UpbitTradeSimple,
    UpbitUnit,
    UpbitUnitSimple,
)
from arb.venues.upbit.rules import DEPTH_UNITS

FeedBook = UpbitBook[Measure] | UpbitBookSimple[Measure]
FeedTrade = UpbitTrade[Decimal] | UpbitTradeSimple[Decimal]
FeedTicker = UpbitTicker[Decimal] | UpbitTickerSimple[Decimal]

_ALIVE: Final = (Alive(),)
_BOOK: Final = msgspec.json.Decoder(UpbitBook[Measure], strict=False)
_BOOK_SIMPLE: Final = msgspec.json.Decoder(UpbitBookSimple[Measure], strict=False)
_ANY: Final = msgspec.json.Decoder(UpbitBook[Measure] | UpbitTrade[Decimal] | UpbitTicker[Decimal], strict=False)
_ANY_SIMPLE: Final = msgspec.json.Decoder(
    UpbitBookSimple[Measure] | UpbitTradeSimple[Decimal] | UpbitTickerSimple[Decimal], strict=False
)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NOTICE: Final = msgspec.json.Decoder(UpbitNotice)

_BOOK_HEAD: Final = b'{"type":"orderbook"'
_SIMPLE_HEAD: Final = b'{"ty":"orderbook"'


@attrs.define(eq=False)
class UpbitImage:
    """The newest image of one book and the answers that announce it."""

    instrument: InstrumentId
    changed: tuple[Inbound, ...]
    book: FeedBook | None = None
    received_ns: int = 0
    sequence: int = 0
    is_tradable: bool = True

    def take(self, book: FeedBook, received_ns: int) -> tuple[Inbound, ...]:
        """Replace the image, unless the new one is older."""
        if self.book is not None and book.timestamp < self.book.timestamp:
            return _ALIVE
        self.book = book
        self.received_ns = received_ns
        self.sequence += 1
        return self.changed


def image_of(instrument: InstrumentId) -> UpbitImage:
    """An empty image."""
    return UpbitImage(instrument, (BookChanged(instrument),))


def flatten(
    units: list[UpbitUnit[float]] | list[UpbitUnitSimple[float]], levels: int
) -> tuple[list[float], list[float]]:
    """Bids and asks of the first `levels` units, flat, without the padding."""
    bids: list[float] = []
    asks: list[float] = []
    for unit in units[:levels]:
        if price := unit.bid_price:
            bids += (price, unit.bid_size)
        if price := unit.ask_price:
            asks += (price, unit.ask_size)
    return bids, asks


def subscription(feed: FeedId, symbols: tuple[str, ...]) -> str:
    """The one request of a connection: books at 15 levels, trades, tickers."""
    books = [f"{symbol}.{DEPTH_UNITS}" for symbol in symbols]
    parts: list[dict[str, object]] = [
        {"ticket": feed},
        {"type": "orderbook", "codes": books},
        {"type": "trade", "codes": list(symbols), "is_only_realtime": True},
        {"type": "ticker", "codes": list(symbols)},
        {"format": "DEFAULT"},
    ]
    return msgspec.json.encode(parts).decode()


@attrs.define(eq=False)
class UpbitStream:
    """Sans-IO public stream of one connection."""

    feed: FeedId
    symbols: tuple[str, ...]
    _images: dict[str, UpbitImage] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._images = {symbol: image_of(instrument_id("upbit", symbol)) for symbol in self.symbols}

    def opening(self) -> tuple[str, ...]:
        """One subscription message."""
        return (subscription(self.feed, self.symbols),)

    def receive(self, frame: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """One data frame."""
        try:
            if frame.startswith(_BOOK_HEAD):
                return self._book(_BOOK.decode(frame), received_ns)
            if frame.startswith(_SIMPLE_HEAD):
                return self._book(_BOOK_SIMPLE.decode(frame), received_ns)
            return self._other(frame, received_ns)
        except UNREADABLE as error:
            return (Fault(f"{error}: {shown(frame)}"),)

    def receive_snapshot(self, instrument: InstrumentId, body: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """Upbit's books need no snapshot; one that comes anyway says that the shell is confused."""
        return (Fault(f"snapshot for {instrument} at {received_ns} not asked for: {shown(body)}"),)

    def depth(self, instrument: InstrumentId, levels: int) -> Depth | None:
        """Flatten the newest image."""
        image = self._images.get(symbol_of(instrument))
        if image is None or image.book is None:
            return None
        bids, asks = flatten(image.book.units, levels)
        return Depth(
            instrument=instrument,
            feed=self.feed,
            bids=tuple(bids),
            asks=tuple(asks),
            received_ns=image.received_ns,
            venue_ns=ns_of(image.book.timestamp),
            sequence=image.sequence,
        )

    def _book(self, book: FeedBook, received_ns: int) -> tuple[Inbound, ...]:
        image = self._images.get(book.code)
        if image is None:
            return (Fault(f"book of {book.code}, which was not asked for"),)
        return image.take(book, received_ns)

    def _other(self, frame: bytes, received_ns: int) -> tuple[Inbound, ...]:
        text = frame.lstrip()
        if text.startswith(b"["):
            parts = _LIST.decode(text)
            return tuple(seen for part in parts for seen in self._object(bytes(part), received_ns)) or _ALIVE
        return self._object(text, received_ns)

    def _object(self, text: bytes, received_ns: int) -> tuple[Inbound, ...]:
        notice = _NOTICE.decode(text)
        if notice.error is not None:
            return (Fault(f"{notice.error.name}: {notice.error.message}"),)
        if notice.type is not None:
            return self._typed(_ANY.decode(text), received_ns)
        if notice.ty is not None:
            return self._typed(_ANY_SIMPLE.decode(text), received_ns)
        if notice.status is not None or notice.method is not None:
            return _ALIVE
        return (Fault(f"unknown frame: {shown(text)}"),)

    def _typed(self, message: FeedBook | FeedTrade | FeedTicker, received_ns: int) -> tuple[Inbound, ...]:
        if message.code not in self._images:
            return (Fault(f"message for {message.code}, which was not asked for"),)
        match message:
            case UpbitBook() | UpbitBookSimple():
                return self._book(message, received_ns)
            case UpbitTrade() | UpbitTradeSimple():
                return _trade(message, received_ns)
            case UpbitTicker() | UpbitTickerSimple():
                return self._ticker(message)

    def _ticker(self, message: FeedTicker) -> tuple[Inbound, ...]:
        image = self._images[message.code]
        last = plain(message.trade_price)
        seen = TickerSeen(instrument=image.instrument, last=last, bid=None, ask=None, venue_ns=ns_of(message.timestamp))
        is_tradable = message.market_state in (None, "ACTIVE") and not message.is_trading_suspended
        if is_tradable == image.is_tradable:
            return (seen,)
        image.is_tradable = is_tradable
        detail = f"market_state {message.market_state}"
        return seen, StatusSeen(instrument=image.instrument, is_tradable=is_tradable, detail=detail)


def _trade(message: FeedTrade, received_ns: int) -> tuple[Inbound, ...]:
    return (
        Trade(
            instrument=instrument_id("upbit", message.code),
            price=plain(message.trade_price),
            qty=plain(message.trade_volume),
            is_buy=message.ask_bid == "BID",
            trade_id=str(message.sequential_id),
            venue_ns=ns_of(message.trade_timestamp),
            received_ns=received_ns,
        ),
    )
