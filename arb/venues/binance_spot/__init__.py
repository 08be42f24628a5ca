"""Binance spot."""

from __future__ import annotations

from functools import partial
from typing import Final

from arb.domain.ids import VenueId
from arb.venues.binance_spot.account import BinanceSpotAccounts
from arb.venues.binance_spot.errors import judge
from arb.venues.binance_spot.inspect import INSPECTOR
from arb.venues.binance_spot.rest import SpotMarket
from arb.venues.binance_spot.rules import DEFAULT_FEES, RATE
from arb.venues.refusals import refuses_key
from arb.venues.spec import VenueSpec

VENUE: Final = VenueSpec(
    venue=VenueId("binance_spot"),
    title="Binance spot",
    rate=RATE,
    market=SpotMarket(),
    account=BinanceSpotAccounts(),
    inspect=INSPECTOR,
    default_fees=DEFAULT_FEES,
    is_key_refused=partial(refuses_key, judge),
    max_connection_s=86_400.0,
    client_ping_s=20.0,
)

__all__ = ["VENUE"]
