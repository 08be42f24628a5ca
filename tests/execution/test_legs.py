"""The table of the two-leg order (I5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.ids import PairId
from arb.domain.intent import EdgeView, Intent, IntentKind, LegPlan
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.execution.legs import TRANSITIONS, LegPair, LegRules, LegState, LegSum, Task, next_move
from arb.execution.params import LegOrder
from tests import strategies as make

D = Decimal


def test_every_state_is_in_the_table_and_leads_to_an_end() -> None:
    assert set(TRANSITIONS) == set(LegState)
    for state in LegState:
        reached, open_ = {state}, [state]
        while open_:
            found = TRANSITIONS[open_.pop()] - reached
            reached |= found
            open_ += found
        assert any(item.is_end for item in reached)
        assert state.is_end is (not TRANSITIONS[state])


def test_an_illegal_step_is_a_bug() -> None:
    legs = LegPair(
        id="x", position="x", pair=PairId("BTC"), kind=IntentKind.ENTER, direction=Direction.LONG_A,
        leg_order=LegOrder.UNCERTAIN_FIRST, intent=None, qty=Decimal(1), started_ns=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="planned cannot become escalated"):
        legs.move(LegState.ESCALATED, 1)


@pytest.mark.parametrize(("arrived", "second"), [("0.02596875", "0.026"), ("0.02", "0.02"), ("0.0099", "0.009")])
def test_a_close_whose_legs_differ_by_less_than_a_lot_closes_both(arrived: str, second: str) -> None:
    plans = [
        LegPlan(instrument=name, side=side, qty=D(qty), limit_price=D(1), expected_price=D(1))
        for name, side, qty in ((make.A_BTC, Side.BUY, "0.02596875"), (make.B_BTC, Side.SELL, "0.026"))
    ]
    edge = EdgeView(
        d_bps=0, fair_bps=0, gross_bps=0, expected_bps=0, cost_bps=0, funding_bps=0, fx_mid=D(1), fx_bid=D(1),
        fx_ask=D(1),
    )  # fmt: skip
    intent = Intent(
        pair=make.BTC_PAIR, kind=IntentKind.EXIT, direction=Direction.SHORT_A, qty=D("0.02596875"), a=plans[0],
        b=plans[1], edge=edge, reason="loop",
    )  # fmt: skip
    legs = LegPair(
        id="x", position="p", pair=make.BTC_PAIR, kind=IntentKind.EXIT, direction=Direction.SHORT_A,
        leg_order=LegOrder.UNCERTAIN_FIRST, intent=intent, qty=intent.qty, started_ns=0, state=LegState.SUBMITTED,
    )  # fmt: skip
    rules_a = LegRules(step=D("1e-8"), min_qty=D("0.00004"), multiplier=D(1), received_fee_rate=D(0))
    rules_b = LegRules(step=D("0.001"), min_qty=D("0.001"), multiplier=D(1), received_fee_rate=D(0))
    a = LegSum(D(arrived), intent.qty, D(0), is_working=False, is_unknown=False, is_settled=True)
    none = LegSum(D(0), D(0), D(0), is_working=False, is_unknown=False, is_settled=True)

    move = next_move(legs, a, none, rules_a, rules_b)

    assert (move.task, move.qty) == (Task.SECOND, D(second))
