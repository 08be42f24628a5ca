"""Binance USD-M's rules: weights of public reads, budgets, fees.

Owns: numbers as published; `exchangeInfo` states the symbols' own.
Units: weight per minute and address; orders per account.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.venues.binance_rest import BinanceRate
from arb.venues.spec import Bucket

DEPTH_WEIGHTS: Final = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
"""Weight of GET /fapi/v1/depth by `limit`."""
SYNC_LEVELS: Final = 1000
"""Levels of the image that diffs are applied to."""
DEFAULT_INTERVAL_S: Final = 8 * 3600
"""Between settlements, unless fundingInfo tells otherwise."""
PAST_RATES: Final = 21
"""Settled rates asked for: a week."""

RATE: Final = BinanceRate(
    (
        Bucket(name="weight", capacity=2400, window_s=60.0, reserve=240),
        Bucket(name="funding", capacity=500, window_s=300.0, reserve=0),
        Bucket(name="orders-10s", capacity=300, window_s=10.0, reserve=60, is_for_orders=True),
        Bucket(name="orders-1m", capacity=1200, window_s=60.0, reserve=200, is_for_orders=True),
    )
)
DEFAULT_FEES: Final = FeeSchedule(maker_rate=Decimal("0.0002"), taker_rate=Decimal("0.0005"), fee_asset=FeeAsset.QUOTE)
