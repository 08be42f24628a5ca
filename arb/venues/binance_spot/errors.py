"""What Binance's refusals on the spot market mean, and how a Binance error body is read.

Owns: the table of documented codes and, for codes that mean many things, the table of their messages.
Never: decides what happens next; unmapped codes stay unknown, as does every 5xx.

`{"code":-2010,"msg":"Account has insufficient balance for requested action."}`
"""

from __future__ import annotations

from typing import Final

import msgspec

from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.venues.answers import decoded, shown
from arb.venues.refusals import UNMAPPED, VENUE_ERROR, Consequence, Outcome, worded
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

_MALFORMED: Final = (
    *(-1020, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1114, -1115, -1116, -1117, -1118, -1119, -1120),
    *(-1122, -1127, -1128, -1130, -1131, -1134, -1135, -1139, -1145, -1151),
)

ERRORS: Final[dict[int, Consequence]] = {
    -1000: VENUE_ERROR,
    -1001: VENUE_ERROR,
    -1002: PERMISSION,
    -1003: RATE,
    -1006: TIMEOUT,
    -1007: TIMEOUT,
    -1008: Consequence(Outcome.UNKNOWN, "overloaded"),
    -1010: REJECTED,
    -1013: Consequence(Outcome.OUR_BUG, "filter"),
    -1014: BAD_REQUEST,
    -1015: RATE,
    -1016: MAINTENANCE,
    -1021: CLOCK,
    -1022: SIGNATURE,
    **dict.fromkeys(_MALFORMED, BAD_REQUEST),
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
    -2021: Consequence(Outcome.UNKNOWN, "replace_half_done"),
    -2022: Consequence(Outcome.UNKNOWN, "replace_failed"),
    -2026: Consequence(Outcome.REJECTED, "archived"),
}
"""Every documented code that an order, a cancel, a query or an account read can meet."""

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


def judge(answer: HttpResponse) -> tuple[Consequence, str]:
    """What an answer other than 2xx means, and the venue's words."""
    code, text = read_error("binance_spot", answer)
    if answer.status >= 500:
        consequence = ERRORS.get(code, VENUE_ERROR)
        return consequence if consequence.outcome is Outcome.UNKNOWN else VENUE_ERROR, text
    return told_by_message(code, text) or ERRORS.get(code) or STATUSES.get(answer.status, UNMAPPED), text


def told_by_message(code: int, text: str) -> Consequence | None:
    """The consequence of a code that means many things, by its words; None: the code itself says it."""
    if code not in _TOLD_BY_MESSAGE:
        return None
    lowered = text.lower()
    return next((consequence for part, consequence in MESSAGES if part in lowered), None)


def require_success(answer: HttpResponse) -> None:
    """Let only 2xx answers to reads pass.

    Raises:
        VenueUnavailable: it is another; the detail begins with our name of the reason.
    """
    if not 200 <= answer.status < 300:
        consequence, text = judge(answer)
        raise VenueUnavailable("binance_spot", worded(consequence, text))
