"""Inventory: the golden loop to the last digit, what the balances ask of a trade, and where they stop it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.fees import Fee, FeeAsset
from arb.domain.intent import Intent, IntentKind
from arb.domain.order import Purpose, Side
from arb.domain.pair import Direction
from arb.state.attribution import attribute
from arb.state.captured import captured_krw
from arb.state.flows import FillTag
from arb.state.ledger import Ledger
from arb.state.positions import PairPosition
from arb.storage.codec import decode_value, encode_value
from arb.strategy import load_strategy
from arb.strategy.api import Answer, HeldBalances, PairView, TopQuote
from arb.strategy.inventory import STRATEGY, kernel
from arb.strategy.inventory.memory import InventoryMemory
from arb.strategy.inventory.params import InventoryParams
from tests import strategies as make
from tests.strategy.inventory_views import A_XRP, B_XRP, MIDDLE, XRP, S, fx, inventory_params, view, xrp_pair

D = Decimal
PARAMS = inventory_params()
BANDS = kernel.Bands(1e7, 9e6, 5_000.0, 4_000.0, 8_000.0, 7_000.0, 5_000.0, 4_000.0, 0)
TERMS = kernel.Terms(5.0, 10.0, 5.0, 2.0, 20.0, 15.0, 6.0)
GOLDEN = kernel.Quotes(3150.0, 3151.0, 2.1599, 2.16, 1450.0, 1451.0)
"""The golden prices, FX without its fee."""


def look(one: PairView, params: InventoryParams = PARAMS, own: InventoryMemory | None = None) -> Answer:
    return STRATEGY.decide(one, own or STRATEGY.initial(), params)[1]


def wanted(one: PairView, params: InventoryParams = PARAMS) -> Intent:
    intent = look(one, params).intent
    assert intent is not None
    return intent


def held(**changes: float) -> HeldBalances:
    return MIDDLE._replace(**changes)


# --- the golden loop


def test_the_golden_edge_before_any_fee() -> None:
    assert kernel.gross_bps(-1, GOLDEN) == pytest.approx(50.5399, abs=5e-5)


def test_a_spot_buy_is_planned_so_that_the_sold_quantity_arrives() -> None:
    intent = wanted(view())

    assert (intent.kind, intent.direction) == (IntentKind.ENTER, Direction.SHORT_A)
    assert (intent.a.side, intent.a.qty) == (Side.SELL, D("2000.00000000"))
    assert (intent.b.side, intent.b.qty) == (Side.BUY, D("2002.1"))


def test_no_coin_is_bought_on_top_where_bnb_pays_the_fee() -> None:
    covered = view(rules=make.rules(is_bnb_covering=True), fees_b=make.fees("0.00075", asset=FeeAsset.BNB))

    assert wanted(covered).b.qty == D("2000.0")


def golden_loop() -> PairPosition:
    """The golden fills: 2,000 sold on A, 2,002.1 bought on B, their USDT bought back."""
    ledger = Ledger(0)
    ledger.open_position(make.position(Direction.SHORT_A, is_contract_b=False))
    one = view()
    usdt = make.instrument(make.FX_BOOK, base=make.USDT, tick="1")
    for rules, leg, side, qty, price, fee in (
        (one.instrument_a, "a", Side.SELL, "2000", "3150", Fee(D(3150), make.KRW)),
        (one.instrument_b, "b", Side.BUY, "2002.1", "2.16", Fee(D("2.0021"), XRP)),
        (usdt, "fx", Side.BUY, "4324.536", "1451", Fee(D("3137.450868"), make.KRW)),
    ):
        fill = make.fill(rules.id, leg, side, qty, price, fee=fee)
        tag = FillTag(pair=make.BTC_PAIR, leg=leg, purpose=Purpose.ENTRY, decision_price=D(price), multiplier=D(1))
        ledger.book_fill(fill, rules, tag, fx_mid=D("1450.5"), fee=fee)
    found = ledger.position(make.BTC_PAIR)
    assert found is not None
    return found


def test_the_golden_loop_comes_out_to_the_last_digit() -> None:
    loop = golden_loop()
    total, _ = attribute(loop.flows, D("1450.5"))
    cost = D("6274901.736")

    assert loop.usdt == 0
    assert loop.b.net_qty == D("2000.0979")
    assert loop.net_qty * D(3150) == D("308.3850")
    assert total.total == D("18810.813132")
    assert float(total.total / cost) * 1e4 == pytest.approx(29.9779, abs=5e-5)
    assert total.total + D("308.385") == D("19119.198132")
    moved = total.total + D("308.385") - (D("0.2") * D(3150) + D(1) * D("1450.5"))
    assert moved == D("17038.698132")
    assert float(moved / cost) * 1e4 == pytest.approx(27.1537, abs=5e-5)


def test_captured_is_the_loop_with_its_usdt_bought_back_at_once() -> None:
    traded = [flow for flow in golden_loop().flows if flow.leg != "fx"]

    found = captured_krw(traded, sell_usdt=D(1450) * D("0.9995"), buy_usdt=D(1451) * D("1.0005"))

    assert found == D("18810.813132")


def test_buying_what_was_sold_would_leave_less_than_was_sold() -> None:
    assert D(2000) * (1 - D("0.001")) - D(2000) == D(-2)
    assert -2 * D(3150) == D(-6300)


# --- what the balances ask


@pytest.mark.parametrize(
    ("side", "x", "y", "required"),
    [
        (-1, 0.0, 0.0, 5.0),
        (-1, -0.5, 0.0, 15.0),
        (-1, 0.0, -0.5, 15.0),
        (-1, -1.0, -1.0, 45.0),
        (-1, 0.4, 0.0, -1.0),
        (-1, 0.0, 0.4, 5.0),
        (-1, 1.0, 0.0, -6.0),
        (1, 0.5, 0.0, 15.0),
        (1, 0.0, 0.5, 15.0),
        (1, -0.4, 0.0, -1.0),
        (1, -1.0, 1.0, 10.0),
    ],
)
def test_the_required_net_by_skew(side: int, x: float, y: float, required: float) -> None:
    assert kernel.required_bps(side, x, y, TERMS) == pytest.approx(required)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_long_and_short_mirror_each_other(x: float, y: float) -> None:
    x, y = kernel.skew(x, 0.0, 1.0), kernel.skew(y, 0.0, 1.0)

    assert -1.0 <= x <= 1.0
    assert kernel.required_bps(1, x, y, TERMS) == kernel.required_bps(-1, -x, -y, TERMS)


@given(x=st.floats(-1, 1), y=st.floats(-1, 1), side=st.sampled_from((-1, 1)))
def test_the_required_net_never_falls_below_its_floor(x: float, y: float, side: int) -> None:
    assert kernel.required_bps(side, x, y, TERMS) >= -TERMS.relief_floor_bps


@pytest.mark.parametrize(
    ("changes", "is_long_open", "is_short_open"),
    [
        ({}, True, True),
        ({"coin_a": 500.0}, True, False),
        ({"coin_a": 9_500.0}, False, True),
        ({"usdt_b": 500.0}, True, False),
        ({"usdt_b": 15_500.0}, False, True),
        ({"krw_a": 500_000.0}, False, True),
        ({"krw_a": 19_500_000.0}, True, False),
        ({"coin_b": 500.0}, False, True),
        ({"coin_b": 9_500.0}, True, False),
        ({"coin_a": 500.0, "usdt_b": 15_500.0}, False, False),
    ],
)
def test_beyond_the_band_only_the_restoring_direction_trades(
    changes: dict[str, float], is_long_open: bool, is_short_open: bool
) -> None:
    balances = kernel.Balances(*held(**changes))

    codes = [kernel.choose(side, GOLDEN, balances, BANDS, TERMS).code for side in (1, -1)]

    assert [code != kernel.BAND for code in codes] == [is_long_open, is_short_open]


def test_a_contract_moves_no_usdt_and_has_no_coins() -> None:
    contract = BANDS._replace(is_contract_b=1)
    balances = kernel.Balances(*held(usdt_b=500.0, coin_b=500.0))

    assert kernel.choose(-1, GOLDEN, balances, contract, TERMS).room_qty == pytest.approx(9_000_000 / 3150)


@given(
    coin_a=st.floats(0, 12_000), krw_a=st.floats(0, 3e7), usdt_b=st.floats(0, 2e4), coin_b=st.floats(0, 12_000),
    side=st.sampled_from((-1, 1)),
)  # fmt: skip
def test_no_trade_of_the_room_carries_a_balance_over_the_far_edge(
    coin_a: float, krw_a: float, usdt_b: float, coin_b: float, side: int
) -> None:
    before = kernel.Balances(krw_a, coin_a, usdt_b, coin_b)
    qty = kernel.room_qty(side, before, BANDS, GOLDEN)
    price_a, price_b = (3151.0, 2.1599) if side > 0 else (3150.0, 2.16)
    after = (krw_a - side * qty * price_a, coin_a + side * qty, usdt_b + side * qty * price_b, coin_b - side * qty)

    for old, new, target, band in zip(before, after, BANDS[0:8:2], BANDS[1:8:2], strict=True):
        off_before, off_after = abs(old - target), abs(new - target)
        assert off_after <= max(off_before, band) * (1 + 1e-9)


# --- the answer


def test_an_edge_too_small_says_by_how_much() -> None:
    found = look(view(bid_a=3140.0)).look

    gross = (3140.0 - 2.16 * fx().buy_b) / (2.16 * fx().buy_b) * 1e4
    assert found.refusal == "edge"
    assert found.direction is Direction.SHORT_A
    assert found.best_bps == pytest.approx(gross - 5 - 10 - 2)
    assert found.missed_by_bps == pytest.approx(5 - found.best_bps)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"data_refusal": "stale_a"}, "stale_a"),
        ({"is_busy": True}, "busy"),
        ({"bid_a": 3100.0, "ask_b": 2.14}, "edge"),
        ({"held": held(coin_a=500.0)}, "band"),
        ({"headroom": make.headroom(base_a_qty=0.0)}, "balance_a"),
        ({"headroom": make.headroom(quote_b_usdt=0.0)}, "balance_b"),
        ({"headroom": make.headroom(notional_krw=0.0, limit="max_pair")}, "max_pair"),
        ({"headroom": make.headroom(notional_krw=100_000.0)}, "max_position_krw"),
    ],
)
def test_every_refusal_has_its_name(changes: dict[str, Any], refusal: str) -> None:
    answer = look(view(**changes))

    assert answer.intent is None
    assert answer.look.refusal == refusal


def test_a_trade_stops_at_the_edge_of_the_band() -> None:
    intent = wanted(view(held=held(coin_a=1_700.0)), inventory_params(skew_bps=0.0))

    assert intent.a.qty == D("700.00000000")


def opened(direction: Direction, qty: str = "1000") -> PairPosition:
    """A loop of one trade at the golden prices."""
    ledger = Ledger(0)
    ledger.open_position(attrs.evolve(make.position(direction, is_contract_b=False), pair=xrp_pair().id))
    side = Side.BUY if direction is Direction.LONG_A else Side.SELL
    one = view()
    for rules, leg, way, price in (
        (one.instrument_a, "a", side, "3150"),
        (one.instrument_b, "b", side.opposite, "2.16"),
    ):
        fill = make.fill(rules.id, f"{leg}{direction.value}", way, qty, price)
        tag = FillTag(pair=xrp_pair().id, leg=leg, purpose=Purpose.ENTRY, decision_price=D(price), multiplier=D(1))
        ledger.book_fill(fill, rules, tag, fx_mid=D("1450.5"), fee=Fee(D(1), rules.quote))
    found = ledger.position(xrp_pair().id)
    assert found is not None
    return found


def test_a_trade_in_the_direction_of_the_loop_adds_to_it() -> None:
    intent = wanted(view(position=opened(Direction.SHORT_A)))

    assert (intent.kind, intent.direction, intent.a.side) == (IntentKind.ENTER, Direction.SHORT_A, Side.SELL)


def test_a_trade_against_the_loop_trades_back_no_more_than_is_open() -> None:
    intent = wanted(view(position=opened(Direction.LONG_A)))

    assert (intent.kind, intent.direction, intent.reason) == (IntentKind.EXIT, Direction.LONG_A, "loop")
    assert (intent.a.side, intent.a.qty) == (Side.SELL, D("1000"))
    assert (intent.b.side, intent.b.qty) == (Side.BUY, D("1001.1"))


def test_where_the_books_end_part_of_the_loop_is_traded_back() -> None:
    thin = view(position=opened(Direction.LONG_A, "3000"))

    assert wanted(thin).a.qty == D("2000.00000000")


def test_no_limit_holds_back_what_returns_the_balances() -> None:
    full = make.headroom(notional_krw=0.0, limit="max_total")

    assert wanted(view(position=opened(Direction.LONG_A), headroom=full)).kind is IntentKind.EXIT


def test_an_operator_s_flatten_trades_the_loop_back_at_any_edge() -> None:
    intent = wanted(view(bid_a=3130.0, position=opened(Direction.SHORT_A), risk_exit="flatten"))

    assert (intent.kind, intent.reason, intent.a.side) == (IntentKind.EXIT, "risk", Side.BUY)


def test_a_loop_is_worth_what_trading_it_back_now_would_bring() -> None:
    found = look(view(position=opened(Direction.SHORT_A))).look

    back = 3_150_000 - 2_160 * 1450.5 - 1 - 1450.5  # both principals and both fees of the trade
    ways = -1000 * 3151 * 1.0005 + 1000 * 2.1599 * 1450.5 * 0.999
    assert found.value_bps == pytest.approx((back + ways) / 3_150_000 * 1e4)
    assert found.fx_value_bps == pytest.approx(0.0)


def test_cooldown_runs_from_the_last_busy_view_and_needs_a_newer_book() -> None:
    own, _ = STRATEGY.decide(view(is_busy=True), STRATEGY.initial(), PARAMS)

    assert look(view(now_ns=101 * S), own=own).look.refusal == "cooldown"
    assert look(view(now_ns=103 * S, books_ns=100 * S), own=own).look.refusal == "cooldown"
    assert look(view(now_ns=103 * S), own=own).intent is not None


def top(one: PairView) -> TopQuote:
    a, b = one.a, one.b
    return TopQuote(one.now_ns, a.best_bid, a.best_ask, b.best_bid, b.best_ask, 1.0, one.fx)


@given(bid_a=st.floats(3_050, 3_250), coin_a=st.floats(0, 10_000))
def test_what_the_cheap_look_leaves_out_would_not_have_traded(bid_a: float, coin_a: float) -> None:
    one = view(bid_a=round(bid_a), held=held(coin_a=coin_a))
    own, answer = STRATEGY.decide(one, STRATEGY.initial(), PARAMS)
    later = one._replace(now_ns=one.now_ns + 1)

    if STRATEGY.missed_by_bps(top(later), own, PARAMS) > 0:
        assert answer.intent is None
        assert look(later, own=own).intent is None


def test_the_cheap_look_asks_for_a_whole_one_when_balances_may_have_moved() -> None:
    own, _ = STRATEGY.decide(view(bid_a=3_130.0), STRATEGY.initial(), PARAMS)

    assert STRATEGY.missed_by_bps(top(view(bid_a=3_130.0, now_ns=100 * S + 1)), own, PARAMS) > 0
    assert STRATEGY.missed_by_bps(top(view(bid_a=3_130.0, now_ns=102 * S)), own, PARAMS) <= 0


@given(bid_a=st.floats(3_000, 3_300), size=st.floats(1, 5_000), coin_a=st.floats(0, 10_000))
def test_a_trade_always_nets_what_its_balances_ask(bid_a: float, size: float, coin_a: float) -> None:
    bid_a = round(bid_a)
    one = view(held=held(coin_a=coin_a))._replace(a=make.depth(A_XRP, (bid_a, size), (bid_a + 1, size), at_ns=100 * S))
    intent = look(one).intent
    if intent is None:
        return
    x = kernel.skew(coin_a, 5_000.0, 4_000.0)
    asked = kernel.required_bps(intent.direction.sign, x, 0.0, TERMS)

    assert intent.edge.expected_bps - PARAMS.rebalance_bps >= asked - 1e-6


@given(st.lists(st.tuples(st.floats(3_050, 3_250), st.booleans()), max_size=12))
def test_same_views_same_answers(steps: list[tuple[float, bool]]) -> None:
    def run() -> list[Answer]:
        own, found = STRATEGY.initial(), []
        for index, (bid, is_busy) in enumerate(steps):
            one = view(now_ns=(100 + index) * S, bid_a=round(bid), is_busy=is_busy)
            own, answer = STRATEGY.decide(one, own, PARAMS)
            found.append(answer)
        return found

    assert run() == run()


# --- what it is told and remembers


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"min_profit_bps": 0.0, "relief_floor_bps": 4.0}, "min_profit_bps"),
        ({"relief_floor_bps": 10.0}, "a closed loop could lose"),
        ({"min_profit_bps": 60.0, "relief_floor_bps": 30.0}, "sold again at once"),
        ({"band_coin_a": 6_000.0}, "band_coin_a"),
        ({"band_usdt_b": 9_000.0}, "band_usdt_b"),
    ],
)
def test_parameters_that_cannot_earn_are_named(changes: dict[str, float], word: str) -> None:
    found = STRATEGY.problems(inventory_params(**changes), round_trip_cost_bps=30.0, fx_tick_bps=7.0)

    assert len(found) == 1
    assert word in found[0]
    assert STRATEGY.problems(PARAMS, round_trip_cost_bps=30.0, fx_tick_bps=7.0) == ()


def test_it_is_loaded_by_name_and_its_state_comes_back() -> None:
    own, _ = STRATEGY.decide(view(is_busy=True), STRATEGY.initial(), PARAMS)
    own, _ = STRATEGY.decide(view(now_ns=101 * S), own, PARAMS)

    assert load_strategy("inventory") is STRATEGY
    assert decode_value(encode_value(own), InventoryMemory) == own
    assert B_XRP != A_XRP
