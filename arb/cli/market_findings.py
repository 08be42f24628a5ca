"""What `arb doctor` makes of all venues together: whose clock is off, what a USDT costs, what is the same asset.

Owns: those comparisons.
Never: asks anybody but the bank; the venues have been asked.
Units: offsets milliseconds (venue minus ours), rates KRW per USDT or USD, deviations as ratios or bps.

No time server is asked. Venues that agree with each other and not with us say that our clock is off; one venue that
agrees with nobody says that it is that one's, or the way to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from statistics import median
from typing import Final

import trio

from arb.cli.findings import Finding, doubtful, fine, unasked, wrong
from arb.cli.schema import BankChoice, FxChoice, PairSection, Settings
from arb.cli.venue_findings import WITHIN_S, Examined, Surgery, mid_of
from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.domain.events import FxSeen
from arb.domain.ids import InstrumentId, VenueId
from arb.venues import load_venue
from arb.venues.spec import Priority
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter

BANK: Final = VenueId("dunamu")
FX_BOOK: Final = InstrumentId("upbit:KRW-USDT")
OFF_MS: Final = 250
"""A jump of so much re-anchors a running engine."""
FAR_OFF_MS: Final = 5_000
"""Beyond it signatures are refused unless the offset is measured anew at once."""


def clock_findings(examined: Mapping[VenueId, Examined]) -> Iterator[Finding]:
    """Each venue's clock against ours, and a judgement on ours."""
    told = {venue: one for venue, one in examined.items() if one.offset_ms is not None}
    for venue, one in examined.items():
        if venue not in told and one.instruments:
            yield unasked("clock", venue, "tells no time")
    exact = [one for one in told.values() if not one.offset_error_ms] or list(told.values())
    if not exact:
        return
    middle, error_ms = median(one.offset_ms or 0 for one in exact), exact[0].offset_error_ms
    for venue, one in told.items():
        offset_ms = one.offset_ms or 0
        detail = f"{offset_ms:+,} ms from ours" + (
            f", give or take {one.offset_error_ms}" if one.offset_error_ms else ""
        )
        if abs(offset_ms - middle) > OFF_MS + one.offset_error_ms:
            remedy = "look at the way to it; the engine measures and uses each venue's own offset"
            yield doubtful("clock", venue, f"{detail}, unlike the others", remedy)
        else:
            yield fine("clock", venue, detail)
    words = f"{middle:+,.0f} ms by the clocks of {', '.join(one.venue for one in exact)}"
    if abs(middle) > FAR_OFF_MS:
        yield wrong("clock", "this machine", words, "set this machine's clock; let a time daemon keep it")
    elif abs(middle) > OFF_MS + error_ms:
        yield doubtful("clock", "this machine", words, "let a time daemon keep this machine's clock")
    else:
        yield fine("clock", "this machine", words)


def executable_fx(settings: Settings, examined: Mapping[VenueId, Examined]) -> tuple[Decimal | None, list[Finding]]:
    """What a USDT costs to trade with, and how good that price is."""
    fx = settings.fx
    if fx.executable is FxChoice.STATIC:
        remedy = "fx.executable = 'upbit' wherever money is real"
        return fx.executable_rate, [doubtful("FX", "executable", f"{fx.executable_rate} KRW, as configured", remedy)]
    rate = mid_of(examined, FX_BOOK)
    if rate is None:
        return None, [wrong("FX", "executable", f"{FX_BOOK} has no usable book", "without it nothing is opened")]
    bid, ask = examined[VenueId("upbit")].tops[FX_BOOK]
    tick = examined[VenueId("upbit")].instruments[FX_BOOK].ticks.tick_at(rate)
    ticks = (ask - bid) / float(tick)
    detail = f"{bid:,.1f} / {ask:,.1f} KRW per USDT, {ticks:.0f} tick(s) apart"
    if ticks > fx.fx_max_spread_ticks + 1e-9:
        return rate, [doubtful("FX", "executable", detail, f"over fx.fx_max_spread_ticks ({fx.fx_max_spread_ticks})")]
    return rate, [fine("FX", "executable", detail), *_second_fx(settings, examined, rate)]


