"""The simulated world: one time line, the same from any pattern of calls."""

from __future__ import annotations

from decimal import Decimal as D

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.ids import AssetId, InstrumentId, VenueId
from arb.domain.order import OrderState, OrderType, Side, TimeInForce
from arb.venues.simulated.facts import BookImage, Fact, FundingSettled, NewOrder, OrderView, RefusalReason, Refused
from arb.venues.simulated.listings import listing
from arb.venues.simulated.market import MarketPlan
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.simulated.recorded import RecordedMarket
from arb.venues.simulated.world import World, WorldPlan

S = 1_000_000_000
HOUR_NS = 3_600 * S
START_NS = 1_760_000_000 * S
UPBIT, USDM = VenueId("upbit"), VenueId("binance_usdm")
KRW_BTC, PERP_BTC = InstrumentId("upbit:KRW-BTC"), InstrumentId("binance_usdm:BTCUSDT")
FAULTS = (
    FaultScript(at_s=1.05, venue=UPBIT, kind=FaultKind.MAINTENANCE, duration_s=0.3),
    FaultScript(at_s=0.75, venue=USDM, kind=FaultKind.CROSSED_BOOK, duration_s=0.5),
    FaultScript(at_s=1.31, venue=USDM, kind=FaultKind.ADL),
    FaultScript(at_s=1.6, venue=USDM, kind=FaultKind.REJECT, duration_s=5),
)
PLAN = WorldPlan(
    seed=11,
    start_ns=START_NS,
    instruments=tuple(
        listing(InstrumentId(name)) for name in ("upbit:KRW-BTC", "upbit:KRW-USDT", "binance_usdm:BTCUSDT")
    ),
    faults=FAULTS,
)


def order(instrument: InstrumentId, side: Side, price: D, force: TimeInForce = TimeInForce.IOC) -> NewOrder:
    return NewOrder(
        client_order_id="",
        instrument=instrument,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=force,
        qty=D("0.01"),
        price=price,
    )


def opened(plan: WorldPlan = PLAN) -> World:
    world = World(plan)
    for exchange in world.exchanges.values():
        exchange.open_account("me", START_NS)
    return world


def trade_both_legs(world: World, now_ns: int) -> None:
    """Buy on Upbit, sell the perpetual, and leave a bid resting near the market."""
    world.advance_to(now_ns)
    ask = world.exchange("upbit").book(KRW_BTC)
    bid = world.exchange("binance_usdm").book(PERP_BTC)
    assert ask is not None
    assert bid is not None
    world.exchange("upbit").submit("me", order(KRW_BTC, Side.BUY, ask.asks[3][0]), now_ns)
    world.exchange("upbit").submit("me", order(KRW_BTC, Side.BUY, ask.bids[1][0], TimeInForce.GTC), now_ns)
    world.exchange("binance_usdm").submit("me", order(PERP_BTC, Side.SELL, bid.bids[3][0]), now_ns)


def history(cuts: list[int], plan: WorldPlan = PLAN) -> dict[str, tuple[Fact, ...]]:
    world = opened(plan)
    taken: dict[str, list[Fact]] = {venue: [] for venue in world.exchanges}
    for cut in sorted({*cuts, 800, 2_000}):
        now_ns = START_NS + cut * 1_000_000
        world.advance_to(now_ns)
        if cut == 800:
            trade_both_legs(world, now_ns)
        for venue, exchange in world.exchanges.items():
            taken[venue].extend(exchange.take())
    return {venue: tuple(facts) for venue, facts in taken.items()}


WHOLE = history([])


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=12))
def test_any_partition_of_time_gives_the_same_facts(cuts: list[int]) -> None:
    assert history(cuts) == WHOLE


def test_another_seed_is_another_world() -> None:
    assert history([], attrs.evolve(PLAN, seed=12)) != WHOLE


def test_facts_never_go_back_in_time_and_are_numbered_without_a_gap() -> None:
    for facts in WHOLE.values():
        assert [fact.id for fact in facts] == list(range(1, len(facts) + 1))
        assert [fact.at_ns for fact in facts] == sorted(fact.at_ns for fact in facts)


