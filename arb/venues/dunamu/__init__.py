"""Dunamu: bank USD/KRW."""

from __future__ import annotations

from typing import Final

from arb.domain.ids import VenueId
from arb.venues.dunamu.protocol import DunamuMarket
from arb.venues.dunamu.rules import DunamuRate
from arb.venues.spec import VenueSpec

VENUE: Final = VenueSpec(venue=VenueId("dunamu"), title="Dunamu", rate=DunamuRate(), market=DunamuMarket())

__all__ = ["VENUE"]
