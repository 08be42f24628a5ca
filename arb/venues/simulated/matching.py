"""A sans-IO exchange for one venue: orders in, facts out.

Owns: matching by price and time against the ambient book and resting orders, and the order of the facts that follow.
Never: waits, reads a clock or draws from the machine: time and chance are given to it.
Units: prices, quantities and amounts Decimal; times UTC nanoseconds.

1. An order is screened (filters, client id), reserved (money locked), announced, matched, then rests or ends.
2. What one operation changes on an account is reported once, after its executions.
3. Taking uses up the ambient image until the next one; a resting order fills at its own price when an image crosses it.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.ids import AssetId, InstrumentId
from arb.domain.instrument import Instrument
from arb.domain.money import floor_to_step
from arb.domain.order import Balance, OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.accounts import BookedOrder, TradingAccount
from arb.venues.simulated.books import VenueBook
from arb.venues.simulated.chance import Chance
from arb.venues.simulated.crossing import Crossing, Disturbance
from arb.venues.simulated.facts import (
    ZERO,
    BookImage,
    EndCause,
    Executed,
    Fact,
    FundingSettled,
    Levels,
    MarkChanged,
    NewOrder,
    OrderView,
    PositionView,
    PublicTrade,
    RefusalReason,
    Refused,
    Transferred,
)
from arb.venues.simulated.log import FactLog
from arb.venues.simulated.margin import MarginSettlement
from arb.venues.simulated.models import VenueModel
from arb.venues.simulated.perpetuals import NANOS, PerpetualDesk
from arb.venues.simulated.screening import filter_problem, form_problem
from arb.venues.simulated.spot import SpotSettlement

_MARKET = (OrderType.MARKET, OrderType.MARKET_BY_QUOTE)


@attrs.define(eq=False, init=False)
class Exchange:
    """One simulated venue."""

    model: VenueModel
    instruments: dict[InstrumentId, Instrument]
    chance: Chance
    log: FactLog
    books: dict[InstrumentId, VenueBook]
    accounts: dict[str, TradingAccount]
    settlement: SpotSettlement | MarginSettlement
    desk: PerpetualDesk
    crossing: Crossing
    images: dict[InstrumentId, BookImage]

    def __init__(self, model: VenueModel, instruments: tuple[Instrument, ...], start_ns: int, chance: Chance) -> None:
        self.model = model
        self.instruments = {each.id: each for each in instruments}
        self.chance = chance
        start_ms = start_ns // 1_000_000
        self.log = FactLog(last_order_id=start_ms, last_trade_id=start_ms)
        self.books = {each.id: VenueBook(each, model.depth_fraction) for each in instruments}
        self.accounts = {}
        margin = MarginSettlement(model)
        self.settlement = margin if model.is_margined else SpotSettlement(model)
        interval_ns = model.funding_interval_s * NANOS
        self.desk = PerpetualDesk(
            margin, self.log, self.instruments, (start_ns // interval_ns + 1) * interval_ns, income_count=start_ms
        )
        self.crossing = Crossing(
            instruments=self.instruments,
            books=self.books,
            accounts=self.accounts,
            settlement=self.settlement,
            desk=self.desk,
            log=self.log,
            chance=chance,
            miss_probability=model.miss_probability,
        )
        self.images = {}

    # --- accounts ---

    def open_account(self, name: str, now_ns: int, balances: tuple[tuple[AssetId, Decimal], ...] | None = None) -> None:
        """Open an account with `balances` (default: the model's); nothing happens when it is open already."""
        if name in self.accounts:
            return
        self.accounts[name] = TradingAccount(name)
        for asset, amount in self.model.balances if balances is None else balances:
            self._credit(self.accounts[name], asset, amount, now_ns)

    def transfer(
        self, account: str, asset: AssetId, amount: Decimal, now_ns: int, *, fee: Decimal = ZERO
    ) -> Transferred:
        """A deposit, or a withdrawal when negative, its fee included; at most what is free leaves."""
        owner = self.accounts[account]
        moved = max(amount, -owner.free(asset))
        transferred = Transferred(
            id=self.log.fact_id(),
            at_ns=now_ns,
            account=account,
            transfer_id=self.log.trade_id(),
            asset=asset,
            amount=moved,
            fee=fee,
        )
        owner.transfers.append(transferred)
        self.log.add(transferred)
        self._credit(owner, asset, moved, now_ns)
        return transferred

    def _credit(self, owner: TradingAccount, asset: AssetId, amount: Decimal, now_ns: int) -> None:
        owner.holding(asset).free += amount
        owner.deposits[asset] = owner.deposits.get(asset, ZERO) + amount
        reason = "transfer" if amount >= 0 else "withdrawal"
        self.desk.report(owner, now_ns, reason)

    def balances(self, account: str) -> tuple[Balance, ...]:
        """All holdings, by asset name."""
        return self.accounts[account].balances()

    def wallet(self, account: str) -> Decimal:
        """USDT with the margins of contracts."""
        return self.accounts[account].wallet_usdt

    def position(self, account: str, instrument: InstrumentId) -> PositionView:
        """Position and settings of one contract."""
        return self.desk.position(self.accounts[account], instrument)

    def positions(self, account: str) -> tuple[PositionView, ...]:
        """Contracts the account has touched."""
        return tuple(self.position(account, each) for each in sorted(self.accounts[account].contracts))

    def incomes(self, account: str) -> tuple[FundingSettled, ...]:
        """Funding booked, oldest first."""
        return tuple(self.accounts[account].incomes)

    def transfers(self, account: str) -> tuple[Transferred, ...]:
        """Money that came or left after the opening, oldest first."""
        return tuple(self.accounts[account].transfers)

    def set_leverage(self, account: str, instrument: InstrumentId, leverage: int) -> Refused | None:
        """Leverage of positions opened from now on."""
        return self.desk.set_leverage(self.accounts[account], instrument, leverage)

    def set_isolated(self, account: str, instrument: InstrumentId, is_isolated: bool) -> Refused | None:
        """Isolated or crossed margin."""
        return self.desk.set_isolated(self.accounts[account], instrument, is_isolated)

    def set_dual(self, account: str, is_dual: bool) -> Refused | None:
        """Hedge or one-way mode of the account."""
        return self.desk.set_dual(self.accounts[account], is_dual)

    def is_dual(self, account: str) -> bool:
        """Whether hedge mode is set."""
        return self.accounts[account].is_dual

    def set_multi_asset(self, account: str, is_multi_asset: bool) -> Refused | None:
        """Multi-asset or single-asset mode of the account."""
        return self.desk.set_multi_asset(self.accounts[account], is_multi_asset)

    def is_multi_asset(self, account: str) -> bool:
        """Whether multi-asset mode is set."""
        return self.accounts[account].is_multi_asset

    # --- orders ---

    def check(self, account: str, order: NewOrder) -> Refused | None:
        """Validate an order as `submit` would before money is looked at; nothing is remembered."""
        instrument = self.instruments.get(order.instrument)
        if instrument is None:
            return Refused(RefusalReason.UNKNOWN_INSTRUMENT, order.instrument)
        if self.crossing.disturbance.is_closed:
            return Refused(RefusalReason.NOT_TRADING, "maintenance")
        if self.crossing.disturbance.refuses_orders:
            return Refused(RefusalReason.SCRIPTED)
        owner = self.accounts[account]
        if len(owner.open_orders(order.instrument)) >= self.model.max_open_orders:
            return Refused(RefusalReason.TOO_MANY_OPEN_ORDERS)
        return form_problem(order) or filter_problem(order, instrument, self._reference(order.instrument))

    def submit(self, account: str, order: NewOrder, now_ns: int) -> OrderView | Refused:
        """Take an order; executions and the rest follow as facts."""
        owner = self.accounts[account]
        refused = self._name_problem(owner, order) or self.check(account, order)
        if order.client_order_id:
            owner.used_client_ids.add(order.client_order_id)
        taken = refused or self._book(owner, order, now_ns)
        if isinstance(taken, Refused):
            owner.refuse(taken.reason)
            return taken
        self.log.order(taken, now_ns)
        self.crossing.match(taken, now_ns)
        self.crossing.settle_rest(taken, now_ns)
        self.crossing.report(owner, now_ns, "order")
        return taken.view()

    def cancel(self, account: str, order_id: int, now_ns: int) -> OrderView | Refused:
        """Take an open order off the book."""
        owner = self.accounts[account]
        order = owner.orders.get(order_id)
        if order is None:
            return Refused(RefusalReason.UNKNOWN_ORDER, str(order_id))
        if order.state is not OrderState.OPEN:
            return Refused(RefusalReason.ALREADY_ENDED, order.state.value)
        if self.crossing.disturbance.is_closed:
            return Refused(RefusalReason.NOT_TRADING, "maintenance")
        self.crossing.end(order, EndCause.OWNER, now_ns)
        self.crossing.report(owner, now_ns, "order")
        return order.view()

    def find(self, account: str, *, client_order_id: str = "", order_id: int = 0) -> OrderView | None:
        """An order by its number, or the newest one of that name."""
        owner = self.accounts[account]
        order = owner.orders.get(order_id or owner.newest_by_client_id.get(client_order_id, 0))
        return order.view() if order else None

    def open_orders(self, account: str, instrument: InstrumentId | None = None) -> tuple[OrderView, ...]:
        """Resting orders, oldest first."""
        return tuple(each.view() for each in self.accounts[account].open_orders(instrument))

    def orders(self, account: str, instrument: InstrumentId | None = None) -> tuple[OrderView, ...]:
        """All orders ever, oldest first."""
        wanted = self.accounts[account].orders.values()
        return tuple(each.view() for each in wanted if instrument is None or each.order.instrument == instrument)

    def executions(self, account: str, instrument: InstrumentId | None = None) -> tuple[Executed, ...]:
        """All fills ever, oldest first."""
        fills = self.accounts[account].executions
        return tuple(each for each in fills if instrument is None or each.view.order.instrument == instrument)

    # --- the market ---

    def on_depth(self, instrument: InstrumentId, bids: Levels, asks: Levels, now_ns: int) -> None:
        """A new ambient image; resting orders that it crosses are filled at their own prices."""
        book = self.books[instrument]
        book.replace(bids, asks)
        for side in (Side.BUY, Side.SELL):
            if book.resting(side):
                self.crossing.fill_resting(book, side, now_ns)
        shown_bids, shown_asks = book.visible(Side.BUY), book.visible(Side.SELL)
        if self.crossing.disturbance.shows_crossed and shown_bids and shown_asks:
            above = shown_asks[0][0] + book.instrument.ticks.tick_at(shown_asks[0][0])
            shown_bids = ((above, shown_bids[0][1]), *shown_bids)
        image = BookImage(id=self.log.fact_id(), at_ns=now_ns, instrument=instrument, bids=shown_bids, asks=shown_asks)
        self.images[instrument] = image
        self.log.add(image)

    def on_trade(self, instrument: InstrumentId, price: Decimal, qty: Decimal, is_buy: bool, now_ns: int) -> None:
        """Others traded."""
        self.crossing.publish_trade(instrument, self.log.trade_id(), price, qty, is_buy, now_ns)

    def on_mark(self, instrument: InstrumentId, mark: Decimal, index: Decimal, rate: Decimal, now_ns: int) -> None:
        """A new mark; positions under water are liquidated."""
        self.advance_to(now_ns)
        self.desk.on_mark(instrument, mark, index, rate, now_ns)
        for owner in tuple(self.accounts.values()):
            if self.desk.is_underwater(owner, instrument):
                for order in owner.open_orders(instrument):
                    self.crossing.end(order, EndCause.LIQUIDATION, now_ns)
                self.desk.liquidate(owner, instrument, now_ns)

    def deleverage(self, now_ns: int) -> None:
        """Auto-deleveraging: half of every position, rounded down to the lot and at least one, is taken away."""
        for owner in tuple(self.accounts.values()):
            for instrument, contract in sorted(owner.contracts.items()):
                lot = self.instruments[instrument].lot
                qty = min(abs(contract.qty), max(lot, floor_to_step(abs(contract.qty) / 2, lot)))
                if qty > 0 and self.desk.mark_price(instrument) > 0:
                    self.desk.deleverage(owner, instrument, qty, now_ns)

    def advance_to(self, now_ns: int) -> None:
        """Settle funding that fell due."""
        if self.model.is_margined:
            self.desk.settle_funding(tuple(self.accounts.values()), now_ns)

    def book(self, instrument: InstrumentId) -> BookImage | None:
        """The newest published image."""
        return self.images.get(instrument)

    def mark(self, instrument: InstrumentId) -> MarkChanged | None:
        """The newest mark."""
        return self.desk.marks.get(instrument)

    def last_trade(self, instrument: InstrumentId) -> PublicTrade | None:
        """The newest public trade."""
        return self.crossing.last_trades.get(instrument)

    def disturb(self, disturbance: Disturbance) -> None:
        """What scripted faults do from now on, all of it."""
        self.crossing.disturbance = disturbance

    def take(self) -> tuple[Fact, ...]:
        """Facts since the last call, in order."""
        return self.log.take()

    # --- the inside ---

    def _reference(self, instrument: InstrumentId) -> Decimal | None:
        return self.desk.mark_price(instrument) or self.books[instrument].mid()

    def _name_problem(self, owner: TradingAccount, order: NewOrder) -> Refused | None:
        name = order.client_order_id
        if not name or name not in owner.used_client_ids:
            return None
        newest = owner.orders.get(owner.newest_by_client_id.get(name, 0))
        if self.model.is_id_unique_forever or (newest is not None and newest.state is OrderState.OPEN):
            return Refused(RefusalReason.DUPLICATE_CLIENT_ID, name)
        return None

    def _book(self, owner: TradingAccount, order: NewOrder, now_ns: int) -> BookedOrder | Refused:
        instrument = self.instruments[order.instrument]
        book = self.books[order.instrument]
        best = book.best(order.side.opposite)
        if order.order_type is not OrderType.LIMIT and best is None:
            return Refused(RefusalReason.NO_LIQUIDITY)
        takes = best is not None and order.price is not None and (order.price - best.price) * order.side.sign >= 0
        is_refused = order.time_in_force is TimeInForce.POST_ONLY and self.model.refuses_post_only_that_takes
        if takes and is_refused and order.order_type is OrderType.LIMIT:
            return Refused(RefusalReason.WOULD_TAKE)
        booked = BookedOrder(
            order_id=self.log.last_order_id + 1,
            account=owner.name,
            order=order,
            limit=best.price if order.order_type is OrderType.BEST and best else order.price,
            lot=instrument.lot,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        base, quote, is_deep_enough = _worst_case(booked, book)
        if order.order_type in _MARKET and self.model.refuses_market_beyond_depth and not is_deep_enough:
            return Refused(RefusalReason.NO_LIQUIDITY, "larger than the visible book")
        if problem := self.settlement.reserve(owner, booked, instrument, base, quote):
            return Refused(problem)
        owner.orders[self.log.order_id()] = booked
        if order.client_order_id:
            owner.newest_by_client_id[order.client_order_id] = booked.order_id
        return booked


def _worst_case(order: BookedOrder, book: VenueBook) -> tuple[Decimal, Decimal, bool]:
    """Most base and quote the order can move, and whether the book holds all of it."""
    wish = order.order
    if order.limit is not None and wish.qty is not None:
        best = book.best(order.side.opposite)
        price = max(order.limit, best.price) if best is not None and order.side is Side.SELL else order.limit
        return wish.qty, wish.qty * price, True
    base = quote = ZERO
    for offer in book.offers(order.side.opposite):
        left = (wish.qty - base) if wish.qty is not None else (wish.quote_qty or ZERO) - quote
        if left <= 0:
            break
        take = min(offer.qty, left if wish.qty is not None else left / offer.price)
        base += take
        quote += take * offer.price
    if wish.qty is not None:
        return base, quote, base >= wish.qty
    total = wish.quote_qty or ZERO
    return base, total, quote + order.lot * (total / base if base else ZERO) >= total
