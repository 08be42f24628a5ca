"""Binance's local order book: images and diffs of one instrument, kept in step by update ids.

Owns: the book, the diffs that wait for an image, and the two rules of continuity.
Never: asks for an image more than once per loss or overflow; how fast the shell obeys is the shell's business.
Units: `received_ns` monotonic; `event_ms` UTC.

Spot (binance-spot.md, Local book): diffs with u ≤ id are old; the first one applied has U ≤ id+1 ≤ u, each later one
U ≤ id+1 (normally equal). The venue's own page asks for U ≤ id ≤ u at first, which real sessions miss.
USD-M: diffs with u < id are old; the first one has pu ≤ id ≤ u (that is the documented U ≤ id ≤ u, and also a diff
that directly continues the image, pu = id; between pu and U nothing happened to this symbol). Each later one has pu
equal to the last u.

Invariant: between a gap and the next image no depth is given out (tests/venues/test_binance_books.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from itertools import chain
from typing import Final

import attrs

from arb.domain.ids import InstrumentId
from arb.state.book import Book, is_crossed
from arb.venues.answers import Measure
from arb.venues.binance_frames import DepthDiff, DepthImage
from arb.venues.spec import Alive, BookChanged, BookLost, HttpRequest, Inbound, NeedSnapshot

MAX_WAITING: Final = 512
"""Diffs kept while an image is awaited (50 s at 100 ms); more means that the image is overdue: ask again, start
over."""
MAX_CROSSED: Final = 50
"""Diffs in a row over which a book may look crossed before it is taken for corrupt."""

_ALIVE: Final = (Alive(),)

FeedDiff = DepthDiff[Measure]
FeedImage = DepthImage[Measure]


class Continuity(Enum):
    """What a diff is to a book."""

    OLD = "old"
    NEXT = "next"
    GAP = "gap"


@attrs.frozen
class DiffRule:
    """How diffs join an image and follow one another."""

    joins: Callable[[FeedDiff, int], Continuity]
    """The first diff after an image with this id."""
    follows: Callable[[FeedDiff, int], Continuity]
    """Any later diff, after this id."""


def joins_spot(diff: FeedDiff, last_id: int) -> Continuity:
    """Spot: U ≤ id+1 ≤ u joins."""
    if diff.final_id <= last_id:
        return Continuity.OLD
    return Continuity.NEXT if diff.first_id <= last_id + 1 else Continuity.GAP


def joins_usdm(diff: FeedDiff, last_id: int) -> Continuity:
    """USD-M: u < id is old, pu ≤ id ≤ u joins."""
    if diff.final_id < last_id:
        return Continuity.OLD
    return Continuity.NEXT if 0 <= diff.previous_id <= last_id or diff.first_id <= last_id else Continuity.GAP


def follows_usdm(diff: FeedDiff, last_id: int) -> Continuity:
    """USD-M: the chain of `pu`."""
    return Continuity.NEXT if diff.previous_id == last_id else Continuity.GAP


def flat_of(pairs: list[tuple[float, float]], levels: int) -> tuple[float, ...]:
    """The first `levels` pairs, interleaved."""
    return tuple(chain.from_iterable(pairs[:levels]))


SPOT_RULE: Final = DiffRule(joins_spot, joins_spot)
USDM_RULE: Final = DiffRule(joins_usdm, follows_usdm)


@attrs.define(eq=False)
class DiffBook:
    """One instrument's book and its synchronisation."""

    instrument: InstrumentId
    rule: DiffRule
    request: HttpRequest
    """What to ask for an image."""
    book: Book = attrs.field(factory=Book, init=False)
    received_ns: int = attrs.field(default=0, init=False)
    event_ms: int | None = attrs.field(default=None, init=False)
    _changed: tuple[Inbound, ...] = attrs.field(init=False)
    _follows: Callable[[FeedDiff, int], Continuity] = attrs.field(init=False)
    _waiting: deque[tuple[FeedDiff, int]] = attrs.field(factory=deque, init=False)
    _is_asked: bool = attrs.field(default=False, init=False)
    _has_diffs: bool = attrs.field(default=False, init=False)
    _whole: FeedImage | None = attrs.field(default=None, init=False)
    """The newest pushed partial book, where no diffs are followed."""
    _crossed_diffs: int | None = attrs.field(default=None, init=False)
    """Diffs applied since the book was last seen crossed without recovering; None: it was not."""

    def __attrs_post_init__(self) -> None:
        self._changed = (BookChanged(self.instrument),)
        self._follows = self.rule.joins

    def on_diff(self, diff: FeedDiff, received_ns: int) -> tuple[Inbound, ...]:
        """Apply, keep for later, or notice a gap."""
        book = self.book
        if not (book.is_synced and self._has_diffs):
            return self._wait(diff, received_ns)
        step = self._follows(diff, book.sequence)
        if step is Continuity.NEXT:
            self._apply(diff, received_ns)
            if self._crossed_diffs is None or self._crossed_diffs < MAX_CROSSED:
                return self._changed
            return self._lose(f"crossed for {MAX_CROSSED} updates")
        if step is Continuity.OLD:
            return _ALIVE
        gap = f"gap: after {book.sequence} came {diff.first_id}..{diff.final_id} (pu {diff.previous_id})"
        lost = self._lose(gap)
        self._waiting.append((diff, received_ns))
        return lost

    def on_image(self, image: FeedImage, received_ns: int) -> tuple[Inbound, ...]:
        """A whole book from REST: join the diffs that waited, or ask again when it is older than all of them."""
        self._is_asked = False
        if self.book.is_synced:
            return _ALIVE
        self._has_diffs = True
        self._whole = None
        self._load(image, received_ns)
        while self._waiting:
            diff, at_ns = self._waiting[0]
            step = self._follows(diff, self.book.sequence)
            if step is Continuity.GAP:
                return self._rejoin(f"image {image.last_id} does not reach {diff.first_id}")
            if step is Continuity.NEXT:
                self._apply(diff, at_ns)
            self._waiting.popleft()
        return self._changed

    def on_whole(self, image: FeedImage, received_ns: int) -> tuple[Inbound, ...]:
        """A pushed partial book: replaces what is held. Ignored where diffs are followed."""
        if self._has_diffs or (self._whole is not None and image.last_id < self._whole.last_id):
            return _ALIVE
        self._whole = image
        self.received_ns = received_ns
        self.event_ms = image.event_ms
        return self._changed

    def ask_again(self) -> tuple[Inbound, ...]:
        """The answer could not be used."""
        self._is_asked = True
        return (NeedSnapshot(self.instrument, self.request),)

    @property
    def sequence(self) -> int:
        """Update id of what `top` gives."""
        return self.book.sequence if self._whole is None else self._whole.last_id

    def top(self, levels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """The best levels; notes whether they are crossed."""
        if self._whole is not None:
            return flat_of(self._whole.bids, levels), flat_of(self._whole.asks, levels)
        sides = self.book.top(levels)
        if sides is not None and not is_crossed(*sides):
            self._crossed_diffs = None
        elif sides is not None and self._crossed_diffs is None:
            self._crossed_diffs = 0
        return sides

    def _load(self, image: FeedImage, received_ns: int) -> None:
        self.book.load(image.bids, image.asks, image.last_id)
        self.received_ns = received_ns
        self.event_ms = image.event_ms
        self._follows = self.rule.joins
        self._crossed_diffs = None

    def _apply(self, diff: FeedDiff, received_ns: int) -> None:
        self.book.apply(diff.bids, diff.asks, diff.final_id)
        self._follows = self.rule.follows
        self.received_ns = received_ns
        self.event_ms = diff.event_ms
        if self._crossed_diffs is not None:
            self._crossed_diffs += 1

    def _wait(self, diff: FeedDiff, received_ns: int) -> tuple[Inbound, ...]:
        if not self._has_diffs:
            self._has_diffs = True
            self._whole = None
            self.book.lose()
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            self._is_asked = False
        self._waiting.append((diff, received_ns))
        return _ALIVE if self._is_asked else self.ask_again()

    def _rejoin(self, reason: str) -> tuple[Inbound, ...]:
        """The image is older than the diffs that waited: keep them, ask for a newer one."""
        self.book.lose()
        return BookLost(self.instrument, reason), *self.ask_again()

    def _lose(self, reason: str) -> tuple[Inbound, ...]:
        self.book.lose()
        self._waiting.clear()
        return BookLost(self.instrument, reason), *self.ask_again()
