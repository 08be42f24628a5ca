"""What both Binance markets answer over public REST: rules of symbols, books, time, and how they limit requests.

Owns: the reading of those bodies and of the weight headers.
Never: sends.
Units: quote of the symbol; times UTC milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs
import msgspec

from arb.domain.depth import Depth, DepthSource
from arb.domain.errors import ConfigError, ProtocolError
from arb.domain.ids import AssetId, FeedId, InstrumentId, instrument_id
from arb.domain.instrument import Instrument, InstrumentKind, InstrumentStatus, single_tick
from arb.venues.answers import Measure, body_of, ns_of, shown
from arb.venues.binance_frames import DepthImage, ExchangeInfo, ServerTime, SymbolFilter, SymbolRow
from arb.venues.spec import BackOff, Bucket, HttpResponse, RateReport

EXCHANGE_INFO: Final = msgspec.json.Decoder(ExchangeInfo, strict=False)
_DEPTH: Final = msgspec.json.Decoder(DepthImage[Measure], strict=False)
_TIME: Final = msgspec.json.Decoder(ServerTime)
_NO_FILTER: Final = SymbolFilter("")
_NO_DELIVERY_MS: Final = 4_000_000_000_000
"""A perpetual's delivery date lies in 2100 until it is to be delisted."""

STATUSES: Final = {
    "TRADING": InstrumentStatus.TRADING,
    "CANCEL_ONLY": InstrumentStatus.CANCEL_ONLY,
    "PRE_DELIVERING": InstrumentStatus.DELISTING,
    "PRE_SETTLE": InstrumentStatus.DELISTING,
    "DELIVERING": InstrumentStatus.DELISTING,
    "SETTLING": InstrumentStatus.DELISTING,
    "CLOSE": InstrumentStatus.DELISTING,
}
"""Every other word (BREAK, HALT, PENDING_TRADING, …) means halted."""


def smallest_limit(levels: int, limits: tuple[int, ...]) -> int:
    """The smallest `limit` a depth request may name that covers `levels`."""
    return next((limit for limit in limits if limit >= levels), limits[-1])


def parse_rules(
    venue: str, kind: InstrumentKind, symbols: tuple[str, ...], answer: HttpResponse, intervals_s: dict[str, int]
) -> tuple[Instrument, ...]:
    """Rules of the symbols, in their order.

    Raises:
        ConfigError: a symbol is not listed.
        ProtocolError: the answer cannot be understood.
    """
    rows = {row.symbol: row for row in body_of(venue, answer, EXCHANGE_INFO).symbols}
    for symbol in symbols:
        if symbol not in rows:
            raise ConfigError(
                f"{venue} lists no symbol {symbol!r}: write it in capitals without a dash, for example BTCUSDT"
            )
    return tuple(_instrument(venue, kind, rows[symbol], intervals_s.get(symbol)) for symbol in symbols)


def _instrument(venue: str, kind: InstrumentKind, row: SymbolRow, interval_s: int | None) -> Instrument:
    by_type = {item.type: item for item in row.filters}
    price, lot = by_type.get("PRICE_FILTER", _NO_FILTER), by_type.get("LOT_SIZE", _NO_FILTER)
    if price.tick is None or lot.step is None or price.tick <= 0 or lot.step <= 0:
        raise ProtocolError(venue, f"{row.symbol} states no price step or no quantity step")
    smallest, largest = _notionals(by_type)
    up, down = _band(by_type)
    return Instrument(
        id=instrument_id(venue, row.symbol),
        kind=kind,
        base=AssetId(row.base),
        quote=AssetId(row.quote),
        ticks=single_tick(price.tick),
        lot=lot.step,
        min_qty=lot.min_qty or lot.step,
        max_qty=lot.max_qty or None,
        min_notional=smallest,
        max_notional=largest,
        band_up=up,
        band_down=down,
        status=STATUSES.get(row.status, InstrumentStatus.HALTED),
        listed_ms=row.onboard_ms,
        delisting_ms=row.delivery_ms if row.delivery_ms and row.delivery_ms < _NO_DELIVERY_MS else None,
        funding_interval_s=interval_s,
    )


