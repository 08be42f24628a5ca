"""Upbit's rules: tick bands, smallest orders, fees, rate groups.

Owns: the numbers Upbit publishes and how its answers speak of them.
Never: sends, waits, reads a clock.
Units: KRW, BTC or USDT as the market's quote; rates per second.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.instrument import TickBand, TickTable
from arb.venues.answers import UNREADABLE, shown
from arb.venues.spec import BackOff, Bucket, HttpResponse, RateReport

VOLUME_STEP: Final = Decimal("1e-8")
DEPTH_UNITS: Final = 15
"""Levels asked for per book: 1, 5, 15 and 30 exist; the core receives 15."""

DEFAULT_FEES: Final = FeeSchedule(maker_rate=Decimal("0.0005"), taker_rate=Decimal("0.0005"), fee_asset=FeeAsset.QUOTE)


@attrs.frozen
class QuoteRules:
    """What a quote market prescribes."""

    ticks: TickTable
    min_notional: Decimal
    max_notional: Decimal | None


def _bands(*rows: tuple[str, str]) -> TickTable:
    return TickTable(tuple(TickBand(Decimal(start), Decimal(tick)) for start, tick in rows))


QUOTES: Final = {
    "KRW": QuoteRules(
        _bands(
            ("1000000", "1000"),
            ("500000", "500"),
            ("100000", "100"),
            ("50000", "50"),
            ("10000", "10"),
            ("5000", "5"),
            ("100", "1"),
            ("10", "0.1"),
            ("1", "0.01"),
            ("0.1", "0.001"),
            ("0.01", "0.0001"),
            ("0.001", "0.00001"),
            ("0.0001", "0.000001"),
            ("0.00001", "0.0000001"),
            ("0", "0.00000001"),
        ),
        Decimal(5000),
        Decimal(1_000_000_000),
    ),
    "BTC": QuoteRules(_bands(("0", "0.00000001")), Decimal("0.00005"), Decimal(10)),
    "USDT": QuoteRules(
        _bands(
            ("10", "0.01"),
            ("1", "0.001"),
            ("0.1", "0.0001"),
            ("0.01", "0.00001"),
            ("0.001", "0.000001"),
            ("0.0001", "0.0000001"),
            ("0", "0.00000001"),
        ),
        Decimal("0.5"),
        None,
    ),
}
"""Published tables: KRW of 2025-07-31, BTC and USDT of 2024-08-19."""


def ticks_with(published: TickTable, tick_now: Decimal, price_now: Decimal) -> TickTable:
    """The published table corrected by the step that the venue states for the present price.

    Where both agree the table stands. Where they differ, the band of the present price takes the stated step, and the
    steps
    of the other bands are kept between it and their published value: never coarser below it, never finer above it.
    """
    if published.tick_at(price_now) == tick_now:
        return published
    here = next((band.from_price for band in published.bands if price_now >= band.from_price), Decimal(0))
    return TickTable(tuple(TickBand(band.from_price, _corrected(band, here, tick_now)) for band in published.bands))


def _corrected(band: TickBand, here: Decimal, tick_now: Decimal) -> Decimal:
    if band.from_price == here:
        return tick_now
    return max(band.tick, tick_now) if band.from_price > here else min(band.tick, tick_now)


BUCKETS: Final = (
    Bucket(name="market", capacity=10, window_s=1.0, reserve=0),
    Bucket(name="candle", capacity=10, window_s=1.0, reserve=0),
    Bucket(name="trade", capacity=10, window_s=1.0, reserve=0),
    Bucket(name="ticker", capacity=10, window_s=1.0, reserve=0),
    Bucket(name="orderbook", capacity=10, window_s=1.0, reserve=0),
    Bucket(name="default", capacity=30, window_s=1.0, reserve=10),
    Bucket(name="order", capacity=12, window_s=1.0, reserve=4, is_for_orders=True),
    Bucket(name="order-test", capacity=8, window_s=1.0, reserve=0),
    Bucket(name="order-cancel-all", capacity=1, window_s=2.0, reserve=0),
    Bucket(name="websocket-connect", capacity=5, window_s=1.0, reserve=0),
    Bucket(name="websocket-message", capacity=5, window_s=1.0, reserve=0),
)
"""Groups as Upbit names them in `Remaining-Req`; orders and their cancels are counted apart."""

_NEXT_SECOND_S: Final = 1.0
_BAN_S: Final = 60.0
"""Assumed length of a ban whose answer states none that can be read."""
_UNIT_S: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "초": 1.0, "분": 60.0, "시간": 3600.0}
_DURATION: Final = re.compile(rf"([0-9]{{1,6}})\s*({'|'.join(_UNIT_S)})")


@attrs.frozen
class UpbitRate:
    """Upbit's rate groups and what its answers say of them."""

    buckets: tuple[Bucket, ...] = BUCKETS

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """`Remaining-Req: group=default; min=1800; sec=29`: what is left in this second (`min` is a dead constant)."""
        fields = dict(part.strip().partition("=")[::2] for part in response.headers.get("remaining-req", "").split(";"))
        group, left = fields.get("group", ""), fields.get("sec", "")
        if not group or not left.isascii() or not left.isdigit():
            return ()
        return (RateReport(bucket=group, remaining=int(left)),)

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """429: until the next second begins; 418: as long as it says."""
        if response.status == 429:
            wait_s = _NEXT_SECOND_S - wall_ms % 1000 / 1000
            return BackOff(wait_s=wait_s, is_ban=False, reason="too_many_requests")
        if response.status == 418:
            return BackOff(wait_s=_ban_s(response), is_ban=True, reason=shown(response.body))
        return None


def _words(body: bytes) -> str:
    """The text of a body, escapes of JSON resolved."""
    try:
        return str(msgspec.json.decode(body))
    except UNREADABLE:
        return body.decode("utf-8", "replace")


def _ban_s(response: HttpResponse) -> float:
    """Seconds of a ban: `Retry-After`, else the first number of the body that is followed by a unit of time."""
    stated = response.headers.get("retry-after", "")
    if stated.isascii() and stated.isdigit():
        return float(stated)
    told = _DURATION.search(_words(response.body))
    return _BAN_S if told is None else float(told[1]) * _UNIT_S[told[2]]
