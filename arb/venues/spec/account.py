"""The private half of a venue: the account stream, account reads and order entry.

Owns: what a private frame can mean, and the interfaces that turn orders into requests and answers into updates.
Units: `received_ns` monotonic, `since_ms` UTC milliseconds.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from arb.domain.effects import Cancel, Query
from arb.domain.events import FundingPaid, TransferSeen, WalletState
from arb.domain.fees import FeeSchedule
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder, Balance, Fill, OrderUpdate, Position
from arb.venues.spec.market import Alive, Fault, Reconnect, Reply
from arb.venues.spec.requests import Credentials, HttpRequest, HttpResponse, Stamp


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


@attrs.frozen(kw_only=True)
class ExecutionsSeen:
    """What a venue lists of a span of time."""

    fills: tuple[Fill, ...] = ()
    """With the name of their order where the venue tells it."""
    orders: tuple[OrderUpdate, ...] = ()
    """Ended orders that have traded, and whose executions only an answer about the order itself lists."""
    more_from_ms: int | None = None
    """The venue lists no more at once: to be read on from here; None: this is all."""


AccountInbound = OrderUpdate | Fill | BalancesSeen | Position | Reply | Alive | Reconnect | Reread | Fault


@attrs.frozen(kw_only=True)
class KeyPermissions:
    """What a venue tells of an API key; None: it does not tell."""

    may_trade: bool | None
    may_withdraw: bool | None
    is_ip_restricted: bool | None
    is_sub_account: bool | None
    """Belongs to a sub-account or sub-pocket, whose money alone it reaches."""
    expires_ms: int | None
    """UTC milliseconds; None also: it does not expire."""
    words: str
    """For people: what was told, in the venue's own names."""


@attrs.frozen(kw_only=True)
class PrivateTarget:
    """How to open the private stream."""

    path: str = ""
    """Appended to the venue's `ws_private_url`; empty where that is the whole address."""
    headers: tuple[tuple[str, str], ...] = ()
    opening: tuple[str, ...] = ()
    """Text frames to send right after the handshake."""


class AccountProtocol(Protocol):
    """Sans-IO private stream and account reads of one venue."""

    @property
    def ws_private_url(self) -> str:
        """Default base URL: the address that the venue documents, up to what changes with each connection."""

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
        """Single-asset and one-way mode, isolated margin, leverage, then their read-back, to be sent in order, each
        after the answer before; empty for spot."""

    def setup_problem(self, instrument: Instrument, leverage: int, answers: tuple[HttpResponse, ...]) -> str | None:
        """What is wrong with the answers of `setup_requests` ("already so" is success; the read-back decides); None:
        all set."""

    def permission_request(self, stamp: Stamp) -> HttpRequest | None:
        """Ask what this key may do, at `VenueSpec.wallets_at` where there is one; None: the venue tells nothing."""

    def parse_permission(self, answer: HttpResponse) -> KeyPermissions:
        """What the key may do.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """

    def funding_request(self, since_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Funding booked since a UTC time; None: nothing is funded here."""

    def parse_funding(self, answer: HttpResponse, received_ns: int) -> tuple[FundingPaid, ...]:
        """The bookings, oldest first; a booking seen twice has the same `income_id`.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """

    @property
    def transfers_count(self) -> int:
        """How many stamps `transfers_requests` needs."""

    def transfers_requests(self, since_ms: int, stamps: tuple[Stamp, ...]) -> tuple[HttpRequest, ...]:
        """Money that came or left since a UTC time: deposits, withdrawals, transfers between our own wallets."""

    def parse_transfers(
        self, answers: tuple[HttpResponse, ...], since_ms: int, received_ns: int
    ) -> tuple[TransferSeen, ...]:
        """What has moved the balance since then, oldest first; one seen twice has the same `transfer_id`.

        Raises:
            ProtocolError: an answer cannot be understood.
            VenueUnavailable: an answer is an error of the venue.
        """

    @property
    def executions_window_ms(self) -> int:
        """The longest span that one reading of executions may have."""

    def executions_count(self, instruments: tuple[Instrument, ...]) -> int:
        """How many stamps `executions_requests` needs."""

    def executions_requests(
        self, instruments: tuple[Instrument, ...], since_ms: int, until_ms: int | None, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Executions of our account in a span of UTC time, whoever ordered them; `until_ms` None: up to now."""

    def parse_executions(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> ExecutionsSeen:
        """What those answers list.

        Raises:
            ProtocolError: an answer cannot be understood.
            VenueUnavailable: an answer is an error of the venue.
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
        """A signed cancel by the venue's id where it is known, else by client order id."""

    @property
    def most_cancels(self) -> int:
        """How many orders of one instrument a single request may cancel; 1: there is no such request."""

    def cancel_many(self, cancels: tuple[Cancel, ...], stamp: Stamp) -> HttpRequest:
        """A signed cancel of several orders of one instrument by client order id, at most `most_cancels`."""

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """A signed query by the venue's id where it is known, else by client order id."""

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """Ask for the executions of an order, where an answer counts more than it lists; None: nothing was executed."""

    def parse_submit(
        self, order: ApprovedOrder, answer: HttpResponse, received_ns: int
    ) -> tuple[OrderUpdate | Fill, ...]:
        """What became of it; an answer that leaves the fate open gives state UNKNOWN."""

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """What became of it; "unknown order" gives UNKNOWN (query follows), never a guess."""

    def parse_cancel_many(
        self, cancels: tuple[Cancel, ...], answer: HttpResponse, received_ns: int
    ) -> tuple[OrderUpdate | Fill, ...]:
        """What became of each of them; one of which the answer does not tell the state is UNKNOWN (query follows)."""

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """What is known; "no such order" gives NOT_FOUND."""

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """

    def dead_man_request(self, instrument: Instrument, countdown_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Have the venue cancel all orders of the instrument after so long, unless it is told anew; 0: never. None: it
        has no such timer."""


class AccountSpec(Protocol):
    """The private half of a venue."""

    def account(self, credentials: Credentials, instruments: tuple[Instrument, ...]) -> AccountProtocol:
        """A fresh private stream protocol."""

    def orders(self, credentials: Credentials) -> OrderCodec:
        """An order codec (stateless but for the credentials)."""
