"""What `arb doctor` asks one venue: its clock, the instruments and their books, our key, the account's settings.

Owns: those questions; every one of them only reads.
Never: sets a mode, a margin or a leverage, and places nothing: the engine does so at its start.
Units: offsets milliseconds (venue minus ours), prices in the instrument's quote.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

import attrs
import trio

from arb.cli.findings import Finding, doubtful, fine, unasked, wrong
from arb.cli.permission import Permission
from arb.cli.schema import Mode, Settings
from arb.cli.venue_access import VenueAccess, VenueUrls, open_venues
from arb.domain.errors import ConfigError, CredentialsRefused, ProtocolError, VenueUnavailable
from arb.domain.ids import FeedId, InstrumentId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind, InstrumentStatus
from arb.domain.money import decimal_of
from arb.domain.order import OrderUpdate, Position
from arb.domain.pricing import tick_bps
from arb.ports import Clock, Dialer
from arb.venues import load_venue
from arb.venues.spec import AccountProtocol, BalancesSeen, HttpResponse, KeyPermissions, Priority
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpClient, HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.setup import read_permission

WITHIN_S: Final = 15.0
"""For everything about one venue."""
EXPIRES_SOON_MS: Final = 14 * 86_400_000
_BOOK_LEVELS: Final = 5
_HALF_SECOND_MS: Final = 500
_UNREAD: Final = (
    "try again; is the venue's rest_url right? what Binance tells about a key comes from venues.binance_spot.rest_url"
)


@attrs.frozen(kw_only=True)
class Examined:
    """What one venue told."""

    venue: VenueId
    findings: tuple[Finding, ...]
    offset_ms: int | None = None
    """None: it tells no time, or did not answer."""
    offset_error_ms: int = 0
    """Whole seconds of a `Date` header are half a second uncertain."""
    instruments: Mapping[InstrumentId, Instrument] = attrs.field(factory=dict)
    tops: Mapping[InstrumentId, tuple[float, float]] = attrs.field(factory=dict)
    """Best bid and offer of each two-sided book."""


@attrs.frozen(kw_only=True)
class Surgery:
    """What every examination shares."""

    settings: Settings
    urls: Mapping[VenueId, VenueUrls]
    """Of every venue in use, and of those that tell for others."""
    permission: Permission | None
    clock: Clock
    dialer: Dialer


async def examine(surgery: Surgery, venue: VenueId, symbols: tuple[str, ...]) -> Examined:
    """Ask one venue; it has `WITHIN_S` for everything."""
    wanted, urls = {venue: symbols}, surgery.urls
    address = urls[venue].rest
    with trio.move_on_after(2 * WITHIN_S):
        try:
            async with open_venues(
                wanted, urls, clock=surgery.clock, dialer=surgery.dialer, within_s=WITHIN_S, limits={}
            ) as access:
                return await _questioned(surgery, access[venue])
        except VenueUnavailable as error:
            remedy = f"is {address} right, and reachable from this machine?"
            return Examined(venue=venue, findings=(wrong("reach", venue, error.detail, remedy),))
        except (ConfigError, ProtocolError) as error:
            remedy = f"mend the pair, or venues.{venue}.rest_url"
            return Examined(venue=venue, findings=(wrong("reach", venue, str(error), remedy),))
    remedy = "look at the venue's own status page, and at this machine's network"
    return Examined(venue=venue, findings=(wrong("reach", venue, f"no end within {2 * WITHIN_S:g} s", remedy),))


async def _questioned(surgery: Surgery, access: VenueAccess) -> Examined:
    venue = access.spec.venue
    offset_ms, error_ms = await _offset(access)
    tops = {instrument.id: top for instrument in access.instruments.values() if (top := await _top(access, instrument))}
    findings = [fine("reach", venue, f"{access.urls.rest}: {len(access.instruments)} instruments")]
    for instrument in access.instruments.values():
        findings += _instrument_findings(surgery.settings, instrument, tops.get(instrument.id))
    findings += await _account_findings(surgery, access)
    return Examined(
        venue=venue,
        findings=tuple(findings),
        offset_ms=offset_ms,
        offset_error_ms=error_ms,
        instruments=access.instruments,
        tops=tops,
    )


async def _offset(access: VenueAccess) -> tuple[int | None, int]:
    """The venue's clock minus ours, and how uncertain that is: by its clock, else by the `Date` of an answer."""
    if access.market.time_request() is not None:
        return access.offset.offset_ms, 0
    request = access.market.depth_request(access.symbols[0], _BOOK_LEVELS)
    try:
        timed = await access.http.read_timed(request, Priority.QUERY)
        told_ms = access.market.parse_time(timed.answer)
    except (VenueUnavailable, ProtocolError):
        return None, 0
    middle_ns = (timed.sent_ns + timed.received_ns) // 2
    wall_ms = (middle_ns + access.clock.wall_ns() - access.clock.monotonic_ns()) // 1_000_000
    return told_ms + _HALF_SECOND_MS - wall_ms, _HALF_SECOND_MS


