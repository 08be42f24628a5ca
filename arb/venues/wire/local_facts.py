"""Translation between the core's words and those of a local exchange.

Owns: nothing but the correspondence.
Never: decides or keeps anything.
Units: `at_ns` monotonic; facts carry UTC nanoseconds, which become `venue_ns`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.events import BalanceSeen, Event, FillSeen, FundingPaid, OrderUpdated, PositionSeen
from arb.domain.ids import ClientOrderId, TradeId, VenueId, VenueOrderId
from arb.domain.money import decimal_of
from arb.domain.order import Fill, OrderRequest, OrderUpdate, Position
from arb.venues.simulated.facts import (
    BalanceChanged,
    EndCause,
    Executed,
    Fact,
    FundingSettled,
    Levels,
    NewOrder,
    OrderChanged,
    OrderView,
    PositionChanged,
    PositionView,
    RefusalReason,
    Refused,
    SelfTrade,
)

_MILLION: Final = 1_000_000


def levels_of(flat: tuple[float, ...]) -> Levels:
    """A side of a live book, exact."""
    numbers = [decimal_of(value) for value in flat]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def new_order(request: OrderRequest) -> NewOrder:
    """An order as the exchange takes it."""
    return NewOrder(
        client_order_id=request.client_order_id,
        instrument=request.instrument,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        qty=request.qty,
        quote_qty=request.quote_qty,
        price=request.price,
        reduce_only=request.reduce_only,
        self_trade=SelfTrade.CANCEL_TAKER,
    )


def refusal_text(refused: Refused) -> str:
    """Our name of a rejection, then the detail."""
    name = "insufficient_balance" if refused.reason is RefusalReason.INSUFFICIENT_MARGIN else refused.reason.value
    return f"{name} {refused.detail}".rstrip()


def update_of(view: OrderView, at_ns: int) -> OrderUpdate:
    """What is known of an order."""
    return OrderUpdate(
        client_order_id=ClientOrderId(view.order.client_order_id),
        instrument=view.order.instrument,
        state=view.state,
        filled_qty=view.filled_qty,
        avg_price=view.avg_price if view.filled_qty else None,
        venue_order_id=VenueOrderId(str(view.order_id)),
        reason="" if view.cause is EndCause.NONE else view.cause.value,
        received_ns=at_ns,
        venue_ns=view.updated_ns,
    )


def position_of(view: PositionView) -> Position:
    """A contract position as a venue reports it."""
    return Position(
        instrument=view.instrument,
        qty=view.qty,
        entry_price=view.entry_price,
        mark_price=view.mark_price or None,
        liquidation_price=view.liquidation_price or None,
        leverage=Decimal(view.leverage),
        is_isolated=view.is_isolated,
    )


def event_of(fact: Fact, venue: VenueId, at_ns: int) -> Event | None:
    """What the core is told of a fact; None: nothing."""
    match fact:
        case OrderChanged():
            return OrderUpdated(at_ns=at_ns, update=update_of(fact.view, at_ns))
        case Executed():
            return FillSeen(at_ns=at_ns, fill=fill_of(fact, at_ns))
        case BalanceChanged():
            return BalanceSeen(at_ns=at_ns, venue=venue, balances=fact.balances, is_full=False)
        case PositionChanged():
            return PositionSeen(at_ns=at_ns, position=position_of(fact.position))
        case FundingSettled():
            return FundingPaid(
                at_ns=at_ns,
                instrument=fact.instrument,
                income_id=str(fact.income_id),
                amount=fact.amount,
                asset=fact.asset,
                rate=fact.rate,
                settled_ms=fact.at_ns // _MILLION,
            )
        case _:
            return None


def fill_of(fact: Executed, at_ns: int) -> Fill:
    """An execution as a venue reports it."""
    order = fact.view.order
    return Fill(
        instrument=order.instrument,
        trade_id=TradeId(str(fact.trade_id)),
        client_order_id=ClientOrderId(order.client_order_id),
        venue_order_id=VenueOrderId(str(fact.view.order_id)),
        side=order.side,
        qty=fact.qty,
        price=fact.price,
        fee=fact.fee,
        liquidity=fact.liquidity,
        received_ns=at_ns,
        venue_ns=fact.at_ns,
    )
