"""What the orders of a venue are made of.

Owns: the shape of those parts; `orders.py` puts them to work.
Units: `_s` seconds of Trio's clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs
import trio

from arb.domain.ids import InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder
from arb.ports import Clock, EventSink
from arb.venues.spec import HttpRequest, HttpResponse, OrderCodec, Stamp
from arb.venues.wire.order_http import WrittenRequest
from arb.venues.wire.rate_limit import RateLimiter


class OrderWire(Protocol):
    """Carries one signed request (`OrderHttp`)."""

    def written(self, request: HttpRequest) -> WrittenRequest:
        """The bytes of a request."""

    async def send(self, written: WrittenRequest, client_order_id: str, wait_s: float) -> HttpResponse:
        """Send once; wait at most `wait_s` for a connection.

        Raises:
            VenueUnavailable: nothing was sent.
            OrderUnknown: it may have been sent and there is no answer.
        """


@attrs.frozen(kw_only=True)
class OrderWaits:
    """How long a request may wait for its rate token before we give it up, unsent."""

    entry_s: float = 0.1
    entry_age_s: float = 1.0
    """An entry that would leave later than this after its approval does not: what it was decided on is gone."""
    other_submit_s: float = 2.0
    cancel_s: float = 30.0
    query_s: float = 30.0


@attrs.frozen(kw_only=True)
class OrderParts:
    """What the orders of a venue are made of."""

    venue: VenueId
    codec: OrderCodec
    instruments: Mapping[InstrumentId, Instrument]
    wire: OrderWire
    limiter: RateLimiter
    sink: EventSink
    clock: Clock
    stamp: Callable[[], Stamp]
    """A fresh stamp: venue time and nonce."""
    read_account: Callable[[str], Awaitable[None]]
    """Re-reads balances and positions; the reason is logged."""
    waits: OrderWaits = attrs.field(factory=OrderWaits)


class ParkedSubmit:
    """A submit whose task stands before the wire until its fate is decided."""

    def __init__(self, order: ApprovedOrder) -> None:
        self.order = order
        self._is_released = False
        self._decided = trio.Event()

    def decide(self, *, is_released: bool) -> None:
        """Once: it leaves, or it never does."""
        self._is_released = is_released
        self._decided.set()

    async def is_released(self) -> bool:
        """Wait until it is decided; no checkpoint when it has been."""
        if not self._decided.is_set():
            await self._decided.wait()
        return self._is_released
