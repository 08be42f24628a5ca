"""What a venue charges."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import AssetId


class FeeAsset(Enum):
    """In what a fee is taken."""

    QUOTE = "quote"
    RECEIVED = "received"
    """The asset received: base on a buy, quote on a sell (Binance spot without BNB)."""
    BNB = "bnb"


@attrs.frozen(kw_only=True)
class FeeSchedule:
    """Rates as fractions of the notional (0.0005 = 5 bps) and the asset they are taken in."""

    maker_rate: Decimal
    taker_rate: Decimal
    fee_asset: FeeAsset = FeeAsset.QUOTE
    source: str = "settings"
    """`venue` when the venue reported it, `settings` otherwise."""

    @property
    def taker_bps(self) -> float:
        """The taker rate in bps."""
        return float(self.taker_rate) * 1e4


@attrs.frozen
class Fee:
    """A fee taken: a positive amount costs us."""

    amount: Decimal
    asset: AssetId
