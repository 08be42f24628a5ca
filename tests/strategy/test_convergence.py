"""Convergence: when it opens, when it closes, and that it is a pure function."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.errors import ConfigError
from arb.domain.events import FundingRateSeen
from arb.domain.fees import Fee
from arb.domain.intent import IntentKind
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.state.ledger import Ledger
from arb.state.positions import PairPosition
from arb.strategy import load_strategy
from arb.strategy.api import Answer, HeldBalances, HeldFacts, HeldQuote, PairView, TopQuote
from arb.strategy.convergence import STRATEGY, kernel
from arb.strategy.convergence.memory import ConvergenceMemory, sample_spacing_ns
from arb.strategy.convergence.params import ConvergenceParams
from tests import strategies as make

S = 1_000_000_000
MS = 1_000_000
D = Decimal
FAIR = make.convergence_params(fair_bps=0.0)


def funding(rate: str = "0.0001", *, at_ns: int = 0, next_in_s: int = 20_000) -> FundingRateSeen:
    """A prediction, as of `at_ns`."""
    return FundingRateSeen(
        at_ns=at_ns,
        instrument=make.B_BTC,
        rate=D(rate),
        interval_s=28_800,
        next_settlement_ms=at_ns // MS + next_in_s * 1000,
        mark_price=D(103_000),
        index_price=None,
    )


def view(
    *,
    now_ns: int = 100 * S,
    bid_a: float = 148_080_000.0,
    bid_b: float = 103_000.0,
    books_ns: int | None = None,
    **changes: Any,
) -> PairView:
    """A view with A cheap by 89 bps unless told otherwise, one tick of spread on both sides."""
    at_ns = now_ns if books_ns is None else books_ns
    base = PairView(
        pair=make.pair(),
        now_ns=now_ns,
        wall_ns=now_ns,
        a=make.depth(make.A_BTC, (bid_a, 2.0), (bid_a + 20_000, 2.0), at_ns=at_ns),
        b=make.depth(make.B_BTC, (bid_b, 2.0), (bid_b + 0.1, 2.0), at_ns=at_ns),
        fx=make.FX,
        fx_received_ns=at_ns,
        data_refusal="",
        instrument_a=make.instrument(),
        instrument_b=make.perpetual(),
        fees_a=make.fees(),
        fees_b=make.fees(),
        funding=funding(at_ns=now_ns),
        held=HeldBalances(0.0, 0.0, 0.0, 0.0),
        headroom=make.headroom(notional_krw=2_000_000.0 * 10),
        rules=make.rules(min_position_krw=D(200_000)),
        position=None,
        is_busy=False,
        is_exit_tradable=True,
        is_fx_hedged=True,
        risk_exit="",
        stop_loss_cap_bps=math.inf,
    )
    return base._replace(**changes)


def held(opened_ns: int = 0, price_a: str = "148800000") -> PairPosition:
    """The golden entry, open: 0.1 at `price_a` against 103,000."""
    ledger = Ledger(0)
    ledger.open_position(make.position(opened_ns=opened_ns))
    for name, leg, side, price, rules in (
        ("1", "a", Side.BUY, price_a, make.instrument()),
        ("2", "b", Side.SELL, "103000", make.perpetual()),
    ):
        ledger.book_fill(
            make.fill(rules.id, name, side, "0.1", price),
            rules,
            make.tag(leg, price),
            fx_mid=D("1450.5"),
            fee=Fee(D("0.1") * D(price) * D("0.0005"), rules.quote),
        )
    found = ledger.position(make.BTC_PAIR)
    assert found is not None
    return found


def look(one: PairView, own: ConvergenceMemory | None = None, params: ConvergenceParams = FAIR) -> Answer:
    return STRATEGY.decide(one, own or STRATEGY.initial(), params)[1]


def watch(views: list[PairView], params: ConvergenceParams = FAIR) -> list[Answer]:
    own, answers = STRATEGY.initial(), []
    for one in views:
        own, answer = STRATEGY.decide(one, own, params)
        answers.append(answer)
    return answers


def test_opens_when_the_expected_result_is_enough() -> None:
    answer = look(view())

    assert answer.intent is not None
    assert answer.look.refusal == ""
    intent = answer.intent
    assert (intent.kind, intent.direction, intent.reason) == (IntentKind.ENTER, Direction.LONG_A, "edge")
    assert (intent.a.side, intent.b.side) == (Side.BUY, Side.SELL)
    assert intent.qty == D("0.135")
    edge = intent.edge
    d, h2 = edge.d_bps, edge.cost_bps - 20 - 3.5
    assert edge.expected_bps == pytest.approx(d - edge.fair_bps - h2 - 20 - 3.5 + edge.funding_bps, abs=1e-6)
    assert edge.gross_bps == pytest.approx((103_000 * 1450.5 - 148_100_000) / 148_100_000 * 1e4)
    assert edge.expected_bps >= FAIR.min_profit_bps


def test_a_round_trip_has_four_fees() -> None:
    cheap = look(view(fees_a=make.fees("0"), fees_b=make.fees("0"))).look.best_bps

    assert cheap - look(view()).look.best_bps == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"bid_a": 149_380_000.0}, "edge"),
        ({"data_refusal": "stale_a"}, "stale_a"),
        ({"is_busy": True}, "busy"),
        ({"funding": None}, "funding_unknown"),
        ({"funding": funding(at_ns=-4000 * S, next_in_s=9000)}, "funding_unknown"),
        ({"funding": funding("-0.0003", at_ns=100 * S, next_in_s=60)}, "funding_guard"),
        ({"headroom": make.headroom(notional_krw=0.0, limit="max_total_krw")}, "max_total_krw"),
    ],
)
def test_every_refusal_has_its_name(changes: dict[str, Any], refusal: str) -> None:
    answer = look(view(**changes))

    assert answer.intent is None
    assert answer.look.refusal == refusal


def test_later_settlements_are_priced_at_the_mean_of_the_newest_past_rates() -> None:
    params = attrs.evolve(FAIR, expected_hold_s=20_000 + 28_800, funding_lookback=2, funding_income_haircut=1.0)
    past = attrs.evolve(funding(at_ns=100 * S), past_rates=(D("0.0003"), D("0.0005"), D("0.9")))

    predicted, averaged = look(view(), params=params), look(view(funding=past), params=params)

    assert predicted.intent is not None
    assert averaged.intent is not None
    assert predicted.intent.edge.funding_bps == pytest.approx(1 + 1)
    assert averaged.intent.edge.funding_bps == pytest.approx(1 + 4)


def test_an_edge_too_small_says_by_how_much() -> None:
    found = look(view(bid_a=149_000_000.0)).look

    assert found.refusal == "edge"
    assert found.missed_by_bps == pytest.approx(FAIR.min_profit_bps - found.best_bps)
    assert found.missed_by_bps > 0


def test_the_fair_level_needs_its_samples_and_is_their_median() -> None:
    params = make.convergence_params(fair_window_s=10.0, fair_min_samples=4)
    assert sample_spacing_ns(params) == S
    bids = [149_300_000.0, 149_200_000.0, 149_100_000.0, 149_000_000.0, 148_080_000.0]

    answers = watch([view(now_ns=(100 + i) * S, bid_a=bid) for i, bid in enumerate(bids)], params)

    assert [answer.look.refusal for answer in answers[:3]] == ["fair_unknown"] * 3
    assert answers[3].look.fair_bps is not None
    assert answers[4].look.fair_bps == pytest.approx(answers[2].look.d_bps)
    assert answers[4].intent is not None


def test_stale_views_are_not_sampled_and_a_second_gives_one_sample() -> None:
    params = make.convergence_params(fair_window_s=10.0, fair_min_samples=2)
    own = STRATEGY.initial()
    for now_ns, refusal in ((100 * S, "stale_b"), (101 * S, ""), (101 * S + 1, ""), (102 * S, "skew")):
        own, _ = STRATEGY.decide(view(now_ns=now_ns, data_refusal=refusal), own, params)

    assert own.fair.count == 1


def test_the_default_window_has_room_for_its_samples() -> None:
    params = make.convergence_params()

    assert params.fair_window_s * S / sample_spacing_ns(params) >= 2000


def test_cooldown_runs_from_the_last_busy_view_and_needs_a_newer_book() -> None:
    busy = view(now_ns=100 * S, is_busy=True)

    early, late = watch([busy, view(now_ns=159 * S)])[1], watch([busy, view(now_ns=161 * S)])[1]
    params = attrs.evolve(FAIR, cooldown_s=0.0)
    same = watch([busy, view(now_ns=101 * S, books_ns=100 * S)], params)[1]

    assert (early.look.refusal, same.look.refusal, late.look.refusal) == ("cooldown", "cooldown", "")


def _held_views(count: int, step_ms: int, **changes: Any) -> list[PairView]:
    return [view(now_ns=100 * S + i * step_ms * MS, position=held(), **changes) for i in range(count)]


WIDE = {"bid_a": 150_500_000.0, "bid_b": 103_000.0}
"""A has risen against B by far more than the profit asked."""


def test_an_exit_is_confirmed_by_time_and_new_books() -> None:
    answers = watch(_held_views(6, 200, **WIDE))

    fired = [answer.intent.reason if answer.intent else "" for answer in answers]
    assert fired == ["", "", "", "take_profit", "take_profit", "take_profit"]
    intent = answers[3].intent
    assert intent is not None
    assert intent.kind is IntentKind.EXIT
    assert (intent.a.side, intent.b.side, intent.qty) == (Side.SELL, Side.BUY, D("0.1"))


def test_old_books_confirm_nothing_however_long() -> None:
    views = [one._replace(now_ns=one.now_ns + i * S) for i, one in enumerate(_held_views(1, 0, **WIDE) * 6)]

    assert all(answer.intent is None for answer in watch(views))


def test_an_interrupted_condition_starts_again() -> None:
    views = _held_views(8, 200, **WIDE)
    views[2] = view(now_ns=views[2].now_ns, position=held(), bid_a=148_800_000.0)

    fired = [answer.intent is not None for answer in watch(views)]

    assert fired.index(True) == 6


def test_value_is_the_golden_mark_right_after_entry() -> None:
    one = view(position=held(opened_ns=100 * S), bid_a=148_780_000.0)

    found = look(one).look

    assert found.value_bps == pytest.approx(-21.3936, abs=5e-5)
    assert found.refusal == "hold"


@pytest.mark.parametrize(
    ("changes", "params", "reason"),
    [
        ({"bid_a": 147_000_000.0}, {}, "stop_loss"),
        ({"bid_a": 148_400_000.0, "stop_loss_cap_bps": 40.0}, {}, "stop_loss"),
        ({"fx": make.FX._replace(mid=1435.5), "is_fx_hedged": False, "bid_a": 148_000_000.0}, {}, "fx_stop"),
        (dict(WIDE), {}, "take_profit"),
        ({"bid_a": 149_400_000.0}, {"take_profit_bps": 500.0}, "reversal"),
        ({"bid_a": 148_800_000.0, "position": held(opened_ns=-90_000 * S)}, {"take_profit_bps": 500.0}, "time_limit"),
    ],
)
def test_each_exit_rule_fires_by_its_name(changes: dict[str, Any], params: dict[str, Any], reason: str) -> None:
    views = [view(now_ns=100 * S + i * 300 * MS, **({"position": held()} | changes)) for i in range(4)]

    answer = watch(views, make.convergence_params(fair_bps=0.0, **params))[-1]

    assert answer.intent is not None
    assert answer.intent.reason == reason


def test_min_hold_restrains_profit_but_not_the_stop() -> None:
    young = held(opened_ns=95 * S)
    profit = [view(now_ns=100 * S + i * 300 * MS, position=young, bid_a=WIDE["bid_a"]) for i in range(5)]
    loss = [view(now_ns=100 * S + i * 300 * MS, position=young, bid_a=147_000_000.0) for i in range(5)]

    assert watch(profit)[-1].intent is None
    assert watch(loss)[-1].intent is not None


@pytest.mark.parametrize("changes", [{"is_exit_tradable": False}, {"data_refusal": "silent_b"}])
def test_no_exit_but_risk_without_venues_and_data(changes: dict[str, Any]) -> None:
    views = _held_views(6, 300, **(WIDE | changes))

    assert all(answer.intent is None for answer in watch(views))
    assert watch([one._replace(risk_exit="margin") for one in views])[0].intent is not None


def test_a_time_limit_waits_for_a_bearable_loss_at_most_twice_the_time() -> None:
    limits = kernel.ExitLimits(80.0, 100.0, 10.0, 3.0, 30.0, 0, 100)
    at = kernel.ExitNumbers(1, -40.0, 0.0, 50.0, 0.0, 100)

    assert not kernel.is_rule_true(kernel.TIME_LIMIT, at, limits)
    assert kernel.is_rule_true(kernel.TIME_LIMIT, at._replace(value_bps=-30.0), limits)
    assert kernel.is_rule_true(kernel.TIME_LIMIT, at._replace(held_ns=200), limits)


def top(one: PairView) -> TopQuote:
    return TopQuote(
        one.now_ns, one.a.best_bid, one.a.best_ask, one.b.best_bid, one.b.best_ask, float(one.pair.multiplier), one.fx
    )


@given(st.floats(140_000_000, 160_000_000), st.floats(140_000_000, 160_000_000))
def test_what_the_cheap_look_leaves_out_would_not_have_traded(first: float, second: float) -> None:
    own, _ = STRATEGY.decide(view(bid_a=first), STRATEGY.initial(), FAIR)
    later = view(now_ns=100 * S + 500 * MS, bid_a=second)

    missed_bps = STRATEGY.missed_by_bps(top(later), own, FAIR)

    answer = STRATEGY.decide(later, own, FAIR)[1]
    if missed_bps > 0:
        assert answer.intent is None
    assert missed_bps == pytest.approx(FAIR.min_profit_bps - answer.look.best_bps, abs=0.5)


def test_the_cheap_look_asks_for_a_full_one_when_a_sample_is_due() -> None:
    own, _ = STRATEGY.decide(view(bid_a=149_400_000.0), STRATEGY.initial(), FAIR)

    assert STRATEGY.missed_by_bps(top(view(now_ns=100 * S + 1, bid_a=149_400_000.0)), own, FAIR) > 0
    assert STRATEGY.missed_by_bps(top(view(now_ns=101 * S, bid_a=149_400_000.0)), own, FAIR) <= 0
    assert STRATEGY.missed_by_bps(top(view()), STRATEGY.initial(), FAIR) <= 0


@given(
    st.lists(
        st.tuples(st.integers(0, 2000), st.floats(147e6, 151e6), st.sampled_from(["", "", "stale_a"])), max_size=15
    )
)
def test_same_views_same_answers(steps: list[tuple[int, float, str]]) -> None:
    views, now_ns = [], 100 * S
    for wait_ms, bid, refusal in steps:
        now_ns += wait_ms * MS
        views.append(view(now_ns=now_ns, bid_a=bid, data_refusal=refusal, position=held() if bid > 149e6 else None))

    assert watch(views) == watch(views)


@given(st.floats(147e6, 151e6), st.floats(0.0001, 2.0), st.floats(0.0001, 2.0))
def test_an_entry_always_expects_at_least_its_minimum(bid: float, size_a: float, size_b: float) -> None:
    one = view(bid_a=bid)
    one = one._replace(
        a=make.depth(make.A_BTC, (bid, size_a), (bid + 20_000, size_b, bid + 200_000, 1.0), at_ns=one.now_ns),
        b=make.depth(make.B_BTC, (103_000.0, size_b, 102_900.0, 1.0), (103_000.1, size_a), at_ns=one.now_ns),
    )

    answer = look(one)

    if answer.intent is not None:
        assert answer.intent.edge.expected_bps >= FAIR.min_profit_bps - 1e-9
        assert float(answer.intent.a.qty * answer.intent.a.limit_price) <= one.headroom.notional_krw


def test_parameters_that_cannot_earn_are_named() -> None:
    bad = make.convergence_params(take_profit_bps=0.0, stop_loss_bps=20.0)

    found = STRATEGY.problems(bad, round_trip_cost_bps=21.4, fx_tick_bps=6.9)

    assert [text.split(" ")[0] for text in found] == ["take_profit_bps", "stop_loss_bps"]
    assert STRATEGY.problems(FAIR, round_trip_cost_bps=21.4, fx_tick_bps=6.9) == ()


def test_strategies_are_loaded_by_name() -> None:
    assert load_strategy("convergence") is STRATEGY
    for name in ("nothing_such", "../x", "sizing"):
        with pytest.raises(ConfigError):
            load_strategy(name)


@given(
    bid_a=st.floats(147_500_000, 150_500_000),
    size_a=st.floats(0.02, 2),
    held_s=st.floats(0, 200_000),
    fair_bps=st.floats(-60, 60),
    direction=st.sampled_from(Direction),
)
def test_a_held_pair_left_at_rest_would_have_wanted_and_learnt_nothing(
    bid_a: float, size_a: float, held_s: float, fair_bps: float, direction: Direction
) -> None:
    params = attrs.evolve(FAIR, fair_bps=fair_bps)
    ledger = Ledger(0)
    ledger.open_position(make.position(direction))
    side = Side.BUY if direction is Direction.LONG_A else Side.SELL
    for rules, leg, way, price in (
        (make.instrument(), "a", side, "148800000"), (make.perpetual(), "b", side.opposite, "103000"),
    ):  # fmt: skip
        fill = make.fill(rules.id, leg, way, "0.1", price)
        ledger.book_fill(fill, rules, make.tag(leg, price), fx_mid=D("1450.5"), fee=Fee(D(1), rules.quote))
    position = ledger.position(make.BTC_PAIR)
    now_ns = int(held_s * S) + 100 * S
    first = view(now_ns=now_ns - MS, position=position, bid_a=round(bid_a))
    one = view(now_ns=now_ns, position=position)._replace(
        a=make.depth(make.A_BTC, (round(bid_a), size_a, bid_a - 1e5, 2.0), (bid_a + 2e4, size_a, bid_a + 1e5, 2.0))
    )
    own, _ = STRATEGY.decide(first, STRATEGY.initial(), params)
    assert position is not None
    held = STRATEGY.holding(HeldFacts(position, one.fees_a, one.fees_b, 1.0, is_fx_hedged=True), params)
    assert held is not None

    is_at_rest = STRATEGY.is_at_rest(held, HeldQuote(top(one), one.a, one.b), own, params)
    after, answer = STRATEGY.decide(one, own, params)

    learnt = attrs.evolve(after, last_busy_ns=own.last_busy_ns, books=own.books)
    assert not is_at_rest or (answer.intent is None and learnt == own)
    assert is_at_rest or any(own.rules) or any(after.rules) or after.next_sample_ns != own.next_sample_ns


def test_a_position_whose_legs_differ_is_never_at_rest() -> None:
    ledger = Ledger(0)
    ledger.open_position(make.position())
    fill = make.fill(make.A_BTC, "1", Side.BUY, "0.1", "148800000")
    ledger.book_fill(fill, make.instrument(), make.tag("a", "148800000"), fx_mid=D(1450), fee=Fee(D(1), make.KRW))
    naked = ledger.position(make.BTC_PAIR)
    assert naked is not None

    assert STRATEGY.holding(HeldFacts(naked, make.fees(), make.fees(), 1.0, is_fx_hedged=True), FAIR) is None
