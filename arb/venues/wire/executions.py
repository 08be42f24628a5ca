"""Executions as a venue lists them: what happened while the private stream was away, and what nobody of ours ordered.

Owns: from when on they are asked for, and which of them this process has told already.
Never: judges whose an execution is, or tells one twice.
Units: `_ms` UTC milliseconds of the venue.

Every reading begins `_OVERLAP_MS` before the last one did: lists lag behind executions.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Query
from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.domain.ids import VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import Fill, OrderUpdate
from arb.ports import Clock
from arb.venues.spec import AccountProtocol, ExecutionsSeen, OrderCodec, Priority, Stamp
from arb.venues.wire.http import HttpClient

_OVERLAP_MS: Final = 60_000
_REMEMBERED: Final = 20_000
_MOST_PAGES: Final = 1_000


@attrs.frozen(kw_only=True)
class ExecutionParts:
    """What readings of executions are made of."""

    venue: VenueId
    instruments: tuple[Instrument, ...]
    codec: OrderCodec
    http: HttpClient
    clock: Clock
    stamp: Callable[[], Stamp]
    booked_qty: Callable[[OrderUpdate], Decimal]
    """How much of an order the core has booked: what it knows whole is not asked for."""


class ExecutionReadings:
    """Readings of one venue."""

    def __init__(self, parts: ExecutionParts, since_ms: int) -> None:
        self._parts = parts
        self._since_ms = since_ms
        self._told: dict[str, None] = {}
        self._asked: dict[str, Decimal | None] = {}

    def told(self, fill: Fill) -> None:
        """An execution was told; the stream calls this too."""
        self._told[_name(fill)] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    async def read(self, protocol: AccountProtocol) -> list[Fill]:
        """Every execution since the last reading that this process has not told, oldest first.

        Raises:
            VenueUnavailable: no answer, or none that can be understood.
        """
        now_ms, since_ms, found = self._parts.stamp().wall_ms, self._since_ms, list[Fill]()
        for _ in range(_MOST_PAGES):
            until_ms = since_ms + protocol.executions_window_ms
            page = await self._page(protocol, since_ms, until_ms if until_ms < now_ms else None)
            found += page.fills
            for order in page.orders:
                found += await self._of_order(order)
            if page.more_from_ms is not None:
                since_ms = max(page.more_from_ms, since_ms + 1)
            elif until_ms < now_ms:
                since_ms = until_ms
            else:
                self._since_ms = max(self._since_ms, now_ms - _OVERLAP_MS)
                return self._untold(found)
        raise VenueUnavailable(self._parts.venue, f"executions do not end after {_MOST_PAGES} pages")

    async def _page(self, protocol: AccountProtocol, since_ms: int, until_ms: int | None) -> ExecutionsSeen:
        parts = self._parts
        stamps = tuple(parts.stamp() for _ in range(protocol.executions_count(parts.instruments)))
        requests = protocol.executions_requests(parts.instruments, since_ms, until_ms, stamps)
        answers = [await parts.http.read(request, Priority.QUERY) for request in requests]
        try:
            return protocol.parse_executions(parts.instruments, tuple(answers), parts.clock.monotonic_ns())
        except ProtocolError as error:
            raise VenueUnavailable(parts.venue, f"executions not understood: {error.detail}") from error

    async def _of_order(self, order: OrderUpdate) -> list[Fill]:
        """The executions that only an answer about the order itself lists, unless it is known whole."""
        parts, key = self._parts, f"{order.instrument}|{order.venue_order_id}"
        if self._asked.get(key) == order.filled_qty or parts.booked_qty(order) >= (order.filled_qty or 0):
            return []
        query = Query(
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            instrument=order.instrument,
            not_before_ns=0,
        )
        answer = await parts.http.read(parts.codec.query(query, parts.stamp()), Priority.QUERY)
        facts = parts.codec.parse_query(query, answer, parts.clock.monotonic_ns())
        fills = [fact for fact in facts if isinstance(fact, Fill)]
        if sum((fill.qty for fill in fills), Decimal(0)) >= (order.filled_qty or 0):
            self._asked[key] = order.filled_qty
            if len(self._asked) > _REMEMBERED:
                del self._asked[next(iter(self._asked))]
        return fills

    def _untold(self, found: list[Fill]) -> list[Fill]:
        fresh = {_name(fill): fill for fill in found if _name(fill) not in self._told}
        for fill in fresh.values():
            self.told(fill)
        return list(fresh.values())


def _name(fill: Fill) -> str:
    return f"{fill.instrument}|{fill.trade_id}"