def test_scripts_close_a_venue_cross_its_books_and_take_positions() -> None:
    world = opened()
    trade_both_legs(world, START_NS + 800_000_000)
    usdm, upbit = world.exchange("binance_usdm"), world.exchange("upbit")
    image = usdm.book(PERP_BTC)
    assert image is not None
    assert image.bids[0][0] > image.asks[0][0]
    assert usdm.position("me", PERP_BTC).qty == D("-0.01")
    world.advance_to(START_NS + 1_100_000_000)
    shut = upbit.submit("me", order(KRW_BTC, Side.BUY, D(148_000_000)), world.now_ns)
    assert isinstance(shut, Refused)
    assert shut.reason is RefusalReason.NOT_TRADING
    world.advance_to(START_NS + 1_400_000_000)
    assert usdm.position("me", PERP_BTC).qty == D("-0.005")
    assert isinstance(upbit.submit("me", order(KRW_BTC, Side.BUY, D(148_000_000)), world.now_ns), OrderView)
    world.advance_to(START_NS + 1_700_000_000)
    refused = usdm.submit("me", order(PERP_BTC, Side.BUY, D(103_000)), world.now_ns)
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.SCRIPTED


def test_next_due_is_when_something_happens() -> None:
    world = opened()
    assert world.next_due_ns() == START_NS
    world.advance_to(START_NS)
    assert world.next_due_ns() == START_NS + 100_000_000
    world.advance_to(START_NS + 700_000_000)
    assert world.next_due_ns() == START_NS + 750_000_000, "a fault begins between two images"


def test_a_day_at_a_message_a_minute_settles_funding_three_times() -> None:
    plan = attrs.evolve(PLAN, faults=(), market=MarketPlan(cadence_ms=60_000, mark_every_ms=60_000, period_s=1_200.0))
    world = opened(plan)
    trade_both_legs(world, START_NS)
    images = 0
    incomes = []
    for hour in range(1, 25):
        world.advance_to(START_NS + hour * HOUR_NS)
        facts = world.exchange("binance_usdm").take()
        images += sum(isinstance(fact, BookImage) for fact in facts)
        incomes += [fact for fact in facts if isinstance(fact, FundingSettled)]
    assert images == 24 * 60 + 1
    assert [each.at_ns % (8 * HOUR_NS) for each in incomes] == [0, 0, 0]
    assert all(each.amount > 0 for each in incomes), "a short receives a positive rate"


def test_a_recorded_market_takes_the_place_of_the_generated_one() -> None:
    lines = ('{"ts_ms": 5, "instrument": "upbit:KRW-BTC", "bids": [["148790000", 1]], "asks": [["148800000", 1]]}',)
    world = World(PLAN, RecordedMarket(lines, PLAN.instruments, 1.0, START_NS))
    world.advance_to(START_NS + S)
    image = world.exchange("upbit").book(KRW_BTC)
    assert image is not None
    assert image.bids == ((D(148_790_000), D(1)),)
    assert world.exchange("binance_usdm").book(PERP_BTC) is None


def test_buying_wide_and_selling_narrow_earns_more_than_four_fees() -> None:
    """The market is made for the strategy: a round trip over one excursion is worth well over its costs."""
    world = opened(attrs.evolve(PLAN, faults=()))
    upbit, usdm = world.exchange("upbit"), world.exchange("binance_usdm")
    best, worst = -1e9, 1e9
    for step in range(200):
        world.advance_to(START_NS + step * 100_000_000)
        a, b, fx = upbit.book(KRW_BTC), usdm.book(PERP_BTC), upbit.book(InstrumentId("upbit:KRW-USDT"))
        assert a is not None
        assert b is not None
        assert fx is not None
        mark = float(fx.bids[0][0] + fx.asks[0][0]) / 2
        best = max(best, (float(b.bids[0][0]) * mark / float(a.asks[0][0]) - 1) * 1e4)
        worst = min(worst, (float(b.asks[0][0]) * mark / float(a.bids[0][0]) - 1) * 1e4)
        for exchange in world.exchanges.values():
            exchange.take()
    assert best - worst - 20.0 > 12.0 + 10.0


def test_balances_of_the_default_models_are_those_of_the_assumed_account() -> None:
    world = opened()
    held = {each.asset: each.total for each in world.exchange("upbit").balances("me")}
    assert held[AssetId("KRW")] == 20_000_000
    assert world.exchange("binance_usdm").wallet("me") == 15_000
    assert world.bank_rate() > 0
    resting = world.exchange("upbit").open_orders("me")
    assert all(each.state is OrderState.OPEN for each in resting)
