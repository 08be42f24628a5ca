"""What Upbit's refusals mean.

Owns: the table of documented error names and the reading of an error body.
Never: decides what happens next; unmapped names stay unknown, as does every 5xx.

`{"error":{"name":"insufficient_funds_bid","message":"…"}}`; quotation errors carry a number as name.
"""

from __future__ import annotations

from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.venues.answers import decoded, shown
from arb.venues.refusals import UNMAPPED, VENUE_ERROR, Consequence, Outcome
from arb.venues.spec import HttpResponse

_AUTH: Final = Consequence(Outcome.PERSON_MUST_ACT, "auth")
_BAD_REQUEST: Final = Consequence(Outcome.OUR_BUG, "bad_request")
_RATE: Final = Consequence(Outcome.RETRY_LATER, "rate")
_NOT_FOUND: Final = Consequence(Outcome.NOT_FOUND, "not_found")

ERRORS: Final[dict[str, Consequence]] = {
    "insufficient_funds_bid": Consequence(Outcome.REJECTED, "insufficient_balance"),
    "insufficient_funds_ask": Consequence(Outcome.REJECTED, "insufficient_balance"),
    "under_min_total_bid": Consequence(Outcome.OUR_BUG, "min_notional"),
    "under_min_total_ask": Consequence(Outcome.OUR_BUG, "min_notional"),
    "over_krw_funds_bid": Consequence(Outcome.OUR_BUG, "max_notional"),
    "over_krw_funds_ask": Consequence(Outcome.OUR_BUG, "max_notional"),
    "volume_too_large": Consequence(Outcome.REJECTED, "max_qty"),
    "invalid_funds": _BAD_REQUEST,
    "invalid_price_bid": Consequence(Outcome.OUR_BUG, "off_tick"),
    "invalid_price_ask": Consequence(Outcome.OUR_BUG, "off_tick"),
    "create_bid_error": _BAD_REQUEST,
    "create_ask_error": _BAD_REQUEST,
    "validation_error": _BAD_REQUEST,
    "invalid_parameter": _BAD_REQUEST,
    "invalid_time_in_force": _BAD_REQUEST,
    "invalid_post_only": _BAD_REQUEST,
    "notfoundmarket": Consequence(Outcome.OUR_BUG, "bad_symbol"),
    "duplicated_identifier": Consequence(Outcome.UNKNOWN, "duplicate_id"),
    "market_offline": Consequence(Outcome.RETRY_LATER, "maintenance"),
    "out_of_scope": Consequence(Outcome.PERSON_MUST_ACT, "permission"),
    "thirdparty_agreement_required": Consequence(Outcome.PERSON_MUST_ACT, "permission"),
    "invalid_access_key": _AUTH,
    "expired_access_key": _AUTH,
    "jwt_verification": _AUTH,
    "no_authorization_token": _AUTH,
    "no_authorization_ip": Consequence(Outcome.PERSON_MUST_ACT, "ip_not_allowed"),
    "invalid_query_payload": Consequence(Outcome.OUR_BUG, "signature"),
    "nonce_used": Consequence(Outcome.RETRY_LATER, "nonce_used"),
    "order_not_found": _NOT_FOUND,
    "too_many_requests": _RATE,
}
"""Every name the venue documents for orders, cancels and queries."""

STATUSES: Final[dict[int, Consequence]] = {
    401: _AUTH,
    418: Consequence(Outcome.RETRY_LATER, "ban"),
    429: _RATE,
}
"""For answers whose name is missing or not ours."""


class UpbitRefusalDetail(msgspec.Struct):
    """Name and words."""

    name: str | int
    message: str | None = None


class UpbitRefusal(msgspec.Struct):
    """The envelope."""

    error: UpbitRefusalDetail


_BODY: Final = msgspec.json.Decoder(UpbitRefusal)


def judge(answer: HttpResponse) -> tuple[Consequence, str]:
    """What an answer other than 2xx means, and the venue's words."""
    try:
        detail = decoded("upbit", answer.body, _BODY).error
        name, text = str(detail.name), f"{detail.name} {detail.message or ''}".rstrip()
    except ProtocolError:
        name, text = "", f"HTTP {answer.status} {shown(answer.body)}".rstrip()
    if answer.status >= 500:
        return VENUE_ERROR, text
    return ERRORS.get(name) or STATUSES.get(answer.status, UNMAPPED), text
