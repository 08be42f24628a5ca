"""Local fills: the simulated exchange driven against live books, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal as D

import attrs
import pytest
import trio

from arb.domain.depth import Depth
from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.events import (
    BalanceSeen,
    DepthSeen,
    Event,
    FillSeen,
    FundingPaid,
    FundingRateSeen,
    OrderUpdated,
    PositionSeen,
    Reconciled,
)
from arb.domain.fees import FeeSchedule
from arb.domain.ids import AssetId, ClientOrderId, FeedId, InstrumentId, PairId, VenueId
from arb.domain.order import (
    ApprovedOrder,
    Balance,
    OrderRequest,
    OrderState,
    OrderType,
    OrderUpdate,
    Position,
    Purpose,
    Side,
    TimeInForce,
)
from arb.venues.simulated.listings import listing
from arb.venues.wire.local_fills import LocalFills, LocalVenue
from tests.venues.wire.wire_fakes import submit

UPBIT, USDM = VenueId("upbit"), VenueId("binance_usdm")
KRW_BTC, PERP_BTC = InstrumentId("upbit:KRW-BTC"), InstrumentId("binance_usdm:BTCUSDT")
WALL_NS = 1_760_000_000_000_000_000
FEES = FeeSchedule(maker_rate=D("0.0005"), taker_rate=D("0.0005"))


class VirtualClock:
    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return WALL_NS + self.monotonic_ns()


@attrs.define
class Heard:
    """An event sink that keeps account events with the second they came at."""

    events: list[tuple[float, Event]] = attrs.field(factory=list)

    def put_depth(self, instrument: InstrumentId, take: Callable[[], DepthSeen | None]) -> None:
        raise AssertionError("local fills make no depth")

    def put_latest(self, key: str, event: Event) -> None:
        raise AssertionError("local fills make no market data")

    def put_account(self, event: Event) -> None:
        self.events.append((trio.current_time(), event))

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def updates(self) -> list[tuple[OrderState, str]]:
        return [
            (event.update.state, event.update.reason) for _, event in self.events if isinstance(event, OrderUpdated)
        ]


@asynccontextmanager
async def running(
    *,
    order_ms: tuple[float, float] = (60.0, 60.0),
    miss: float = 0.0,
    fraction: float = 0.4,
    usdt: D = D(15_000),
    positions: tuple[Position, ...] = (),
    earlier: tuple[OrderUpdate, ...] = (),
) -> AsyncIterator[tuple[LocalFills, Heard]]:
    heard = Heard()
    fills = LocalFills(
        [
            LocalVenue(
                venue=UPBIT,
                instruments=(listing(KRW_BTC),),
                order_ms=order_ms,
                fees=FEES,
                balances=(Balance(AssetId("KRW"), D(19_000_000), D(1_000_000)),),
                orders=earlier,
            ),
            LocalVenue(
                venue=USDM,
                instruments=(listing(PERP_BTC),),
                order_ms=order_ms,
                fees=FEES,
                balances=(Balance(AssetId("USDT"), usdt, D(0)),),
                positions=positions,
            ),
        ],
        clock=VirtualClock(),
        sink=heard,
        seed=1,
        miss_probability=miss,
        depth_fraction=fraction,
        leverage=2,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(fills.run)
        yield fills, heard
        nursery.cancel_scope.cancel()


def depth(instrument: InstrumentId, bids: tuple[float, ...], asks: tuple[float, ...]) -> Depth:
    return Depth(
        instrument=instrument, feed=FeedId("f"), bids=bids, asks=asks, received_ns=0, venue_ns=None, sequence=1
    )


def upbit_depth(ask: float = 148_800_000.0, size: float = 0.1) -> Depth:
    return depth(KRW_BTC, (148_780_000.0, 1.0), (ask, size, 148_850_000.0, 1.0))


def order(
    instrument: InstrumentId = KRW_BTC,
    side: Side = Side.BUY,
    qty: str = "0.02",
    price: str = "148800000",
    name: str = "a" * 28,
    force: TimeInForce = TimeInForce.IOC,
) -> ApprovedOrder:
    request = OrderRequest(
        client_order_id=ClientOrderId(name),
        instrument=instrument,
        side=side,
        order_type=OrderType.LIMIT,
        qty=D(qty),
        price=D(price),
        time_in_force=force,
        reduce_only=False,
        purpose=Purpose.ENTRY,
        pair=PairId("BTC"),
        leg="a",
        expected_price=D(price),
    )
    return ApprovedOrder(request, 0)  # the gate is not under test here


async def test_accounts_are_told_whole_at_the_start(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (_, heard):
        balances = {event.venue: event for event in heard.of(BalanceSeen) if isinstance(event, BalanceSeen)}
        assert balances[UPBIT].is_full
        assert [(each.asset, each.free) for each in balances[UPBIT].balances] == [(AssetId("KRW"), D(20_000_000))]
        assert [(each.asset, each.free) for each in balances[USDM].balances] == [(AssetId("USDT"), D(15_000))]
        (position,) = [event.position for event in heard.of(PositionSeen) if isinstance(event, PositionSeen)]
        assert (position.qty, position.leverage, position.is_isolated) == (D(0), D(2), True)
        assert len(heard.of(Reconciled)) == 2


async def test_an_order_meets_the_book_at_arrival_and_is_answered_a_latency_after_it_was_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as (fills, heard):
        fills.on_depth(upbit_depth())
        sent_s = trio.current_time()
        submit(fills.gateway(UPBIT), order())
        await trio.sleep(0.02)
        fills.on_depth(upbit_depth(148_790_000.0))
        await trio.sleep(1)
        (filled,) = [(at, event.fill) for at, event in heard.events if isinstance(event, FillSeen)]
        assert filled[0] - sent_s == pytest.approx(0.060, abs=1e-6)
        assert (filled[1].price, filled[1].qty) == (D("148790000.0"), D("0.02"))
        assert heard.updates() == [(OrderState.OPEN, ""), (OrderState.FILLED, "")]
        assert not heard.of(BalanceSeen)[-1].is_full  # type: ignore[union-attr]


async def test_only_a_fraction_of_a_level_is_there_and_once_per_image(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (fills, heard):
        fills.on_depth(upbit_depth())
        gateway = fills.gateway(UPBIT)
        submit(gateway, order(qty="0.05"))
        await trio.sleep(1)
        submit(gateway, order(qty="0.05", name="b" * 28))
        await trio.sleep(1)
        fills.on_depth(upbit_depth())
        submit(gateway, order(qty="0.01", name="c" * 28))
        await trio.sleep(1)
        found = [event.fill.qty for event in heard.of(FillSeen) if isinstance(event, FillSeen)]
        assert found == [D("0.04"), D("0.01")]


async def test_a_missed_level_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    async with running(miss=1.0) as (fills, heard):
        fills.on_depth(upbit_depth())
        submit(fills.gateway(UPBIT), order())
        await trio.sleep(1)
        assert heard.updates() == [(OrderState.OPEN, ""), (OrderState.CANCELED, "ioc_remainder")]


@pytest.mark.parametrize("image", [None, depth(KRW_BTC, (148_900_000.0, 1.0), (148_800_000.0, 1.0))])
async def test_no_book_or_a_crossed_one_fills_nothing(
    image: Depth | None, autojump_clock: trio.testing.MockClock
) -> None:
    async with running() as (fills, heard):
        if image is not None:
            fills.on_depth(image)
        submit(fills.gateway(UPBIT), order())
        await trio.sleep(1)
        assert heard.updates()[-1] == (OrderState.CANCELED, "ioc_remainder")


@pytest.mark.parametrize(
    ("qty", "price", "reason"),
    [
        ("0.00001", "148800000", "notional_too_small 1488.00000"),
        ("0.02", "148800500", "off_tick 148800500"),
        ("0.5", "148800000", "insufficient_balance"),
    ],
)
async def test_what_a_venue_would_refuse_is_refused(
    qty: str, price: str, reason: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with running() as (fills, heard):
        fills.on_depth(upbit_depth())
        submit(fills.gateway(UPBIT), order(qty=qty, price=price))
        await trio.sleep(1)
        assert heard.updates() == [(OrderState.REJECTED, reason)]


async def test_resting_orders_are_filled_by_a_later_book_and_cancels_are_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as (fills, heard):
        gateway = fills.gateway(UPBIT)
        fills.on_depth(upbit_depth())
        submit(gateway, order(price="148790000", force=TimeInForce.GTC))
        submit(gateway, order(price="148000000", force=TimeInForce.GTC, name="b" * 28))
        await trio.sleep(1)
        fills.on_depth(upbit_depth(148_785_000.0))
        gateway.cancel_nowait(Cancel(client_order_id=ClientOrderId("b" * 28), venue_order_id=None, instrument=KRW_BTC))
        await trio.sleep(1)
        states = [state for state, _ in heard.updates()]
        assert states == [OrderState.OPEN, OrderState.OPEN, OrderState.FILLED, OrderState.CANCELED]
        assert len(heard.of(FillSeen)) == 1


async def test_a_query_is_asked_at_its_time_and_tells_state_and_fills(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (fills, heard):
        gateway = fills.gateway(UPBIT)
        fills.on_depth(upbit_depth())
        submit(gateway, order())
        await trio.sleep(1)
        heard.events.clear()
        for name in ("a" * 28, "z" * 28):
            gateway.query_nowait(
                Query(
                    client_order_id=ClientOrderId(name),
                    venue_order_id=None,
                    instrument=KRW_BTC,
                    not_before_ns=5_000_000_000,
                )
            )
        await trio.sleep(3)
        assert heard.events == []
        await trio.sleep(3)
        assert sorted(state.value for state, _ in heard.updates()) == ["filled", "not_found"]
        assert len(heard.of(FillSeen)) == 1


async def test_a_short_is_told_as_a_position_earns_funding_and_reads_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as (fills, heard):
        seen = FundingRateSeen(
            at_ns=0,
            instrument=PERP_BTC,
            rate=D("0.0001"),
            interval_s=28_800,
            next_settlement_ms=0,
            mark_price=D(103_400),
            index_price=None,
        )
        fills.on_funding(seen)
        fills.on_depth(depth(PERP_BTC, (103_000.0, 1.0), (103_000.1, 1.0)))
        submit(fills.gateway(USDM), order(PERP_BTC, Side.SELL, "0.1", "103000.0"))
        await trio.sleep(1)
        position = heard.of(PositionSeen)[-1].position  # type: ignore[union-attr]
        assert (position.qty, position.entry_price) == (D("-0.1"), 103_000)
        await trio.sleep(8 * 3600)
        fills.on_funding(seen)
        (paid,) = heard.of(FundingPaid)
        assert paid.amount == D("1.034")  # type: ignore[union-attr]
        heard.events.clear()
        fills.gateway(USDM).query_account_nowait(QueryAccount(venue=USDM, reason="test"))
        await trio.sleep(1)
        assert [type(event) for _, event in heard.events] == [BalanceSeen, PositionSeen, Reconciled]


async def test_too_many_orders_on_their_way_are_refused_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (fills, heard):
        for number in range(513):
            submit(fills.gateway(UPBIT), order(name=f"{number:028d}"))
        assert heard.updates() == [(OrderState.REJECTED, "queue_full")]


def told_wallet(heard: Heard) -> Balance:
    """USDT on the margined venue as it was last told."""
    told = [each for _, each in heard.events if isinstance(each, BalanceSeen) and each.venue == USDM]
    (wallet,) = [each for each in told[-1].balances if each.asset == "USDT"]
    return wallet


async def test_a_wallet_is_told_whole_with_its_margins_locked(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (fills, heard):
        fills.on_depth(depth(PERP_BTC, (103_000.0, 1.0), (103_000.1, 1.0)))
        submit(fills.gateway(USDM), order(PERP_BTC, Side.SELL, "0.1", "103000.0"))
        await trio.sleep(1)
        fee, margin = D("5.15"), D("5150")
        assert told_wallet(heard) == Balance(AssetId("USDT"), D(15_000) - fee - margin, margin)

        fills.gateway(USDM).query_account_nowait(QueryAccount(venue=USDM, reason="test"))
        await trio.sleep(1)
        assert told_wallet(heard).total == D(15_000) - fee


async def test_a_run_goes_on_with_the_position_and_the_margin_it_had(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as (fills, heard):
        fills.on_depth(depth(PERP_BTC, (103_000.0, 1.0), (103_000.1, 1.0)))
        submit(fills.gateway(USDM), order(PERP_BTC, Side.SELL, "0.1", "103000.0"))
        await trio.sleep(1)
        had = heard.of(PositionSeen)[-1].position  # type: ignore[union-attr]
        wallet = told_wallet(heard)

    async with running(usdt=wallet.total, positions=(had,)) as (fills, heard):
        (again,) = [each.position for _, each in heard.events if isinstance(each, PositionSeen)]
        assert again == had
        assert told_wallet(heard).total == wallet.total
        assert abs(told_wallet(heard).locked - wallet.locked) < D("0.00000002")

        fills.on_depth(depth(PERP_BTC, (101_999.9, 1.0), (102_000.0, 1.0)))
        submit(fills.gateway(USDM), order(PERP_BTC, Side.BUY, "0.1", "102000.0", name="c" * 28))
        await trio.sleep(1)
        assert heard.of(PositionSeen)[-1].position.qty == 0  # type: ignore[union-attr]
        assert told_wallet(heard) == Balance(AssetId("USDT"), wallet.total + D(100) - D("5.1"), D(0))


async def test_a_position_without_a_told_liquidation_price_takes_its_opening_margin(
    autojump_clock: trio.testing.MockClock,
) -> None:
    short = Position(
        instrument=PERP_BTC, qty=D("-0.1"), entry_price=D(103_000), mark_price=None, liquidation_price=None
    )
    async with running(positions=(short,)) as (_, heard):
        assert told_wallet(heard) == Balance(AssetId("USDT"), D(15_000 - 5_150), D(5_150))


async def test_orders_of_an_earlier_run_ended_with_it_or_never_arrived(autojump_clock: trio.testing.MockClock) -> None:
    ended = OrderUpdate(
        client_order_id=ClientOrderId("e" * 28),
        instrument=KRW_BTC,
        state=OrderState.CANCELED,
        filled_qty=D("0.01"),
        reason="restart",
        received_ns=0,
    )
    async with running(earlier=(ended,)) as (fills, heard):
        for name in ("e" * 28, "f" * 28):
            fills.gateway(UPBIT).query_nowait(
                Query(client_order_id=ClientOrderId(name), venue_order_id=None, instrument=KRW_BTC, not_before_ns=0)
            )
        await trio.sleep(1)
        told = {
            each.update.client_order_id[0]: each.update for _, each in heard.events if isinstance(each, OrderUpdated)
        }
        assert (told["e"].state, told["e"].filled_qty) == (OrderState.CANCELED, D("0.01"))
        assert told["e"].received_ns > 0
        assert told["f"].state is OrderState.NOT_FOUND
        assert heard.of(FillSeen) == []
