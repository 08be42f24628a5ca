"""How one order meets the book: offers taken, resting orders filled, what is left rests or ends.

Owns: the loop of executions and their order of facts: executions first, then ends, then what an account has now.
Never: screens or reserves; the exchange has done so before.
Units: prices, quantities and amounts Decimal; times UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import InstrumentId
from arb.domain.instrument import Instrument
from arb.domain.money import floor_to_step
from arb.domain.order import Liquidity, OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.accounts import BookedOrder, TradingAccount
from arb.venues.simulated.books import Offer, VenueBook
from arb.venues.simulated.chance import Chance
from arb.venues.simulated.facts import ZERO, EndCause, Executed, PublicTrade, SelfTrade
from arb.venues.simulated.log import FactLog
from arb.venues.simulated.margin import MarginSettlement
from arb.venues.simulated.perpetuals import PerpetualDesk
from arb.venues.simulated.spot import SpotSettlement

_MARKET = (OrderType.MARKET, OrderType.MARKET_BY_QUOTE)


@attrs.define
class Disturbance:
    """What fault scripts do to matching at the moment."""

    is_closed: bool = False
    """Maintenance: nothing is taken, cancels neither."""
    refuses_orders: bool = False
    fills_half: bool = False
    """Aggressive orders get at most half of what they want."""
    shows_crossed: bool = False
    """Book images show a bid above the best ask."""


@attrs.define(eq=False, kw_only=True)
class Crossing:
    """Matching of one venue: by price, then time, accounts' orders before the ambient book."""

    instruments: Mapping[InstrumentId, Instrument]
    books: Mapping[InstrumentId, VenueBook]
    accounts: Mapping[str, TradingAccount]
    settlement: SpotSettlement | MarginSettlement
    desk: PerpetualDesk
    log: FactLog
    chance: Chance
    miss_probability: float
    disturbance: Disturbance = attrs.field(factory=Disturbance)
    last_trades: dict[InstrumentId, PublicTrade] = attrs.field(factory=dict)

    def match(self, order: BookedOrder, now_ns: int) -> None:
        """Take what the order may take; sets `cause` when it has to end unfilled."""
        book = self.books[order.order.instrument]
        kind, force = order.order.order_type, order.order.time_in_force
        best = book.best(order.side.opposite)
        if kind is OrderType.LIMIT and force is TimeInForce.POST_ONLY:
            if best is not None and order.crosses(best.price):
                order.cause = EndCause.WOULD_TAKE
            return
        if best is not None and best.maker is None and self._misses():
            book.take_ambient(order.side.opposite, best.price, best.qty)
        is_all_or_nothing = kind not in _MARKET and force is TimeInForce.FOK
        if is_all_or_nothing and not (_can_fill_whole(order, book) and self._can_settle_whole(order, book)):
            order.cause = EndCause.FOK_KILLED
            return
        is_halved = self.disturbance.fills_half and not is_all_or_nothing
        self._take_offers(order, book, is_halved, now_ns)

    def _can_settle_whole(self, order: BookedOrder, book: VenueBook) -> bool:
        """Whether the account could take all of it: one that only reduces is capped by its position."""
        qty, limit = order.order.qty, order.limit
        if qty is None or limit is None:
            return True
        return self.settlement.cap(self.accounts[order.account], order, book.instrument, qty, limit) >= qty

    def _misses(self) -> bool:
        """Whether the best level is gone when an aggressive order arrives."""
        return self.miss_probability > 0.0 and self.chance.uniform() < self.miss_probability

    def _take_offers(self, order: BookedOrder, book: VenueBook, is_halved: bool, now_ns: int) -> None:
        while not order.is_complete:
            offer = book.best(order.side.opposite)
            if offer is None or not order.crosses(offer.price):
                return
            if offer.maker is not None and self._prevents(order, offer.maker, now_ns):
                if order.cause is not EndCause.NONE:
                    return
                continue
            wanted = order.wanted_at(offer.price)
            if wanted <= 0:
                order.cause = EndCause.QUOTE_REMAINDER
                return
            if is_halved:
                wanted = max(order.lot, floor_to_step(wanted / 2, order.lot))
            if not self._trade(order, offer, min(wanted, offer.qty), book, now_ns):
                return
            if is_halved:
                return

    def _prevents(self, taker: BookedOrder, maker: BookedOrder, now_ns: int) -> bool:
        mode = taker.order.self_trade
        if maker.account != taker.account or mode is SelfTrade.NONE:
            return False
        if mode in (SelfTrade.CANCEL_MAKER, SelfTrade.CANCEL_BOTH):
            maker.prevented_qty += maker.wanted_at(maker.limit or ZERO)
            self.end(maker, EndCause.SELF_TRADE, now_ns)
        if mode in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
            taker.prevented_qty += taker.wanted_at(maker.limit or ZERO)
            taker.cause = EndCause.SELF_TRADE
        return True

    def _trade(self, taker: BookedOrder, offer: Offer, qty: Decimal, book: VenueBook, now_ns: int) -> bool:
        """One execution against an offer; False when the taker cannot go on."""
        owner = self.accounts[taker.account]
        able = self.settlement.cap(owner, taker, book.instrument, qty, offer.price)
        if able <= 0:
            taker.cause = EndCause.REDUCE_ONLY if taker.order.reduce_only else EndCause.MARGIN
            return False
        if offer.maker is not None:
            able = self._maker_cap(offer.maker, able, offer.price, book, now_ns)
            if able <= 0:
                return True
        trade_id = self.log.trade_id()
        self._execute(taker, able, offer.price, Liquidity.TAKER, trade_id, now_ns)
        if offer.maker is None:
            book.take_ambient(taker.side.opposite, offer.price, able)
        else:
            self._execute(offer.maker, able, offer.price, Liquidity.MAKER, trade_id, now_ns)
            self._after_maker(offer.maker, now_ns)
        self.publish_trade(taker.order.instrument, trade_id, offer.price, able, taker.side is Side.BUY, now_ns)
        return True

    def _maker_cap(self, maker: BookedOrder, qty: Decimal, price: Decimal, book: VenueBook, now_ns: int) -> Decimal:
        owner = self.accounts[maker.account]
        able = self.settlement.cap(owner, maker, book.instrument, qty, price)
        if able <= 0:
            self.end(maker, EndCause.REDUCE_ONLY if maker.order.reduce_only else EndCause.MARGIN, now_ns)
            self.report(owner, now_ns, "order")
        return able

    def fill_resting(self, book: VenueBook, side: Side, now_ns: int) -> None:
        for maker in tuple(book.resting(side)):
            while maker.state is OrderState.OPEN and maker.limit is not None:
                offer = next(book.ambient(side.opposite), None)
                if offer is None or not maker.crosses(offer.price):
                    return
                qty = min(maker.wanted_at(maker.limit), offer.qty)
                able = self._maker_cap(maker, qty, maker.limit, book, now_ns)
                if able <= 0:
                    break
                trade_id = self.log.trade_id()
                self._execute(maker, able, maker.limit, Liquidity.MAKER, trade_id, now_ns)
                book.take_ambient(side.opposite, offer.price, able)
                self._after_maker(maker, now_ns)
                self.publish_trade(book.instrument.id, trade_id, maker.limit, able, side is Side.SELL, now_ns)

    def _after_maker(self, maker: BookedOrder, now_ns: int) -> None:
        if maker.is_complete:
            self.end(maker, EndCause.NONE, now_ns)
        self.report(self.accounts[maker.account], now_ns, "order")

    def _execute(
        self, order: BookedOrder, qty: Decimal, price: Decimal, liquidity: Liquidity, trade_id: int, now_ns: int
    ) -> None:
        owner = self.accounts[order.account]
        instrument = self.instruments[order.order.instrument]
        fee, realised = self.settlement.settle(owner, order, instrument, qty, price, liquidity)
        order.filled_qty += qty
        order.filled_quote += qty * price
        order.fees[fee.asset] = order.fees.get(fee.asset, ZERO) + fee.amount
        order.trade_ids.append(trade_id)
        order.updated_ns = now_ns
        self.settlement.relock(owner, order, instrument)
        self._record(owner, order, qty, price, fee, liquidity, realised, trade_id)

    def _record(
        self,
        owner: TradingAccount,
        order: BookedOrder,
        qty: Decimal,
        price: Decimal,
        fee: Fee,
        liquidity: Liquidity,
        realised: Decimal,
        trade_id: int,
    ) -> None:
        executed = Executed(
            id=self.log.fact_id(),
            at_ns=order.updated_ns,
            trade_id=trade_id,
            view=order.view(),
            qty=qty,
            price=price,
            fee=fee,
            liquidity=liquidity,
            realised_pnl=realised,
        )
        owner.executions.append(executed)
        self.log.add(executed)

    def settle_rest(self, order: BookedOrder, now_ns: int) -> None:
        """Rest or end after matching."""
        kind, force = order.order.order_type, order.order.time_in_force
        if order.is_complete or order.cause is not EndCause.NONE:
            self.end(order, order.cause, now_ns)
        elif kind in _MARKET:
            self.end(order, EndCause.NO_LIQUIDITY, now_ns)
        elif force in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, EndCause.IOC_REMAINDER, now_ns)
        else:
            self.books[order.order.instrument].rest(order)

    def end(self, order: BookedOrder, cause: EndCause, now_ns: int) -> None:
        owner = self.accounts[order.account]
        order.state = OrderState.FILLED if order.is_complete else OrderState.CANCELED
        order.cause = EndCause.NONE if order.is_complete else cause
        self.settlement.release(owner, order, self.instruments[order.order.instrument])
        self.books[order.order.instrument].leave(order)
        self.log.order(order, now_ns)

    def report(self, owner: TradingAccount, now_ns: int, reason: str) -> None:
        self.desk.report(owner, now_ns, reason)

    def publish_trade(
        self, instrument: InstrumentId, trade_id: int, price: Decimal, qty: Decimal, is_buy: bool, now_ns: int
    ) -> None:
        trade = PublicTrade(
            id=self.log.fact_id(),
            at_ns=now_ns,
            instrument=instrument,
            trade_id=trade_id,
            price=price,
            qty=qty,
            is_buy=is_buy,
        )
        self.last_trades[instrument] = trade
        self.log.add(trade)


def _can_fill_whole(order: BookedOrder, book: VenueBook) -> bool:
    """Whether matching now would fill the order to its end (an FOK's condition)."""
    base, quote = order.filled_qty, order.filled_quote
    for offer in book.offers(order.side.opposite):
        if not order.crosses(offer.price):
            break
        if offer.maker is not None and offer.maker.account == order.account:
            if order.order.self_trade in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
                break
            if order.order.self_trade is SelfTrade.CANCEL_MAKER:
                continue
        base += offer.qty
        quote += offer.qty * offer.price
        if (order.order.qty is not None and base >= order.order.qty) or (
            order.order.quote_qty is not None and quote >= order.order.quote_qty
        ):
            return True
    return False
