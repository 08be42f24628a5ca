"""Everything the core can ask for: a closed union of frozen values.

Records are rows as the core knows them; `storage` translates them to the columns of the contract.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import ClientOrderId, InstrumentId, PairId, VenueId, VenueOrderId
from arb.domain.order import ApprovedOrder

Cell = str | int | float | bool | Decimal | None


@attrs.frozen
class Submit:
    """Send orders, in one journal batch: all are released by the same sync."""

    orders: tuple[ApprovedOrder, ...]


@attrs.frozen(kw_only=True)
class Cancel:
    """Cancel one order by our name (never all: the account may hold others)."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    instrument: InstrumentId


@attrs.frozen(kw_only=True)
class Query:
    """Ask what became of an order; the answer is an `OrderUpdated` (and `FillSeen`s). `not_before_ns`: wait until
    then."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    instrument: InstrumentId
    not_before_ns: int


@attrs.frozen(kw_only=True)
class QueryAccount:
    """Read balances and positions of a venue again; the answers are events."""

    venue: VenueId
    reason: str


class Table(Enum):
    """Where a record belongs (contracts.md, Storage)."""

    POSITIONS = "positions"
    ORDERS = "orders"
    FILLS = "fills"
    SPREADS = "spreads"
    TRADES = "trades"
    FX_RATES = "fx_rates"
    FUNDING = "funding"
    TRANSFERS = "transfers"
    BALANCES_DAILY = "balances_daily"
    ACCOUNT = "account"
    REFUSALS = "refusals"
    INCIDENTS = "incidents"
    ERRORS = "errors"


@attrs.frozen(kw_only=True)
class Record:
    """One row revision; the highest `rev` of an `id` is the truth. Times in cells are UTC nanoseconds (`_ns`)."""

    table: Table
    id: str
    rev: int
    pair: PairId | None
    row: tuple[tuple[str, Cell], ...]


@attrs.frozen(kw_only=True)
class Publish:
    """What observers may know now: counters and gauges by topic, latest wins per topic."""

    topic: str
    """`pair/<id>`, `portfolio`, `account`, `state`, `refusal`, `order`, `incident`, `trade`."""
    values: tuple[tuple[str, Cell], ...]


class Severity(Enum):
    """Who is told: INFO the log, WARNING tomorrow, ERROR now."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen(kw_only=True)
class Alert:
    """Something a person should know; `key` de-duplicates."""

    key: str
    severity: Severity
    text: str
    fields: tuple[tuple[str, Cell], ...] = ()


@attrs.frozen
class Halt:
    """The core no longer trusts itself: leave, CRITICAL."""

    reason: str


Effect = Submit | Cancel | Query | QueryAccount | Record | Publish | Alert | Halt
