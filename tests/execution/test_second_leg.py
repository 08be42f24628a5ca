"""What follows on the second leg: no more than arrived on the first, fees in the coin and leftovers counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.ids import InstrumentId, PairId
from arb.domain.intent import EdgeView, Intent, IntentKind, LegPlan
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.execution.legs import LegPair, LegRules, LegState, LegSum, Task, next_move, sums
from arb.execution.params import LegOrder
from arb.state.orders import Orders

RULES_A = LegRules(step=Decimal("1e-8"), min_qty=Decimal("0.0001"), multiplier=Decimal(1), received_fee_rate=Decimal(0))
SPOT_B = LegRules(step=Decimal("0.1"), min_qty=Decimal(5), multiplier=Decimal(1), received_fee_rate=Decimal("0.001"))


def arrived(qty: str, requested: str = "0") -> LegSum:
    """A leg of which this has traded, and nothing works."""
    return LegSum(Decimal(qty), Decimal(requested), Decimal(0), is_working=False, is_unknown=False, is_settled=True)


def short_a(ride_b: str = "0") -> LegPair:
    """An entry that sells 2,000 on A and buys them on a spot venue that keeps its fee in the coin."""
    plan = LegPlan(
        instrument=InstrumentId("binance_spot:XRPUSDT"), side=Side.BUY, qty=Decimal("2002.1"), limit_price=Decimal(3),
        expected_price=Decimal("2.16"),
    )  # fmt: skip
    fx = Decimal(1450)
    edge = EdgeView(
        d_bps=0.0, fair_bps=0.0, gross_bps=0.0, expected_bps=0.0, cost_bps=0.0, funding_bps=0.0, fx_mid=fx, fx_bid=fx,
        fx_ask=fx,
    )  # fmt: skip
    intent = Intent(
        pair=PairId("XRP"), kind=IntentKind.ENTER, direction=Direction.SHORT_A, qty=Decimal(2000), a=plan, b=plan,
        edge=edge, reason="edge",
    )  # fmt: skip
    return LegPair(
        id="x", position="x", pair=PairId("XRP"), kind=IntentKind.ENTER, direction=Direction.SHORT_A,
        leg_order=LegOrder.UNCERTAIN_FIRST, intent=intent, qty=Decimal(2000), started_ns=0, state=LegState.SUBMITTED,
        ride_b=Decimal(ride_b),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sold", "requested", "ride_b", "follows"),
    [("-2000", "0", "0", "2002.1"), ("-1000", "0", "0", "1001.1"), ("-2000", "1001.1", "0", "1001.0"),
     ("-2000", "2002.1", "0", "0"), ("-2000", "0", "3", "2005.1"), ("0", "0", "3", "0"), ("-4", "0", "0", "0")],
)  # fmt: skip
def test_what_follows_on_the_second_leg_is_what_will_arrive_after_its_fee(
    sold: str, requested: str, ride_b: str, follows: str
) -> None:
    move = next_move(short_a(ride_b), arrived(sold), arrived("0", requested), RULES_A, SPOT_B)
    assert (move.qty if move.task is Task.SECOND else Decimal(0)) == Decimal(follows)


def test_nothing_follows_while_an_order_on_the_second_leg_is_of_unknown_fate() -> None:
    unknown = arrived("0", "1001.1")._replace(is_unknown=True, is_working=True)
    assert next_move(short_a(), arrived("-2000"), unknown, RULES_A, SPOT_B).task is Task.WAIT


@pytest.mark.parametrize(("ride_b", "expected"), [("0", "0"), ("3", "-3"), ("100", "-7")])
def test_what_rides_along_is_no_part_of_the_balance(ride_b: str, expected: str) -> None:
    legs = short_a(ride_b)
    legs.offset_a, legs.offset_b = Decimal(-7), Decimal(7)
    a, b = sums(legs, Orders(), RULES_A, SPOT_B)
    assert a.arrived + b.arrived == Decimal(expected)
