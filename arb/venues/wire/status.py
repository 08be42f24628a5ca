"""The one word on a venue and its instruments, put together from everyone who knows a part.

Owns: the newest part of each, and what was told last; nobody else makes a `VenueStatus`, or an `InstrumentSeen` after
the start.
Never: repeats itself, or decides what a condition forbids.
Units: `_ns` monotonic, `_s` seconds of Trio's clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Never

import attrs
import trio

from arb.domain.errors import ProtocolError, RateLimited, VenueUnavailable
from arb.domain.events import InstrumentSeen, VenueCondition, VenueStatus, WalletState
from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.instrument import Instrument, InstrumentStatus
from arb.ports import Clock, EventSink
from arb.venues.spec import AccountProtocol, Priority, Stamp, StatusSeen
from arb.venues.wire.http import HttpClient
from arb.venues.wire.order_http import OrderHttp
from arb.venues.wire.rate_limit import RateLimiter, RateStatistics

_LOG = logging.getLogger("arb.source")
DOWN_AFTER_S: Final = 3.0
"""A venue to which no order could be sent for so long is down, whatever its streams say."""
PLENTY: Final = 4
"""With so many orders left, or more, the budget limits no entry; every change below is told."""


class VenueStatusBoard:
    """What a venue allows, told whole whenever a part of it changes."""

    def __init__(self, venue: VenueId, clock: Clock, sink: EventSink) -> None:
        self.venue = venue
        self._clock = clock
        self._sink = sink
        self._is_closed = False
        self._closed_reason = ""
        self._silent_until_ns = 0
        self._reached_ns: int | None = None
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._halted_by: dict[InstrumentId, set[str]] = {}
        self._silent_reason = ""
        self._wallets: tuple[WalletState, ...] = ()
        self._free_slots: int | None = None
        self._told = self._whole(0)

    def see_maintenance(self, is_closed: bool, reason: str) -> None:
        """The venue's own word on whether it trades at all."""
        self._is_closed, self._closed_reason = is_closed, reason
        self._tell()

    def see_order_lines(self, is_reachable: bool) -> None:
        """Whether an order could be sent now."""
        if is_reachable or self._reached_ns is None:
            self._reached_ns = self._clock.monotonic_ns()
        self._tell()

    def see_instrument(self, instrument: Instrument, teller: str, seen: StatusSeen) -> None:
        """What one teller (a stream, a list) says of an instrument with these rules; halted where any says so."""
        before = self._instruments.get(instrument.id, instrument)
        halted_by = self._halted_by.setdefault(instrument.id, set())
        (halted_by.discard if seen.is_tradable else halted_by.add)(teller)
        now = attrs.evolve(
            before,
            status=_status(before.status, is_halted=bool(halted_by)),
            cautions=before.cautions if seen.cautions is None else seen.cautions,
        )
        self._instruments[instrument.id] = now
        if now != before:
            self._sink.put_account(InstrumentSeen(at_ns=self._clock.monotonic_ns(), instrument=now))

    def see_wallets(self, wallets: tuple[WalletState, ...]) -> None:
        """All states that matter; an asset left out is unknown."""
        self._wallets = tuple(sorted(wallets, key=lambda wallet: wallet.asset))
        self._tell()

    def see_rate(self, seen: RateStatistics) -> None:
        """The rate budget as it stands: silence in force, and how many orders are left for entries."""
        free = min((bucket.free for bucket in seen.buckets if bucket.is_for_orders), default=PLENTY)
        self._free_slots = free if free < PLENTY else None
        self._silent_until_ns, self._silent_reason = seen.silent_until_ns, seen.reason
        self._tell()

    def _tell(self) -> None:
        now_ns = self._clock.monotonic_ns()
        whole = self._whole(now_ns)
        if attrs.evolve(whole, at_ns=self._told.at_ns) != self._told:
            self._told = whole
            self._sink.put_account(whole)

    def _whole(self, now_ns: int) -> VenueStatus:
        condition, until_ns, reason = VenueCondition.UP, None, ""
        if self._is_closed:
            condition, reason = VenueCondition.MAINTENANCE, self._closed_reason
        elif self._reached_ns is not None and now_ns - self._reached_ns >= DOWN_AFTER_S * 1e9:
            condition, reason = VenueCondition.DOWN, "no connection for orders"
        elif self._silent_until_ns > now_ns:
            condition, until_ns, reason = VenueCondition.RATE_LIMITED, self._silent_until_ns, self._silent_reason
        return VenueStatus(
            at_ns=now_ns,
            venue=self.venue,
            condition=condition,
            until_ns=until_ns,
            reason=reason,
            wallets=self._wallets,
            free_order_slots=self._free_slots,
        )


def _status(before: InstrumentStatus, *, is_halted: bool) -> InstrumentStatus:
    """What is being delisted or takes cancels only stays so."""
    if is_halted:
        return InstrumentStatus.HALTED
    return InstrumentStatus.TRADING if before is InstrumentStatus.HALTED else before


async def watch_rate(board: VenueStatusBoard, limiter: RateLimiter, every_s: float) -> Never:
    """Show the board the rate budget, again and again."""
    while True:
        board.see_rate(limiter.statistics())
        await trio.sleep(every_s)


async def watch_order_lines(board: VenueStatusBoard, wire: OrderHttp, every_s: float) -> Never:
    """Show the board whether orders could be sent, again and again."""
    while True:
        board.see_order_lines(wire.is_reachable)
        await trio.sleep(every_s)


@attrs.frozen(kw_only=True)
class WalletPoll:
    """Who is asked for wallet states, for whom, and how often."""

    protocol: AccountProtocol
    """Of the venue that tells."""
    stamp: Callable[[], Stamp]
    boards: tuple[tuple[VenueStatusBoard, tuple[AssetId, ...]], ...]
    """Venues that it tells for, and the assets that matter there."""
    every_s: float
    unknown_s: float
    """Without an answer for so long, the states are unknown."""


async def poll_wallets(poll: WalletPoll, http: HttpClient, clock: Clock) -> None:
    """Ask at once and then every interval; ends at once where the venue does not tell."""
    answered_ns = clock.monotonic_ns()
    while (request := poll.protocol.wallets_request(poll.stamp())) is not None:
        wait_s = poll.every_s
        try:
            known = poll.protocol.parse_wallets(await http.read(request, Priority.QUERY))
        except (VenueUnavailable, ProtocolError) as error:
            venues = " ".join(board.venue for board, _ in poll.boards)
            _LOG.warning("wallets_unread", extra={"venues": venues, "error": str(error)})
            if isinstance(error, RateLimited):
                wait_s = max(wait_s, error.retry_after_s)
            if clock.monotonic_ns() - answered_ns >= poll.unknown_s * 1e9:
                _show(poll, ())
        else:
            answered_ns = clock.monotonic_ns()
            _show(poll, known)
        await trio.sleep(wait_s)


def _show(poll: WalletPoll, known: tuple[WalletState, ...]) -> None:
    states = {wallet.asset: wallet for wallet in known}
    for board, assets in poll.boards:
        board.see_wallets(
            tuple(states.get(asset, WalletState(asset=asset, deposit=None, withdraw=None)) for asset in assets)
        )
