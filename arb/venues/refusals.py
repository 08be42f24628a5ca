"""What a venue's refusal means for us: one vocabulary for every error table, and its translation to order updates.

Owns: `Outcome`, the order state each outcome gives to a submit, a cancel and a query, and the error a refused read is.
Never: guesses that an order is gone. Only a submit's refusal is definite; a refused cancel says nothing of the order.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Final

import attrs

from arb.domain.effects import Cancel, Query
from arb.domain.errors import CredentialsRefused, VenueUnavailable
from arb.domain.order import OrderRequest, OrderState, OrderUpdate
from arb.venues.spec import HttpResponse


class Outcome(Enum):
    """Consequence of a documented error."""

    REJECTED = "rejected"
    """This call created nothing; conditions of market or account forbid it."""
    UNKNOWN = "unknown"
    """It may have created something, or an earlier identical call may have: query."""
    RETRY_LATER = "retry_later"
    """Not executed; the venue is busy, closed or limits us."""
    OUR_BUG = "our_bug"
    """Not executed; we sent what the rules forbid."""
    PERSON_MUST_ACT = "person_must_act"
    """Not executed; keys, permissions or account settings are wrong."""
    NOT_FOUND = "not_found"
    """The venue knows no such order (it may be too new)."""


@attrs.frozen
class Consequence:
    """An outcome and our name for the reason."""

    outcome: Outcome
    reason: str


UNMAPPED: Final = Consequence(Outcome.UNKNOWN, "unmapped")
VENUE_ERROR: Final = Consequence(Outcome.UNKNOWN, "venue_error")
UNREADABLE: Final = Consequence(Outcome.UNKNOWN, "unreadable")

_SUBMIT_STATE: Final = {
    Outcome.REJECTED: OrderState.REJECTED,
    Outcome.UNKNOWN: OrderState.UNKNOWN,
    Outcome.RETRY_LATER: OrderState.REJECTED,
    Outcome.OUR_BUG: OrderState.REJECTED,
    Outcome.PERSON_MUST_ACT: OrderState.REJECTED,
    Outcome.NOT_FOUND: OrderState.UNKNOWN,
}


def worded(consequence: Consequence, text: str) -> str:
    """Our name, then the venue's words."""
    return f"{consequence.reason}: {text[:200]}" if text else consequence.reason


def submit_refused(request: OrderRequest, consequence: Consequence, text: str, received_ns: int) -> OrderUpdate:
    """What a refused submit means for its order."""
    state = _SUBMIT_STATE[consequence.outcome]
    return OrderUpdate(
        client_order_id=request.client_order_id,
        instrument=request.instrument,
        state=state,
        filled_qty=Decimal(0) if state is OrderState.REJECTED else None,
        reason=worded(consequence, text),
        received_ns=received_ns,
    )


def cancel_refused(cancel: Cancel, consequence: Consequence, text: str, received_ns: int) -> OrderUpdate:
    """A refused cancel: the order may be filled, cancelled, resting or never have existed."""
    return OrderUpdate(
        client_order_id=cancel.client_order_id,
        instrument=cancel.instrument,
        state=OrderState.UNKNOWN,
        filled_qty=None,
        venue_order_id=cancel.venue_order_id,
        reason=worded(consequence, text),
        received_ns=received_ns,
    )


def query_refused(query: Query, consequence: Consequence, text: str, received_ns: int) -> OrderUpdate:
    """A refused query: not found, or nothing learned."""
    is_absent = consequence.outcome is Outcome.NOT_FOUND
    return OrderUpdate(
        client_order_id=query.client_order_id,
        instrument=query.instrument,
        state=OrderState.NOT_FOUND if is_absent else OrderState.UNKNOWN,
        filled_qty=None,
        venue_order_id=query.venue_order_id,
        reason=worded(consequence, text),
        received_ns=received_ns,
    )


Judge = Callable[[HttpResponse], tuple[Consequence, str]]
"""What an answer other than a success means at a venue, and the venue's words."""

_KEY_REASONS: Final = frozenset(("auth", "signature", "ip_not_allowed"))


def require_success(venue: str, judge: Judge, answer: HttpResponse) -> None:
    """Let only 2xx answers to reads pass.

    Raises:
        CredentialsRefused: the key is not accepted.
        VenueUnavailable: it is another; the detail begins with our name of the reason.
    """
    if 200 <= answer.status < 300:
        return
    consequence, text = judge(answer)
    raise (CredentialsRefused if refuses_key(judge, answer) else VenueUnavailable)(venue, worded(consequence, text))


def refuses_key(judge: Judge, answer: HttpResponse) -> bool:
    """Whether the answer says that our key is not (or no longer) accepted."""
    return not 200 <= answer.status < 300 and judge(answer)[0].reason in _KEY_REASONS
