"""Every order form as our codecs encode it means at the simulated venue what it means here."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.order import ApprovedOrder, OrderState, OrderType, OrderUpdate, Side, TimeInForce
from arb.venues.simulated.facts import OrderView
from arb.venues.wire.simulation import ACCOUNT
from tests.venues.private import order
from tests.venues.served import Floor

VENUES = ("upbit", "binance_spot", "binance_usdm")
COINS = {"upbit": "0.5", "binance_spot": "0.2", "binance_usdm": "0"}


def price_of(floor: Floor, side: Side, percent: int) -> str:
    """So many percent of the best opposite price, on the tick."""
    rules = floor.instruments[0]
    image = floor.simulation.world.exchange(floor.venue).book(rules.id)
    assert image is not None
    best = (image.asks if side is Side.BUY else image.bids)[0][0]
    return str(rules.ticks.floor(best * percent / 100))


def sent(floor: Floor, approved: ApprovedOrder) -> tuple[OrderUpdate, OrderView | None]:
    """What the codec understood of the answer, and what the exchange has."""
    assert floor.spec.account is not None
    codec = floor.spec.account.orders(floor.credentials)
    answer = floor.send(codec.submit(approved, floor.instruments[0], floor.stamp()))
    facts = codec.parse_submit(approved, answer, floor.now_ns)
    floor.run(0.3)
    exchange = floor.simulation.world.exchange(floor.venue)
    view = exchange.find(ACCOUNT, client_order_id=approved.request.client_order_id)
    return next(one for one in facts if isinstance(one, OrderUpdate)), view


def open_floor(venue: str) -> Floor:
    floor = Floor(venue)
    if Decimal(COINS[venue]) and venue == "upbit":
        exchange = floor.simulation.world.exchange(venue)
        exchange.transfer(ACCOUNT, floor.instruments[0].base, Decimal(COINS[venue]), floor.now_ns)
    return floor


LIMITS = {
    "resting": (97, TimeInForce.GTC, OrderState.OPEN),
    "crossing ioc": (101, TimeInForce.IOC, OrderState.FILLED),
    "missing ioc": (97, TimeInForce.IOC, OrderState.CANCELED),
    "crossing fok": (101, TimeInForce.FOK, OrderState.FILLED),
    "missing fok": (97, TimeInForce.FOK, OrderState.CANCELED),
    "resting post only": (97, TimeInForce.POST_ONLY, OrderState.OPEN),
}


@pytest.mark.parametrize("form", LIMITS)
@pytest.mark.parametrize("venue", VENUES)
def test_limit_orders(venue: str, form: str) -> None:
    floor = open_floor(venue)
    percent, lasting, state = LIMITS[form]
    approved = order(venue, price=price_of(floor, Side.BUY, percent), qty="0.01", time_in_force=lasting)

    update, view = sent(floor, approved)

    assert view is not None
    assert (view.order.order_type, view.order.time_in_force) == (OrderType.LIMIT, lasting)
    assert (view.order.side, view.order.qty, view.order.reduce_only) == (Side.BUY, Decimal("0.01"), False)
    assert view.order.self_trade.value == (
        "none" if lasting is TimeInForce.POST_ONLY and venue == "upbit" else "cancel_taker"
    )
    assert view.state is state
    assert update.state is not OrderState.REJECTED


@pytest.mark.parametrize("venue", VENUES)
def test_a_post_only_order_that_would_cross_never_takes(venue: str) -> None:
    floor = open_floor(venue)
    approved = order(venue, price=price_of(floor, Side.BUY, 101), qty="0.01", time_in_force=TimeInForce.POST_ONLY)

    update, view = sent(floor, approved)

    assert view is None or (view.state is OrderState.CANCELED and view.filled_qty == 0)
    assert update.state in ((OrderState.REJECTED,) if view is None else (OrderState.OPEN, OrderState.CANCELED))


@pytest.mark.parametrize(
    ("venue", "side"),
    [("upbit", Side.SELL), ("binance_spot", Side.SELL), ("binance_spot", Side.BUY), ("binance_usdm", Side.BUY)],
)
def test_market_orders_by_quantity(venue: str, side: Side) -> None:
    _, view = sent(open_floor(venue), order(venue, side=side, order_type=OrderType.MARKET, qty="0.01", price=None))

    assert view is not None
    assert (view.order.order_type, view.state, view.filled_qty) == (
        OrderType.MARKET,
        OrderState.FILLED,
        Decimal("0.01"),
    )


@pytest.mark.parametrize(("venue", "total"), [("upbit", "500000"), ("binance_spot", "500")])
def test_market_buys_by_total(venue: str, total: str) -> None:
    approved = order(venue, order_type=OrderType.MARKET_BY_QUOTE, qty=None, quote_qty=total, price=None)

    _, view = sent(open_floor(venue), approved)

    assert view is not None
    assert view.order.quote_qty == Decimal(total)
    assert view.filled_qty > 0
    assert Decimal(total) * Decimal("0.99") < view.filled_quote <= Decimal(total)


@pytest.mark.parametrize("lasting", [TimeInForce.IOC, TimeInForce.FOK])
@pytest.mark.parametrize(("side", "qty", "total"), [(Side.BUY, None, "500000"), (Side.SELL, "0.01", None)])
def test_upbits_best_orders(lasting: TimeInForce, side: Side, qty: str | None, total: str | None) -> None:
    approved = order(
        "upbit", side=side, order_type=OrderType.BEST, qty=qty, quote_qty=total, price=None, time_in_force=lasting
    )

    _, view = sent(open_floor("upbit"), approved)

    assert view is not None
    assert (view.order.order_type, view.order.time_in_force) == (OrderType.BEST, lasting)
    assert view.state in (OrderState.FILLED, OrderState.CANCELED)


def test_a_reduce_only_order_opens_nothing_and_closes_what_is_there() -> None:
    floor = open_floor("binance_usdm")
    opening = order("binance_usdm", side=Side.SELL, price=price_of(floor, Side.SELL, 99), qty="0.02")
    closing = order("binance_usdm", side=Side.BUY, price=price_of(floor, Side.BUY, 101), qty="0.05", reduce_only=True)

    refused, _ = sent(floor, closing)
    sent(floor, opening)
    sent(floor, closing)

    assert (refused.state, refused.reason.partition(":")[0]) == (OrderState.REJECTED, "reduce_only")
    exchange = floor.simulation.world.exchange("binance_usdm")
    assert exchange.position(ACCOUNT, floor.instruments[0].id).qty == 0
