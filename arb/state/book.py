"""Order book of one instrument: snapshot, deltas, crossed check, best N levels.

Owns: the resting sizes per price of both sides, the sequence of the newest update, and whether the book may be used.
Never: judges whether an update continues the last one (each venue has its own rule and calls `lose` on a
gap); keeps money.
Units: prices and sizes are floats in instrument terms; flat sides are `(price, size, price, size, …)`, best level
first.

1. Updates only touch a dict per side; sorting is put off until somebody asks for the best levels.
2. Each side remembers its best prices (`_near`) down to a bound, and the prices within it that changed since. Asking
   merges those; only when too few levels are left is the whole side sorted again.
3. Invariant: a lost book yields no levels until the next snapshot (tests/state/test_book.py).
"""

from __future__ import annotations

from typing import Final

import attrs

Pairs = list[tuple[float, float]]
Flat = tuple[float, ...]

_MAX_TOUCHED: Final = 512
"""Prices remembered between two reads; beyond it the next read sorts the whole side."""
_SPARE: Final = 24
"""Prices kept near the market beyond the levels asked for, so that removals rarely cause a full sort."""


@attrs.define(eq=False)
class Ladder:
    """One side: sizes by price, and the best of them in order when asked."""

    is_bid: bool
    levels: dict[float, float] = attrs.field(factory=dict)
    _near: list[float] = attrs.field(factory=list, init=False)
    """Best prices in order, as of the last read."""
    _bound: float | None = attrs.field(default=None, init=False)
    """Every level at least as good as this is in `_near` or `_touched`; None: nothing is known."""
    _touched: list[float] = attrs.field(factory=list, init=False)
    _flat: Flat = attrs.field(default=(), init=False)
    """What the last read gave for `_flat_count` levels; still right while `_touched` is empty."""
    _flat_count: int = attrs.field(default=-1, init=False)

    def load(self, pairs: Pairs) -> None:
        """Forget everything and take these levels."""
        self.levels = {price: size for price, size in dict(pairs).items() if size}
        self._touched.clear()
        self._bound = None

    def apply(self, pairs: Pairs) -> None:
        """Set absolute sizes; size 0 removes, and removing what is not there is normal."""
        levels = self.levels
        for price, size in pairs:
            if size:
                levels[price] = size
            else:
                levels.pop(price, None)
        if self._bound is not None:
            self._remember(pairs, self._bound)

    def top(self, count: int) -> Flat:
        """The best `count` levels, flat."""
        if self._bound is not None:
            if not self._touched and count == self._flat_count:
                return self._flat
            self._merge()
            if len(self._near) >= count or len(self._near) == len(self.levels):
                return self._flatten(count)
        self._scan(count)
        return self._flatten(count)

    def _remember(self, pairs: Pairs, bound: float) -> None:
        if self.is_bid:
            self._touched += [price for price, _ in pairs if price >= bound]
        else:
            self._touched += [price for price, _ in pairs if price <= bound]
        if len(self._touched) > _MAX_TOUCHED:
            self._touched.clear()
            self._bound = None

    def _merge(self) -> None:
        if self._touched:
            prices = sorted(self._near + self._touched, reverse=self.is_bid)
            self._touched.clear()
            levels = self.levels
            self._near = [price for price in dict.fromkeys(prices) if price in levels]

    def _scan(self, count: int) -> None:
        self._touched.clear()
        self._near = sorted(self.levels, reverse=self.is_bid)[: count + _SPARE]
        is_whole = len(self._near) == len(self.levels)
        worst = 0.0 if self.is_bid else float("inf")
        self._bound = worst if is_whole else self._near[-1]

    def _flatten(self, count: int) -> Flat:
        if len(self._near) > 2 * (count + _SPARE):
            del self._near[count + _SPARE :]
            self._bound = self._near[-1]
        levels = self.levels
        self._flat = tuple([value for price in self._near[:count] for value in (price, levels[price])])
        self._flat_count = count
        return self._flat


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
