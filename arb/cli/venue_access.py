"""One venue as a run reaches it: where it is, with which keys, and the rules of what is traded there.

Owns: the HTTP client, the rate budget, the clock offset and the instruments of each venue in use.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import trio

from arb.cli.schema import RateLimitSection, Settings, VenueSection
from arb.domain.errors import ConfigError, TransientError, VenueUnavailable
from arb.domain.ids import InstrumentId, VenueId, instrument_id, symbol_of, venue_of
from arb.domain.instrument import Instrument
from arb.ports import Clock, Dialer
from arb.venues import load_venue
from arb.venues.spec import Credentials, MarketSpec, Stamp, VenueSpec
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpClient, HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.reads import VenueOffset, load_instruments, measure_offset_ms


@attrs.frozen(kw_only=True)
class VenueUrls:
    """Where a venue is, and the keys that are valid there."""

    rest: str
    ws: str
    ws_private: str
    credentials: Credentials | None


@attrs.frozen(kw_only=True)
class VenueAccess:
    """Everything the tasks of one venue share."""

    spec: VenueSpec
    market: MarketSpec
    urls: VenueUrls
    symbols: tuple[str, ...]
    instruments: Mapping[InstrumentId, Instrument]
    http: HttpClient
    limiter: RateLimiter
    offset: VenueOffset
    clock: Clock

    def stamp(self) -> Stamp:
        """Time by the venue's own clock, and a fresh nonce."""
        return Stamp(wall_ms=self.clock.wall_ns() // 1_000_000 + self.offset.offset_ms, nonce=str(uuid.uuid4()))


def wanted_instruments(settings: Settings) -> dict[VenueId, tuple[str, ...]]:
    """Symbols per venue: both legs of every pair and the books of executable FX."""
    wanted: dict[VenueId, dict[str, None]] = {}
    ids = [InstrumentId(side) for pair in settings.pairs for side in (pair.a, pair.b)]
    if settings.fx.executable.value == "upbit":
        ids.append(instrument_id("upbit", "KRW-USDT"))
    if settings.fx.second is not None:
        ids.append(InstrumentId(settings.fx.second))
    for name in ids:
        wanted.setdefault(venue_of(name), {})[symbol_of(name)] = None
    return {venue: tuple(symbols) for venue, symbols in wanted.items()}


def real_urls(settings: Settings, venue: VenueId) -> VenueUrls:
    """The venue's own addresses, or those of `[venues.NAME]`."""
    spec, section = load_venue(venue), settings.venues.get(venue, VenueSection())
    if spec.market is None:
        raise ConfigError(f"venue {venue!r} offers no market data")
    credentials = None
    if section.key is not None and section.secret is not None:
        credentials = Credentials(key=section.key, secret=section.secret)
    private = (
        "" if spec.account is None or credentials is None else spec.account.account(credentials, ()).ws_private_url
    )
    return VenueUrls(
        rest=section.rest_url or spec.market.rest_url,
        ws=section.ws_url or spec.market.ws_url,
        ws_private=section.ws_private_url or private,
        credentials=credentials,
    )


@asynccontextmanager
async def open_venues(
    wanted: Mapping[VenueId, tuple[str, ...]],
    urls: Mapping[VenueId, VenueUrls],
    *,
    clock: Clock,
    dialer: Dialer,
    within_s: float,
    limits: Mapping[VenueId, RateLimitSection],
) -> AsyncIterator[dict[VenueId, VenueAccess]]:
    """Clients and rules of every venue, for as long as the block lasts.

    Raises:
        ConfigError: an instrument does not exist.
        VenueUnavailable: a venue does not answer in time.
    """
    async with AsyncExitStack() as stack:
        found: dict[VenueId, VenueAccess] = {}
        for venue, symbols in wanted.items():
            spec = load_venue(venue)
            if spec.market is None:
                raise ConfigError(f"venue {venue!r} offers no market data")
            endpoint, prefix = split_url(urls[venue].rest)
            limit = limits.get(venue)
            ceiling = None if limit is None else limit.max_requests_per_sec
            limiter = RateLimiter(spec.rate, clock, venue=venue, ceiling_per_s=ceiling)
            target = HttpTarget(venue=venue, endpoint=endpoint, prefix=prefix, is_key_refused=spec.is_key_refused)
            if limit is not None:
                target = attrs.evolve(target, max_retry=limit.max_retry, base_backoff_s=limit.base_backoff_seconds)
            http = await stack.enter_async_context(open_http(target, dialer=dialer, limiter=limiter, clock=clock))
            offset = VenueOffset()
            try:
                with trio.fail_after(within_s):
                    instruments = await _patiently(spec.market, http, symbols)
                    offset.offset_ms = await measure_offset_ms(spec.market, http, clock) or 0
            except (trio.TooSlowError, TransientError) as error:
                words = f": {error}" if str(error) else ""
                raise VenueUnavailable(
                    venue, f"{urls[venue].rest} gave no instruments within {within_s:g} s{words}; is it reachable?"
                ) from error
            found[venue] = VenueAccess(
                spec=spec,
                market=spec.market,
                urls=urls[venue],
                symbols=symbols,
                instruments={item.id: item for item in instruments},
                http=http,
                limiter=limiter,
                offset=offset,
                clock=clock,
            )
        yield found


async def _patiently(market: MarketSpec, http: HttpClient, symbols: tuple[str, ...]) -> tuple[Instrument, ...]:
    """Ask again while the venue is away; the caller bounds it."""
    while True:
        try:
            return await load_instruments(market, http, symbols)
        except TransientError as error:
            await trio.sleep(getattr(error, "retry_after_s", 1.0))