async def _top(access: VenueAccess, instrument: Instrument) -> tuple[float, float] | None:
    """Best bid and offer, over REST; None: there is no usable book."""
    request = access.market.depth_request(instrument.symbol, _BOOK_LEVELS)
    try:
        timed = await access.http.read_timed(request, Priority.QUERY)
        depth = access.market.parse_depth(instrument.id, FeedId("doctor"), timed.answer, timed.received_ns)
    except (VenueUnavailable, ProtocolError):
        return None
    return (depth.best_bid, depth.best_ask) if depth.is_two_sided and not depth.is_crossed else None


def _instrument_findings(
    settings: Settings, instrument: Instrument, top: tuple[float, float] | None
) -> Iterator[Finding]:
    """Tradable, deep enough to have a price, fine enough in its steps."""
    subject = instrument.id
    if instrument.status is not InstrumentStatus.TRADING or instrument.delisting_ms is not None:
        what = instrument.status.value if instrument.delisting_ms is None else "going to be delisted"
        yield doubtful("instrument", subject, what, "nothing is opened in it; take its pair out of the configuration")
        return
    if top is None:
        yield doubtful("instrument", subject, "has no two-sided book just now", "look again; is the market open?")
        return
    price = decimal_of((top[0] + top[1]) / 2)
    step_bps = tick_bps(instrument, price)
    rules = f"tick {step_bps:.2f} bps, lot {instrument.lot:f}, from {instrument.min_notional:,f} {instrument.quote}"
    is_leg = any(subject in (pair.a, pair.b) for pair in settings.pairs)
    if is_leg and step_bps > settings.risk.max_tick_bps:
        remedy = f"such a pair is refused (risk.max_tick_bps {settings.risk.max_tick_bps:g}); trade a finer one"
        yield doubtful("instrument", subject, rules, remedy)
    elif instrument.cautions:
        words = ", ".join(sorted(caution.value for caution in instrument.cautions))
        yield doubtful("instrument", subject, f"under caution: {words}", "entries are refused or halved meanwhile")
    else:
        yield fine("instrument", subject, rules)


# --- the key and the account ------------------------------------------------------------------------------------------


async def _account_findings(surgery: Surgery, access: VenueAccess) -> list[Finding]:
    venue, mode, spec = access.spec.venue, surgery.settings.mode, access.spec.account
    is_traded = any(
        venue_of(InstrumentId(side)) == venue for pair in surgery.settings.pairs for side in (pair.a, pair.b)
    )
    if spec is None or not is_traded:
        return []
    credentials = access.urls.credentials
    if credentials is None:
        if mode is Mode.LIVE:
            remedy = f"set venues.{venue}.key and .secret, from the environment or a file"
            return [wrong("key", venue, "there is none", remedy)]
        return [unasked("key", venue, f"none, and none is needed in mode {mode.value}")]
    instruments = tuple(one for one in access.instruments.values() if _is_leg(surgery.settings, one.id))
    protocol = spec.account(credentials, instruments)
    try:
        findings = [await _read_account(access, protocol, instruments)]
        if mode is Mode.MOCK:
            return [*findings, unasked("key", venue, "simulated, as is what the account is set to")]
        findings += await _key_findings(surgery, access, protocol)
        findings += [
            await _mode_finding(surgery.settings, access, protocol, one)
            for one in instruments
            if one.kind is InstrumentKind.PERPETUAL and protocol.setup_count
        ]
    except CredentialsRefused as error:
        remedy = "is it this venue's key, not expired, and is this machine's address allowed?"
        return [wrong("key", venue, f"refused: {error.detail}", remedy)]
    except (VenueUnavailable, ProtocolError) as error:
        return [wrong("account", venue, f"cannot be read: {error.detail}", _UNREAD)]
    return findings


def _is_leg(settings: Settings, instrument: InstrumentId) -> bool:
    return any(instrument in (pair.a, pair.b) for pair in settings.pairs)


