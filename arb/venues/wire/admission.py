"""What every order request of a venue passes on its way: stamp and signature, its rate token, a place on the wire.

Owns: how many requests are out at once, and a stamp's age.
Never: sends without a token; sends twice.
Units: `_s` seconds of Trio's clock, `_ns` monotonic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from arb.ports import Clock
from arb.venues.spec import HttpRequest, HttpResponse, Priority, Stamp
from arb.venues.wire.order_http import WrittenRequest
from arb.venues.wire.order_parts import OrderWire
from arb.venues.wire.rate_limit import RateLimiter

_IN_FLIGHT: Final = 16
_STAMP_LASTS_NS: Final = 250_000_000
"""What is sent later than this after it was signed is signed anew."""

Build = Callable[[Stamp], HttpRequest]


@attrs.frozen
class Ready:
    """A request signed and written out, and when."""

    written: WrittenRequest
    signed_ns: int


class Admission:
    """The way to the wire of one venue's orders, cancels and queries."""

    def __init__(self, wire: OrderWire, limiter: RateLimiter, clock: Clock, stamp: Callable[[], Stamp]) -> None:
        self._wire = wire
        self._limiter = limiter
        self._clock = clock
        self._stamp = stamp
        self._slots = trio.CapacityLimiter(_IN_FLIGHT)

    def ready(self, build: Build) -> Ready:
        """Sign now and write out; nothing is taken."""
        return Ready(self._wire.written(build(self._stamp())), self._clock.monotonic_ns())

    async def admit(self, build: Build, priority: Priority, waits_s: float, ready: Ready | None = None) -> Ready | None:
        """The request with its rate token taken; None: no token within the wait. Signed anew when its stamp is old."""
        if ready is None or self._clock.monotonic_ns() - ready.signed_ns > _STAMP_LASTS_NS:
            ready = self.ready(build)
        request = ready.written.request
        if self._limiter.take_nowait(request.bucket, request.weight, priority):
            return ready
        with trio.move_on_after(waits_s):
            await self._limiter.take(request.bucket, request.weight, priority)
            return self.ready(build)
        return None

    async def send(self, ready: Ready, client_order_id: str, wait_s: float = float("inf")) -> HttpResponse:
        """Send once, as `OrderWire`; no checkpoint before the bytes leave where there is room.

        Raises:
            TooSlowError: there was no room within `wait_s`; nothing was sent.
        """
        asked_ns = self._clock.monotonic_ns()
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            with trio.fail_after(wait_s):
                await self._slots.acquire()
        try:
            left_s = max(wait_s - (self._clock.monotonic_ns() - asked_ns) / 1e9, 0.0)
            answer = await self._wire.send(ready.written, client_order_id, left_s)
        finally:
            self._slots.release()
        self._limiter.learn(answer)
        return answer

    def no_budget(self) -> str:
        """Why there was no token: the venue's silence with its end, or too many requests of our own."""
        silence = self._limiter.statistics().reason
        return f"rate_budget: {silence}" if silence else "rate_budget"
