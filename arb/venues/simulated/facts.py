"""What a simulated exchange is asked and what happens on it, as frozen values.

Owns: the vocabulary between the exchange and the dialects: new orders, refusals, facts in order.
Never: knows a venue's field names.
Units: times UTC nanoseconds of the simulated world; prices, quantities and amounts Decimal.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId
from arb.domain.order import Balance, Liquidity, OrderState, OrderType, Side, TimeInForce

ZERO = Decimal(0)

Levels = tuple[tuple[Decimal, Decimal], ...]
"""(price, size), best first."""


class SelfTrade(Enum):
    """What the taker's order says about meeting an order of its own account."""

    NONE = "none"
    """They trade with each other."""
    CANCEL_TAKER = "cancel_taker"
    CANCEL_MAKER = "cancel_maker"
    CANCEL_BOTH = "cancel_both"


class EndCause(Enum):
    """Why an order ended with something unfilled."""

    NONE = "none"
    """It has not ended, or is filled."""
    OWNER = "owner"
    """Cancelled by request."""
    IOC_REMAINDER = "ioc_remainder"
    FOK_KILLED = "fok_killed"
    NO_LIQUIDITY = "no_liquidity"
    """A market order found no more depth."""
    QUOTE_REMAINDER = "quote_remainder"
    """A market order by quote total: what is left buys no lot."""
    SELF_TRADE = "self_trade"
    WOULD_TAKE = "would_take"
    """Post-only met the book."""
    REDUCE_ONLY = "reduce_only"
    """The position it reduced is gone."""
    MARGIN = "margin"
    """The account can no longer carry it."""
    LIQUIDATION = "liquidation"


class RefusalReason(Enum):
    """Why an order or a request was not taken; the dialects translate to codes."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NOT_TRADING = "not_trading"
    BAD_FORM = "bad_form"
    OFF_TICK = "off_tick"
    OFF_LOT = "off_lot"
    QTY_TOO_SMALL = "qty_too_small"
    QTY_TOO_LARGE = "qty_too_large"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    NOTIONAL_TOO_LARGE = "notional_too_large"
    PRICE_BAND = "price_band"
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    REDUCE_ONLY = "reduce_only"
    WOULD_TAKE = "would_take"
    NO_LIQUIDITY = "no_liquidity"
    SCRIPTED = "scripted"
    """A fault script says so."""
    UNKNOWN_ORDER = "unknown_order"
    ALREADY_ENDED = "already_ended"
    NO_CHANGE = "no_change"
    """The account setting is already so."""
    HAS_OPEN_ORDERS = "has_open_orders"
    HAS_POSITION = "has_position"
    BAD_LEVERAGE = "bad_leverage"
    MULTI_ASSET = "multi_asset"
    """Isolated margin and multi-asset mode exclude each other."""


@attrs.frozen
class Refused:
    """The request changed nothing."""

    reason: RefusalReason
    detail: str = ""


@attrs.frozen(kw_only=True)
class NewOrder:
    """An order as the dialect understood it."""

    client_order_id: str
    """Empty: the client gave none."""
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    """Ignored for market orders."""
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    """Total for MARKET_BY_QUOTE and for BEST buys."""
    price: Decimal | None = None
    reduce_only: bool = False
    self_trade: SelfTrade = SelfTrade.NONE


@attrs.frozen(kw_only=True)
class OrderView:
    """One order at one moment."""

    order_id: int
    """Per venue, without gaps; a later world begins higher."""
    account: str
    order: NewOrder
    state: OrderState
    """OPEN, FILLED or CANCELED."""
    cause: EndCause
    filled_qty: Decimal
    filled_quote: Decimal
    paid_fees: tuple[Fee, ...]
    """Summed per asset."""
    locked: Decimal
    """Held back for it now: quote for buys, base for sells, USDT margin on a margined venue."""
    locked_fee: Decimal
    """Part of `locked` that is held for the fee (venues that lock it)."""
    created_ns: int
    updated_ns: int
    trade_ids: tuple[int, ...]
    prevented_qty: Decimal = ZERO
    """Taken off by self-trade prevention."""

    @property
    def remaining_qty(self) -> Decimal | None:
        """Unfilled base quantity; None where the order names a quote total."""
        return None if self.order.qty is None else self.order.qty - self.filled_qty

    @property
    def avg_price(self) -> Decimal:
        """Average price of the fills; 0 without one."""
        return self.filled_quote / self.filled_qty if self.filled_qty else ZERO


@attrs.frozen(kw_only=True)
class PositionView:
    """A contract position at one moment, with the account's settings for the contract."""

    instrument: InstrumentId
    qty: Decimal
    """Negative when short."""
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal
    """0: none."""
    margin: Decimal
    """Isolated wallet, USDT."""
    leverage: int
    is_isolated: bool
    realised_pnl: Decimal
    """Since the start of the world."""

    @property
    def unrealised_pnl(self) -> Decimal:
        """At mark."""
        return self.qty * (self.mark_price - self.entry_price)


