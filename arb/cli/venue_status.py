"""What the venues allow, watched: rate budgets, and deposit and withdrawal states where there are keys.

Owns: which venue is asked for the wallets of which.
Never: judges a state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs

from arb.cli.assembly import Assembly
from arb.cli.schema import Mode
from arb.cli.venue_access import VenueAccess, VenueUrls, real_urls
from arb.domain.ids import AssetId, VenueId
from arb.supervision.root import Named
from arb.venues import load_venue
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpClient, HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.status import WalletPoll, poll_wallets, watch_rate


def status_tasks(parts: Assembly) -> list[Named]:
    """One watch of each venue's rate budget, one poll of each venue that tells wallets and is there to be asked."""
    every_s = parts.around.check_s
    tasks = [
        Named(name=f"{venue} rate", run=partial(watch_rate, parts.boards[venue], access.limiter, every_s))
        for venue, access in parts.access.items()
    ]
    asking: dict[VenueId, list[VenueAccess]] = {}
    for venue, access in parts.access.items():
        if access.spec.account is not None and access.urls.credentials is not None:
            teller = access.spec.wallets_at or venue
            if teller in parts.urls or parts.settings.mode is not Mode.MOCK:
                asking.setdefault(teller, []).append(access)
    for teller, accesses in asking.items():
        tasks.append(Named(name=f"{teller} wallets", run=partial(_poll_wallets, parts, teller, accesses)))
    return tasks


async def _poll_wallets(parts: Assembly, teller: VenueId, asking: list[VenueAccess]) -> None:
    """Ask `teller` for the wallets of all that it tells for, over a client of its own."""
    urls = _urls_of(parts, teller, asking[0])
    spec = load_venue(teller)
    assert spec.account is not None
    assert urls.credentials is not None
    risk = parts.settings.risk
    poll = WalletPoll(
        protocol=spec.account.account(urls.credentials, ()),
        stamp=asking[0].stamp,
        boards=tuple((parts.boards[access.spec.venue], _assets(access)) for access in asking),
        every_s=risk.wallet_poll_s,
        unknown_s=risk.wallet_unknown_s,
    )
    async with open_teller(parts, asking[0]) as http:
        await poll_wallets(poll, http, parts.around.clock)


@asynccontextmanager
async def open_teller(parts: Assembly, asking: VenueAccess) -> AsyncIterator[HttpClient]:
    """The client of the venue that tells the wallets and the key of another one: its own where it is traded too."""
    teller = asking.spec.wallets_at or asking.spec.venue
    if (known := parts.access.get(teller)) is not None:
        yield known.http
        return
    endpoint, prefix = split_url(_urls_of(parts, teller, asking).rest)
    spec = load_venue(teller)
    limiter = RateLimiter(spec.rate, parts.around.clock, venue=teller)
    target = HttpTarget(venue=teller, endpoint=endpoint, prefix=prefix, is_key_refused=spec.is_key_refused)
    async with open_http(target, dialer=parts.around.dialer, limiter=limiter, clock=parts.around.clock) as http:
        yield http


def _urls_of(parts: Assembly, teller: VenueId, asking: VenueAccess) -> VenueUrls:
    """Where the venue that tells is; the keys are its own, or those of the one who asks."""
    urls = parts.urls.get(teller) or real_urls(parts.settings, teller)
    return urls if urls.credentials is not None else attrs.evolve(urls, credentials=asking.urls.credentials)


def _assets(access: VenueAccess) -> tuple[AssetId, ...]:
    """Coins that are traded there, without what they are priced in."""
    return tuple(sorted({instrument.base for instrument in access.instruments.values()}))
