"""What a run without real orders goes on from: the books of the run before it."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import attrs
import pytest

from arb.cli.engine_config import engine_config
from arb.cli.local_orders import carried_on, first_balances
from arb.cli.settings import load_settings
from arb.domain.events import BalanceSeen, PositionSeen
from arb.domain.fees import Fee, FeeSchedule
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, PairId, TradeId, VenueId, VenueOrderId
from arb.domain.order import (
    Balance,
    Fill,
    OrderRequest,
    OrderState,
    OrderType,
    OrderUpdate,
    Position,
    Purpose,
    Side,
    TimeInForce,
)
from arb.domain.pair import Direction
from arb.engine import Engine
from arb.engine.memory import Memory
from arb.state.ledger import Residual
from arb.state.positions import LegTally, PairPosition
from arb.venues.simulated.listings import listing
from arb.venues.wire.local_fills import LocalVenue

SETTINGS = load_settings(Path("config/live.toml"), environ={}).settings
CONFIG = engine_config(SETTINGS, 0)
UPBIT, USDM, BTC = VenueId("upbit"), VenueId("binance_usdm"), PairId("BTC")
KRW, USDT, COIN = AssetId("KRW"), AssetId("USDT"), AssetId("BTC")
SPOT, PERP = listing(InstrumentId("upbit:KRW-BTC")), listing(InstrumentId("binance_usdm:BTCUSDT"))
FEES = FeeSchedule(maker_rate=D("0.0005"), taker_rate=D("0.0005"))
TOLD = Position(
    instrument=PERP.id,
    qty=D("-0.1"),
    entry_price=D(103_000),
    mark_price=D(103_100),
    liquidation_price=D(150_000),
    leverage=D(2),
    is_isolated=True,
)


@pytest.fixture
def memory() -> Memory:
    return Engine(CONFIG).memory


def local(venue: VenueId) -> LocalVenue:
    instruments = (SPOT,) if venue == UPBIT else (PERP,)
    start = first_balances(venue, SETTINGS.paper)
    return LocalVenue(venue=venue, instruments=instruments, order_ms=(1, 2), fees=FEES, balances=start)


def told(memory: Memory, venue: VenueId, **amounts: str) -> None:
    balances = tuple(Balance(AssetId(asset), D(amount), D(0)) for asset, amount in amounts.items())
    memory.ledger.holdings.see_balances(BalanceSeen(at_ns=0, venue=venue, balances=balances, is_full=True))


def fill(side: Side, qty: str, price: str) -> Fill:
    return Fill(
        instrument=SPOT.id,
        trade_id=TradeId("1"),
        client_order_id=None,
        venue_order_id=None,
        side=side,
        qty=D(qty),
        price=D(price),
        fee=None,
        liquidity=None,
        received_ns=0,
        venue_ns=None,
    )


def short(qty: str) -> PairPosition:
    return PairPosition(
        id="BTC-1",
        pair=BTC,
        direction=Direction.LONG_A,
        is_contract_b=True,
        opened_ns=0,
        opened_wall_ns=0,
        d_bps=0,
        fair_bps=0,
        expected_bps=0,
        b=LegTally(sold_qty=D(qty), sold_value=D(qty) * 103_000, last_price=D(103_000)),
    )


def line(memory: Memory, name: str, **known: object) -> None:
    request = OrderRequest(
        client_order_id=ClientOrderId(name * 28),
        instrument=SPOT.id,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=D(1),
        price=D(1),
        time_in_force=TimeInForce.IOC,
        reduce_only=False,
        purpose=Purpose.ENTRY,
        pair=BTC,
        leg="a",
        expected_price=D(1),
    )
    memory.orders.add(request, "owner", 0)
    memory.orders.put(attrs.evolve(memory.orders.lines[request.client_order_id], **known))  # type: ignore[arg-type]


def test_a_first_run_begins_with_the_configured_money(memory):
    for venue in (UPBIT, USDM):
        assert carried_on(local(venue), memory, CONFIG) == local(venue)
    assert local(UPBIT).balances == (Balance(KRW, D(20_000_000), D(0)),)
    assert local(USDM).balances == (Balance(USDT, D(15_000), D(0)),)


def test_money_is_what_the_fills_say_even_where_the_telling_did_not_reach_the_disk(memory):
    told(memory, UPBIT, KRW="20000000", BTC="0")
    memory.ledger.holdings.add_fill(fill(Side.BUY, "0.01", "148000000"), SPOT, Fee(D(740), KRW))

    begun = carried_on(local(UPBIT), memory, CONFIG)

    assert {each.asset: each.total for each in begun.balances} == {
        KRW: D(20_000_000 - 1_480_000 - 740),
        COIN: D("0.01"),
    }


def test_what_was_locked_is_free_again(memory):
    locked = (Balance(KRW, D(5), D(7)),)
    memory.ledger.holdings.see_balances(BalanceSeen(at_ns=0, venue=UPBIT, balances=locked, is_full=True))

    assert carried_on(local(UPBIT), memory, CONFIG).balances == (Balance(KRW, D(12), D(0)),)


def test_a_contract_goes_on_as_it_was_told_where_the_pairs_count_the_same(memory):
    told(memory, USDM, USDT="15000")
    memory.ledger.holdings.see_contract(PositionSeen(at_ns=0, position=TOLD))
    memory.ledger.positions[BTC] = short("0.1")

    assert carried_on(local(USDM), memory, CONFIG).positions == (TOLD,)


def test_a_contract_is_what_the_pairs_count_where_the_telling_is_old(memory):
    told(memory, USDM, USDT="15000")
    memory.ledger.holdings.see_contract(PositionSeen(at_ns=0, position=TOLD))
    memory.ledger.positions[BTC] = short("0.3")
    memory.ledger.residuals["BTC/b"] = Residual(pair=BTC, leg="b", qty=D("0.05"), cost=D(5_000), since_ns=0)

    (found,) = carried_on(local(USDM), memory, CONFIG).positions

    assert (found.qty, found.entry_price, found.liquidation_price) == (D("-0.25"), D(103_000), None)


def test_nothing_is_carried_of_a_contract_that_was_closed(memory):
    told(memory, USDM, USDT="15000")
    memory.ledger.holdings.see_contract(PositionSeen(at_ns=0, position=TOLD))

    assert carried_on(local(USDM), memory, CONFIG).positions == ()


def test_orders_that_arrived_ended_with_their_run_and_those_on_their_way_are_unheard_of(memory):
    told(memory, UPBIT, KRW="1")
    line(memory, "a")
    line(memory, "b", state=OrderState.OPEN, venue_order_id=VenueOrderId("7"))
    line(memory, "c", state=OrderState.OPEN, fill_qty=D("0.2"), fill_cost=D("0.4"))

    found = {update.client_order_id[0]: update for update in carried_on(local(UPBIT), memory, CONFIG).orders}

    assert sorted(found) == ["b", "c"]
    assert (found["b"].state, found["b"].filled_qty, found["b"].reason) == (OrderState.CANCELED, D(0), "restart")
    assert (found["c"].filled_qty, found["c"].avg_price) == (D("0.2"), D(2))
    assert carried_on(local(USDM), memory, CONFIG).orders == ()
    assert isinstance(found["b"], OrderUpdate)