@attrs.frozen(kw_only=True)
class OrderChanged:
    """An order was taken, or ended (its executions are facts of their own, before the end)."""

    id: int
    at_ns: int
    view: OrderView


@attrs.frozen(kw_only=True)
class Executed:
    """One execution of an account's order."""

    id: int
    at_ns: int
    trade_id: int
    """Per venue, also seen on the public trade."""
    view: OrderView
    """The order right after it."""
    qty: Decimal
    price: Decimal
    fee: Fee
    liquidity: Liquidity
    realised_pnl: Decimal
    """0 on spot."""


@attrs.frozen(kw_only=True)
class BalanceChanged:
    """Balances of an account that one operation touched, as they are after it."""

    id: int
    at_ns: int
    account: str
    balances: tuple[Balance, ...]
    """On a margined venue `free` is what orders may use: wallet less margins."""
    reason: str
    """`order`, `funding`, `adl`, `liquidation`, `transfer`, `withdrawal`."""


@attrs.frozen(kw_only=True)
class PositionChanged:
    """A position changed by a fill, a funding settlement, a liquidation or deleveraging."""

    id: int
    at_ns: int
    account: str
    position: PositionView
    wallet: Decimal
    """The whole USDT wallet after it, margins included."""
    reason: str


@attrs.frozen(kw_only=True)
class BookImage:
    """The whole visible book, best first."""

    id: int
    at_ns: int
    instrument: InstrumentId
    bids: Levels
    asks: Levels


@attrs.frozen(kw_only=True)
class PublicTrade:
    """A trade anyone can see."""

    id: int
    at_ns: int
    instrument: InstrumentId
    trade_id: int
    price: Decimal
    qty: Decimal
    is_buy: bool
    """Taker bought."""


@attrs.frozen(kw_only=True)
class MarkChanged:
    """Mark, index and predicted funding of a perpetual."""

    id: int
    at_ns: int
    instrument: InstrumentId
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal
    next_funding_ns: int


@attrs.frozen(kw_only=True)
class FundingSettled:
    """Funding booked to an account."""

    id: int
    at_ns: int
    account: str
    instrument: InstrumentId
    asset: AssetId
    amount: Decimal
    """Positive is income."""
    rate: Decimal
    mark_price: Decimal
    income_id: int


@attrs.frozen(kw_only=True)
class Transferred:
    """Money came from outside or left."""

    id: int
    at_ns: int
    account: str
    transfer_id: int
    asset: AssetId
    amount: Decimal
    """What the balance moved by; negative leaves, its fee included."""
    fee: Decimal


Fact = (
    OrderChanged
    | Executed
    | BalanceChanged
    | PositionChanged
    | BookImage
    | PublicTrade
    | MarkChanged
    | FundingSettled
    | Transferred
)
