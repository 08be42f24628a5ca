"""The best N levels of an order book as the core sees them.

Units: prices and sizes are floats in instrument terms, interleaved `(price, size, price, size, …)`, best level first.
Never: money; what is walked here is only compared.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import attrs

from arb.domain.ids import FeedId, InstrumentId


class DepthSource(Enum):
    """Which way a book came."""

    WS = "ws"
    REST = "rest"


class Walk(NamedTuple):
    """What taking `qty` from one side of a book would do, from the best level on."""

    qty: float
    """Quantity found, at most the wish."""
    vwap: float
    """Average price of it; 0.0 when nothing was found."""
    last_price: float
    """Price of the worst level touched; 0.0 when nothing was found."""


@attrs.frozen(kw_only=True)
class Depth:
    """An immutable image of one book, never partly updated."""

    instrument: InstrumentId
    feed: FeedId
    bids: tuple[float, ...]
    asks: tuple[float, ...]
    received_ns: int
    """Monotonic time at which its newest frame arrived (REST: the middle of the request)."""
    venue_ns: int | None
    """UTC time the venue printed on it, nanoseconds; None: the venue prints none."""
    sequence: int
    """Grows with every image of one source generation."""
    source: DepthSource = DepthSource.WS
    uncertainty_ns: int = 0
    """Half the round trip of a REST image; 0 for pushed ones."""

    @property
    def best_bid(self) -> float:
        """Highest buyer; 0.0 on an empty side."""
        return self.bids[0] if self.bids else 0.0

    @property
    def best_ask(self) -> float:
        """Lowest seller; 0.0 on an empty side."""
        return self.asks[0] if self.asks else 0.0

    @property
    def mid(self) -> float:
        """Halfway; 0.0 unless both sides are there."""
        return (self.bids[0] + self.asks[0]) / 2 if self.bids and self.asks else 0.0

    @property
    def is_two_sided(self) -> bool:
        """Whether there is a buyer and a seller."""
        return bool(self.bids) and bool(self.asks)

    @property
    def is_crossed(self) -> bool:
        """Whether the best buyer meets or passes the best seller (crossed or locked): unusable data."""
        return self.is_two_sided and self.bids[0] >= self.asks[0]


def walk(levels: tuple[float, ...], qty: float, depth_fraction: float = 1.0) -> Walk:
    """Take `qty` from interleaved `levels`, using `depth_fraction` (0–1) of each level's size."""
    left = qty
    cost = 0.0
    last = 0.0
    for index in range(0, len(levels), 2):
        if left <= 0.0:
            break
        take = min(left, levels[index + 1] * depth_fraction)
        if take > 0.0:
            last = levels[index]
            cost += take * last
            left -= take
    taken = qty - max(left, 0.0)
    return Walk(taken, cost / taken if taken > 0.0 else 0.0, last)
