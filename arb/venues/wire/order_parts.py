"""What the orders of a venue are made of.

Owns: the shape of those parts; `orders.py` puts them to work.
Units: `_s` seconds of Trio's clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs

from arb.domain.ids import InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.ports import Clock, EventSink
from arb.venues.spec import HttpRequest, HttpResponse, OrderCodec, Stamp
from arb.venues.wire.order_http import WrittenRequest
from arb.venues.wire.rate_limit import RateLimiter


class OrderWire(Protocol):
    """Carries one signed request (`OrderHttp`)."""

    def written(self, request: HttpRequest) -> WrittenRequest:
        """The bytes of a request."""

    async def send(self, written: WrittenRequest, client_order_id: str) -> HttpResponse:
        """Send once.

        Raises:
            VenueUnavailable: nothing was sent.
            OrderUnknown: it may have been sent and there is no answer.
        """


@attrs.frozen(kw_only=True)
class OrderWaits:
    """How long a request may wait for its rate token before we give it up, unsent."""

    entry_s: float = 0.1
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
