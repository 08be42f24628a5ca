"""Bank USD/KRW (Hana, published by Dunamu): for display and sanity only.

Owns: one request and the reading of its answer.
Never: is executable; updates stop at night and at weekends.
Units: KRW per USD, although the code is written KRWUSD; times UTC milliseconds.

`[{"code":"FRX.KRWUSD","date":"2026-11-20","time":"20:01:49","basePrice":1450.50,"timestamp":1795172509000,…}]`;
date and time are Korean; older bodies have no `timestamp`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final

import attrs
import msgspec
from msgspec import Struct, field

from arb.domain.depth import Depth
from arb.domain.errors import ConfigError, ProtocolError
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import Instrument
from arb.venues.answers import Count, body_of, ms_of
from arb.venues.spec import HttpRequest, HttpResponse, StatusSeen, StreamPlan


class ForexRow(Struct, frozen=True):
    """One rate."""

    code: str
    rate: Decimal = field(name="basePrice")
    date: str
    time: str
    timestamp: Count | None = None


FOREX: Final = msgspec.json.Decoder(list[ForexRow], strict=False)
CODE: Final = "FRX.KRWUSD"


def _published_ms(row: ForexRow) -> int:
    if row.timestamp is not None:
        return ms_of(row.timestamp)
    try:
        return int(datetime.fromisoformat(f"{row.date}T{row.time}+09:00").timestamp() * 1000)
    except ValueError as error:
        raise ProtocolError("dunamu", f"published at {row.date!r} {row.time!r}") from error


@attrs.frozen
class DunamuMarket:
    """The one public read of Dunamu."""

    rest_url: str = "https://quotation-api-cdn.dunamu.com"
    ws_url: str = ""

    def streams(self, instruments: tuple[Instrument, ...], feed_prefix: str) -> tuple[StreamPlan, ...]:
        """There are none."""
        return ()

    def instruments_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """There are no instruments."""
        return ()

    def parse_instruments(self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...]) -> tuple[Instrument, ...]:
        """Refuse any symbol."""
        if symbols:
            raise ConfigError(f"dunamu trades nothing: {symbols[0]!r} cannot be a leg of a pair")
        return ()

    def depth_request(self, symbol: str, levels: int) -> HttpRequest:
        """There are no books.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"dunamu has no book of {symbol!r}: it publishes a bank rate only")

    def parse_depth(self, instrument: InstrumentId, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
        """There are no books.

        Raises:
            ProtocolError: always.
        """
        raise ProtocolError("dunamu", f"no answer of dunamu holds a book of {instrument}")

    def status_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """The rate; which symbols are traded elsewhere does not matter."""
        return (HttpRequest(method="GET", path="/v1/forex/recent", query=f"codes={CODE}", bucket="forex"),)

    def parse_status(
        self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[FundingRateSeen | FxSeen | StatusSeen, ...]:
        """The rate and when it was published."""
        for row in body_of("dunamu", answers[0], FOREX):
            if row.code == CODE and row.rate.is_finite() and row.rate > 0:
                return (FxSeen(at_ns=received_ns, rate=row.rate, source="dunamu", published_ms=_published_ms(row)),)
        raise ProtocolError("dunamu", f"the answer holds no usable {CODE}")

    def time_request(self) -> HttpRequest | None:
        """Nothing is signed here, so its clock does not matter."""
        return None

    def parse_time(self, answer: HttpResponse) -> int:
        """The `Date` header, whole seconds."""
        try:
            return int(parsedate_to_datetime(answer.headers["date"]).timestamp() * 1000)
        except (KeyError, ValueError, TypeError) as error:
            raise ProtocolError("dunamu", "the answer has no readable Date header") from error
