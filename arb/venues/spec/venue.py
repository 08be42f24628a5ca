"""Everything a venue folder exports, in one value.

Owns: `VenueSpec` and the exact decoding that `arb inspect` asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from arb.domain.fees import FeeSchedule
from arb.domain.ids import VenueId
from arb.venues.spec.account import AccountSpec
from arb.venues.spec.market import MarketSpec
from arb.venues.spec.requests import HttpResponse, RateRules, unauthorised


@attrs.frozen(kw_only=True)
class Decoded:
    """One normalised event of `arb inspect`: an ordered mapping ready for JSON (contracts.md)."""

    values: Mapping[str, object]


class Inspector(Protocol):
    """Exact decoding of captured frames, for `arb inspect`, recording and tests."""

    def decode(self, raw: str) -> tuple[Decoded, ...]:
        """Every event in the frame, prices and sizes as exact decimal texts.

        Raises:
            ProtocolError: the frame is not one this venue is known to send.
        """


@attrs.frozen(kw_only=True)
class VenueSpec:
    """Everything a venue folder offers; None where it offers nothing of the kind."""

    venue: VenueId
    title: str
    """For people: `Upbit`."""
    rate: RateRules
    market: MarketSpec | None = None
    account: AccountSpec | None = None
    inspect: Inspector | None = None
    default_fees: FeeSchedule | None = None
    max_connection_s: float | None = None
    """The venue closes connections at this age."""
    wallets_at: VenueId | None = None
    """The venue that tells the wallets of this one and what its keys may do, with the same keys; None: itself."""
    is_key_refused: Callable[[HttpResponse], bool] = unauthorised
    """Whether an answer says that our key is not accepted."""
    client_ping_s: float = 15.0
    """How often we ping when nothing else is heard."""
