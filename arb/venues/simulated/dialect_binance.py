"""What Binance spot and USD-M futures share, server side: number texts, errors, depth updates, market payloads.

Owns: the update ids of each book, so that REST snapshots and pushed differences agree.
Never: knows accounts or connections.
Units: times UTC milliseconds in payloads, nanoseconds in arguments; prices and quantities as decimal texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs
import msgspec

from arb.domain.instrument import Instrument
from arb.venues.simulated.auth_binance import BinanceFault
from arb.venues.simulated.dialect import HttpAnswer
from arb.venues.simulated.facts import ZERO, BookImage, Levels, PublicTrade
from arb.venues.simulated.tape import DAY_NS, Tape

ENCODER = msgspec.json.Encoder(decimal_format="number")
DEPTH_NS = 100_000_000
SHARED_IDS = 3
"""Update ids that other symbols of USD-M take between two of ours."""

Row = dict[str, object]
Headers = tuple[tuple[str, str], ...]


def text(value: Decimal, places: int = 8) -> str:
    """A number as Binance prints it."""
    return f"{value:.{places}f}"


def bare(value: Decimal) -> str:
    """A number without padding, as USD-M prints prices and sizes."""
    return f"{value.normalize():f}" if value else "0"


def answer(body: object, headers: Headers = (), status: int = 200) -> HttpAnswer:
    """A JSON answer."""
    return HttpAnswer(status=status, body=ENCODER.encode(body), headers=headers)


def fault_answer(fault: BinanceFault, headers: Headers = ()) -> HttpAnswer:
    """An error answer."""
    return answer({"code": fault.code, "msg": fault.message}, headers, fault.status)


def pairs_of(levels: Levels, limit: int) -> list[list[str]]:
    """`[price, size]` rows."""
    return [[text(price), text(size)] for price, size in levels[:limit]]


@attrs.define
class DepthLog:
    """Update ids of one book and the difference since the last published update."""

    update_id: int
    """Of the current image."""
    shared_ids: int
    """Ids that other symbols take before each of our updates."""
    first_id: int = 0
    """Of the update that waits."""
    image: BookImage | None = None
    published: BookImage | None = None
    published_id: int = 0
    """`u` of the last published update."""
    published_ns: int = 0

    def fold(self, image: BookImage) -> None:
        """A newer image of the book."""
        before = self.image
        if self.update_id == self.published_id:
            self.update_id += self.shared_ids
            self.first_id = self.update_id + 1
        changes = (
            1 if before is None else len(_changed(before.bids, image.bids)) + len(_changed(before.asks, image.asks))
        )
        self.update_id += max(1, changes)
        self.image = image
        if self.published is None:
            self.published, self.published_id = image, self.update_id

    def is_due(self, now_ns: int) -> bool:
        """Whether an update waits and its time has come."""
        return self.published_id != self.update_id and now_ns >= self.published_ns + DEPTH_NS

    def due_ns(self) -> int | None:
        """When the waiting update may go; None: none waits."""
        return None if self.published_id == self.update_id else self.published_ns + DEPTH_NS

    def publish(self, now_ns: int) -> DepthDelta | None:
        """The update from the last published image to the current one."""
        if self.image is None or self.published is None:
            return None
        delta = DepthDelta(
            first_id=self.first_id,
            last_id=self.update_id,
            previous_id=self.published_id,
            at_ns=self.image.at_ns,
            bids=_changed(self.published.bids, self.image.bids),
            asks=_changed(self.published.asks, self.image.asks),
        )
        self.published, self.published_id, self.published_ns = self.image, self.update_id, now_ns
        return delta


@attrs.frozen(kw_only=True)
class DepthDelta:
    """One depth update; size 0 removes a level."""

    first_id: int
    last_id: int
    previous_id: int
    at_ns: int
    bids: Levels
    asks: Levels


def _changed(before: Levels, after: Levels) -> Levels:
    old, new = dict(before), dict(after)
    gone = tuple((price, ZERO) for price in old if price not in new)
    return gone + tuple((price, size) for price, size in after if old.get(price) != size)


# --- market rows ----------------------------------------------------------------------------------


def day_row(tape: Tape, now_ns: int) -> Row:
    """GET ticker/24hr, one symbol."""
    last, opening = tape.last_price, tape.opening or tape.last_price
    change = last - opening
    weighted = tape.quote_volume / tape.volume if tape.volume else last
    return {
        "symbol": tape.instrument.symbol,
        "priceChange": text(change),
        "priceChangePercent": text(change / opening * 100 if opening else ZERO, 3),
        "weightedAvgPrice": text(weighted),
        "lastPrice": text(last),
        "lastQty": text(tape.trades[-1].qty if tape.trades else ZERO),
        "openPrice": text(opening),
        "highPrice": text(tape.high or last),
        "lowPrice": text(tape.low or last),
        "volume": text(tape.volume),
        "quoteVolume": text(tape.quote_volume),
        "openTime": (now_ns - DAY_NS) // 1_000_000,
        "closeTime": now_ns // 1_000_000,
        "firstId": tape.trades[0].trade_id if tape.trades else -1,
        "lastId": tape.trades[-1].trade_id if tape.trades else -1,
        "count": tape.trade_count,
    }


def spot_day_row(tape: Tape, now_ns: int) -> Row:
    """The same with what only spot prints."""
    (bid, bid_size), (ask, ask_size) = tape.best_bid, tape.best_ask
    best = {"bidPrice": text(bid), "bidQty": text(bid_size), "askPrice": text(ask), "askQty": text(ask_size)}
    return {**day_row(tape, now_ns), "prevClosePrice": text(tape.previous_close or tape.last_price), **best}


def best_row(tape: Tape) -> Row:
    """GET ticker/bookTicker, one symbol."""
    (bid, bid_size), (ask, ask_size) = tape.best_bid, tape.best_ask
    return {
        "symbol": tape.instrument.symbol,
        "bidPrice": text(bid),
        "bidQty": text(bid_size),
        "askPrice": text(ask),
        "askQty": text(ask_size),
    }


def trade_row(trade: PublicTrade) -> Row:
    """One row of GET trades."""
    return {
        "id": trade.trade_id,
        "price": text(trade.price),
        "qty": text(trade.qty),
        "quoteQty": text(trade.price * trade.qty),
        "time": trade.at_ns // 1_000_000,
        "isBuyerMaker": not trade.is_buy,
        "isBestMatch": True,
    }


def aggregate_row(trade: PublicTrade) -> Row:
    """One row of GET aggTrades: every trade is its own aggregate."""
    number = trade.trade_id
    return {
        "a": number, "p": text(trade.price), "q": text(trade.qty), "f": number, "l": number,
        "T": trade.at_ns // 1_000_000, "m": not trade.is_buy, "M": True,
    }  # fmt: skip


def candle_row(tape: Tape, now_ns: int, unit_ms: int) -> list[object]:
    """The running candle: the day's statistics under the start of the running unit."""
    start = now_ns // 1_000_000 // unit_ms * unit_ms
    last = text(tape.last_price)
    prices = [
        text(tape.opening or tape.last_price),
        text(tape.high or tape.last_price),
        text(tape.low or tape.last_price),
        last,
    ]
    bought = text(tape.bought_volume)
    return [
        start,
        *prices,
        text(tape.volume),
        start + unit_ms - 1,
        text(tape.quote_volume),
        tape.trade_count,
        bought,
        bought,
        "0",
    ]


