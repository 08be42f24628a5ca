"""Upbit spot (Korea region)."""

from __future__ import annotations

from functools import partial
from typing import Final

from arb.domain.ids import VenueId
from arb.venues.refusals import refuses_key
from arb.venues.spec import VenueSpec
from arb.venues.upbit.account import UpbitAccounts
from arb.venues.upbit.errors import judge
from arb.venues.upbit.inspect import UpbitInspector
from arb.venues.upbit.rest import UpbitMarket
from arb.venues.upbit.rules import DEFAULT_FEES, UpbitRate

VENUE: Final = VenueSpec(
    venue=VenueId("upbit"),
    title="Upbit",
    rate=UpbitRate(),
    market=UpbitMarket(),
    account=UpbitAccounts(),
    inspect=UpbitInspector(),
    default_fees=DEFAULT_FEES,
    is_key_refused=partial(refuses_key, judge),
    client_ping_s=30.0,
)

__all__ = ["VENUE"]
