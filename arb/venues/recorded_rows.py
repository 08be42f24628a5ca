"""Rows of common recordings that are no venue's own messages, for `arb inspect`: data vendors' CSV and candles.

Owns: five shapes, told apart by their columns (book images by numbered columns, book rows, best quotes, trades,
candles).
Never: guesses; a row of another shape is not ours.
Units: as `inspection`.
"""

from __future__ import annotations

from arb.venues.inspection import Row, book, event, level, moment, pick, status, trade, word

_TRUE = frozenset({"true", "1"})


def recorded_row(venue: str, fields: Row) -> Row | None:
    """The event of a recorded row; None when it has none of the known shapes."""
    names = fields.keys()
    if "asks[0].price" in names:
        sides = _numbered(fields, "bids"), _numbered(fields, "asks")
        return book(venue, word(fields, "symbol"), moment(fields, "timestamp"), sides, None, is_whole=True)
    if {"update_type", "side", "price", "qty"} <= names:
        return _level_row(venue, fields)
    if {"bid", "ask", "bid_size", "ask_size"} <= names:
        quotes = {name: pick(fields, name) for name in ("bid", "bid_size", "ask", "ask_size")}
        return event(venue, "ticker", word(fields, "symbol"), moment(fields, "timestamp"), **quotes)
    if {"trade_id", "price", "quantity", "buyer_maker"} <= names:
        side = "sell" if str(fields["buyer_maker"]).lower() in _TRUE else "buy"
        price, size, trade_id = pick(fields, "price"), pick(fields, "quantity"), word(fields, "trade_id")
        return trade(venue, word(fields, "symbol"), moment(fields, "timestamp"), price, size, side, trade_id)
    if {"open", "high", "low", "close", "volume"} <= names:
        return status(venue, "candle", fields, ts_ms=moment(fields, "timestamp"))
    return None


def _numbered(fields: Row, side: str) -> list[list[str]]:
    """Levels spelled `asks[0].price`, `asks[0].amount`, …"""
    found: list[list[str]] = []
    for number in range(len(fields)):
        if f"{side}[{number}].price" not in fields:
            break
        one = level(fields[f"{side}[{number}].price"], fields[f"{side}[{number}].amount"])
        found += [one] if one is not None else []
    return found


def _level_row(venue: str, fields: Row) -> Row:
    """One level of a book or of a change."""
    one = level(fields["price"], fields["qty"])
    side = [one] if one is not None else []
    sides = (side, []) if fields["side"] == "b" else ([], side)
    sequence = int(text) if (text := word(fields, "last_update_id")) is not None and text.isdigit() else None
    is_whole = fields["update_type"] == "snap"
    return book(venue, word(fields, "symbol"), moment(fields, "timestamp"), sides, sequence, is_whole=is_whole)
