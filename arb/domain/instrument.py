"""Instruments and the rules a venue sets for them.

Units: prices in `quote` per unit of `base` contract; quantities in contract units (base units = contract units ×
multiplier).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import AssetId, InstrumentId, VenueId, symbol_of, venue_of
from arb.domain.money import ceil_to_step, floor_to_step


class InstrumentKind(Enum):
    """Owned outright, or a contract without expiry."""

    SPOT = "spot"
    PERPETUAL = "perpetual"


class InstrumentStatus(Enum):
    """What the venue lets one do with the instrument now."""

    TRADING = "trading"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    DELISTING = "delisting"


class Caution(Enum):
    """Market warnings (Upbit); what each one forbids is the risk room's business."""

    WARNING = "warning"
    PRICE_FLUCTUATIONS = "price_fluctuations"
    VOLUME_SOARING = "volume_soaring"
    DEPOSIT_SOARING = "deposit_soaring"
    GLOBAL_PRICE_DIFFERENCE = "global_price_difference"
    SMALL_ACCOUNTS = "small_accounts"


@attrs.frozen
class TickBand:
    """From `from_price` upwards, prices lie on multiples of `tick`."""

    from_price: Decimal
    tick: Decimal


@attrs.frozen
class TickTable:
    """Price steps by price, bands in descending order of `from_price`; the last one starts at 0."""

    bands: tuple[TickBand, ...]

    def tick_at(self, price: Decimal) -> Decimal:
        """The price step that applies at `price`."""
        for band in self.bands:
            if price >= band.from_price:
                return band.tick
        return self.bands[-1].tick

    def floor(self, price: Decimal) -> Decimal:
        """The nearest legal price at or below."""
        return floor_to_step(price, self.tick_at(price))

    def ceil(self, price: Decimal) -> Decimal:
        """The nearest legal price at or above."""
        return ceil_to_step(price, self.tick_at(price))


def single_tick(tick: Decimal) -> TickTable:
    """A table with one step at every price."""
    return TickTable((TickBand(Decimal(0), tick),))


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable pair or contract on one venue, with the venue's rules as read from it."""

    id: InstrumentId
    kind: InstrumentKind
    base: AssetId
    quote: AssetId
    ticks: TickTable
    lot: Decimal
    """Quantity step, contract units."""
    min_qty: Decimal
    max_qty: Decimal | None
    """None: the venue states none."""
    min_notional: Decimal
    """Smallest price × quantity, quote."""
    max_notional: Decimal | None
    band_up: Decimal | None = None
    """Highest legal price as a multiple of the venue's reference (mark, average); None: no band."""
    band_down: Decimal | None = None
    status: InstrumentStatus = InstrumentStatus.TRADING
    cautions: frozenset[Caution] = frozenset()
    listed_ms: int | None = None
    """UTC milliseconds of listing, where the venue tells."""
    delisting_ms: int | None = None
    funding_interval_s: int | None = None
    """Time between two funding settlements of a perpetual, where the venue tells; None: unknown, or no perpetual."""

    @property
    def venue(self) -> VenueId:
        """The venue it trades on."""
        return venue_of(self.id)

    @property
    def symbol(self) -> str:
        """The venue's own spelling."""
        return symbol_of(self.id)