async def _read_account(access: VenueAccess, protocol: AccountProtocol, instruments: tuple[Instrument, ...]) -> Finding:
    """The reading that every start begins with: it proves the key and its right to look."""
    stamps = tuple(access.stamp() for _ in range(protocol.snapshot_count(instruments)))
    requests = protocol.snapshot_requests(instruments, stamps)
    answers = tuple([await access.http.read(request, Priority.QUERY) for request in requests])
    facts = protocol.parse_snapshot(instruments, answers, access.clock.monotonic_ns())
    assets = sum(len(fact.balances) for fact in facts if isinstance(fact, BalancesSeen))
    held = sum(isinstance(fact, Position) and bool(fact.qty) for fact in facts)
    resting = sum(isinstance(fact, OrderUpdate) for fact in facts)
    return fine("account", access.spec.venue, f"assets: {assets}, contracts held: {held}, open orders: {resting}")


async def _key_findings(surgery: Surgery, access: VenueAccess, protocol: AccountProtocol) -> list[Finding]:
    venue = access.spec.venue
    async with _teller(surgery, access) as http:
        told = await read_permission(protocol, http, access.stamp)
    if told is None:
        return [doubtful("key", venue, "the venue tells nothing of it", "look at its permissions yourself")]
    return list(judged_key(venue, told, surgery.permission, access.clock.wall_ns() // 1_000_000))


@asynccontextmanager
async def _teller(surgery: Surgery, access: VenueAccess) -> AsyncIterator[HttpClient]:
    """The client of the venue that tells of this one's keys."""
    teller = access.spec.wallets_at or access.spec.venue
    if teller == access.spec.venue:
        yield access.http
        return
    endpoint, prefix = split_url(surgery.urls[teller].rest)
    limiter = RateLimiter(load_venue(teller).rate, surgery.clock, venue=teller)
    target = HttpTarget(venue=teller, endpoint=endpoint, prefix=prefix)
    async with open_http(target, dialer=surgery.dialer, limiter=limiter, clock=surgery.clock) as http:
        yield http


def judged_key(venue: VenueId, told: KeyPermissions, permission: Permission | None, now_ms: int) -> Iterator[Finding]:
    """What a key may do, against what it should."""
    if told.may_withdraw:
        yield wrong("key", venue, f"may withdraw; {told.words}", "make a key that trades and cannot withdraw")
    elif told.may_trade is False:
        yield wrong("key", venue, f"may not trade; {told.words}", "permit trading for this key at the venue")
    elif told.may_withdraw is None and not told.is_sub_account and not (permission and permission.upbit_no_withdrawal):
        remedy = "look at the key at the venue; then say so with arb arm --upbit-no-withdrawal"
        yield doubtful("key", venue, f"whether it may withdraw is not told; {told.words}", remedy)
    else:
        yield fine("key", venue, told.words)
    if told.is_ip_restricted is False:
        yield doubtful("key", venue, "works from every address", "bind it to this machine's address at the venue")
    if told.expires_ms is not None and told.expires_ms - now_ms < EXPIRES_SOON_MS:
        days = (told.expires_ms - now_ms) / 86_400_000
        yield doubtful("key", venue, f"expires in {days:.1f} days", "make a new one in time")


async def _mode_finding(
    settings: Settings, access: VenueAccess, protocol: AccountProtocol, instrument: Instrument
) -> Finding:
    """How a perpetual is set up: the engine's own requests, of which only those that read are sent."""
    leverage = settings.risk.leverage
    stamps = tuple(access.stamp() for _ in range(protocol.setup_count))
    unsent = HttpResponse(status=200, headers={}, body=b"")
    answers = [
        await access.http.request(request, Priority.QUERY) if request.method == "GET" else unsent
        for request in protocol.setup_requests(instrument, leverage, stamps)
    ]
    problem = protocol.setup_problem(instrument, leverage, tuple(answers))
    if problem is None:
        return fine("account mode", instrument.id, f"isolated, one-way, {leverage} times")
    remedy = "the engine sets it at its start; with a position open there, set it at the venue first"
    return doubtful("account mode", instrument.id, problem, remedy)


def mid_of(examined: Mapping[VenueId, Examined], instrument: str) -> Decimal | None:
    """The middle of a book that was seen."""
    name = InstrumentId(instrument)
    found = examined.get(venue_of(name))
    top = None if found is None else found.tops.get(name)
    return None if top is None else decimal_of((top[0] + top[1]) / 2)
