"""The filters of a venue: what makes an order unacceptable before any money is looked at.

Owns: the order of the checks and the named reasons.
Never: touches an account or a book.
Units: Decimal in instrument terms.
"""

from __future__ import annotations

from decimal import Decimal

from arb.domain.instrument import Instrument, InstrumentStatus
from arb.domain.money import is_multiple
from arb.domain.order import OrderType, Side, TimeInForce
from arb.venues.simulated.facts import NewOrder, RefusalReason, Refused


def form_problem(order: NewOrder) -> Refused | None:
    """Fields that do not belong together."""
    by_quote = order.order_type is OrderType.MARKET_BY_QUOTE or (
        order.order_type is OrderType.BEST and order.side is Side.BUY
    )
    if by_quote != (order.quote_qty is not None) or by_quote == (order.qty is not None):
        return Refused(RefusalReason.BAD_FORM, "quantity")
    if (order.order_type is OrderType.LIMIT) != (order.price is not None):
        return Refused(RefusalReason.BAD_FORM, "price")
    if order.order_type is OrderType.BEST and order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK):
        return Refused(RefusalReason.BAD_FORM, "time in force")
    if any(
        value is not None and not (value.is_finite() and value > 0)
        for value in (order.qty, order.quote_qty, order.price)
    ):
        return Refused(RefusalReason.BAD_FORM, "not positive")
    return None


def filter_problem(order: NewOrder, instrument: Instrument, reference: Decimal | None) -> Refused | None:
    """The first filter that the order breaks; `reference` is the mark or mid price."""
    if instrument.status is not InstrumentStatus.TRADING:
        return Refused(RefusalReason.NOT_TRADING, instrument.status.value)
    price = order.price
    if price is not None and not is_multiple(price, instrument.ticks.tick_at(price)):
        return Refused(RefusalReason.OFF_TICK, str(price))
    if order.qty is not None and (problem := _qty_problem(order.qty, instrument)):
        return problem
    if price is not None and reference is not None and (problem := _band_problem(price, instrument, reference)):
        return problem
    return _notional_problem(order, instrument, price if price is not None else reference)


def _qty_problem(qty: Decimal, instrument: Instrument) -> Refused | None:
    if not is_multiple(qty, instrument.lot):
        return Refused(RefusalReason.OFF_LOT, str(qty))
    if qty < instrument.min_qty:
        return Refused(RefusalReason.QTY_TOO_SMALL, str(qty))
    if instrument.max_qty is not None and qty > instrument.max_qty:
        return Refused(RefusalReason.QTY_TOO_LARGE, str(qty))
    return None


def _band_problem(price: Decimal, instrument: Instrument, reference: Decimal) -> Refused | None:
    if instrument.band_up is not None and price > reference * instrument.band_up:
        return Refused(RefusalReason.PRICE_BAND, f"{price} is too high")
    if instrument.band_down is not None and price < reference * instrument.band_down:
        return Refused(RefusalReason.PRICE_BAND, f"{price} is too low")
    return None


def _notional_problem(order: NewOrder, instrument: Instrument, price: Decimal | None) -> Refused | None:
    notional = order.quote_qty
    if notional is None and order.qty is not None and price is not None:
        notional = order.qty * price
    if notional is None:
        return None
    if notional < instrument.min_notional and not order.reduce_only:
        return Refused(RefusalReason.NOTIONAL_TOO_SMALL, str(notional))
    if instrument.max_notional is not None and notional > instrument.max_notional:
        return Refused(RefusalReason.NOTIONAL_TOO_LARGE, str(notional))
    return None
