"""Orders and what becomes of them.

Units: quantities Decimal in contract units of the instrument; prices Decimal in quote; times monotonic _ns unless
named otherwise.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, PairId, TradeId, VenueId, VenueOrderId, venue_of


class Side(Enum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(Enum):
    """How long an order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderType(Enum):
    """Priced, or at any price."""

    LIMIT = "limit"
    MARKET = "market"
    """By base quantity."""
    MARKET_BY_QUOTE = "market_by_quote"
    """Spend `quote_qty` of the quote asset (Upbit `price`, Binance `quoteOrderQty`)."""
    BEST = "best"
    """Upbit's best-price order; needs IOC or FOK."""


class Purpose(Enum):
    """Why an order exists; decides which half of the gate it passes and its place in the rate budget."""

    ENTRY = "entry"
    EXIT = "exit"
    HEDGE = "hedge"
    """Completes an unbalanced two-leg order."""
    REVERSE = "reverse"
    """Undoes the filled leg of an unbalanced two-leg order."""
    EMERGENCY = "emergency"
    """Escalation, margin guard, the bounded order before a CRITICAL sweep."""
    FLATTEN = "flatten"


class OrderState(Enum):
    """What is known of an order."""

    SUBMITTED = "submitted"
    """Sent, nothing heard."""
    OPEN = "open"
    """Rests at the venue, possibly partly filled."""
    FILLED = "filled"
    CANCELED = "canceled"
    """Ended by cancel, IOC remainder or FOK kill; `filled_qty` says how much traded."""
    REJECTED = "rejected"
    """Never rested."""
    NOT_FOUND = "not_found"
    """A query found nothing; not yet definite (engine.md, Legs)."""
    UNKNOWN = "unknown"
    """May or may not exist."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self in (OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED)


class Liquidity(Enum):
    """Resting or crossing."""

    MAKER = "maker"
    TAKER = "taker"


@attrs.frozen(kw_only=True)
class OrderRequest:
    """An instruction to a venue; leaves only as an `ApprovedOrder`."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal | None
    """Contract units; None only for MARKET_BY_QUOTE and BEST buys."""
    quote_qty: Decimal | None = None
    price: Decimal | None
    """Limit price; None for market orders."""
    time_in_force: TimeInForce
    reduce_only: bool
    purpose: Purpose
    pair: PairId
    leg: str
    """`a` or `b`: which leg of its pair."""
    expected_price: Decimal
    """Price at decision, for slippage."""

    @property
    def venue(self) -> VenueId:
        """Where it goes."""
        return venue_of(self.instrument)


@attrs.frozen
class ApprovedOrder:
    """An order the risk gate has approved; only `risk/gate.py` makes one and gateways accept nothing else."""

    request: OrderRequest
    approved_ns: int


@attrs.frozen(kw_only=True)
class OrderUpdate:
    """What a venue (or its silence) says of an order: cumulative, never a difference."""

    client_order_id: ClientOrderId
    instrument: InstrumentId
    state: OrderState
    filled_qty: Decimal | None
    """Cumulative; None: not told."""
    avg_price: Decimal | None = None
    venue_order_id: VenueOrderId | None = None
    reason: str = ""
    """Our name of a rejection or of the cause of an unknown, then the venue's words."""
    received_ns: int
    venue_ns: int | None = None
    """UTC ns."""


@attrs.frozen(kw_only=True)
class Fill:
    """One execution; unique by (venue, instrument, trade id)."""

    instrument: InstrumentId
    trade_id: TradeId
    client_order_id: ClientOrderId | None
    """None: an order that is not ours or whose name the venue does not repeat."""
    venue_order_id: VenueOrderId | None
    side: Side
    qty: Decimal
    price: Decimal
    fee: Fee | None
    """None: the venue did not tell with this message; the REST re-read or the schedule supplies it."""
    liquidity: Liquidity | None
    received_ns: int
    venue_ns: int | None

    @property
    def venue(self) -> VenueId:
        """Where it happened."""
        return venue_of(self.instrument)


@attrs.frozen
class Balance:
    """Holdings of one asset on one venue."""

    asset: AssetId
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked."""
        return self.free + self.locked


@attrs.frozen(kw_only=True)
class Position:
    """Signed holding of a contract, as the venue reports it."""

    instrument: InstrumentId
    qty: Decimal
    """Contract units, negative when short."""
    entry_price: Decimal
    mark_price: Decimal | None
    liquidation_price: Decimal | None
    """None: the venue gives none (no position, or not in this message)."""
    leverage: Decimal | None = None
    is_isolated: bool | None = None
