"""What Binance's refusals on the USD-M futures market mean.

Owns: the table of documented codes and the four meanings of HTTP 503.
Never: decides what happens next; unmapped codes stay unknown, as does every other 5xx.
"""

from __future__ import annotations

from typing import Final

from arb.venues.binance_errors import (
    AUTH,
    BAD_REQUEST,
    CLOCK,
    COMMON,
    DUPLICATE_ID,
    MAINTENANCE,
    MIN_NOTIONAL,
    OFF_LOT,
    OFF_TICK,
    PRICE_BAND,
    REJECTED,
    TOO_MANY_OPEN,
    WOULD_CROSS,
    judged,
    read_error,
)
from arb.venues.refusals import VENUE_ERROR, Consequence, Outcome
from arb.venues.spec import HttpResponse

_ACCOUNT_MODE: Final = Consequence(Outcome.PERSON_MUST_ACT, "account_mode")
_ALREADY_SO: Final = Consequence(Outcome.REJECTED, "already_so")
_IN_THE_WAY: Final = Consequence(Outcome.PERSON_MUST_ACT, "open_orders_or_position")
_LEVERAGE: Final = Consequence(Outcome.PERSON_MUST_ACT, "leverage")
_MARGIN: Final = Consequence(Outcome.REJECTED, "margin")
_MAX_QTY: Final = Consequence(Outcome.OUR_BUG, "max_qty")
_OVERLOADED: Final = Consequence(Outcome.RETRY_LATER, "overloaded")
_REDUCE_ONLY: Final = Consequence(Outcome.REJECTED, "reduce_only")
_RESTRICTED: Final = Consequence(Outcome.PERSON_MUST_ACT, "restricted")
_UNAVAILABLE: Final = Consequence(Outcome.RETRY_LATER, "unavailable")

_MALFORMED: Final = (
    *(-1020, -1023, -1099, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1109, -1110, -1113, -1114, -1115),
    *(
        -1116,
        -1117,
        -1118,
        -1119,
        -1120,
        -1122,
        -1126,
        -1127,
        -1128,
        -1130,
        -1131,
        -1136,
        -2026,
        -4000,
        -4006,
        -4007,
        -4015,
    ),
    *(-4020, -4021, -4022, -4028, -4031, -4032, -4060, -4062, -4082, -4083, -4084, -4104, -4120, -4135, -4137, -4138),
    *(-4139, -4144, -4165, -5000, -5025, -5037, -5038, -5039, -5040),
)

ERRORS: Final[dict[int, Consequence]] = {
    **COMMON,
    **dict.fromkeys(_MALFORMED, BAD_REQUEST),
    -1008: _OVERLOADED,
    -1011: Consequence(Outcome.PERSON_MUST_ACT, "ip_not_allowed"),
    -2012: Consequence(Outcome.UNKNOWN, "cancel_refused"),
    -2017: AUTH,
    -2018: Consequence(Outcome.REJECTED, "insufficient_balance"),
    -2019: _MARGIN,
    -2020: Consequence(Outcome.REJECTED, "unfillable"),
    -2021: REJECTED,
    -2022: _REDUCE_ONLY,
    -2023: Consequence(Outcome.PERSON_MUST_ACT, "liquidation"),
    -2024: _REDUCE_ONLY,
    -2025: TOO_MANY_OPEN,
    -2027: _LEVERAGE,
    -2028: _LEVERAGE,
    -4001: OFF_TICK,
    -4002: PRICE_BAND,
    -4003: OFF_LOT,
    -4004: OFF_LOT,
    -4005: _MAX_QTY,
    -4013: PRICE_BAND,
    -4014: OFF_TICK,
    -4016: PRICE_BAND,
    -4023: OFF_LOT,
    -4024: PRICE_BAND,
    -4029: OFF_TICK,
    -4030: OFF_LOT,
    -4045: TOO_MANY_OPEN,
    -4046: _ALREADY_SO,
    -4047: _IN_THE_WAY,
    -4048: _IN_THE_WAY,
    -4050: _MARGIN,
    -4051: _MARGIN,
    -4059: _ALREADY_SO,
    -4061: _ACCOUNT_MODE,
    -4067: _IN_THE_WAY,
    -4068: _IN_THE_WAY,
    -4087: _RESTRICTED,
    -4088: _RESTRICTED,
    -4108: MAINTENANCE,
    -4109: _RESTRICTED,
    -4116: DUPLICATE_ID,
    -4118: _REDUCE_ONLY,
    -4131: PRICE_BAND,
    -4140: MAINTENANCE,
    -4141: MAINTENANCE,
    -4161: _LEVERAGE,
    -4164: MIN_NOTIONAL,
    -4167: _ACCOUNT_MODE,
    -4168: _ACCOUNT_MODE,
    -4169: _MARGIN,
    -4170: _IN_THE_WAY,
    -4171: _ALREADY_SO,
    -4183: PRICE_BAND,
    -4184: PRICE_BAND,
    -4192: _RESTRICTED,
    -4202: _LEVERAGE,
    -4203: _LEVERAGE,
    -4205: _LEVERAGE,
    -4206: _LEVERAGE,
    -4208: _LEVERAGE,
    -4209: _LEVERAGE,
    -4400: _RESTRICTED,
    -4401: _RESTRICTED,
    -4402: _RESTRICTED,
    -4403: _LEVERAGE,
    -4531: _ACCOUNT_MODE,
    -5021: Consequence(Outcome.REJECTED, "unfillable"),
    -5022: WOULD_CROSS,
    -5028: CLOCK,
    -5041: Consequence(Outcome.REJECTED, "no_depth"),
}
"""Every documented code that an order, a cancel, a query, an account read or the setup can meet."""

BUSY_TEXTS: Final[tuple[tuple[str, Consequence], ...]] = (
    ("unknown error", VENUE_ERROR),
    ("internal error; unable to process your request", _UNAVAILABLE),
    ("service unavailable", _UNAVAILABLE),
    ("request throttled by system-level protection", _OVERLOADED),
)
"""The four meanings of HTTP 503 by their words: only the first leaves the fate open."""

ALREADY_SO: Final = frozenset(code for code, consequence in ERRORS.items() if consequence is _ALREADY_SO)
"""Codes that say that a setting has the wished value."""


def judge(answer: HttpResponse) -> tuple[Consequence, str]:
    """What an answer other than 2xx means, and the venue's words."""
    if answer.status >= 500:
        code, text = read_error("binance_usdm", answer)
        return _judge_5xx(answer.status, code, text), text
    return judged("binance_usdm", answer, ERRORS)


def _judge_5xx(status: int, code: int, text: str) -> Consequence:
    if status != 503:
        return VENUE_ERROR
    if code == -1008:
        return _OVERLOADED
    lowered = text.lower()
    return next((consequence for part, consequence in BUSY_TEXTS if part in lowered), VENUE_ERROR)
