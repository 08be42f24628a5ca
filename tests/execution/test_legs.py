"""The table of the two-leg order (I5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.ids import PairId
from arb.domain.intent import IntentKind
from arb.domain.pair import Direction
from arb.execution.legs import TRANSITIONS, LegPair, LegState
from arb.execution.params import LegOrder


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
