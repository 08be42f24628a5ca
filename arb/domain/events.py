"""Everything the core can learn: a closed union.

Units: `at_ns` is the shell's monotonic time at which the event entered, `wall_ns` UTC; both never decrease by design
of the shell,
and the core takes the larger of what it knew and what it is told.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.depth import Depth
from arb.domain.fees import FeeSchedule
from arb.domain.ids import AssetId, FeedId, InstrumentId, PairId, RunId, VenueId
from arb.domain.instrument import Instrument
from arb.domain.order import Balance, Fill, OrderUpdate, Position


@attrs.frozen(kw_only=True)
class RunStarted:
    """First event of every run."""

    at_ns: int
    wall_ns: int
    run_id: RunId
    build: str
    """Version and source digest of the program; replay compares effects only under the same one."""
    parameters: str
    """The engine's whole configuration as canonical JSON, readable back by `storage.codec`."""


@attrs.frozen(kw_only=True)
class RunEnding:
    """Trading has ended: what is learnt from now on is folded, and nothing more is sent in this run."""

    at_ns: int


@attrs.frozen(kw_only=True)
class InstrumentSeen:
    """A venue's rules for an instrument, at start and whenever they change."""

    at_ns: int
    instrument: Instrument


@attrs.frozen(kw_only=True)
class FeesSeen:
    """Fee rates in force."""

    at_ns: int
    instrument: InstrumentId
    fees: FeeSchedule


@attrs.frozen(kw_only=True)
class DepthSeen:
    """The newest image of a book (older ones were conflated away)."""

    at_ns: int
    depth: Depth


@attrs.frozen(kw_only=True)
class FeedSeen:
    """A connection is alive: some frame of any kind arrived at `last_frame_ns` (latest wins per feed)."""

    at_ns: int
    feed: FeedId
    last_frame_ns: int
    latency_ns: int
    """Measured one-way latency of the feed, a running low quantile; 0: unknown."""


@attrs.frozen(kw_only=True)
class FundingRateSeen:
    """Predicted funding of a perpetual and the prices that come with it."""

    at_ns: int
    instrument: InstrumentId
    rate: Decimal
    """Of the settlement at `next_settlement_ms`, fraction of notional; positive: longs pay."""
    interval_s: int
    next_settlement_ms: int
    """UTC."""
    mark_price: Decimal
    index_price: Decimal | None
    past_rates: tuple[Decimal, ...] = ()
    """Newest first; filled from REST at start and after each settlement, else empty (keep what is known)."""


@attrs.frozen(kw_only=True)
class OrderUpdated:
    """Something is known of an order; answers to Query included."""

    at_ns: int
    update: OrderUpdate


@attrs.frozen(kw_only=True)
class FillSeen:
    """An execution; may be repeated, may come before or after the order's own updates."""

    at_ns: int
    fill: Fill


@attrs.frozen(kw_only=True)
class BalanceSeen:
    """Balances of a venue; `is_full`: whatever is not named is zero."""

    at_ns: int
    venue: VenueId
    balances: tuple[Balance, ...]
    is_full: bool


@attrs.frozen(kw_only=True)
class PositionSeen:
    """A venue's own word on a contract position."""

    at_ns: int
    position: Position


@attrs.frozen(kw_only=True)
class FundingPaid:
    """Funding booked from a venue's income ledger; positive is income."""

    at_ns: int
    instrument: InstrumentId
    income_id: str
    """Unique by venue."""
    amount: Decimal
    asset: AssetId
    rate: Decimal | None
    settled_ms: int


@attrs.frozen(kw_only=True)
class TransferSeen:
    """A deposit or withdrawal; positive arrives."""

    at_ns: int
    venue: VenueId
    transfer_id: str
    amount: Decimal
    """What the balance moved by, the fee of a withdrawal included."""
    asset: AssetId
    fee: Decimal | None = None
    """Of a withdrawal, in its asset; None: not told."""
    network: str = ""
    """The chain, as the venue names it; empty: not told."""
    done_ms: int | None = None
    """UTC, when the venue booked it; None: not told."""


@attrs.frozen(kw_only=True)
class FxSeen:
    """Bank USD/KRW, for display and sanity only."""

    at_ns: int
    rate: Decimal
    source: str
    published_ms: int
    """UTC time the source printed on it."""


