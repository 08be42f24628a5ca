"""What market data tells observers and not the core: latencies, faults, connections.

Owns: the counts per venue and the pace at which faulty frames are kept.
Never: waits; keeps a frame in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from arb.domain.ids import FeedId
from arb.ports import Clock, Trade
from arb.telemetry.metrics import Metrics

KEPT_PER_MINUTE: Final = 60
"""Faulty frames kept per feed and minute; all are counted."""
KEPT_BYTES: Final = 65_536
_MINUTE_NS: Final = 60_000_000_000

log = logging.getLogger("arb.source")
frames = logging.getLogger("arb.faults")


class FeedTap:
    """Implements `ports.MarketTap`."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._minute: dict[FeedId, tuple[int, int]] = {}
        self._trades: dict[str, Trade] = {}
        self._observe: dict[FeedId, Callable[[float], None]] = {}

    def trade(self, trade: Trade) -> None:
        """Remember the last trade of an instrument, for the display."""
        self._trades[trade.instrument] = trade

    def last_trade(self, instrument: str) -> Trade | None:
        """The newest trade, None before the first."""
        return self._trades.get(instrument)

    def frame(self, feed: FeedId, received_ns: int, venue_ns: int | None) -> None:
        """Note the latency of a frame that carries the venue's time."""
        if venue_ns is not None:
            wall_ns = received_ns + self._clock.wall_ns() - self._clock.monotonic_ns()
            observe = self._observe.get(feed) or self._observer(feed)
            observe(max(0.0, (wall_ns - venue_ns) / 1e9))

    def _observer(self, feed: FeedId) -> Callable[[float], None]:
        """Look the venue's label up once: this is on the way of every book that is decided on."""
        observe = self._observe[feed] = self._metrics.feed_latency.labels(venue=venue_of_feed(feed)).observe
        return observe

    def fault(self, feed: FeedId, raw: bytes, detail: str) -> None:
        """Count the frame; keep it in the form `arb inspect` reads, up to a bound."""
        venue = venue_of_feed(feed)
        self._metrics.faults.labels(venue=venue).inc()
        minute = self._clock.monotonic_ns() // _MINUTE_NS
        last, count = self._minute.get(feed, (minute, 0))
        count = count + 1 if last == minute else 1
        self._minute[feed] = (minute, count)
        if count == 1:
            log.warning(
                "frame_not_understood", extra={"feed": feed, "detail": detail, "kept_in": "faults/frames.jsonl"}
            )
        if count <= KEPT_PER_MINUTE:
            kept = {"venue": venue, "feed": feed, "detail": detail, "raw": raw[:KEPT_BYTES].decode("utf-8", "replace")}
            frames.info(msgspec.json.encode(kept).decode())


def venue_of_feed(feed: FeedId) -> str:
    """The venue a feed belongs to."""
    return feed.partition("/")[0]
