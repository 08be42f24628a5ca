"""The venue's own dead-man timers: while our orders are open it is told to cancel them should we fall silent.

Owns: which timers run, and when each was last set.
Never: cancels an order itself, or fails: a timer that could not be set is logged, counted and tried again.
Units: `_ms` milliseconds, `_s` seconds of Trio's clock, `_ns` monotonic.

A timer cancels every order of its instrument, whoever placed it. It is set back when none of ours is left.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Never

import trio

from arb.domain.errors import OrderUnknown, VenueUnavailable
from arb.domain.ids import InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.ports import Clock
from arb.venues.answers import shown
from arb.venues.spec import HttpRequest, HttpResponse, OrderCodec, Stamp

_LOG = logging.getLogger("arb.orders")
COUNTDOWN_MS: Final = 30_000
"""Silence after which the venue cancels."""
REFRESH_S: Final = 10.0
"""Between two settings of a running timer: several may fail before it fires."""
RETRY_S: Final = 3.0
"""After a setting that failed."""
CHECK_S: Final = 1.0
"""Between two looks at what is open; an order that ends sooner sets no timer."""

_OK: Final = 200

Ask = Callable[[Callable[[Stamp], HttpRequest]], Awaitable[HttpResponse | None]]
"""Sends a request made for a stamp; None: the rate budget did not allow it in time."""


class _Timer(NamedTuple):
    """What was last asked of the venue for one instrument, and when to ask again."""

    is_wanted: bool
    due_ns: int


class DeadManTimers:
    """The timers of one venue."""

    def __init__(
        self,
        venue: VenueId,
        codec: OrderCodec,
        clock: Clock,
        instruments: tuple[Instrument, ...],
        open_instruments: Callable[[], frozenset[InstrumentId]],
        ask: Ask,
    ) -> None:
        self._venue = venue
        self._codec = codec
        self._clock = clock
        self._instruments = instruments
        self._open_instruments = open_instruments
        self._ask = ask
        self._timers: dict[InstrumentId, _Timer] = {}
        self._failed: set[InstrumentId] = set()
        self._turning = trio.StrictFIFOLock()
        self.failures = 0
        """Settings that did not reach the venue, since the start."""

    @property
    def running(self) -> frozenset[InstrumentId]:
        """Instruments whose timer may run."""
        return frozenset(self._timers)

    async def keep(self) -> Never:
        """Set, refresh and set back until cancelled."""
        while True:
            await self.turn()
            await trio.sleep(CHECK_S)

    async def turn(self) -> None:
        """Look once at what is open, and set what has to be set."""
        async with self._turning:
            is_open = self._open_instruments()
            for instrument in self._instruments:
                is_wanted, timer = instrument.id in is_open, self._timers.get(instrument.id)
                is_due = timer is None or timer.is_wanted is not is_wanted or self._clock.monotonic_ns() >= timer.due_ns
                if is_due and (is_wanted or timer is not None):
                    await self._set(instrument, is_wanted)

    async def _set(self, instrument: Instrument, is_wanted: bool) -> None:
        begun_ns = self._clock.monotonic_ns()
        # Noted first: a setting whose answer is lost may have reached the venue.
        self._timers[instrument.id] = _Timer(is_wanted, begun_ns + round(RETRY_S * 1e9))
        problem = await self._problem(instrument, COUNTDOWN_MS if is_wanted else 0)
        if problem is not None:
            self._tell_failure(instrument.id, problem)
            return
        self._failed.discard(instrument.id)
        if is_wanted:
            self._timers[instrument.id] = _Timer(is_wanted, begun_ns + round(REFRESH_S * 1e9))
        else:
            del self._timers[instrument.id]

    async def _problem(self, instrument: Instrument, countdown_ms: int) -> str | None:
        """None: the venue has set it."""
        try:
            answer = await self._ask(lambda stamp: self._request(instrument, countdown_ms, stamp))
        except (VenueUnavailable, OrderUnknown) as error:
            return str(error)
        if answer is None:
            return "no rate budget"
        return None if answer.status == _OK else f"HTTP {answer.status} {shown(answer.body)}"

    def _request(self, instrument: Instrument, countdown_ms: int, stamp: Stamp) -> HttpRequest:
        request = self._codec.dead_man_request(instrument, countdown_ms, stamp)
        assert request is not None
        return request

    def _tell_failure(self, instrument: InstrumentId, error: str) -> None:
        self.failures += 1
        if instrument not in self._failed:
            self._failed.add(instrument)
            extra = {"venue": self._venue, "instrument": instrument, "error": error}
            _LOG.warning("dead_man_not_set", extra=extra)


def open_dead_man(
    venue: VenueId,
    codec: OrderCodec,
    clock: Clock,
    instruments: tuple[Instrument, ...],
    open_instruments: Callable[[], frozenset[InstrumentId]],
    ask: Ask,
) -> DeadManTimers | None:
    """The timers of a venue; None: it has none for what is traded. `open_instruments`: where an order of ours may be
    open."""
    nothing = Stamp(wall_ms=0, nonce="")
    timed = tuple(one for one in instruments if codec.dead_man_request(one, 0, nothing) is not None)
    return DeadManTimers(venue, codec, clock, timed, open_instruments, ask) if timed else None
