"""Upbit's messages as exact normalised events: streams in both spellings, public and private REST bodies.

Owns: which message is what; nothing is guessed from values, only from the fields that are there.
Never: takes part in trading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from arb.venues.inspection import (
    Row,
    book,
    event,
    exactly,
    level,
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

_VENUE: Final = "upbit"
_LONG: Final = {
    "ty": "type",
    "cd": "code",
    "tms": "timestamp",
    "obu": "orderbook_units",
    "tp": "trade_price",
    "tv": "trade_volume",
    "ab": "ask_bid",
    "sid": "sequential_id",
    "ttms": "trade_timestamp",
    "op": "opening_price",
    "hp": "high_price",
    "lp": "low_price",
    "pcp": "prev_closing_price",
    "atv24h": "acc_trade_volume_24h",
    "atp24h": "acc_trade_price_24h",
    "ms": "market_state",
    "st": "stream_type",
    "uid": "uuid",
    "ot": "order_type",
    "s": "state",
    "tuid": "trade_uuid",
    "p": "price",
    "ap": "avg_price",
    "v": "volume",
    "rv": "remaining_volume",
    "ev": "executed_volume",
    "tif": "time_in_force",
    "tf": "trade_fee",
    "im": "is_maker",
    "id": "identifier",
    "otms": "order_timestamp",
    "ast": "assets",
    "asttms": "asset_timestamp",
}
"""The short names of streams whose values are used here (`SIMPLE`)."""
_SIDES: Final = {"BID": "buy", "ASK": "sell", "bid": "buy", "ask": "sell"}


@attrs.frozen
class UpbitInspector:
    """Decodes any message Upbit is known to send."""

    def decode(self, raw: str) -> tuple[Decoded, ...]:
        """Every event in the message."""
        return exactly(_VENUE, raw, _events)


def _events(body: object) -> Iterator[Row]:
    if isinstance(body, list):
        for part in body:
            yield from _events(part)
        return
    fields = table(body)
    if "ty" in fields:
        fields = {_LONG.get(name, name): value for name, value in fields.items()}
    if "error" in fields:
        error = table(fields["error"])
        yield event(_VENUE, "error", None, None, code=word(error, "name"), message=word(error, "message"))
    elif "type" in fields:
        yield from _stream(str(fields["type"]), fields)
    else:
        yield from _body(fields)


def _stream(kind: str, fields: Row) -> Iterable[Row]:
    match kind:
        case "orderbook":
            return (_book(fields),)
        case "trade":
            return (_trade(fields),)
        case "ticker":
            return (_ticker(fields),)
        case "myOrder":
            return _my_order(fields)
        case "myAsset":
            at_ms = moment(fields, "asset_timestamp", "timestamp")
            return [_balance(_spelled(table(row)), at_ms) for row in rows(fields.get("assets"))]
        case "deposit" | "withdraw":
            return (status(_VENUE, kind, fields, ts_ms=moment(fields, "created_at")),)
        case _ if kind.startswith("candle") or "code" in fields:
            return (status(_VENUE, kind, fields, word(fields, "code"), moment(fields, "timestamp")),)
        case _:
            raise unknown(fields)


def _body(fields: Row) -> Iterable[Row]:
    """Objects without a type: REST rows, told apart by their fields."""
    names = fields.keys()
    if "orderbook_units" in names:
        return (_book(fields),)
    if {"trade_price", "trade_volume", "ask_bid"} <= names:
        return (_trade(fields),)
    if "candle_date_time_utc" in names:
        return (status(_VENUE, "candle", fields, word(fields, "market"), moment(fields, "timestamp")),)
    if {"trade_price", "opening_price"} <= names:
        return (_ticker(fields),)
    if {"uuid", "side"} <= names:
        return _order(fields)
    if {"currency", "balance"} <= names:
        return (_balance(fields, None),)
    if "bid_fee" in names:
        return _chance(fields)
    if {"bids", "asks"} <= names:
        return (_plain_book(fields),)
    recorded = recorded_row(_VENUE, fields)
    return (recorded if recorded is not None else _status(fields),)


def _status(fields: Row) -> Row:
    names = fields.keys()
    for mark, kind in _KINDS:
        if mark <= names:
            return status(_VENUE, kind, fields, word(fields, "market"), moment(fields, "timestamp"))
    raise unknown(fields)


_KINDS: Final = (
    (frozenset({"tick_size"}), "rules"),
    (frozenset({"market", "english_name"}), "market"),
    (frozenset({"wallet_state"}), "wallet"),
    (frozenset({"deposit_address"}), "address"),
    (frozenset({"method", "result"}), "subscriptions"),
    (frozenset({"status"}), "alive"),
    (frozenset({"success", "message"}), "answer"),
    (frozenset({"success", "failed"}), "cancels"),
    (frozenset({"ticket"}), "request"),
)


def _symbol(fields: Row) -> str | None:
    return word(fields, "code", "market")


def _spelled(fields: Row) -> Row:
    """An asset row, in whichever spelling."""
    return {{"cu": "currency", "b": "balance", "l": "locked"}.get(name, name): value for name, value in fields.items()}


def _book(fields: Row) -> Row:
    bids: list[list[str]] = []
    asks: list[list[str]] = []
    for part in rows(fields["orderbook_units"]):
        unit = table(part)
        if "ap" in unit:
            unit = {"ask_price": unit["ap"], "bid_price": unit["bp"], "ask_size": unit["as"], "bid_size": unit["bs"]}
        if (bid := level(unit["bid_price"], unit["bid_size"])) is not None:
            bids.append(bid)
        if (ask := level(unit["ask_price"], unit["ask_size"])) is not None:
            asks.append(ask)
    return book(_VENUE, _symbol(fields), moment(fields, "timestamp"), (bids, asks), None, is_whole=True)


def _plain_book(fields: Row) -> Row:
    """A recorder's own image: lists of pairs."""
    sides = levels(fields["bids"]), levels(fields["asks"])
    return book(_VENUE, word(fields, "symbol"), moment(fields, "timestamp"), sides, None, is_whole=True)


