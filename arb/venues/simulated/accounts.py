"""Accounts of a simulated exchange: holdings, contracts, orders and the names they used.

Owns: every amount and every order record; `free` and `locked` are changed by the settlements only.
Never: matches, refuses or prices.
Units: Decimal in the asset named; contracts in base units; times UTC nanoseconds.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId
from arb.domain.money import floor_to_step
from arb.domain.order import Balance, OrderState, Side
from arb.venues.simulated.facts import (
    ZERO,
    EndCause,
    Executed,
    FundingSettled,
    NewOrder,
    OrderView,
    RefusalReason,
    Transferred,
)

USDT = AssetId("USDT")


@attrs.define(kw_only=True, eq=False)
class BookedOrder:
    """One order's record, changed in place by its exchange only."""

    order_id: int
    account: str
    order: NewOrder
    limit: Decimal | None
    """Worst price it accepts; None: any."""
    lot: Decimal
    created_ns: int
    updated_ns: int
    state: OrderState = OrderState.OPEN
    cause: EndCause = EndCause.NONE
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    fees: dict[AssetId, Decimal] = attrs.field(factory=dict)
    locked: Decimal = ZERO
    locked_fee: Decimal = ZERO
    prevented_qty: Decimal = ZERO
    trade_ids: list[int] = attrs.field(factory=list)

    @property
    def side(self) -> Side:
        """Which way it goes."""
        return self.order.side

    def wanted_at(self, price: Decimal) -> Decimal:
        """Base quantity it still wants at `price`, on the lot."""
        if self.order.qty is not None:
            return self.order.qty - self.filled_qty
        total = self.order.quote_qty or ZERO
        return floor_to_step((total - self.filled_quote) / price, self.lot)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        if self.order.qty is not None:
            return self.filled_qty >= self.order.qty
        return self.filled_quote >= (self.order.quote_qty or ZERO)

    def crosses(self, price: Decimal) -> bool:
        """Whether an offer at `price` is acceptable."""
        if self.limit is None:
            return True
        return price <= self.limit if self.side is Side.BUY else price >= self.limit

    def view(self) -> OrderView:
        """Frozen, as it is now."""
        return OrderView(
            order_id=self.order_id,
            account=self.account,
            order=self.order,
            state=self.state,
            cause=self.cause,
            filled_qty=self.filled_qty,
            filled_quote=self.filled_quote,
            paid_fees=tuple(Fee(amount, asset) for asset, amount in self.fees.items()),
            locked=self.locked,
            locked_fee=self.locked_fee,
            created_ns=self.created_ns,
            updated_ns=self.updated_ns,
            trade_ids=tuple(self.trade_ids),
            prevented_qty=self.prevented_qty,
        )


@attrs.define
class HeldAsset:
    """One asset of one account."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@attrs.define
class Contract:
    """One perpetual of one account: position and settings."""

    leverage: int
    is_isolated: bool
    qty: Decimal = ZERO
    entry_price: Decimal = ZERO
    margin: Decimal = ZERO
    realised_pnl: Decimal = ZERO


@attrs.define(eq=False)
class TradingAccount:
    """Everything one account has and did."""

    name: str
    holdings: dict[AssetId, HeldAsset] = attrs.field(factory=dict)
    contracts: dict[InstrumentId, Contract] = attrs.field(factory=dict)
    orders: dict[int, BookedOrder] = attrs.field(factory=dict)
    newest_by_client_id: dict[str, int] = attrs.field(factory=dict)
    used_client_ids: set[str] = attrs.field(factory=set)
    executions: list[Executed] = attrs.field(factory=list)
    incomes: list[FundingSettled] = attrs.field(factory=list)
    transfers: list[Transferred] = attrs.field(factory=list)
    """Since the opening, oldest first."""
    refusals: dict[RefusalReason, int] = attrs.field(factory=dict)
    deposits: dict[AssetId, Decimal] = attrs.field(factory=dict)
    insured_usdt: Decimal = ZERO
    """Losses beyond the account's money, paid by the venue's insurance fund."""
    is_dual: bool = False
    """Hedge mode is set; orders of the one-way kind are then refused by the dialect."""
    is_multi_asset: bool = False
    """Multi-asset mode is set; there is no isolated margin then."""
    touched_assets: dict[AssetId, None] = attrs.field(factory=dict)
    touched_contracts: dict[InstrumentId, None] = attrs.field(factory=dict)

    def holding(self, asset: AssetId) -> HeldAsset:
        """The holding of `asset`, made when first asked for, and reported after the running operation."""
        self.touched_assets[asset] = None
        return self.holdings.setdefault(asset, HeldAsset())

    def move_lock(self, asset: AssetId, delta: Decimal) -> None:
        """Lock `delta` more of `asset` (negative: release)."""
        holding = self.holding(asset)
        holding.free -= delta
        holding.locked += delta

    def free(self, asset: AssetId) -> Decimal:
        """What may be used now."""
        holding = self.holdings.get(asset)
        return holding.free if holding else ZERO

    def balances(self) -> tuple[Balance, ...]:
        """All holdings, by asset name."""
        return tuple(Balance(asset, each.free, each.locked) for asset, each in sorted(self.holdings.items()))

    @property
    def wallet_usdt(self) -> Decimal:
        """USDT with the margins of contracts."""
        holding = self.holdings.get(USDT, HeldAsset())
        return holding.free + holding.locked + sum((each.margin for each in self.contracts.values()), ZERO)

    def open_orders(self, instrument: InstrumentId | None = None) -> tuple[BookedOrder, ...]:
        """Resting orders, oldest first."""
        return tuple(
            each
            for each in self.orders.values()
            if each.state is OrderState.OPEN and (instrument is None or each.order.instrument == instrument)
        )

    def refuse(self, reason: RefusalReason) -> None:
        """Count a refusal."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