def interval_ms(name: str) -> int | None:
    """`1m`, `4h`, `1d` …; None: no interval."""
    units = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
    count, unit = name[:-1], name[-1:]
    return int(count) * units[unit] if count.isdigit() and unit in units else None


# --- market frames --------------------------------------------------------------------------------


def depth_frame(symbol: str, delta: DepthDelta, *, is_future: bool) -> Row:
    """A depth difference."""
    frame: Row = {"e": "depthUpdate", "E": delta.at_ns // 1_000_000}
    if is_future:
        frame["T"] = delta.at_ns // 1_000_000
    frame |= {"s": symbol, "U": delta.first_id, "u": delta.last_id}
    if is_future:
        frame["pu"] = delta.previous_id
    return frame | {"b": pairs_of(delta.bids, len(delta.bids)), "a": pairs_of(delta.asks, len(delta.asks))}


def best_frame(tape: Tape, log: DepthLog, *, is_future: bool) -> Row:
    """A book ticker; spot's has neither type nor time."""
    (bid, bid_size), (ask, ask_size) = tape.best_bid, tape.best_ask
    at_ms = (log.image.at_ns if log.image is not None else 0) // 1_000_000
    row: Row = {
        "u": log.update_id,
        "s": tape.instrument.symbol,
        "b": text(bid),
        "B": text(bid_size),
        "a": text(ask),
        "A": text(ask_size),
    }
    return {"e": "bookTicker", **row, "T": at_ms, "E": at_ms} if is_future else row


def trade_frame(symbol: str, trade: PublicTrade, *, is_future: bool) -> Row:
    """A public trade."""
    at_ms = trade.at_ns // 1_000_000
    row: Row = {
        "e": "trade",
        "E": at_ms,
        "s": symbol,
        "t": trade.trade_id,
        "p": text(trade.price),
        "q": text(trade.qty),
    }
    return (
        row
        | {"T": at_ms}
        | ({"X": "MARKET", "m": not trade.is_buy} if is_future else {"m": not trade.is_buy, "M": True})
    )


def aggregate_frame(symbol: str, trade: PublicTrade, *, is_future: bool) -> Row:
    """A public trade as an aggregate of one."""
    row = {"e": "aggTrade", "E": trade.at_ns // 1_000_000, "s": symbol, **aggregate_row(trade)}
    if is_future:
        del row["M"]
    return row


def day_frame(tape: Tape, now_ns: int) -> Row:
    """The 24-hour ticker stream."""
    row = day_row(tape, now_ns)
    (bid, bid_size), (ask, ask_size) = tape.best_bid, tape.best_ask
    return {
        "e": "24hrTicker", "E": now_ns // 1_000_000, "s": row["symbol"], "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"], "x": text(tape.previous_close), "c": row["lastPrice"], "Q": row["lastQty"],
        "b": text(bid), "B": text(bid_size), "a": text(ask), "A": text(ask_size), "o": row["openPrice"],
        "h": row["highPrice"], "l": row["lowPrice"], "v": row["volume"], "q": row["quoteVolume"], "O": row["openTime"],
        "C": row["closeTime"], "F": row["firstId"], "L": row["lastId"], "n": row["count"],
    }  # fmt: skip


def mini_frame(tape: Tape, now_ns: int) -> Row:
    """The short 24-hour ticker stream."""
    full = day_frame(tape, now_ns)
    return {"e": "24hrMiniTicker", **{name: full[name] for name in ("E", "s", "c", "o", "h", "l", "v", "q")}}


def candle_frame(tape: Tape, now_ns: int, interval: str, unit_ms: int) -> Row:
    """The running candle."""
    row = candle_row(tape, now_ns, unit_ms)
    symbol = tape.instrument.symbol
    candle = {
        "t": row[0], "T": row[6], "s": symbol, "i": interval, "f": -1, "L": -1, "o": row[1], "h": row[2], "l": row[3],
        "c": row[4], "v": row[5], "n": row[8], "x": False, "q": row[7], "V": row[9], "Q": row[10], "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": now_ns // 1_000_000, "s": symbol, "k": candle}


def mark_frame(tape: Tape) -> Row | None:
    """Mark price, index and funding of a perpetual."""
    mark = tape.mark
    if mark is None:
        return None
    return {
        "e": "markPriceUpdate", "E": mark.at_ns // 1_000_000, "s": tape.instrument.symbol, "p": text(mark.mark_price),
        "i": text(mark.index_price), "P": text(mark.mark_price), "r": text(mark.funding_rate),
        "T": mark.next_funding_ns // 1_000_000,
    }  # fmt: skip


def find(known: Mapping[str, Instrument], sent: Mapping[str, str]) -> Instrument | BinanceFault:
    """The instrument a request names."""
    symbol = sent.get("symbol", "")
    if not symbol:
        return BinanceFault(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    return known.get(symbol) or BinanceFault(400, -1121, "Invalid symbol.")