def _trade(fields: Row) -> Row:
    return trade(
        _VENUE,
        _symbol(fields),
        moment(fields, "trade_timestamp", "timestamp"),
        pick(fields, "trade_price"),
        pick(fields, "trade_volume"),
        _SIDES.get(str(fields["ask_bid"])),
        word(fields, "sequential_id"),
    )


def _ticker(fields: Row) -> Row:
    return event(
        _VENUE,
        "ticker",
        _symbol(fields),
        moment(fields, "timestamp", "trade_timestamp"),
        price=pick(fields, "trade_price"),
        size=pick(fields, "trade_volume"),
        open=pick(fields, "opening_price"),
        high=pick(fields, "high_price"),
        low=pick(fields, "low_price"),
        previous_close=pick(fields, "prev_closing_price"),
        volume_24h=pick(fields, "acc_trade_volume_24h"),
        quote_volume_24h=pick(fields, "acc_trade_price_24h"),
        market_state=word(fields, "market_state"),
    )


def _my_order(fields: Row) -> Iterator[Row]:
    """While `state` is `trade`, price and volume are those of the execution."""
    is_fill = fields.get("state") == "trade"
    yield event(
        _VENUE,
        "order",
        _symbol(fields),
        moment(fields, "timestamp"),
        order_id=word(fields, "uuid"),
        client_order_id=word(fields, "identifier"),
        side=_SIDES.get(str(fields.get("ask_bid"))),
        type=word(fields, "order_type"),
        time_in_force=word(fields, "time_in_force"),
        state=word(fields, "state"),
        price=None if is_fill else pick(fields, "price"),
        size=None if is_fill else pick(fields, "volume"),
        filled=pick(fields, "executed_volume"),
        remaining=pick(fields, "remaining_volume"),
        avg_price=pick(fields, "avg_price"),
    )
    if is_fill:
        yield _fill(fields, "trade_uuid", "ask_bid", moment(fields, "trade_timestamp", "timestamp"))


def _fill(fields: Row, id_name: str, side_name: str, ts_ms: int | None) -> Row:
    is_maker = fields.get("is_maker")
    return event(
        _VENUE,
        "fill",
        _symbol(fields),
        ts_ms,
        price=pick(fields, "price"),
        size=pick(fields, "volume"),
        side=_SIDES.get(str(fields.get(side_name))),
        trade_id=word(fields, id_name),
        order_id=word(fields, "uuid") if id_name != "uuid" else None,
        client_order_id=word(fields, "identifier"),
        fee=pick(fields, "trade_fee"),
        liquidity=None if is_maker is None else "maker" if is_maker else "taker",
    )


def _order(fields: Row) -> Iterator[Row]:
    """An order over REST, with the executions it lists."""
    yield event(
        _VENUE,
        "order",
        _symbol(fields),
        moment(fields, "created_at"),
        order_id=word(fields, "uuid"),
        client_order_id=word(fields, "identifier"),
        side=_SIDES.get(str(fields.get("side"))),
        type=word(fields, "ord_type"),
        time_in_force=word(fields, "time_in_force"),
        state=word(fields, "state"),
        price=pick(fields, "price"),
        size=pick(fields, "volume"),
        filled=pick(fields, "executed_volume"),
        remaining=pick(fields, "remaining_volume"),
        fee=pick(fields, "paid_fee"),
        new_order_id=word(fields, "new_order_uuid"),
    )
    for part in rows(fields.get("trades")):
        row = table(part)
        yield _fill(row, "uuid", "side", moment(row, "created_at")) | {"order_id": word(fields, "uuid")}


def _balance(fields: Row, ts_ms: int | None) -> Row:
    return event(
        _VENUE,
        "balance",
        None,
        ts_ms,
        asset=word(fields, "currency"),
        free=pick(fields, "balance"),
        locked=pick(fields, "locked"),
        avg_buy_price=pick(fields, "avg_buy_price", "avg_krw_buy_price"),
    )


def _chance(fields: Row) -> Iterator[Row]:
    """Fees and limits of a market, and the two balances that trade on it."""
    market = table(fields.get("market", {}))
    rates = {name: value for name, value in fields.items() if not name.endswith("_account")}
    yield status(_VENUE, "chance", rates, word(market, "id"))
    for name in ("bid_account", "ask_account"):
        if isinstance(fields.get(name), dict):
            yield _balance(table(fields[name]), None)
