"""Binance USD-M futures."""

from __future__ import annotations

from functools import partial
from typing import Final

from arb.domain.ids import VenueId
from arb.venues.binance_usdm.account import BinanceUsdmAccounts
from arb.venues.binance_usdm.errors import judge
from arb.venues.binance_usdm.inspect import INSPECTOR
from arb.venues.binance_usdm.rest import UsdmMarket
from arb.venues.binance_usdm.rules import DEFAULT_FEES, RATE
from arb.venues.refusals import refuses_key
from arb.venues.spec import VenueSpec

VENUE: Final = VenueSpec(
    venue=VenueId("binance_usdm"),
    title="Binance USD-M",
    rate=RATE,
    market=UsdmMarket(),
    account=BinanceUsdmAccounts(),
    inspect=INSPECTOR,
    default_fees=DEFAULT_FEES,
    is_key_refused=partial(refuses_key, judge),
    max_connection_s=86_400.0,
    wallets_at=VenueId("binance_spot"),
    client_ping_s=20.0,
)

__all__ = ["VENUE"]
