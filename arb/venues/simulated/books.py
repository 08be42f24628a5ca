"""The book of one instrument: an ambient image, what was taken of it, and resting orders of accounts.

Owns: price-time order of resting orders and the memory of consumed size within one image.
Never: settles; the exchange moves the money.
Units: prices and sizes Decimal in instrument terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from arb.domain.instrument import Instrument
from arb.domain.money import floor_to_step
from arb.domain.order import Side
from arb.venues.simulated.accounts import BookedOrder
from arb.venues.simulated.facts import ZERO, Levels


@attrs.frozen
class Offer:
    """Size that a taker may have at a price; `maker` is None for the ambient book."""

    price: Decimal
    qty: Decimal
    maker: BookedOrder | None


@attrs.define(eq=False)
class VenueBook:
    """One instrument's liquidity."""

    instrument: Instrument
    depth_fraction: Decimal
    bids: Levels = ()
    asks: Levels = ()
    taken: dict[tuple[Side, Decimal], Decimal] = attrs.field(factory=dict)
    """Of the current image."""
    resting_bids: list[BookedOrder] = attrs.field(factory=list)
    resting_asks: list[BookedOrder] = attrs.field(factory=list)

    def replace(self, bids: Levels, asks: Levels) -> None:
        """A new image: nothing of it is taken yet."""
        self.bids = bids
        self.asks = asks
        self.taken.clear()

    def resting(self, side: Side) -> list[BookedOrder]:
        """Resting orders of one side, best price first, then oldest."""
        return self.resting_bids if side is Side.BUY else self.resting_asks

    def rest(self, order: BookedOrder) -> None:
        """Add an order behind those of its price."""
        orders = self.resting(order.side)
        index = len(orders)
        while index > 0 and _is_better(order, orders[index - 1]):
            index -= 1
        orders.insert(index, order)

    def leave(self, order: BookedOrder) -> None:
        """Take an order out; nothing happens when it does not rest."""
        orders = self.resting(order.side)
        if order in orders:
            orders.remove(order)

    def ambient(self, side: Side) -> Iterator[Offer]:
        """What is left of the image of one side, best first."""
        for price, size in self.bids if side is Side.BUY else self.asks:
            usable = size
            if self.depth_fraction != 1:
                usable = floor_to_step(size * self.depth_fraction, self.instrument.lot)
            if self.taken:
                usable -= self.taken.get((side, price), ZERO)
            if usable > 0:
                yield Offer(price, usable, None)

    def offers(self, side: Side) -> Iterator[Offer]:
        """Everything on one side, best first; accounts' orders before the ambient book at the same price."""
        waiting = [
            Offer(order.limit, order.wanted_at(order.limit), order) for order in self.resting(side) if order.limit
        ]
        for level in self.ambient(side):
            while waiting and (waiting[0].price - level.price) * side.sign >= 0:
                yield waiting.pop(0)
            yield level
        yield from waiting

    def best(self, side: Side) -> Offer | None:
        """The best offer of one side."""
        return next(self.offers(side), None)

    def take_ambient(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Remember that `qty` at `price` is gone until the next image."""
        self.taken[side, price] = self.taken.get((side, price), ZERO) + qty

    def mid(self) -> Decimal | None:
        """Halfway between the ambient best prices; None unless both are there."""
        return (self.bids[0][0] + self.asks[0][0]) / 2 if self.bids and self.asks else None

    def visible(self, side: Side) -> Levels:
        """The image with accounts' orders added and taken size removed."""
        levels = self.bids if side is Side.BUY else self.asks
        if not self.taken and not self.resting(side):
            return levels
        sizes = {price: size - self.taken.get((side, price), ZERO) for price, size in levels}
        for order in self.resting(side):
            if order.limit is not None:
                sizes[order.limit] = sizes.get(order.limit, ZERO) + order.wanted_at(order.limit)
        ordered = sorted(sizes.items(), key=lambda level: -side.sign * level[0])
        return tuple((price, size) for price, size in ordered if size > 0)


def _is_better(order: BookedOrder, other: BookedOrder) -> bool:
    return order.limit is not None and other.limit is not None and (order.limit - other.limit) * order.side.sign > 0
