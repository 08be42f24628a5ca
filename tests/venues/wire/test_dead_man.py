"""The dead-man timers: on a venue made of words, and on a simulated venue that really cancels."""

from __future__ import annotations

import pytest
import trio

from arb.domain.effects import Query
from arb.domain.errors import OrderUnknown
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder, OrderState, Side, TimeInForce
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import HttpRequest, HttpResponse, Stamp
from arb.venues.wire.dead_man import COUNTDOWN_MS, DeadManTimers, open_dead_man
from arb.venues.wire.simulation import ACCOUNT
from tests.strategies import A_BTC, instrument
from tests.venues.private import order
from tests.venues.town import Town, fault, open_orders, open_town
from tests.venues.wire.test_orders import Words
from tests.venues.wire.wire_fakes import VENUE, Inbox, TrioClock, ok, submit


class Venue:
    """Notes every setting; fails as long as it is told to."""

    def __init__(self) -> None:
        self.is_open = False
        self.failing = False
        self.settings: list[tuple[float, str]] = []

    async def ask(self, build: object) -> HttpResponse | None:
        request: HttpRequest = build(Stamp(wall_ms=0, nonce="n"))  # type: ignore[operator]  # a function of a stamp
        await trio.lowlevel.checkpoint()
        self.settings.append((trio.current_time(), request.path.rpartition("/")[2]))
        if self.failing:
            raise OrderUnknown("dead-man", "somewhere", "no answer")
        return ok()


def timers(venue: Venue) -> DeadManTimers:
    found = open_dead_man(
        VENUE,
        Words(has_dead_man=True),
        TrioClock(),
        (instrument(A_BTC),),
        lambda: frozenset([A_BTC]) if venue.is_open else frozenset(),
        venue.ask,
    )
    assert found is not None
    return found


async def test_a_venue_without_timers_has_none() -> None:
    assert open_dead_man(VENUE, Words(), TrioClock(), (instrument(A_BTC),), frozenset, Venue().ask) is None


async def test_a_timer_is_set_refreshed_and_set_back_with_our_orders(autojump_clock: trio.testing.MockClock) -> None:
    venue = Venue()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers(venue).keep)
        await trio.sleep(5.5)
        assert venue.settings == []
        venue.is_open = True
        await trio.sleep(25)
        venue.is_open = False
        await trio.sleep(20)
        nursery.cancel_scope.cancel()

    on = str(COUNTDOWN_MS)
    assert venue.settings == [(6, on), (16, on), (26, on), (31, "0")]


async def test_a_timer_that_cannot_be_set_is_tried_again_and_told_once(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    venue = Venue()
    venue.is_open = venue.failing = True
    dead_man = timers(venue)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dead_man.keep)
        await trio.sleep(8)
        assert dead_man.failures == 3
        assert dead_man.running == {A_BTC}
        venue.failing = False
        await trio.sleep(2)
        nursery.cancel_scope.cancel()

    assert [record.message for record in caplog.records] == ["dead_man_not_set"]
    assert [at for at, _ in venue.settings] == [0, 3, 6, 9]


# --- a simulated venue ---


def resting(town: Town) -> tuple[ApprovedOrder, Instrument]:
    rules = town.instruments("binance_usdm")[0]
    image = town.simulation.world.exchange("binance_usdm").book(rules.id)
    assert image is not None
    price = rules.ticks.floor(image.bids[0][0] * 97 / 100)
    return order("binance_usdm", side=Side.BUY, price=str(price), time_in_force=TimeInForce.GTC), rules


def query_of(approved: ApprovedOrder) -> Query:
    return Query(
        client_order_id=approved.request.client_order_id,
        venue_order_id=None,
        instrument=approved.request.instrument,
        not_before_ns=0,
    )


def state(town: Town, approved: ApprovedOrder) -> OrderState:
    exchange = town.simulation.world.exchange("binance_usdm")
    view = exchange.find(ACCOUNT, client_order_id=approved.request.client_order_id)
    assert view is not None
    return view.state


async def test_the_venue_cancels_what_a_dead_machine_left(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        approved, _ = resting(town)
        async with open_orders(town, "binance_usdm", Inbox()) as orders:
            submit(orders, approved)
            await trio.sleep(100)
            assert state(town, approved) is OrderState.OPEN
        await trio.sleep(COUNTDOWN_MS / 1000 - 11)
        assert state(town, approved) is OrderState.OPEN
        await trio.sleep(12)

        assert state(town, approved) is OrderState.CANCELED


async def test_a_swept_venue_has_no_timer_left(autojump_clock: trio.testing.MockClock) -> None:
    async with open_town() as town:
        approved, rules = resting(town)
        dialect = town.simulation.fronts["binance_usdm"].dialect
        async with open_orders(town, "binance_usdm", Inbox()) as orders:
            submit(orders, approved)
            await trio.sleep(3)
            assert rules.symbol in dialect.cancel_at_ns  # type: ignore[attr-defined]  # of this venue's dialect
            await orders.sweep(2.0)

        assert state(town, approved) is OrderState.CANCELED
        assert dialect.cancel_at_ns == {}  # type: ignore[attr-defined]  # as above


async def test_an_order_of_an_earlier_run_is_watched_once_it_is_asked_about(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_town() as town:
        approved, rules = resting(town)
        dialect = town.simulation.fronts["binance_usdm"].dialect
        async with open_orders(town, "binance_usdm", Inbox()) as orders:
            submit(orders, approved)
            await trio.sleep(0.5)
        inbox = Inbox()
        async with open_orders(town, "binance_usdm", inbox) as orders:
            await trio.sleep(5)
            assert orders.unfinished() == ()
            orders.query_nowait(query_of(approved))
            await trio.sleep(3)
            assert orders.unfinished() == ((approved.request.client_order_id, rules.id),)
            assert rules.symbol in dialect.cancel_at_ns  # type: ignore[attr-defined]  # of this venue's dialect


async def test_an_unreachable_venue_does_not_stop_the_orders(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_town(fault("binance_usdm", FaultKind.HTTP_5XX, at_s=2.0, duration_s=30.0)) as town:
        approved, rules = resting(town)
        dialect = town.simulation.fronts["binance_usdm"].dialect
        async with open_orders(town, "binance_usdm", Inbox()) as orders:
            submit(orders, approved)
            await trio.sleep(45)
            assert rules.symbol in dialect.cancel_at_ns or state(town, approved) is OrderState.CANCELED  # type: ignore[attr-defined]  # as above

    assert "dead_man_not_set" in [record.message for record in caplog.records]
