"""What Binance's refusals have in common on all its markets: how an error body is read, and what codes and words mean.

Owns: the consequences by name, the codes that both markets use alike, and the messages of codes that mean many things.
Never: decides what happens next; unmapped codes stay unknown.

`{"code":-2010,"msg":"Account has insufficient balance for requested action."}`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.venues.answers import decoded, shown
from arb.venues.refusals import UNMAPPED, VENUE_ERROR, Consequence, Outcome
from arb.venues.spec import HttpResponse

AUTH: Final = Consequence(Outcome.PERSON_MUST_ACT, "auth")
BAD_REQUEST: Final = Consequence(Outcome.OUR_BUG, "bad_request")
BAD_SYMBOL: Final = Consequence(Outcome.OUR_BUG, "bad_symbol")
CLOCK: Final = Consequence(Outcome.RETRY_LATER, "clock")
DUPLICATE_ID: Final = Consequence(Outcome.UNKNOWN, "duplicate_id")
MAINTENANCE: Final = Consequence(Outcome.RETRY_LATER, "maintenance")
MIN_NOTIONAL: Final = Consequence(Outcome.OUR_BUG, "min_notional")
NOT_FOUND: Final = Consequence(Outcome.NOT_FOUND, "not_found")
OFF_LOT: Final = Consequence(Outcome.OUR_BUG, "off_lot")
OFF_TICK: Final = Consequence(Outcome.OUR_BUG, "off_tick")
PERMISSION: Final = Consequence(Outcome.PERSON_MUST_ACT, "permission")
PRICE_BAND: Final = Consequence(Outcome.REJECTED, "price_band")
RATE: Final = Consequence(Outcome.RETRY_LATER, "rate")
REJECTED: Final = Consequence(Outcome.REJECTED, "rejected")
SIGNATURE: Final = Consequence(Outcome.PERSON_MUST_ACT, "signature")
TIMEOUT: Final = Consequence(Outcome.UNKNOWN, "timeout")
TOO_MANY_OPEN: Final = Consequence(Outcome.REJECTED, "too_many_open_orders")
WOULD_CROSS: Final = Consequence(Outcome.REJECTED, "would_cross")


COMMON: Final[dict[int, Consequence]] = {
    -1000: VENUE_ERROR,
    -1001: VENUE_ERROR,
    -1002: PERMISSION,
    -1003: RATE,
    -1006: TIMEOUT,
    -1007: TIMEOUT,
    -1010: REJECTED,
    -1013: Consequence(Outcome.OUR_BUG, "filter"),
    -1014: BAD_REQUEST,
    -1015: RATE,
    -1016: MAINTENANCE,
    -1021: CLOCK,
    -1022: SIGNATURE,
    -1111: Consequence(Outcome.OUR_BUG, "precision"),
    -1112: Consequence(Outcome.REJECTED, "no_depth"),
    -1121: BAD_SYMBOL,
    -1125: Consequence(Outcome.RETRY_LATER, "listen_key"),
    -2010: REJECTED,
    -2011: Consequence(Outcome.UNKNOWN, "cancel_refused"),
    -2013: NOT_FOUND,
    -2014: AUTH,
    -2015: AUTH,
    -2016: BAD_REQUEST,
}
"""Codes of which both markets say the same."""

MESSAGES: Final[tuple[tuple[str, Consequence], ...]] = (
    ("insufficient balance", Consequence(Outcome.REJECTED, "insufficient_balance")),
    ("duplicate order", DUPLICATE_ID),
    ("immediately match", WOULD_CROSS),
    ("market is closed", MAINTENANCE),
    ("unknown order", Consequence(Outcome.UNKNOWN, "unknown_order")),
    ("price_filter", OFF_TICK),
    ("percent_price", PRICE_BAND),
    ("order book liquidity", Consequence(Outcome.REJECTED, "no_depth")),
    ("market_lot_size", OFF_LOT),
    ("lot_size", OFF_LOT),
    ("min_notional", MIN_NOTIONAL),
    ("notional", Consequence(Outcome.OUR_BUG, "notional")),
    ("zero or less", MIN_NOTIONAL),
    ("max_position", Consequence(Outcome.REJECTED, "max_position")),
    ("max_num", TOO_MANY_OPEN),
    ("disabled on this account", PERMISSION),
    ("may not place or cancel", PERMISSION),
    ("not permitted for this account", PERMISSION),
    ("restricted for this account", PERMISSION),
    ("trading is not enabled", PERMISSION),
    ("not supported", BAD_REQUEST),
    ("unsupported order combination", BAD_REQUEST),
)
"""For -1010, -1013, -2010 and -2011, first match wins; lower-case parts of the venue's words."""

_TOLD_BY_MESSAGE: Final = frozenset((-1010, -1013, -2010, -2011))

STATUSES: Final[dict[int, Consequence]] = {
    401: AUTH,
    403: Consequence(Outcome.RETRY_LATER, "firewall"),
    408: TIMEOUT,
    418: Consequence(Outcome.RETRY_LATER, "ban"),
    429: RATE,
}
"""For answers without a code of ours; 403 comes from the firewall before the exchange."""


class BinanceErrorBody(msgspec.Struct):
    """Code and words."""

    code: int
    msg: str = ""


_BODY: Final = msgspec.json.Decoder(BinanceErrorBody)


def read_error(venue: str, answer: HttpResponse) -> tuple[int, str]:
    """The code (0: none readable) and what to tell of it."""
    try:
        body = decoded(venue, answer.body, _BODY)
    except ProtocolError:
        return 0, f"HTTP {answer.status} {shown(answer.body)}".rstrip()
    return body.code, f"{body.code} {body.msg}".rstrip()


def told_by_message(code: int, text: str) -> Consequence | None:
    """The consequence of a code that means many things, by its words; None: the code itself says it."""
    if code not in _TOLD_BY_MESSAGE:
        return None
    lowered = text.lower()
    return next((consequence for part, consequence in MESSAGES if part in lowered), None)


def judged(venue: str, answer: HttpResponse, errors: Mapping[int, Consequence]) -> tuple[Consequence, str]:
    """What an answer other than 2xx and 5xx means by a market's table, and the venue's words."""
    code, text = read_error(venue, answer)
    return told_by_message(code, text) or errors.get(code) or STATUSES.get(answer.status, UNMAPPED), text