def _notionals(by_type: dict[str, SymbolFilter]) -> tuple[Decimal, Decimal | None]:
    """Smallest and largest notional: NOTIONAL on spot, MIN_NOTIONAL of older spot rows and of USD-M (`notional`)."""
    both, least = by_type.get("NOTIONAL", _NO_FILTER), by_type.get("MIN_NOTIONAL", _NO_FILTER)
    stated = (both.min_notional, least.min_notional, least.notional)
    return max((value for value in stated if value is not None), default=Decimal(0)), both.max_notional or None


def _band(by_type: dict[str, SymbolFilter]) -> tuple[Decimal | None, Decimal | None]:
    """Highest and lowest price as multiples of the reference: a buy's upper and a sell's lower bound; 0 disables."""
    by_side, plain_band = by_type.get("PERCENT_PRICE_BY_SIDE", _NO_FILTER), by_type.get("PERCENT_PRICE", _NO_FILTER)
    return by_side.bid_up or plain_band.up or None, by_side.ask_down or plain_band.down or None


def parse_image(instrument: InstrumentId, venue: str, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
    """An order book image; spot prints no time on it.

    Raises:
        ProtocolError: the answer cannot be understood.
    """
    image = body_of(venue, answer, _DEPTH)
    return Depth(
        instrument=instrument,
        feed=feed,
        bids=tuple(value for level in image.bids for value in level),
        asks=tuple(value for level in image.asks for value in level),
        received_ns=received_ns,
        venue_ns=None if image.event_ms is None else ns_of(image.event_ms),
        sequence=image.last_id,
        source=DepthSource.REST,
    )


def parse_server_time(venue: str, answer: HttpResponse) -> int:
    """The venue's clock.

    Raises:
        ProtocolError: the answer cannot be understood.
    """
    return body_of(venue, answer, _TIME).server_ms


_USED: Final = "x-mbx-used-weight-1m"
_ORDERS: Final = "x-mbx-order-count-"
_UNTIL: Final = b"banned until "
_BAN_S: Final = 120.0
"""Shortest ban there is; taken when an answer states none."""


@attrs.frozen
class BinanceRate:
    """Budgets of one Binance market: request weight per minute and address, orders per account."""

    buckets: tuple[Bucket, ...]

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """Used weight (bucket `weight`) and order counts (buckets `orders-10s`, `orders-1d`, …)."""
        found = []
        for name, value in response.headers.items():
            if value.isascii() and value.isdigit():
                if name == _USED:
                    found.append(RateReport(bucket="weight", used=int(value)))
                elif name.startswith(_ORDERS):
                    found.append(RateReport(bucket=f"orders-{name.removeprefix(_ORDERS)}", used=int(value)))
        if _is_order_limit(response):
            shortest = min((each for each in self.buckets if each.is_for_orders), key=lambda each: each.window_s)
            found.append(RateReport(bucket=shortest.name, remaining=0))
        return tuple(found)

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """429 and 418: `Retry-After`, the ban's end in the text, or the rest of the minute.

        Too many orders (-1015) leave everything else as it is: their bucket is full (`reports`).
        """
        if _is_order_limit(response):
            return None
        if response.status not in (429, 418) and not (response.status >= 400 and b"-1003" in response.body):
            return None
        is_ban = response.status == 418 or _UNTIL in response.body
        return BackOff(wait_s=_silence_s(response, wall_ms, is_ban), is_ban=is_ban, reason=shown(response.body))


def _is_order_limit(response: HttpResponse) -> bool:
    return response.status in (400, 429) and b"-1015" in response.body


def _silence_s(response: HttpResponse, wall_ms: int, is_ban: bool) -> float:
    stated = response.headers.get("retry-after", "")
    if stated.isascii() and stated.isdigit():
        return float(stated)
    until = response.body.partition(_UNTIL)[2][:20].split(b".")[0].split(b'"')[0].strip()
    if until.isdigit():
        return max(0.0, (int(until) - wall_ms) / 1000)
    return _BAN_S if is_ban else 60.0 - wall_ms % 60_000 / 1000
