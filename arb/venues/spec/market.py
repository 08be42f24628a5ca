"""The public half of a venue: streams of books, and the same over REST.

Owns: what a frame can mean, and the two interfaces that turn frames and bodies into it.
Units: `received_ns` monotonic.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from arb.domain.depth import Depth
from arb.domain.events import FundingRateSeen, FxSeen
from arb.domain.ids import FeedId, InstrumentId
from arb.domain.instrument import Caution, Instrument
from arb.ports import Trade
from arb.venues.spec.requests import HttpRequest, HttpResponse


@attrs.frozen
class BookChanged:
    """A book has a newer image; ask `depth()` for it when it is wanted."""

    instrument: InstrumentId


@attrs.frozen
class BookLost:
    """A book must not be used until it changes again (gap, stale generation, crossed)."""

    instrument: InstrumentId
    reason: str


@attrs.frozen
class NeedSnapshot:
    """Send `request`; give the answer to `receive_snapshot`."""

    instrument: InstrumentId
    request: HttpRequest


@attrs.frozen(kw_only=True)
class TickerSeen:
    """Last price and best quotes, for display; texts as printed by the venue."""

    instrument: InstrumentId
    last: str | None
    bid: str | None
    ask: str | None
    venue_ns: int | None


@attrs.frozen
class Reply:
    """Send this text frame now (subscriptions, application-level pongs)."""

    text: str


@attrs.frozen
class Alive:
    """The frame carried nothing but the fact that the connection lives (acks, heartbeats)."""


@attrs.frozen
class Reconnect:
    """The venue asks for a new connection (`serverShutdown`, 24-hour limit, listen key expired)."""

    reason: str


@attrs.frozen
class Fault:
    """The frame could not be understood, or says that we did something wrong; counted and kept, never fatal."""

    detail: str


@attrs.frozen(kw_only=True)
class StatusSeen:
    """Maintenance, trading status and warnings."""

    instrument: InstrumentId | None
    """None: the venue as a whole."""
    is_tradable: bool
    detail: str
    cautions: frozenset[Caution] | None = None
    """The venue's warnings about the instrument; None: not told."""


Inbound = (
    BookChanged
    | BookLost
    | NeedSnapshot
    | TickerSeen
    | Trade
    | FundingRateSeen
    | Reply
    | Alive
    | Reconnect
    | Fault
    | StatusSeen
)


class MarketProtocol(Protocol):
    """Sans-IO public stream of one venue connection; owns the books of its instruments."""

    def opening(self) -> tuple[str, ...]:
        """Text frames to send right after the handshake (may be empty: subscriptions in the URL)."""

    def receive(self, frame: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """One data frame (text or binary payload). Arbitrary bytes give `Fault`, never an exception."""

    def receive_snapshot(self, instrument: InstrumentId, body: bytes, received_ns: int) -> tuple[Inbound, ...]:
        """The answer to a `NeedSnapshot`."""

    def depth(self, instrument: InstrumentId, levels: int) -> Depth | None:
        """Freeze the newest image; None while the book is lost or was never seen. Costs nothing until called."""


@attrs.frozen(kw_only=True)
class StreamPlan:
    """One connection to open."""

    feed: FeedId
    path: str
    """Appended to the venue's `ws_url`: path and query."""
    instruments: tuple[InstrumentId, ...]
    """Those whose books it fills; may be none."""
    protocol: MarketProtocol
    ping_text: str | None = None
    """Application-level ping to send when idle; None: a WebSocket ping."""


class MarketSpec(Protocol):
    """The public half of a venue."""

    @property
    def rest_url(self) -> str:
        """Default base URL."""

    @property
    def ws_url(self) -> str:
        """Default base URL of public streams."""

    def streams(self, instruments: tuple[Instrument, ...], feed_prefix: str) -> tuple[StreamPlan, ...]:
        """A fresh set of connections with fresh protocol objects, one feed per connection."""

    def instruments_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """What to ask to learn the rules of these symbols."""

    def parse_instruments(self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...]) -> tuple[Instrument, ...]:
        """Rules of the symbols, in their order.

        Raises:
            ConfigError: a symbol does not exist there.
            ProtocolError: the answer cannot be understood.
        """

    def depth_request(self, symbol: str, levels: int) -> HttpRequest:
        """An order book image over REST."""

    def parse_depth(self, instrument: InstrumentId, feed: FeedId, answer: HttpResponse, received_ns: int) -> Depth:
        """The image. `sequence` comes from the answer where it has one, else from its timestamp.

        Raises:
            ProtocolError: the answer cannot be understood.
        """

    def status_requests(self, symbols: tuple[str, ...]) -> tuple[HttpRequest, ...]:
        """Periodic public reads besides books: funding and mark (perpetuals); empty: none."""

    def parse_status(
        self, symbols: tuple[str, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[FundingRateSeen | FxSeen | StatusSeen, ...]:
        """What those answers say."""

    def time_request(self) -> HttpRequest | None:
        """Ask the venue's clock; None: use the `Date` header of any answer."""

    def parse_time(self, answer: HttpResponse) -> int:
        """Venue time, UTC milliseconds."""
