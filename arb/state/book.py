"""Order book of one instrument: snapshot, deltas, crossed check, best N levels.

Owns: the resting sizes per price of both sides, the sequence of the newest update, and whether the book may be used.
Never: judges whether an update continues the last one (each venue has its own rule and calls `lose` on a gap); keeps money.
Units: prices and sizes are floats in instrument terms; flat sides are `(price, size, price, size, …)`, best level first.

1. Updates only touch a dict per side; sorting is put off until somebody asks for the best levels.
2. Each side remembers its best prices (`_near`) down to a bound, and the updates since. Asking merges those updates that lie
   within the bound; only when too few levels are left is the whole side sorted again.
3. Invariant: a lost book yields no levels until the next snapshot (tests/state/test_book.py).
"""

from __future__ import annotations

from typing import Final

import attrs

Pairs = list[tuple[float, float]]
Flat = tuple[float, ...]

_MAX_PENDING: Final = 128
"""Updates remembered between two reads; beyond it the next read sorts the whole side."""
_SPARE: Final = 24
"""Prices kept near the market beyond the levels asked for, so that removals rarely cause a full sort."""


@attrs.define(eq=False)
class Ladder:
    """One side: sizes by price, and the best of them in order when asked."""

    is_bid: bool
    levels: dict[float, float] = attrs.field(factory=dict)
    _near: list[float] = attrs.field(factory=list, init=False)
    """Best prices in order; may still name prices that are gone, and name a price twice."""
    _bound: float | None = attrs.field(default=None, init=False)
    """Every level at least as good as this is in `_near` or pending; None: nothing is known."""
    _pending: list[Pairs] = attrs.field(factory=list, init=False)

    def load(self, pairs: Pairs) -> None:
        """Forget everything and take these levels."""
        self.levels = {price: size for price, size in pairs if size}
        self._pending.clear()
        self._bound = None

    def apply(self, pairs: Pairs) -> None:
        """Set absolute sizes; size 0 removes, and removing what is not there is normal."""
        levels = self.levels
        for price, size in pairs:
            if size:
                levels[price] = size
            else:
                levels.pop(price, None)
        if len(self._pending) < _MAX_PENDING:
            self._pending.append(pairs)
        else:
            self._pending.clear()
            self._bound = None

    def top(self, count: int) -> Flat:
        """The best `count` levels, flat."""
        if self._bound is not None:
            self._merge(self._bound)
            flat = self._walk(count)
            if len(flat) == 2 * count or len(flat) == 2 * len(self.levels):
                self._trim(count)
                return flat
        self._scan(count)
        return self._walk(count)

    def _merge(self, bound: float) -> None:
        if not self._pending:
            return
        if self.is_bid:
            fresh = [price for pairs in self._pending for price, _ in pairs if price >= bound]
        else:
            fresh = [price for pairs in self._pending for price, _ in pairs if price <= bound]
        self._pending.clear()
        self._near.extend(fresh)
        self._near.sort(reverse=self.is_bid)

    def _walk(self, count: int) -> Flat:
        flat: list[float] = []
        live: list[float] = []
        visited = 0
        last = None
        for price in self._near:
            visited += 1
            size = self.levels.get(price)
            if size is not None and price != last:
                flat += (price, size)
                live.append(price)
                last = price
                if len(live) == count:
                    break
        self._near[:visited] = live
        return tuple(flat)

    def _trim(self, count: int) -> None:
        keep = 4 * (count + _SPARE)
        if len(self._near) > 2 * keep:
            del self._near[keep:]
            self._bound = self._near[-1]

    def _scan(self, count: int) -> None:
        self._pending.clear()
        self._near = sorted(self.levels, reverse=self.is_bid)[: count + _SPARE]
        is_whole = len(self._near) == len(self.levels)
        worst = 0.0 if self.is_bid else float("inf")
        self._bound = worst if is_whole else self._near[-1]


@attrs.define(eq=False)
class Book:
    """Both sides, the sequence they stand at, and whether they may be used."""

    bids: Ladder = attrs.field(factory=lambda: Ladder(True), init=False)
    asks: Ladder = attrs.field(factory=lambda: Ladder(False), init=False)
    sequence: int = attrs.field(default=0, init=False)
    is_synced: bool = attrs.field(default=False, init=False)

    def load(self, bids: Pairs, asks: Pairs, sequence: int) -> None:
        """Take a whole image; the book is usable from here on."""
        self.bids.load(bids)
        self.asks.load(asks)
        self.sequence = sequence
        self.is_synced = True

    def apply(self, bids: Pairs, asks: Pairs, sequence: int) -> None:
        """Apply an update that the caller knows to continue the last one."""
        self.bids.apply(bids)
        self.asks.apply(asks)
        self.sequence = sequence

    def lose(self) -> None:
        """Updates are missing: hide every level until the next `load`."""
        self.is_synced = False
        self.bids.load([])
        self.asks.load([])

    def top(self, count: int) -> tuple[Flat, Flat] | None:
        """The best `count` levels of bids and asks; None while the book is lost or was never loaded."""
        if not self.is_synced:
            return None
        return self.bids.top(count), self.asks.top(count)


def is_crossed(bids: Flat, asks: Flat) -> bool:
    """Whether the best buyer meets or passes the best seller of two flat sides."""
    return bool(bids) and bool(asks) and bids[0] >= asks[0]
