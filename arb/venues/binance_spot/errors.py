"""What Binance's refusals on the spot market mean.

Owns: the table of documented codes.
Never: decides what happens next; unmapped codes stay unknown, as does every 5xx.
"""

from __future__ import annotations

from typing import Final

from arb.venues.binance_errors import AUTH, BAD_REQUEST, COMMON, judged, read_error
from arb.venues.refusals import VENUE_ERROR, Consequence, Outcome
from arb.venues.spec import HttpResponse

_MALFORMED: Final = (
    *(-1020, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1114, -1115, -1116, -1117, -1118, -1119, -1120),
    *(-1122, -1127, -1128, -1130, -1131, -1134, -1135, -1139, -1145, -1151),
)

ERRORS: Final[dict[int, Consequence]] = {
    **COMMON,
    -1008: Consequence(Outcome.UNKNOWN, "overloaded"),
    **dict.fromkeys(_MALFORMED, BAD_REQUEST),
    -2021: Consequence(Outcome.UNKNOWN, "replace_half_done"),
    -2022: Consequence(Outcome.UNKNOWN, "replace_failed"),
    -2026: Consequence(Outcome.REJECTED, "archived"),
    -1193: AUTH,
    -2028: AUTH,
}
"""Every documented code that an order, a cancel, a query or an account read can meet."""


def judge(answer: HttpResponse) -> tuple[Consequence, str]:
    """What an answer other than 2xx means, and the venue's words."""
    if answer.status >= 500:
        code, text = read_error("binance_spot", answer)
        consequence = ERRORS.get(code, VENUE_ERROR)
        return consequence if consequence.outcome is Outcome.UNKNOWN else VENUE_ERROR, text
    return judged("binance_spot", answer, ERRORS)
