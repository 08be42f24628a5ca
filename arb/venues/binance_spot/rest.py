"""Binance spot's public REST half: instruments, books, connections to open.

Owns: the requests and the reading of their answers.
Never: sends them.
Units: quote of the symbol; times UTC milliseconds.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from arb.domain.depth import Depth
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.venues.answers import body_of
from arb.venues.binance_frames import SystemStatus
from arb.venues.binance_rest import parse_image, parse_rules, parse_server_time, smallest_limit
from arb.venues.binance_spot.protocol import KINDS, spot_stream
from arb.venues.binance_spot.rules import DEPTH_WEIGHTS, SYNC_LEVELS
from arb.venues.binance_streams import STREAMS_PER_CONNECTION, URL_STREAMS
from arb.venues.spec import HttpRequest, HttpResponse, StatusSeen, StreamPlan

_SYSTEM: Final = msgspec.json.Decoder(SystemStatus)


@attrs.frozen
class SpotMarket:
    """The public half of Binance spot."""

    rest_url: str = "https://api.binance.com"
    ws_url: str = "wss://stream.binance.com:9443"

    def streams(self, instruments: tuple[Instrument, ...], feed_prefix: str) -> tuple[StreamPlan, ...]:
        """Combined streams, at most 1,000 per connection."""
        plans: list[StreamPlan] = []
        step = (STREAMS_PER_CONNECTION - 24) // len(KINDS)
        for start in range(0, len(instruments), step):
            part = instruments[start : start + step]
            feed = FeedId(f"{feed_prefix}/public/{len(plans)}")
            protocol = spot_stream(feed, part, lambda symbol: self.depth_request(symbol, SYNC_LEVELS))
            path = f"/stream?streams={quote('/'.join(protocol.names[:URL_STREAMS]), safe='/@')}"
            ids = tuple(item.id for item in part)
            plans.append(StreamPlan(feed=feed, path=path, instruments=ids, protocol=protocol))
        return tuple(plans)

    def instruments_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """One exchangeInfo for all of them."""
        listed = quote(msgspec.json.encode(symbols).decode())
        query = f"symbols={listed}"
        return (HttpRequest(method="GET", path="/api/v3/exchangeInfo", query=query, bucket="weight", weight=20),)

    def parse_instruments(self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...]) -> tuple[Instrument, ...]:
        """Rules of the symbols, in their order."""
        return parse_rules("binance_spot", InstrumentKind.SPOT, symbols, answers[0], {})

    def depth_request(self, symbol: str, levels: int) -> HttpRequest:
        """An order book image."""
        limit = smallest_limit(levels, tuple(DEPTH_WEIGHTS))
        query = f"symbol={quote(symbol)}&limit={min(max(levels, 1), limit)}"
        return HttpRequest(
            method="GET", path="/api/v3/depth", query=query, bucket="weight", weight=DEPTH_WEIGHTS[limit]
        )

    def parse_depth(self, instrument: InstrumentId, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
        """The image; its update id is its sequence."""
        return parse_image(instrument, "binance_spot", feed, answer, received_ns)

    def status_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """Whether the venue is open; spot has neither funding nor mark prices."""
        return (HttpRequest(method="GET", path="/sapi/v1/system/status", bucket="weight"),) if symbols else ()

    def parse_status(
        self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[FundingRateSeen | FxSeen | StatusSeen, ...]:
        """The state of the whole venue."""
        return tuple(
            StatusSeen(instrument=None, is_tradable=status.status == 0, detail=status.msg)
            for status in (body_of("binance_spot", answer, _SYSTEM) for answer in answers)
        )

    def time_request(self) -> HttpRequest | None:
        """The venue's clock."""
        return HttpRequest(method="GET", path="/api/v3/time", bucket="weight")

    def parse_time(self, answer: HttpResponse) -> int:
        """The venue's clock, UTC milliseconds."""
        return parse_server_time("binance_spot", answer)
