"""What a venue folder exports: sans-IO protocols that turn frames and HTTP bodies into values, and values into
requests.

Owns: the vocabulary between venue folders and `venues/wire`.
Never: waits, opens, reads a clock or draws a nonce: time and nonces are arguments (`Stamp`).
Units: `received_ns` monotonic; `wall_ms` UTC milliseconds already corrected by the venue's measured offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import attrs

from arb.domain.depth import Depth
from arb.domain.effects import Cancel, Query
from arb.domain.events import FundingPaid, FundingRateSeen, FxSeen, WalletState
from arb.domain.fees import FeeSchedule
from arb.domain.ids import FeedId, InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder, Balance, Fill, OrderUpdate, Position
from arb.ports import Trade


class Priority(Enum):
    """Who takes a rate token first, in this order."""

    CANCEL = 0
    HEDGE = 1
    QUERY = 2
    EXIT = 3
    ENTRY = 4


@attrs.frozen(kw_only=True)
class HttpRequest:
    """A request ready to be sent, signature included."""

    method: str
    path: str
    query: str = ""
    """Without `?`, already percent-encoded."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    bucket: str
    """Name of the rate bucket of this venue that it is taken from."""
    weight: int = 1

    @property
    def target(self) -> str:
        """Path and query as they go on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@attrs.frozen(kw_only=True)
class HttpResponse:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes


@attrs.frozen(kw_only=True)
class Stamp:
    """The outside facts a signature needs."""

    wall_ms: int
    nonce: str
    """Fresh and unique (a UUID) per request."""


@attrs.frozen(kw_only=True)
class Credentials:
    """An API key pair; the secret never appears in a repr."""

    key: str = attrs.field(repr=lambda value: f"{value[:4]}…" if len(value) > 8 else "…")
    secret: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Bucket:
    """One rate budget: `capacity` units refilled evenly or at once each `window_s`."""

    name: str
    capacity: int
    window_s: float
    reserve: int
    """Units kept back for cancels, hedges and queries."""


@attrs.frozen(kw_only=True)
class RateReport:
    """What response headers say of a bucket."""

    bucket: str
    used: int | None = None
    remaining: int | None = None


@attrs.frozen(kw_only=True)
class BackOff:
    """The venue wants silence: no request of any kind for `wait_s`."""

    wait_s: float
    is_ban: bool
    reason: str


class RateRules(Protocol):
    """Buckets of a venue and how to read its answers about them."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Budgets as documented; the venue's own instruments answer may override (see `limits_of`)."""

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """Usage that the headers tell."""

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """How long to be silent after this answer; None: not at all."""


# --- public stream ----------------------------------------------------------------------------------------------------


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
    """Maintenance and trading status as the stream tells it."""

    instrument: InstrumentId | None
    is_tradable: bool
    detail: str


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


# --- private stream ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class BalancesSeen:
    """Balances; `is_full`: what is not named is zero."""

    balances: tuple[Balance, ...]
    is_full: bool


@attrs.frozen
class Reread:
    """Something changed that the stream does not tell in full (margin call, leverage, funding): read the snapshot and
    the funding ledger again."""

    reason: str


AccountInbound = OrderUpdate | Fill | BalancesSeen | Position | Reply | Alive | Reconnect | Reread | Fault


@attrs.frozen(kw_only=True)
class PrivateTarget:
    """How to open the private stream."""

    path: str
    """Appended to the venue's `ws_private_url`."""
    headers: tuple[tuple[str, str], ...] = ()
    opening: tuple[str, ...] = ()
    """Text frames to send right after the handshake."""


class AccountProtocol(Protocol):
    """Sans-IO private stream and account reads of one venue."""

    @property
    def ws_private_url(self) -> str:
        """Default base URL."""

    @property
    def keepalive_s(self) -> float | None:
        """Interval of `keepalive_request`; None: none needed."""

    def prepare_request(self, stamp: Stamp) -> HttpRequest | None:
        """A REST call that must come before the connection (listen key); None: none."""

    def target(self, prepared: HttpResponse | None, stamp: Stamp) -> PrivateTarget:
        """Where and how to connect.

        Raises:
            ProtocolError: the prepared answer cannot be used.
        """

    def keepalive_request(self, stamp: Stamp) -> HttpRequest | None:
        """Extend the listen key; None: none."""

    def receive(self, frame: bytes, received_ns: int) -> tuple[AccountInbound, ...]:
        """One data frame; arbitrary bytes give `Fault`, never an exception."""

    def snapshot_requests(
        self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Balances, positions and open orders, re-read after every (re)connect; one stamp is used per request."""

    def snapshot_count(self, instruments: tuple[Instrument, ...]) -> int:
        """How many stamps `snapshot_requests` needs."""

    def parse_snapshot(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> tuple[AccountInbound, ...]:
        """What those answers say: balances (full), positions, one OrderUpdate per open order.

        Raises:
            ProtocolError: an answer cannot be understood.
            VenueUnavailable: an answer is an error of the venue.
        """

    def fees_requests(self, instruments: tuple[Instrument, ...], stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """Ask for the fee rates in force, one request per instrument."""

    def parse_fees(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...]
    ) -> tuple[FeeSchedule, ...]:
        """Rates per instrument, `source="venue"`."""

    @property
    def setup_count(self) -> int:
        """How many stamps `setup_requests` needs; 0: there is nothing to set up."""

    def setup_requests(
        self, instrument: Instrument, leverage: int, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """One-way mode, isolated margin, leverage, then their read-back, to be sent in order, each after the answer
        before; empty for spot."""

    def setup_problem(self, instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
        """What is wrong with the answers of `setup_requests` ("already so" is success; the read-back decides); None:
        all set."""

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Funding booked since a UTC time; None: nothing is funded here."""

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """The bookings, oldest first; a booking seen twice has the same `income_id`.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """

    def wallets_request(self, stamp: Stamp) -> HttpRequest | None:
        """Deposit and withdrawal states; None: this venue does not tell."""

    def parse_wallets(self, answer: HttpResponse) -> tuple[WalletState, ...]:
        """The states, one per asset: open where any network is.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """


class OrderCodec(Protocol):
    """Sans-IO order entry of one venue. Answers are values; every error code has a consequence (a table in
    `errors.py`)."""

    def submit(self, order: ApprovedOrder, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """A signed order."""

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """A signed cancel by client order id."""

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """A signed query by client order id."""

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """Ask for the executions of an order, where an answer counts more than it lists; None: nothing was executed."""

    def parse_submit(
        self, order: ApprovedOrder, answer: HttpResponse, received_ns: int
    ) -> tuple[OrderUpdate | Fill, ...]:
        """What became of it; an answer that leaves the fate open gives state UNKNOWN."""

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """What became of it; "unknown order" gives UNKNOWN (query follows), never a guess."""

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """What is known; "no such order" gives NOT_FOUND."""

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """


class AccountSpec(Protocol):
    """The private half of a venue."""

    def account(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> AccountProtocol:
        """A fresh private stream protocol."""

    def orders(self, credentials: Credentials) -> OrderCodec:
        """An order codec (stateless but for the credentials)."""


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
    client_ping_s: float = 15.0
    """How often we ping when nothing else is heard."""
