"""How every venue's answers to orders become facts: what was said, or what not being told means.

Owns: the way from an answer to facts or a refusal, the same for submits, cancels and queries.
Never: knows a venue's words; each brings its own `judge` and `facts`.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from arb.domain.effects import Cancel, Query
from arb.domain.errors import ProtocolError
from arb.domain.ids import ClientOrderId, InstrumentId
from arb.domain.order import Fill, OrderRequest, OrderUpdate
from arb.venues.refusals import UNREADABLE, Consequence, cancel_refused, query_refused, submit_refused
from arb.venues.spec import HttpResponse

Facts = tuple[OrderUpdate | Fill, ...]
Refuse = Callable[[Consequence, str], OrderUpdate]

_SUCCESS = (200, 201)


@attrs.frozen
class OrderAnswers:
    """Answers of one venue."""

    judge: Callable[[HttpResponse], tuple[Consequence, str]]
    """What an answer other than a success means, and the venue's words."""
    facts: Callable[[HttpResponse, InstrumentId, ClientOrderId, int], Facts]
    """What a success says of the order that was asked about; raises `ProtocolError` when it is about something else."""

    def to_submit(self, request: OrderRequest, answer: HttpResponse, received_ns: int) -> Facts:
        """What became of an order that was sent."""
        return self._read(
            request, answer, received_ns, lambda why, text: submit_refused(request, why, text, received_ns)
        )

    def to_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> Facts:
        """What became of an order that was to be cancelled."""
        return self._read(cancel, answer, received_ns, lambda why, text: cancel_refused(cancel, why, text, received_ns))

    def to_query(self, query: Query, answer: HttpResponse, received_ns: int) -> Facts:
        """What is known of an order."""
        return self._read(query, answer, received_ns, lambda why, text: query_refused(query, why, text, received_ns))

    def _read(
        self, asked: OrderRequest | Cancel | Query, answer: HttpResponse, received_ns: int, refuse: Refuse
    ) -> Facts:
        if answer.status not in _SUCCESS:
            return (refuse(*self.judge(answer)),)
        try:
            return self.facts(answer, asked.instrument, asked.client_order_id, received_ns)
        except ProtocolError as error:
            return (refuse(UNREADABLE, error.detail),)
