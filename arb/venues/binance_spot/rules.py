"""Binance spot's rules: weights of public reads, budgets, fees.

Owns: numbers as published; `exchangeInfo` states the symbols' own.
Units: weight per minute and address; orders per account.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.venues.binance_rest import BinanceRate
from arb.venues.spec import Bucket

DEPTH_WEIGHTS: Final = {100: 5, 500: 25, 1000: 50, 5000: 250}
"""Weight of GET /api/v3/depth by `limit`."""
SYNC_LEVELS: Final = 1000
"""Levels of the image that diffs are applied to."""

RATE: Final = BinanceRate(
    (
        Bucket(name="weight", capacity=6000, window_s=60.0, reserve=600),
        Bucket(name="orders-10s", capacity=100, window_s=10.0, reserve=20, is_for_orders=True),
        Bucket(name="orders-1d", capacity=200_000, window_s=86_400.0, reserve=1000, is_for_orders=True),
    )
)
DEFAULT_FEES: Final = FeeSchedule(maker_rate=Decimal("0.001"), taker_rate=Decimal("0.001"), fee_asset=FeeAsset.RECEIVED)
