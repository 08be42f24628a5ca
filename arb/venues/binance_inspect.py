"""Binance's messages as exact normalised events: streams with and without envelope, REST and WebSocket-API bodies.

Owns: which message is what; nothing is guessed from values, only from the fields that are there.
Never: takes part in trading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from arb.venues.binance_private_inspect import account_rows, order_rows, private_stream
from arb.venues.inspection import (
    Row,
    book,
    event,
    exactly,
    levels,
    moment,
    pick,
    rows,
    status,
    table,
    trade,
    unknown,
    word,
)
from arb.venues.recorded_rows import recorded_row
from arb.venues.spec import Decoded

_CANDLE_FIELDS: Final = 6
"""A candle over REST is an array of at least this many values, its time first."""


@attrs.frozen
class BinanceInspector:
    """Decodes any message one Binance market is known to send."""

    venue: str

    def decode(self, raw: str) -> tuple[Decoded, ...]:
        """Every event in the message."""
        return exactly(self.venue, raw, lambda body: _events(self.venue, body, ""))


def _events(venue: str, body: object, stream: str) -> Iterator[Row]:
    if isinstance(body, list):
        if body and not isinstance(body[0], dict | list):
            yield _candle(venue, body)
            return
        for part in body:
            if isinstance(part, list):
                yield _candle(venue, part)
            else:
                yield from _events(venue, part, stream)
        return
    fields = table(body)
    if "stream" in fields and "data" in fields:
        yield from _events(venue, fields["data"], str(fields["stream"]))
    elif "subscriptionId" in fields and "event" in fields:
        yield from _events(venue, fields["event"], stream)
    elif isinstance(fields.get("status"), int) and ("result" in fields or "error" in fields):
        yield from _answer(venue, fields)
    elif "e" in fields and "method" not in fields:
        yield from _stream(venue, str(fields["e"]), fields, stream)
    else:
        yield from _body(venue, fields, stream)


def _answer(venue: str, fields: Row) -> Iterator[Row]:
    """A WebSocket-API answer around a REST body."""
    if "error" in fields:
        yield from _error(venue, table(fields["error"]))
        return
    result = fields["result"]
    if isinstance(result, dict) and "bids" in fields:
        result = result | {name: fields[name] for name in ("bids", "asks") if name in fields}
    if result in ({}, [], None):
        yield status(venue, "answer", {"id": fields.get("id")})
    else:
        yield from _events(venue, result, "")


def _stream(venue: str, kind: str, fields: Row, stream: str) -> Iterable[Row]:
    symbol, at_ms = word(fields, "s"), moment(fields, "E")
    match kind:
        case "depthUpdate":
            return (_diff(venue, fields, stream),)
        case "trade" | "aggTrade":
            return (_trade(venue, fields, symbol),)
        case "bookTicker":
            return (_quotes(venue, fields),)
        case "24hrTicker" | "24hrMiniTicker":
            return (_day(venue, fields),)
        case _ if kind.endswith("Ticker"):
            return (_day(venue, fields),)
        case _:
            found = private_stream(venue, kind, fields)
            return found if found is not None else (status(venue, kind, fields, symbol, at_ms),)


def _body(venue: str, fields: Row, stream: str) -> Iterable[Row]:
    """Objects without an event name, told apart by their fields."""
    names = fields.keys()
    if {"bids", "asks"} <= names:
        return (_image(venue, fields, stream),)
    if {"s", "b", "B", "a", "A"} <= names:
        return (_quotes(venue, fields),)
    if "code" in names and "msg" in names:
        return _error(venue, fields)
    if {"price", "qty", "isBuyerMaker"} <= names or {"p", "q", "T", "a"} <= names or {"a", "f", "l", "T", "m"} <= names:
        return (_trade(venue, fields, word(fields, "symbol", "s") or _symbol_of(stream)),)
    if "symbol" in names and names & {"lastPrice", "bidPrice", "askPrice"}:
        return (_rest_ticker(venue, fields),)
    if "symbol" in names and "price" in names and names <= {"symbol", "price", "time", "ps", "pair"}:
        return (event(venue, "ticker", word(fields, "symbol"), moment(fields, "time"), price=pick(fields, "price")),)
    if (private := account_rows(venue, fields) or order_rows(venue, fields)) is not None:
        return private
    if (isinstance(fields.get("symbols"), list) and "rateLimits" in names) or (
        "serverTime" in names and "symbols" in names
    ):
        return _exchange(venue, fields)
    recorded = recorded_row(venue, fields)
    return (recorded if recorded is not None else _status(venue, fields, stream),)


def _error(venue: str, fields: Row) -> Iterator[Row]:
    """Codes of success (200) are answers, all others errors; what a refused cancel-replace did follows."""
    code = word(fields, "code")
    if code in ("200", "000000"):
        yield status(venue, "answer", fields)
        return
    yield event(venue, "error", None, None, code=code, message=word(fields, "msg"))
    if isinstance(data := fields.get("data"), dict):
        for name in ("cancelResponse", "newOrderResponse"):
            if isinstance(part := data.get(name), dict):
                yield from _body(venue, part, "")


def _symbol_of(stream: str) -> str | None:
    symbol, mark, _ = stream.partition("@")
    return symbol.upper() if mark and not symbol.startswith("!") else None


def _sequence(fields: Row, name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) else None


def _diff(venue: str, fields: Row, stream: str) -> Row:
    """USD-M's partial books look like changes; only the stream's name tells."""
    sides = levels(fields["b"]), levels(fields["a"])
    is_whole = stream.partition("@")[2].split("@")[0] in ("depth5", "depth10", "depth20")
    return book(venue, word(fields, "s"), moment(fields, "E"), sides, _sequence(fields, "u"), is_whole=is_whole)


def _image(venue: str, fields: Row, stream: str) -> Row:
    symbol = word(fields, "symbol") or _symbol_of(stream)
    sides = levels(fields["bids"]), levels(fields["asks"])
    return book(
        venue, symbol, moment(fields, "E", "T", "timestamp"), sides, _sequence(fields, "lastUpdateId"), is_whole=True
    )


def _trade(venue: str, fields: Row, symbol: str | None) -> Row:
    is_maker_buyer = fields.get("m", fields.get("isBuyerMaker"))
    side = None if is_maker_buyer is None else "sell" if is_maker_buyer else "buy"
    at_ms = moment(fields, "T", "time", "E")
    trade_id = word(fields, "a", "id") if "t" not in fields else word(fields, "t")
    return trade(venue, symbol, at_ms, pick(fields, "p", "price"), pick(fields, "q", "qty"), side, trade_id)


def _quotes(venue: str, fields: Row) -> Row:
    return event(
        venue,
        "ticker",
        word(fields, "s"),
        moment(fields, "E", "T"),
        bid=pick(fields, "b"),
        bid_size=pick(fields, "B"),
        ask=pick(fields, "a"),
        ask_size=pick(fields, "A"),
        sequence=_sequence(fields, "u"),
    )


def _day(venue: str, fields: Row) -> Row:
    return event(
        venue,
        "ticker",
        word(fields, "s"),
        moment(fields, "E"),
        price=pick(fields, "c"),
        size=pick(fields, "Q"),
        bid=pick(fields, "b"),
        bid_size=pick(fields, "B"),
        ask=pick(fields, "a"),
        ask_size=pick(fields, "A"),
        open=pick(fields, "o"),
        high=pick(fields, "h"),
        low=pick(fields, "l"),
        volume=pick(fields, "v"),
        quote_volume=pick(fields, "q"),
    )


def _rest_ticker(venue: str, fields: Row) -> Row:
    return event(
        venue,
        "ticker",
        word(fields, "symbol"),
        moment(fields, "time", "closeTime"),
        price=pick(fields, "lastPrice"),
        size=pick(fields, "lastQty"),
        bid=pick(fields, "bidPrice"),
        bid_size=pick(fields, "bidQty"),
        ask=pick(fields, "askPrice"),
        ask_size=pick(fields, "askQty"),
        open=pick(fields, "openPrice"),
        high=pick(fields, "highPrice"),
        low=pick(fields, "lowPrice"),
        volume=pick(fields, "volume"),
        quote_volume=pick(fields, "quoteVolume"),
    )


def _candle(venue: str, values: list[object]) -> Row:
    if len(values) < _CANDLE_FIELDS:
        raise ValueError(f"an array of {len(values)} values")
    names = ("open_ms", "open", "high", "low", "close", "volume", "close_ms", "quote_volume", "count")
    fields = dict(zip(names, values, strict=False))
    return status(venue, "candle", fields, ts_ms=moment(fields, "open_ms"))


def _exchange(venue: str, fields: Row) -> Iterator[Row]:
    """One event for the limits, one per symbol."""
    at_ms = moment(fields, "serverTime")
    yield status(venue, "limits", {"rateLimits": fields.get("rateLimits")}, ts_ms=at_ms)
    for part in rows(fields.get("symbols")):
        if isinstance(part, dict):
            yield status(venue, "instrument", part, word(part, "symbol"), at_ms)


def _status(venue: str, fields: Row, stream: str) -> Row:
    for mark, kind in _KINDS:
        if mark <= fields.keys():
            at_ms = moment(fields, "time", "timestamp", "serverTime", "fundingTime")
            return status(venue, kind, fields, word(fields, "symbol") or _symbol_of(stream), at_ms)
    raise unknown(fields)


_KINDS: Final = (
    (frozenset({"method"}), "request"),
    (frozenset({"symbol", "status", "filters"}), "instrument"),
    (frozenset({"symbol", "filters"}), "instrument"),
    (frozenset({"lastFundingRate"}), "mark"),
    (frozenset({"fundingRate"}), "funding"),
    (frozenset({"fundingIntervalHours"}), "funding_terms"),
    (frozenset({"openInterest"}), "open_interest"),
    (frozenset({"mins"}), "average_price"),
    (frozenset({"symbol", "openTime", "closeTime"}), "day"),
    (frozenset({"referencePrice"}), "reference_price"),
    (frozenset({"calculationType"}), "reference_price"),
    (frozenset({"symbolRules"}), "rules"),
    (frozenset({"symbolFilters"}), "filters"),
    (frozenset({"rateLimitType"}), "limit"),
    (frozenset({"serverTime"}), "time"),
    (frozenset({"listenKey"}), "listen_key"),
    (frozenset({"subscriptionId"}), "subscription"),
    (frozenset({"result", "id"}), "answer"),
    (frozenset({"status", "msg"}), "system"),
    (frozenset({"indexPrice", "basis"}), "basis"),
    (frozenset({"makerCommissionRate"}), "fees"),
    (frozenset({"makerCommission", "symbol"}), "fees"),
    (frozenset({"standardCommission"}), "fees"),
    (frozenset({"dualSidePosition"}), "account_mode"),
    (frozenset({"multiAssetsMargin"}), "account_mode"),
    (frozenset({"leverage", "symbol"}), "leverage"),
    (frozenset({"incomeType"}), "income"),
    (frozenset({"authorizedSince"}), "session"),
    (frozenset({"countdownTime"}), "countdown"),
    (frozenset({"ipRestrict"}), "permissions"),
    (frozenset({"preventedMatchId"}), "prevented_match"),
    (frozenset({"filterType"}), "filter"),
    (frozenset({"longShortRatio"}), "ratio"),
    (frozenset({"buySellRatio"}), "ratio"),
    (frozenset({"sumOpenInterest"}), "open_interest"),
    (frozenset({"component", "baseAssetList"}), "index"),
    (frozenset({"adlQuantile"}), "deleveraging"),
    (frozenset({"adlRisk"}), "deleveraging"),
    (frozenset({"indicators"}), "trading_rules"),
    (frozenset({"brackets"}), "brackets"),
)
"""What other bodies are, by the fields that mark them; the first that fits."""
