"""What a venue's public side remembers of the facts it has published: newest books, recent trades, day statistics.

Owns: one `Tape` per instrument, folded from facts in order.
Never: draws, waits or decides.
Units: prices and quantities Decimal, times UTC nanoseconds.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import attrs

from arb.domain.instrument import Instrument
from arb.venues.simulated.facts import ZERO, BookImage, Fact, MarkChanged, PublicTrade

DAY_NS = 86_400_000_000_000
KEPT_TRADES = 500


@attrs.define
class Tape:
    """The public record of one instrument."""

    instrument: Instrument
    image: BookImage | None = None
    mark: MarkChanged | None = None
    trades: deque[PublicTrade] = attrs.field(factory=lambda: deque(maxlen=KEPT_TRADES))
    day: int = -1
    previous_close: Decimal = ZERO
    opening: Decimal = ZERO
    high: Decimal = ZERO
    low: Decimal = ZERO
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    bought_volume: Decimal = ZERO
    """Part of `volume` in which the taker bought."""
    trade_count: int = 0

    def fold(self, fact: Fact) -> None:
        """Take over what the fact says of this instrument."""
        match fact:
            case BookImage():
                self.image = fact
            case MarkChanged():
                self.mark = fact
            case PublicTrade():
                self._trade(fact)

    def _trade(self, trade: PublicTrade) -> None:
        if trade.at_ns // DAY_NS != self.day:
            self.day = trade.at_ns // DAY_NS
            self.previous_close = self.trades[-1].price if self.trades else trade.price
            self.opening = self.high = self.low = trade.price
            self.volume = self.quote_volume = self.bought_volume = ZERO
            self.trade_count = 0
        self.trades.append(trade)
        self.high, self.low = max(self.high, trade.price), min(self.low, trade.price)
        self.volume += trade.qty
        self.quote_volume += trade.qty * trade.price
        self.bought_volume += trade.qty if trade.is_buy else ZERO
        self.trade_count += 1

    @property
    def best_bid(self) -> tuple[Decimal, Decimal]:
        """Price and size; zeros on an empty side."""
        return self.image.bids[0] if self.image is not None and self.image.bids else (ZERO, ZERO)

    @property
    def best_ask(self) -> tuple[Decimal, Decimal]:
        """Price and size; zeros on an empty side."""
        return self.image.asks[0] if self.image is not None and self.image.asks else (ZERO, ZERO)

    @property
    def last_price(self) -> Decimal:
        """Of the newest trade; the middle of the book before the first one, on tick."""
        if self.trades:
            return self.trades[-1].price
        bid, ask = self.best_bid[0], self.best_ask[0]
        return self.instrument.ticks.floor((bid + ask) / 2) if bid and ask else bid or ask

    @property
    def last_at_ns(self) -> int:
        """When the newest fact of this tape happened."""
        at = self.trades[-1].at_ns if self.trades else 0
        return max(at, self.image.at_ns if self.image is not None else 0)


def open_tapes(instruments: tuple[Instrument, ...]) -> dict[str, Tape]:
    """Empty tapes by the venue's own symbol."""
    return {one.symbol: Tape(one) for one in instruments}
