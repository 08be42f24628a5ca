"""Settlement of spot orders: what is locked for them, what a fill moves, what is released.

Owns: the money side of spot. Bids lock price × quantity, and a fee taken in the quote asset; asks lock quantity.
Never: lets a balance fall below zero.
Units: Decimal in the asset named.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.fees import Fee, FeeAsset
from arb.domain.ids import AssetId
from arb.domain.instrument import Instrument
from arb.domain.money import booked
from arb.domain.order import Liquidity, Side
from arb.venues.simulated.accounts import BookedOrder, TradingAccount
from arb.venues.simulated.facts import ZERO, RefusalReason
from arb.venues.simulated.models import VenueModel

BNB = AssetId("BNB")


@attrs.frozen
class SpotSettlement:
    """The money side of a spot venue."""

    model: VenueModel

    def reserve(
        self, account: TradingAccount, order: BookedOrder, instrument: Instrument, base: Decimal, quote: Decimal
    ) -> RefusalReason | None:
        """Lock what the order can cost at most: `quote` for a buy, `base` for a sell."""
        asset = _spent_asset(order, instrument)
        principal = quote if order.side is Side.BUY else base
        fee = self._fee_lock(order, principal)
        if account.free(asset) < principal + fee:
            return RefusalReason.INSUFFICIENT_BALANCE
        _lock(account, order, asset, principal, fee)
        return None

    def cap(
        self, account: TradingAccount, order: BookedOrder, instrument: Instrument, qty: Decimal, price: Decimal
    ) -> Decimal:
        """How much of `qty` the account can settle: all that its lock covers."""
        return qty if order.side is Side.SELL or qty * price <= order.locked else ZERO

    def settle(
        self,
        account: TradingAccount,
        order: BookedOrder,
        instrument: Instrument,
        qty: Decimal,
        price: Decimal,
        liquidity: Liquidity,
    ) -> tuple[Fee, Decimal]:
        """Move the money of one fill; returns the fee taken and no realised PnL."""
        cost = qty * price
        rate = self.model.fees.maker_rate if liquidity is Liquidity.MAKER else self.model.fees.taker_rate
        is_buy = order.side is Side.BUY
        spent = account.holding(_spent_asset(order, instrument))
        paid = cost if is_buy else qty
        spent.locked -= paid
        order.locked -= paid
        received_asset = instrument.base if is_buy else instrument.quote
        account.holding(received_asset).free += qty if is_buy else cost
        return self._charge(account, order, instrument, qty, cost, rate), ZERO

    def relock(self, account: TradingAccount, order: BookedOrder, instrument: Instrument) -> None:
        """After fills: keep locked only what the rest can cost."""
        asset = _spent_asset(order, instrument)
        if order.limit is not None and order.order.qty is not None:
            left = order.wanted_at(order.limit)
            principal = left * order.limit if order.side is Side.BUY else left
        else:
            principal = order.locked - order.locked_fee
        _lock(account, order, asset, principal, self._fee_lock(order, principal))

    def release(self, account: TradingAccount, order: BookedOrder, instrument: Instrument) -> None:
        """Give back whatever is still locked."""
        _lock(account, order, _spent_asset(order, instrument), ZERO, ZERO)

    def _fee_lock(self, order: BookedOrder, principal: Decimal) -> Decimal:
        if order.side is Side.SELL or self.model.fees.fee_asset is not FeeAsset.QUOTE:
            return ZERO
        return principal * max(self.model.fees.taker_rate, self.model.fees.maker_rate)

    def _charge(
        self,
        account: TradingAccount,
        order: BookedOrder,
        instrument: Instrument,
        qty: Decimal,
        cost: Decimal,
        rate: Decimal,
    ) -> Fee:
        if self.model.fees.fee_asset is FeeAsset.BNB:
            amount = booked(cost * rate * (1 - self.model.bnb_discount) / self.model.bnb_usdt)
            if account.free(BNB) >= amount:
                account.holding(BNB).free -= amount
                return Fee(amount, BNB)
        if order.side is Side.SELL:
            amount = cost * rate
            account.holding(instrument.quote).free -= amount
            return Fee(amount, instrument.quote)
        if self.model.fees.fee_asset is not FeeAsset.QUOTE:
            amount = qty * rate
            account.holding(instrument.base).free -= amount
            return Fee(amount, instrument.base)
        amount = cost * rate
        account.holding(instrument.quote).locked -= amount
        order.locked -= amount
        order.locked_fee -= amount
        return Fee(amount, instrument.quote)


def _spent_asset(order: BookedOrder, instrument: Instrument) -> AssetId:
    return instrument.quote if order.side is Side.BUY else instrument.base


def _lock(account: TradingAccount, order: BookedOrder, asset: AssetId, principal: Decimal, fee: Decimal) -> None:
    account.move_lock(asset, principal + fee - order.locked)
    order.locked = principal + fee
    order.locked_fee = fee
