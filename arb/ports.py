"""What the edges implement and the shell is given: protocols, and the values that pass through them.

Owns: the shape of every seam between the core's drivers and the world; what an order must show before it leaves.
Never: imports an implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, final

import attrs
import trio

from arb.domain.effects import Cancel, Effect, Query, QueryAccount, Record
from arb.domain.errors import InvariantBroken
from arb.domain.events import DepthSeen, Event
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.order import ApprovedOrder

T = TypeVar("T")


class Clock(Protocol):
    """The one clock with two readings."""

    def monotonic_ns(self) -> int:
        """For ages, latencies and order; virtual under a mock clock."""

    def wall_ns(self) -> int:
        """UTC: the last anchor plus monotonic time since."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where a stream goes."""

    host: str
    port: int
    is_tls: bool


class Dialer(Protocol):
    """Opens byte streams: sockets in production, in-memory pairs in simulations."""

    async def __call__(self, endpoint: Endpoint) -> trio.abc.Stream:
        """Connect (TLS included). The caller sets the deadline.

        Raises:
            OSError: nothing answers there.
        """


class EventSink(Protocol):
    """The inbox as the edges see it: three ways in, none of which waits."""

    def put_depth(self, instrument: InstrumentId, take: Callable[[], DepthSeen | None]) -> None:
        """Market lane, latest wins per instrument: `take` is called when the decision loop is ready for it."""

    def put_latest(self, key: str, event: Event) -> None:
        """Market lane for other conflatable events (FeedSeen, FundingRateSeen, FxSeen …): latest wins per key."""

    def put_account(self, event: Event) -> None:
        """Account lane: lossless, bounded, served first.

        Raises:
            InvariantBroken: the lane is full; the engine no longer keeps up with its own account.
        """


@attrs.frozen(kw_only=True)
class Trade:
    """A public trade; for the recorder and the display, not for the core."""

    instrument: InstrumentId
    price: str
    qty: str
    is_buy: bool
    """Taker bought."""
    trade_id: str
    venue_ns: int
    received_ns: int


class MarketTap(Protocol):
    """Receives what the core does not: trades, tickers, raw counters. Never waits."""

    def trade(self, trade: Trade) -> None:
        """A public trade."""

    def frame(self, feed: FeedId, received_ns: int, venue_ns: int | None) -> None:
        """A frame arrived; for latency histograms and connection gauges."""

    def fault(self, feed: FeedId, raw: bytes, detail: str) -> None:
        """A frame that could not be understood; counted and kept, bounded."""


@attrs.frozen
class Synced:
    """The journal's word that every step up to `seq` is on disk; only `storage/journal.py` gives it."""

    seq: int


@final
class HeldOrder:
    """An order made ready at its gateway, of which nothing has left. It is released once, or withdrawn once."""

    __slots__ = ("_drop", "_go", "_is_decided", "order", "seq")

    def __init__(
        self,
        order: ApprovedOrder,
        seq: int,
        *,
        go: Callable[[Synced], object],
        drop: Callable[[], object] | None = None,
    ) -> None:
        self.order = order
        self.seq = seq
        """The step that caused it."""
        self._go = go
        self._drop = drop
        self._is_decided = False

    def release(self, word: Synced) -> None:
        """Let it go.

        Raises:
            InvariantBroken: its step is not on disk, or its fate was decided before.
        """
        if word.seq < self.seq:
            detail = f"the journal is on disk up to step {word.seq}, not up to its step {self.seq}"
            raise InvariantBroken(f"order {self.order.request.client_order_id}: {detail}")
        self._decide()
        self._go(word)

    def withdraw(self) -> ApprovedOrder:
        """See that it never leaves.

        Raises:
            InvariantBroken: its fate was decided before.
        """
        self._decide()
        if self._drop is not None:
            self._drop()
        return self.order

    def _decide(self) -> None:
        if self._is_decided:
            raise InvariantBroken(f"order {self.order.request.client_order_id} is released or withdrawn a second time")
        self._is_decided = True


class OrderGateway(Protocol):
    """Takes orders of one venue and answers by events only."""

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        """Make an order of step `seq` ready; it leaves when it is released. Never waits."""

    def cancel_nowait(self, cancel: Cancel) -> None:
        """Queue a cancel."""

    def query_nowait(self, query: Query) -> None:
        """Queue a query; it is asked at `not_before_ns`."""

    def query_account_nowait(self, query: QueryAccount) -> None:
        """Queue a re-read of balances and positions."""


class Journal(Protocol):
    """The append-only record of consumed events and their effects."""

    def append(self, event: Event) -> None:
        """Buffer a consumed event; opens a step.

        Raises:
            JournalFull: buffer or disk cannot take it.
        """

    def append_effects(self, effects: tuple[Effect, ...]) -> int:
        """Close the step; returns its sequence number."""

    def sync_soon(self) -> None:
        """Begin to write now what somebody is about to wait for."""

    async def synced(self, seq: int) -> Synced:
        """Wait until everything up to `seq` is on disk.

        Raises:
            JournalFull: it never will be.
        """

    @property
    def synced_seq(self) -> int:
        """Highest sequence known to be on disk."""

    def wants_segment(self, now_ns: int) -> bool:
        """Whether a new segment should begin before the next event."""

    def begin_segment(self, snapshot: bytes, *, wall_ns: int, monotonic_ns: int) -> object:
        """Begin a file with the engine's state before the next step."""


class Store(Protocol):
    """Tables for later."""

    def put(self, record: Record, seq: int) -> None:
        """Queue a row revision; too many waiting rows halt trading, never the caller."""

    async def flush(self) -> None:
        """Wait until everything queued is written."""


class AlertSink(Protocol):
    """Tells people."""

    def alert(self, key: str, severity: str, text: str, fields: Mapping[str, object]) -> None:
        """Deduplicated and rate-limited; never waits."""


class ThreadRunner(Protocol):
    """Runs a blocking function elsewhere; inline in simulations."""

    async def __call__(self, function: Callable[[], T], /) -> T:
        """Return what the function returns; not abandoned on cancellation unless it only reads."""