def _second_fx(settings: Settings, examined: Mapping[VenueId, Examined], rate: Decimal) -> Iterator[Finding]:
    name = settings.fx.second
    if name is None:
        return
    other = mid_of(examined, name)
    if other is None:
        yield doubtful("FX", name, "has no usable book", "the plausibility of FX rests on the bank alone meanwhile")
        return
    off_bps = abs(float(other / rate) - 1) * 1e4
    detail = f"{other:,.1f} KRW, {off_bps:.0f} bps from the executable one"
    if off_bps > settings.fx.fx_second_max_bps:
        yield doubtful("FX", name, detail, f"over fx.fx_second_max_bps ({settings.fx.fx_second_max_bps:g})")
    else:
        yield fine("FX", name, detail)


async def bank_finding(surgery: Surgery, rate: Decimal | None) -> Finding:
    """The bank's USD/KRW: its age, and how far the executable rate is from it."""
    fx = surgery.settings.fx
    if fx.bank is BankChoice.OFF:
        return unasked("FX", "bank", "fx.bank = off")
    if fx.bank is BankChoice.STATIC:
        return doubtful("FX", "bank", f"{fx.bank_rate} KRW, as configured", "fx.bank = 'dunamu' for a rate of today")
    try:
        with trio.fail_after(WITHIN_S):
            seen = await _ask_bank(surgery)
    except (VenueUnavailable, ProtocolError, trio.TooSlowError) as error:
        words = str(error) or f"no answer within {WITHIN_S:g} s"
        return doubtful("FX", "bank", words, "display and sanity band do without it; is fx.bank_url right?")
    age_s = surgery.clock.wall_ns() / 1e9 - seen.published_ms / 1e3
    detail = f"{seen.rate:,.1f} KRW per USD, {max(age_s, 0) / 3600:.1f} h old"
    if age_s > fx.bank_max_age_s:
        return doubtful("FX", "bank", detail, f"over fx.bank_max_age_s ({fx.bank_max_age_s:g})")
    off_pct = abs(float(rate / seen.rate) - 1) * 100 if rate else 0.0
    if off_pct > fx.fx_band_pct:
        return doubtful(
            "FX",
            "bank",
            f"{detail}; the executable rate is {off_pct:.1f} % off",
            f"over fx_band_pct ({fx.fx_band_pct:g})",
        )
    return fine("FX", "bank", detail)


async def _ask_bank(surgery: Surgery) -> FxSeen:
    market, clock = load_venue(BANK).market, surgery.clock
    assert market is not None
    known = surgery.urls.get(BANK)
    endpoint, prefix = split_url(surgery.settings.fx.bank_url or market.rest_url if known is None else known.rest)
    limiter = RateLimiter(load_venue(BANK).rate, clock, venue=BANK)
    target = HttpTarget(venue=BANK, endpoint=endpoint, prefix=prefix)
    async with open_http(target, dialer=surgery.dialer, limiter=limiter, clock=clock) as http:
        answers = [await http.read(request, Priority.QUERY) for request in market.status_requests(())]
    (seen,) = market.parse_status((), tuple(answers), clock.monotonic_ns())
    assert isinstance(seen, FxSeen)
    return seen


def identity_finding(pair: PairSection, examined: Mapping[VenueId, Examined], rate: Decimal | None) -> Finding:
    """Whether both instruments still price the same asset."""
    mid_a, mid_b = mid_of(examined, pair.a), mid_of(examined, pair.b)
    if mid_a is None or mid_b is None or not rate:
        return unasked("identity", pair.name, "a book or the FX is missing")
    deviation = abs(float(mid_a / (mid_b / pair.multiplier * rate)) - 1)
    detail = f"{pair.a} is {deviation:.2%} from {pair.b}"
    if deviation >= pair.identity_max_dev:
        remedy = f"over identity_max_dev ({pair.identity_max_dev:.0%}): is it the same coin, is multiplier right?"
        return wrong("identity", pair.name, detail, remedy)
    return fine("identity", pair.name, detail)
