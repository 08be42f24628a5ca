"""The sweep at simulated venues: everything of ours is cancelled, nobody else's order is touched."""

from __future__ import annotations

import attrs
import pytest
import trio

from arb.domain.events import OrderUpdated
from arb.domain.ids import ClientOrderId
from arb.domain.order import OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.facts import NewOrder
from arb.venues.simulated.models import FaultKind
from arb.venues.wire.simulation import ACCOUNT
from tests.venues.private import order
from tests.venues.town import fault, open_orders, open_town
from tests.venues.wire.wire_fakes import Inbox, submit

VENUES = ("upbit", "binance_spot", "binance_usdm")


@pytest.mark.parametrize("venue", VENUES)
async def test_a_sweep_cancels_ours_in_few_requests_and_leaves_the_others(
    venue: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town() as town:
        exchange, rules = town.simulation.world.exchange(venue), town.instruments(venue)[0]
        image = exchange.book(rules.id)
        assert image is not None
        price = rules.ticks.floor(image.bids[0][0] * 97 / 100)
        made = order(venue, side=Side.BUY, price=str(price), qty="0.002", time_in_force=TimeInForce.GTC)
        theirs = NewOrder(
            client_order_id="by-hand", instrument=rules.id, side=Side.BUY, order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC, qty=made.request.qty, price=price,
        )  # fmt: skip
        exchange.submit(ACCOUNT, theirs, town.clock.wall_ns())
        async with open_orders(town, venue, Inbox()) as orders:
            await trio.sleep(1)
            names = [ClientOrderId(f"order{number:023d}") for number in range(5)]
            for name in names:
                submit(orders, attrs.evolve(made, request=attrs.evolve(made.request, client_order_id=name)))
            await trio.sleep(0.5)
            assert len(orders.unfinished()) == 5
            swept = await orders.sweep(2.0)

            assert orders.unfinished() == ()
        assert {view.order.client_order_id: view.state for view in exchange.orders(ACCOUNT)} == {
            "by-hand": OrderState.OPEN,
            **{str(name): OrderState.CANCELED for name in names},
        }
        ended = {
            one.update.client_order_id
            for one in swept
            if isinstance(one, OrderUpdated) and one.update.state is OrderState.CANCELED
        }
        assert ended == set(names)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_sweep_of_a_venue_that_does_not_answer_is_bounded_and_claims_nothing(
    venue: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_town(fault(venue, FaultKind.HALF_OPEN, at_s=2.0)) as town:
        exchange, rules = town.simulation.world.exchange(venue), town.instruments(venue)[0]
        image = exchange.book(rules.id)
        assert image is not None
        price = rules.ticks.floor(image.bids[0][0] * 97 / 100)
        made = order(venue, side=Side.BUY, price=str(price), qty="0.002", time_in_force=TimeInForce.GTC)
        async with open_orders(town, venue, Inbox()) as orders:
            await trio.sleep(1)
            for number in range(3):
                name = ClientOrderId(f"order{number:023d}")
                submit(orders, attrs.evolve(made, request=attrs.evolve(made.request, client_order_id=name)))
            await trio.sleep(2)
            begun_s = trio.current_time()
            await orders.sweep(2.0)

            assert trio.current_time() - begun_s <= 4.0
            assert len(orders.unfinished()) == 3
