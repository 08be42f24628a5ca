"""Public reads of a venue besides its books: rules of instruments, its clock, funding, bank rates.

Owns: the pace of the periodic ones.
Never: decides what a stale answer means.
Units: `_s` seconds of Trio's clock, offsets in milliseconds (venue minus ours).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Never

import attrs
import trio

from arb.domain.errors import ProtocolError, RateLimited, VenueUnavailable
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.instrument import Instrument
from arb.ports import Clock, EventSink
from arb.venues.spec import MarketSpec, Priority, StatusSeen
from arb.venues.wire.http import HttpClient
from arb.venues.wire.status import VenueStatusBoard

log = logging.getLogger("arb.source")
OFFSET_SAMPLES: Final = 3
OFFSET_EVERY_S: Final = 600.0


async def load_instruments(market: MarketSpec, http: HttpClient, symbols: tuple[str, ...]) -> tuple[Instrument, ...]:
    """The rules of the symbols, in their order.

    Raises:
        ConfigError: a symbol does not exist there.
        ProtocolError: the answer cannot be understood.
        VenueUnavailable: no answer.
    """
    answers = [await http.read(request, Priority.QUERY) for request in market.instruments_requests(symbols)]
    return market.parse_instruments(symbols, tuple(answers))


async def measure_offset_ms(market: MarketSpec, http: HttpClient, clock: Clock) -> int | None:
    """The venue's clock minus ours, from the quickest of a few answers; None: the venue tells no time to the
    millisecond.

    Raises:
        ProtocolError: the answer cannot be understood.
        VenueUnavailable: no answer.
    """
    request = market.time_request()
    if request is None:
        return None
    best: tuple[int, int] | None = None
    for _ in range(OFFSET_SAMPLES):
        timed = await http.read_timed(request, Priority.QUERY)
        middle_ns = (timed.sent_ns + timed.received_ns) // 2
        wall_ms = (middle_ns + clock.wall_ns() - clock.monotonic_ns()) // 1_000_000
        sample = (timed.received_ns - timed.sent_ns, market.parse_time(timed.answer) - wall_ms)
        best = sample if best is None or sample[0] < best[0] else best
    assert best is not None
    return best[1]


class VenueOffset:
    """The newest measured offset of one venue's clock; 0 until it is known."""

    def __init__(self) -> None:
        self.offset_ms = 0
        self._wanted = trio.Event()

    def measure_again(self) -> None:
        """Our own clock has jumped: do not wait for the next round."""
        self._wanted.set()

    async def keep(self, market: MarketSpec, http: HttpClient, clock: Clock) -> Never:
        """Measure every ten minutes and whenever asked; a venue that does not answer is asked again at the next
        round."""
        while True:
            with trio.move_on_after(OFFSET_EVERY_S):
                await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                self.offset_ms = await measure_offset_ms(market, http, clock) or 0
            except (VenueUnavailable, ProtocolError) as error:
                log.warning("offset_unknown", extra={"error": str(error)})


@attrs.frozen(kw_only=True)
class StatusPoll:
    """What is polled, and how often."""

    market: MarketSpec
    symbols: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    interval_s: float
    latest_key: str
    """Prefix of the keys under which the answers wait in the inbox."""
    board: VenueStatusBoard | None = None
    """Told of the state of venue and instruments; None: nothing is traded there."""


async def poll_status(
    poll: StatusPoll, http: HttpClient, clock: Clock, sink: EventSink, on_answer: Callable[[bool], None]
) -> Never:
    """Ask at once and then every interval; failures are told and asked again, never faster than the venue allows."""
    while True:
        wait_s = poll.interval_s
        try:
            await read_status(poll, http, clock, sink)
            on_answer(True)
        except RateLimited as error:
            wait_s = max(wait_s, error.retry_after_s)
            on_answer(False)
        except (VenueUnavailable, ProtocolError) as error:
            log.warning("status_unknown", extra={"key": poll.latest_key, "error": str(error)})
            on_answer(False)
        await trio.sleep(wait_s)


async def read_status(poll: StatusPoll, http: HttpClient, clock: Clock, sink: EventSink) -> None:
    """One round: funding and bank rates go to the inbox, the state of venue and instruments to the board."""
    requests = poll.market.status_requests(poll.symbols)
    answers = tuple([await http.read(request, Priority.QUERY) for request in requests])
    for found in poll.market.parse_status(poll.symbols, answers, clock.monotonic_ns()):
        match found:
            case FundingRateSeen():
                sink.put_latest(f"{poll.latest_key}/past/{found.instrument}", found)
            case FxSeen():
                sink.put_latest(poll.latest_key, found)
            case StatusSeen():
                _tell(found, poll)


def _tell(status: StatusSeen, poll: StatusPoll) -> None:
    if poll.board is None:
        return
    if status.instrument is None:
        poll.board.see_maintenance(not status.is_tradable, status.detail)
    elif (instrument := next((one for one in poll.instruments if one.id == status.instrument), None)) is not None:
        poll.board.see_instrument(instrument, "list", status)