@attrs.frozen(kw_only=True)
class FeedUp:
    """A connection serves synchronised data again."""

    at_ns: int
    feed: FeedId
    instruments: tuple[InstrumentId, ...]
    source: str
    """`ws` or `rest`."""


@attrs.frozen(kw_only=True)
class FeedDown:
    """A connection serves nothing; `is_final` when its restart budget is spent."""

    at_ns: int
    feed: FeedId
    instruments: tuple[InstrumentId, ...]
    reason: str
    is_final: bool = False


class VenueCondition(Enum):
    """What a venue as a whole allows."""

    UP = "up"
    MAINTENANCE = "maintenance"
    DOWN = "down"
    RATE_LIMITED = "rate_limited"


@attrs.frozen(kw_only=True)
class WalletState:
    """Whether an asset can move, per venue; None: unknown."""

    asset: AssetId
    deposit: bool | None
    withdraw: bool | None


@attrs.frozen(kw_only=True)
class VenueStatus:
    """Maintenance, wallets and the rate budget of a venue, whole each time."""

    at_ns: int
    venue: VenueId
    condition: VenueCondition
    until_ns: int | None = None
    """Monotonic end of a ban or a known window; None: unknown or none."""
    reason: str = ""
    wallets: tuple[WalletState, ...] = ()
    free_order_slots: int | None = None
    """Orders the rate budget still allows now for entries; None: not limited."""


@attrs.frozen(kw_only=True)
class ArmingSeen:
    """Whether entries may be sent; outside live the first event says armed."""

    at_ns: int
    is_armed: bool
    missing: tuple[str, ...] = ()


class Level(Enum):
    """Watchdog level; what a level does is a table in the risk room."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"


@attrs.frozen(kw_only=True)
class HealthSeen:
    """The watchdog's verdict, when it changes."""

    at_ns: int
    level: Level
    reasons: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ClockJumped:
    """Wall time moved against monotonic time; ages are untrusted until fresh data arrives."""

    at_ns: int
    wall_ns: int
    jump_ns: int


@attrs.frozen(kw_only=True)
class Reconciled:
    """The venues' orders, fills, balances and positions have been re-read for a venue.

    `open_orders` holds every order of ours the venue still knows as open; the events before this one carried the
    details.
    """

    at_ns: int
    venue: VenueId
    open_orders: tuple[OrderUpdate, ...] = ()
    begun_ns: int | None = None
    """When its first question was asked: what happened since may be in it or not. None: it took no time."""


@attrs.frozen(kw_only=True)
class Tick:
    """Time passed; lets silence be noticed. `is_loop`: one evaluation at the tick of `interval`."""

    at_ns: int
    wall_ns: int
    is_loop: bool = False


@attrs.frozen(kw_only=True)
class StorageSeen:
    """What the disk allows, when it changes: low puts STORAGE_LOW in force until it is not, full puts STORAGE_FULL in
    force."""

    at_ns: int
    is_low: bool
    """Free space is under `journal.min_free_mb`."""
    is_full: bool
    """The store's buffer is full."""
    detail: str


class CommandKind(Enum):
    """What an operator or the shell may ask of the core."""

    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    FLATTEN = "flatten"
    ARM = "arm"
    """The operator permits real orders again, as far as the other conditions allow."""
    DISARM = "disarm"
    """The operator withdraws the permission; kept over restarts until ARM."""
    ADOPT = "adopt"
    """Take the venues' quantities as they are: unexplained differences become ours, at the mid."""
    IGNORE = "ignore"
    """Unexplained differences belong to somebody else: leave them out of every comparison from now on."""
    DRAIN = "drain"
    """No new entries from now on; sent by a graceful shutdown."""


@attrs.frozen(kw_only=True)
class Command:
    """An operator's order, audited."""

    at_ns: int
    kind: CommandKind
    operator: str
    pair: PairId | None = None
    reason: str = ""


Event = (
    RunStarted
    | RunEnding
    | InstrumentSeen
    | FeesSeen
    | DepthSeen
    | FeedSeen
    | FundingRateSeen
    | OrderUpdated
    | FillSeen
    | BalanceSeen
    | PositionSeen
    | FundingPaid
    | TransferSeen
    | FxSeen
    | FeedUp
    | FeedDown
    | VenueStatus
    | ArmingSeen
    | HealthSeen
    | ClockJumped
    | Reconciled
    | StorageSeen
    | Tick
    | Command
)
