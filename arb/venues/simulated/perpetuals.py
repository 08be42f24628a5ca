"""What happens to perpetuals besides orders: marks, funding, liquidation, deleveraging, account settings.

Owns: marks and the funding schedule. Forced closes are the venue's own orders, named `autoclose-…`, `adl_autoclose`.
Never: reads a clock; settlements happen in `advance_to` at their own times.
Units: Decimal, USDT; times UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import InstrumentId
from arb.domain.instrument import Instrument
from arb.domain.money import booked
from arb.domain.order import Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.accounts import USDT, BookedOrder, TradingAccount
from arb.venues.simulated.facts import (
    ZERO,
    EndCause,
    Executed,
    FundingSettled,
    MarkChanged,
    NewOrder,
    PositionView,
    RefusalReason,
    Refused,
)
from arb.venues.simulated.log import FactLog, touched
from arb.venues.simulated.margin import MarginSettlement, insure

NANOS = 1_000_000_000


@attrs.define(eq=False)
class PerpetualDesk:
    """Marks, funding and forced closes of one margined venue."""

    settlement: MarginSettlement
    log: FactLog
    instruments: Mapping[InstrumentId, Instrument]
    next_funding_ns: int
    marks: dict[InstrumentId, MarkChanged] = attrs.field(factory=dict)
    income_count: int = 0
    """Number of the last booking; a later world begins higher."""

    def on_mark(self, instrument: InstrumentId, mark: Decimal, index: Decimal, rate: Decimal, now_ns: int) -> None:
        """A new mark price; positions are judged by `underwater` next."""
        changed = MarkChanged(
            id=self.log.fact_id(),
            at_ns=now_ns,
            instrument=instrument,
            mark_price=mark,
            index_price=index,
            funding_rate=rate,
            next_funding_ns=self.next_funding_ns,
        )
        self.marks[instrument] = changed
        self.log.add(changed)

    def mark_price(self, instrument: InstrumentId) -> Decimal:
        """The newest mark; 0 before the first."""
        mark = self.marks.get(instrument)
        return mark.mark_price if mark else ZERO

    def position(self, account: TradingAccount, instrument: InstrumentId) -> PositionView:
        """Position and settings as they are."""
        contract = self.settlement.contract(account, self.instruments[instrument])
        return PositionView(
            instrument=instrument,
            qty=contract.qty,
            entry_price=contract.entry_price,
            mark_price=self.mark_price(instrument),
            liquidation_price=self.settlement.liquidation_price(account, contract),
            margin=contract.margin,
            leverage=contract.leverage,
            is_isolated=contract.is_isolated,
            realised_pnl=contract.realised_pnl,
        )

    def report(self, account: TradingAccount, now_ns: int, reason: str) -> None:
        """Write down what an operation changed on the account."""
        positions = tuple(self.position(account, each) for each in touched(account))
        self.log.account(account, now_ns, reason, positions)

    def settle_funding(self, accounts: tuple[TradingAccount, ...], now_ns: int) -> None:
        """Every settlement due until now, at its own time and the mark known then."""
        while self.next_funding_ns <= now_ns:
            at_ns = self.next_funding_ns
            self.next_funding_ns += self.settlement.model.funding_interval_s * NANOS
            for account in accounts:
                for instrument in sorted(account.contracts):
                    self._settle_one(account, instrument, at_ns)

    def _settle_one(self, account: TradingAccount, instrument: InstrumentId, at_ns: int) -> None:
        contract = account.contracts[instrument]
        mark = self.marks.get(instrument)
        if mark is None or contract.qty == 0:
            return
        amount = booked(-contract.qty * mark.mark_price * mark.funding_rate)
        contract.margin += amount
        if contract.margin < 0:
            account.holding(USDT).free += contract.margin
            contract.margin = ZERO
            insure(account)
        account.holding(USDT)
        account.touched_contracts[instrument] = None
        self.income_count += 1
        settled = FundingSettled(
            id=self.log.fact_id(),
            at_ns=at_ns,
            account=account.name,
            instrument=instrument,
            asset=USDT,
            amount=amount,
            rate=mark.funding_rate,
            mark_price=mark.mark_price,
            income_id=self.income_count,
        )
        account.incomes.append(settled)
        self.log.add(settled)
        self.report(account, at_ns, "funding")

    def is_underwater(self, account: TradingAccount, instrument: InstrumentId) -> bool:
        """Whether the mark has passed the liquidation price."""
        contract = account.contracts.get(instrument)
        if contract is None or contract.qty == 0:
            return False
        price = self.settlement.liquidation_price(account, contract)
        mark = self.mark_price(instrument)
        return price > 0 and mark > 0 and (mark - price) * contract.qty <= 0

    def liquidate(self, account: TradingAccount, instrument: InstrumentId, now_ns: int) -> None:
        """Close a position at its bankruptcy price: its margin is lost."""
        contract = account.contracts[instrument]
        tick = self.instruments[instrument].ticks
        loss = contract.margin / abs(contract.qty)
        if contract.qty > 0:
            price = tick.ceil(max(ZERO, contract.entry_price - loss))
        else:
            price = tick.floor(contract.entry_price + loss)
        self._force(account, instrument, abs(contract.qty), price, f"autoclose-{self.log.last_order_id + 1}", now_ns)
        self.report(account, now_ns, "liquidation")

    def deleverage(self, account: TradingAccount, instrument: InstrumentId, qty: Decimal, now_ns: int) -> None:
        """Take `qty` of a position away at the mark price."""
        self._force(account, instrument, qty, self.mark_price(instrument), "adl_autoclose", now_ns)
        self.report(account, now_ns, "adl")

    def _force(
        self, account: TradingAccount, instrument: InstrumentId, qty: Decimal, price: Decimal, name: str, now_ns: int
    ) -> None:
        rules = self.instruments[instrument]
        side = Side.SELL if account.contracts[instrument].qty > 0 else Side.BUY
        order = BookedOrder(
            order_id=self.log.order_id(),
            account=account.name,
            order=NewOrder(
                client_order_id=name,
                instrument=instrument,
                side=side,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.IOC,
                qty=qty,
                price=price,
                reduce_only=True,
            ),
            limit=price,
            lot=rules.lot,
            created_ns=now_ns,
            updated_ns=now_ns,
            cause=EndCause.LIQUIDATION,
        )
        account.orders[order.order_id] = order
        self.log.order(order, now_ns)
        realised = self.settlement.move_position(account, rules, side, qty, price)
        insure(account)
        trade_id = self.log.trade_id()
        order.filled_qty, order.filled_quote, order.state = qty, qty * price, OrderState.FILLED
        order.trade_ids.append(trade_id)
        executed = Executed(
            id=self.log.fact_id(),
            at_ns=now_ns,
            trade_id=trade_id,
            view=order.view(),
            qty=qty,
            price=price,
            fee=Fee(ZERO, USDT),
            liquidity=Liquidity.TAKER,
            realised_pnl=realised,
        )
        account.executions.append(executed)
        self.log.add(executed)

    def set_leverage(self, account: TradingAccount, instrument: InstrumentId, leverage: int) -> Refused | None:
        """For positions opened from now on."""
        if not 1 <= leverage <= self.settlement.model.max_leverage:
            return Refused(RefusalReason.BAD_LEVERAGE, str(leverage))
        self.settlement.contract(account, self.instruments[instrument]).leverage = leverage
        return None

    def set_isolated(self, account: TradingAccount, instrument: InstrumentId, is_isolated: bool) -> Refused | None:
        """Margin mode; only without orders and position."""
        contract = self.settlement.contract(account, self.instruments[instrument])
        if contract.is_isolated is is_isolated:
            return Refused(RefusalReason.NO_CHANGE)
        if account.is_multi_asset:
            return Refused(RefusalReason.MULTI_ASSET)
        if problem := _occupied(account, instrument):
            return problem
        contract.is_isolated = is_isolated
        return None

    def set_dual(self, account: TradingAccount, is_dual: bool) -> Refused | None:
        """Hedge mode or one-way mode; only without orders and positions."""
        if account.is_dual is is_dual:
            return Refused(RefusalReason.NO_CHANGE)
        for instrument in (*account.contracts, None):
            if problem := _occupied(account, instrument):
                return problem
        account.is_dual = is_dual
        return None

    def set_multi_asset(self, account: TradingAccount, is_multi_asset: bool) -> Refused | None:
        """Multi-asset or single-asset mode; only without orders and, to join assets, without isolated margin."""
        if account.is_multi_asset is is_multi_asset:
            return Refused(RefusalReason.NO_CHANGE)
        if problem := _occupied(account, None):
            return problem
        if is_multi_asset and any(contract.is_isolated for contract in account.contracts.values()):
            return Refused(RefusalReason.MULTI_ASSET)
        account.is_multi_asset = is_multi_asset
        return None


def _occupied(account: TradingAccount, instrument: InstrumentId | None) -> Refused | None:
    if account.open_orders(instrument):
        return Refused(RefusalReason.HAS_OPEN_ORDERS)
    if instrument is not None and account.contracts[instrument].qty != 0:
        return Refused(RefusalReason.HAS_POSITION)
    return None
