"""Which way each book of one connection comes now (ws, rest or none), and what the core is told of it.

Owns: the source of every book, the liveness of the connection and its measured one-way latency.
Never: waits, or touches a book.
Units: `_ns` monotonic.

Invariant: every change of source is one `FeedUp` or `FeedDown`, and nothing else is
(`test_every_change_of_source_is_told_once`).
"""

from __future__ import annotations

import logging
from collections import deque
from enum import Enum
from typing import Final

import trio

from arb.domain.depth import Depth
from arb.domain.events import FeedDown, FeedSeen, FeedUp
from arb.domain.ids import FeedId, InstrumentId
from arb.ports import Clock, EventSink, MarketTap

_LOG = logging.getLogger("arb.source")
_SEEN_EVERY_NS: Final = 50_000_000
_SAMPLES: Final = 256
_LOW_RANK: Final = 20
"""The latency told is the sample at 1/20 of the sorted ring: a low quantile, robust against one lucky frame."""


class BookSource(Enum):
    """Where a book's newest image comes from."""

    NONE = "none"
    WS = "ws"
    REST = "rest"


class FeedState:
    """The sources of one connection's books."""

    def __init__(
        self,
        feed: FeedId,
        instruments: tuple[InstrumentId, ...],
        *,
        silent_after_ms: int,
        clock: Clock,
        sink: EventSink,
        tap: MarketTap,
    ) -> None:
        self.feed = feed
        self.instruments = instruments
        self.changed = trio.Event()
        """Set, and renewed, when a poll may be due earlier than known."""
        self._silent_ns = silent_after_ms * 1_000_000
        self._clock = clock
        self._sink = sink
        self._tap = tap
        self._sources = dict.fromkeys(instruments, BookSource.NONE)
        now_ns = clock.monotonic_ns()
        self._lost_since_ns = dict.fromkeys(instruments, now_ns)
        self._is_connected = False
        self._has_failed = False
        self._last_frame_ns = now_ns
        self._last_book_ns = now_ns
        self._told_seen_ns = now_ns - _SEEN_EVERY_NS
        self._latencies_ns: deque[int] = deque(maxlen=_SAMPLES)

    def source_of(self, instrument: InstrumentId) -> BookSource:
        """Where the book's newest image comes from."""
        return self._sources[instrument]

    def stream_up(self) -> None:
        """The handshake is done; books follow."""
        now_ns = self._clock.monotonic_ns()
        self._is_connected = True
        self._last_frame_ns = self._last_book_ns = now_ns
        self._lost_since_ns = dict.fromkeys(self.instruments, now_ns)

    def stream_down(self, reason: str, *, is_final: bool = False) -> None:
        """The connection is gone, or is not coming; REST takes over at once."""
        self._is_connected = False
        self._has_failed = True
        gone = tuple(name for name, source in self._sources.items() if source is BookSource.WS or is_final)
        for name in gone:
            self._lose(name)
        if gone:
            self._tell_down(gone, reason, is_final=is_final)
        self._wake()

    def stream_renewed(self, reason: str) -> None:
        """A planned end: the next connection is given the time that silence is given before REST takes over."""
        self.stream_down(reason)
        self._has_failed = False
        self._last_frame_ns = self._last_book_ns = self._clock.monotonic_ns()

    def heard(self, received_ns: int) -> None:
        """A batch of frames arrived, of whatever kind."""
        self._last_frame_ns = received_ns
        self._tap.frame(self.feed, received_ns, None)
        if received_ns - self._told_seen_ns >= _SEEN_EVERY_NS:
            self._tell_seen(received_ns)

    def book_changed(self, instrument: InstrumentId, received_ns: int) -> None:
        """A synchronised image came over the stream: only that breaks its silence, a pong does not."""
        self._last_book_ns = received_ns
        if self._sources[instrument] is not BookSource.WS:
            self._rise(instrument, BookSource.WS)

    def book_lost(self, instrument: InstrumentId, reason: str) -> None:
        """The stream's book must not be used until it changes again."""
        if self._sources[instrument] is BookSource.WS:
            self._lose(instrument)
            self._tell_down((instrument,), reason)
            self._wake()

    def rest_image(self, depth: Depth) -> bool:
        """An image came over REST; False: the stream was faster, drop it."""
        if self._sources[depth.instrument] is BookSource.WS:
            return False
        if self._sources[depth.instrument] is BookSource.NONE:
            self._rise(depth.instrument, BookSource.REST)
        return True

    def rest_failed(self, instrument: InstrumentId, reason: str) -> None:
        """A poll brought nothing."""
        if self._sources[instrument] is BookSource.REST:
            self._sources[instrument] = BookSource.NONE
            self._tell_down((instrument,), reason)

    def wanted_over_rest(self, now_ns: int) -> tuple[InstrumentId, ...]:
        """Books that must be polled now; a stream that has fallen silent is told to be down."""
        if not self._is_connected:
            is_due = self._has_failed or now_ns - self._last_frame_ns >= self._silent_ns
            return self.instruments if is_due else ()
        if now_ns - self._last_book_ns >= self._silent_ns:
            self._fall_silent()
            return self.instruments
        return tuple(
            name
            for name, source in self._sources.items()
            if source is not BookSource.WS and now_ns - self._lost_since_ns[name] >= self._silent_ns
        )

    def next_look_ns(self) -> int:
        """When `wanted_over_rest` may next change by time alone."""
        lost = [self._lost_since_ns[name] for name, source in self._sources.items() if source is not BookSource.WS]
        if not self._is_connected:
            return self._last_frame_ns + self._silent_ns
        return min([self._last_book_ns, *lost]) + self._silent_ns

    def measure(self, depth: Depth) -> None:
        """Take the one-way latency from a stream's image."""
        if depth.venue_ns is None:
            return
        received_wall_ns = self._clock.wall_ns() - self._clock.monotonic_ns() + depth.received_ns
        self._latencies_ns.append(received_wall_ns - depth.venue_ns)
        self._tap.frame(self.feed, depth.received_ns, depth.venue_ns)

    @property
    def latency_ns(self) -> int:
        """A low quantile of the measured latencies; 0: unknown."""
        ring = sorted(self._latencies_ns)
        return max(ring[len(ring) // _LOW_RANK], 0) if ring else 0

    def _fall_silent(self) -> None:
        gone = tuple(name for name, source in self._sources.items() if source is BookSource.WS)
        for name in gone:
            self._lose(name)
        if gone:
            self._tell_down(gone, "silent")

    def _rise(self, instrument: InstrumentId, source: BookSource) -> None:
        self._sources[instrument] = source
        now_ns = self._clock.monotonic_ns()
        self._sink.put_account(
            FeedUp(at_ns=now_ns, feed=self.feed, instruments=(instrument,), source=source.value),
        )
        level = logging.WARNING if source is BookSource.REST else logging.INFO
        _LOG.log(level, "feed_up", extra={"feed": self.feed, "instrument": instrument, "source": source.value})

    def _lose(self, instrument: InstrumentId) -> None:
        self._sources[instrument] = BookSource.NONE
        self._lost_since_ns[instrument] = self._clock.monotonic_ns()

    def _tell_down(self, instruments: tuple[InstrumentId, ...], reason: str, *, is_final: bool = False) -> None:
        now_ns = self._clock.monotonic_ns()
        self._sink.put_account(
            FeedDown(at_ns=now_ns, feed=self.feed, instruments=instruments, reason=reason, is_final=is_final)
        )
        extra = {"feed": self.feed, "instruments": ",".join(instruments), "reason": reason, "is_final": is_final}
        _LOG.warning("feed_down", extra=extra)

    def _tell_seen(self, last_frame_ns: int) -> None:
        self._told_seen_ns = last_frame_ns
        event = FeedSeen(
            at_ns=self._clock.monotonic_ns(),
            feed=self.feed,
            last_frame_ns=last_frame_ns,
            latency_ns=self.latency_ns,
        )
        self._sink.put_latest(f"feed_seen/{self.feed}", event)

    def _wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()
