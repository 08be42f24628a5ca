"""Settlement of USDT-margined perpetuals: margins, realised PnL, liquidation price.

Owns: the money side of contracts. Positions are one-way. Their margin leaves the free wallet in both margin modes;
only the isolated mode keeps the rest of the wallet out of its liquidation price.
Never: lets the free wallet fall below zero: what is missing is paid by the insurance fund and counted (`insured_usdt`).
Units: Decimal, USDT; quantities in base units, negative when short.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.fees import Fee
from arb.domain.instrument import Instrument
from arb.domain.money import booked
from arb.domain.order import Liquidity, Side
from arb.venues.simulated.accounts import USDT, BookedOrder, Contract, TradingAccount
from arb.venues.simulated.facts import ZERO, RefusalReason
from arb.venues.simulated.models import VenueModel


def liquidation_price(qty: Decimal, entry_price: Decimal, wallet: Decimal, maintenance_rate: Decimal) -> Decimal:
    """Mark price at which the position's equity equals its maintenance margin; 0: there is none."""
    if qty == 0:
        return ZERO
    if qty > 0:
        return max(ZERO, (qty * entry_price - wallet) / (qty * (1 - maintenance_rate)))
    return (wallet - qty * entry_price) / (-qty * (1 + maintenance_rate))


@attrs.frozen
class MarginSettlement:
    """The money side of a venue of perpetuals."""

    model: VenueModel

    def contract(self, account: TradingAccount, instrument: Instrument) -> Contract:
        """Position and settings, made when first asked for."""
        fresh = Contract(self.model.initial_leverage, self.model.is_isolated_at_start)
        return account.contracts.setdefault(instrument.id, fresh)

    def liquidation_price(self, account: TradingAccount, contract: Contract) -> Decimal:
        """Of the position as it is; 0: none."""
        wallet = contract.margin if contract.is_isolated else contract.margin + account.free(USDT)
        return liquidation_price(contract.qty, contract.entry_price, wallet, self.model.maintenance_rate)

    def reserve(
        self, account: TradingAccount, order: BookedOrder, instrument: Instrument, base: Decimal, quote: Decimal
    ) -> RefusalReason | None:
        """Lock initial margin and fee of the part that opens; `quote` is the most that `base` can be worth."""
        contract = self.contract(account, instrument)
        closable = max(ZERO, -order.side.sign * contract.qty)
        if order.order.reduce_only:
            return None if closable > 0 else RefusalReason.REDUCE_ONLY
        price = quote / base if base else ZERO
        needed = self._opening_cost(contract, max(ZERO, base - self._unclaimed(account, order, closable)), price)
        if account.free(USDT) < needed:
            return RefusalReason.INSUFFICIENT_MARGIN
        _lock(account, order, needed)
        return None

    def cap(
        self, account: TradingAccount, order: BookedOrder, instrument: Instrument, qty: Decimal, price: Decimal
    ) -> Decimal:
        """How much of `qty` the account can settle: what it closes, and what it opens if the margin is there."""
        contract = self.contract(account, instrument)
        closing = min(qty, max(ZERO, -order.side.sign * contract.qty))
        if order.order.reduce_only:
            return closing
        needed = self._opening_cost(contract, qty - closing, price)
        return qty if needed <= account.free(USDT) + order.locked else closing

    def settle(
        self,
        account: TradingAccount,
        order: BookedOrder,
        instrument: Instrument,
        qty: Decimal,
        price: Decimal,
        liquidity: Liquidity,
    ) -> tuple[Fee, Decimal]:
        """Move the money of one fill; returns the fee taken and the realised PnL."""
        rate = self.model.fees.maker_rate if liquidity is Liquidity.MAKER else self.model.fees.taker_rate
        fee = booked(qty * price * rate)
        _lock(account, order, ZERO)
        realised = self.move_position(account, instrument, order.side, qty, price)
        account.holding(USDT).free -= fee
        insure(account)
        return Fee(fee, USDT), realised

    def move_position(
        self, account: TradingAccount, instrument: Instrument, side: Side, qty: Decimal, price: Decimal
    ) -> Decimal:
        """Close what is opposite, open the rest; returns the realised PnL. The caller insures."""
        contract = self.contract(account, instrument)
        account.touched_contracts[instrument.id] = None
        free = account.holding(USDT)
        held = abs(contract.qty)
        closing = min(qty, held) if contract.qty * side.sign < 0 else ZERO
        realised = ZERO
        if closing:
            realised = booked(-side.sign * closing * (price - contract.entry_price))
            released = contract.margin if closing == held else booked(contract.margin * closing / held)
            contract.margin -= released
            contract.qty += side.sign * closing
            contract.realised_pnl += realised
            free.free += released + realised
        opening = qty - closing
        if opening:
            margin = booked(opening * price / contract.leverage)
            held = abs(contract.qty)
            contract.entry_price = (held * contract.entry_price + opening * price) / (held + opening)
            contract.qty += side.sign * opening
            contract.margin += margin
            free.free -= margin
        if contract.qty == 0:
            contract.entry_price = ZERO
        return realised

    def relock(self, account: TradingAccount, order: BookedOrder, instrument: Instrument) -> None:
        """After fills: lock again what the rest opens, as far as the wallet reaches."""
        if order.order.reduce_only or order.limit is None:
            _lock(account, order, ZERO)
            return
        contract = self.contract(account, instrument)
        closable = max(ZERO, -order.side.sign * contract.qty)
        opening = max(ZERO, order.wanted_at(order.limit) - self._unclaimed(account, order, closable))
        needed = self._opening_cost(contract, opening, order.limit)
        _lock(account, order, min(needed, account.free(USDT) + order.locked))

    def release(self, account: TradingAccount, order: BookedOrder, instrument: Instrument) -> None:
        """Give back whatever is still locked."""
        _lock(account, order, ZERO)

    def _opening_cost(self, contract: Contract, qty: Decimal, price: Decimal) -> Decimal:
        notional = qty * price
        rate = max(self.model.fees.taker_rate, self.model.fees.maker_rate)
        return booked(notional / contract.leverage) + booked(notional * rate)

    def _unclaimed(self, account: TradingAccount, order: BookedOrder, closable: Decimal) -> Decimal:
        """Of the closable quantity, what no other open order of the same side counts on."""
        claimed = sum(
            (
                each.wanted_at(each.limit)
                for each in account.open_orders(order.order.instrument)
                if each is not order and each.side is order.side and each.limit is not None
            ),
            ZERO,
        )
        return max(ZERO, closable - claimed)


def insure(account: TradingAccount) -> None:
    """Fill a negative free wallet from the insurance fund."""
    holding = account.holding(USDT)
    if holding.free < 0:
        account.insured_usdt -= holding.free
        holding.free = ZERO


def _lock(account: TradingAccount, order: BookedOrder, amount: Decimal) -> None:
    account.move_lock(USDT, amount - order.locked)
    order.locked = amount
