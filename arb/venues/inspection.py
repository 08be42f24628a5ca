"""What every inspector needs: exact numbers out of decoded JSON, and the events of `arb inspect`.

Owns: the shape of those events (docs: contracts, `arb inspect`) and the reading of values of unknown type.
Never: goes by way of float; prints a secret (listen keys, API keys and signatures are blanked).
Units: `ts_ms` UTC milliseconds; prices and sizes are decimal texts as the venue printed them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.venues.answers import UNREADABLE, ms_of, shown
from arb.venues.spec import Decoded

Fields = Mapping[str, object]
Row = dict[str, object]

_JSON: Final = msgspec.json.Decoder(float_hook=Decimal)
_SECRET: Final = frozenset({"listenKey", "apiKey", "signature", "key", "secret"})


def exactly(venue: str, raw: str, events: Callable[[object], Iterable[Row]]) -> tuple[Decoded, ...]:
    """Decode JSON without losing a digit and hand it to `events`.

    Raises:
        ProtocolError: it is no JSON, or nothing this venue is known to send.
    """
    try:
        body = _JSON.decode(raw)
        return tuple(Decoded(values=row) for row in events(body))
    except (*UNREADABLE, UnicodeEncodeError) as error:
        raise ProtocolError(venue, f"{error}: {shown(raw.encode('utf-8', 'replace'))}") from error
    except KeyError as error:
        raise ProtocolError(venue, f"field {error} is missing: {shown(raw.encode())}") from error
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise ProtocolError(venue, f"{error}: {shown(raw.encode())}") from error


def number(value: object) -> str | None:
    """A number as its exact text; None when there is none (null, empty).

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        return _checked(value) if value else None
    if isinstance(value, Decimal):
        return str(value)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is no number")


def _checked(text: str) -> str:
    try:
        if Decimal(text).is_finite():
            return text
    except InvalidOperation:
        pass
    raise ValueError(f"{text!r} is no number")


def pick(fields: Fields, *names: str) -> str | None:
    """The first of these fields that holds a number."""
    return next((text for name in names if (text := number(fields.get(name))) is not None), None)


def word(fields: Fields, *names: str) -> str | None:
    """The first of these fields that holds anything, as text."""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            return str(value)
    return None


def moment(fields: Fields, *names: str) -> int | None:
    """The first of these fields that holds a time, in UTC milliseconds: an integer, its text, or ISO 8601."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return ms_of(int(value))
        if isinstance(value, str) and value[4:5] == "-":
            return _iso_ms(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return ms_of(value)
    return None


def _iso_ms(text: str) -> int | None:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(stamp.timestamp() * 1000) if stamp.tzinfo is not None else int((stamp - _EPOCH).total_seconds() * 1000)


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  venue times without zone are UTC


def table(value: object) -> Row:
    """A JSON object.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, dict):
        return value
    raise ValueError(f"{type(value).__name__} where an object belongs")


def rows(value: object) -> list[object]:
    """A JSON array; null counts as an empty one.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise ValueError(f"{type(value).__name__} where a list belongs")


def levels(side: object) -> list[list[str]]:
    """Levels written as arrays, price and size first; padding is left out.

    Raises:
        ValueError: something else.
    """
    return [found for part in rows(side) if (found := _pair(rows(part))) is not None]


def _pair(values: list[object]) -> list[str] | None:
    if len(values) < 2:
        raise ValueError(f"a level of {len(values)} values")
    return level(values[0], values[1])


def level(price: object, size: object) -> list[str] | None:
    """One level; None for padding (price 0).

    Raises:
        ValueError: price or size is missing or no number.
    """
    price_text, size_text = number(price), number(size)
    if price_text is None or size_text is None:
        raise ValueError("a level without price or size")
    return [price_text, size_text] if Decimal(price_text) else None


def book(
    venue: str,
    symbol: str | None,
    ts_ms: int | None,
    sides: tuple[list[list[str]], list[list[str]]],
    sequence: int | None,
    *,
    is_whole: bool,
) -> Row:
    """An order book or a change of one."""
    return {
        "venue": venue,
        "channel": "book",
        "symbol": symbol,
        "ts_ms": ts_ms,
        "bids": sides[0],
        "asks": sides[1],
        "sequence": sequence,
        "snapshot": is_whole,
    }


def trade(
    venue: str,
    symbol: str | None,
    ts_ms: int | None,
    price: str | None,
    size: str | None,
    side: str | None,
    trade_id: str | None,
) -> Row:
    """A public execution; `side` is the taker's.

    `price` and `size` are None where the source left them out.
    """
    return {
        "venue": venue,
        "channel": "trade",
        "symbol": symbol,
        "ts_ms": ts_ms,
        "price": price,
        "size": size,
        "side": side,
        "trade_id": trade_id,
    }


def event(venue: str, channel: str, symbol: str | None, ts_ms: int | None, **values: object) -> Row:
    """Any other event; values that are not known are left out."""
    head: Row = {"venue": venue, "channel": channel, "symbol": symbol, "ts_ms": ts_ms}
    head.update((name, value) for name, value in values.items() if value is not None)
    return head


def status(venue: str, kind: str, fields: object, symbol: str | None = None, ts_ms: int | None = None) -> Row:
    """A message that is neither book, trade, ticker nor of an account: its own fields, numbers exact."""
    return event(venue, "status", symbol, ts_ms, kind=kind, fields=printable(fields))


def printable(value: object) -> object:
    """Decoded JSON as it can be printed again: decimals as texts, secrets blanked."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: "…" if name in _SECRET else printable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value


def unknown(fields: Fields) -> ValueError:
    """Why an object was refused."""
    return ValueError(f"no message this venue is known to send: {', '.join(list(fields)[:12]) or 'empty object'}")
