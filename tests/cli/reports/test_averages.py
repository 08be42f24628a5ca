"""What a disposed coin had cost: the two methods against numbers worked by hand, and their laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given

from arb.cli.reports.averages import Change, Movement, Stock, moving_average, shortage, total_average
from arb.cli.reports.executions import ZERO
from arb.domain.money import exact_sum

START = datetime(2026, 3, 1, tzinfo=UTC)


def moved(change: Change, qty: str, krw: str | None = None, *, day: int = 0) -> Movement:
    amount = Decimal(krw) if krw is not None else None
    return Movement(asset="XRP", at=START + timedelta(days=day), change=change, qty=Decimal(qty), krw=amount)


BOUGHT, SOLD, SPENT = Change.ACQUIRED, Change.DISPOSED, Change.SPENT
YEAR = (
    moved(BOUGHT, "10", "10000"), moved(SOLD, "5", "6000", day=1), moved(BOUGHT, "10", "20000", day=2),
    moved(SOLD, "10", "18000", day=3),
)  # fmt: skip


def test_a_moving_average_changes_with_every_acquisition() -> None:
    found = moving_average(Stock(), YEAR)

    # 5 × 1,000; then (5,000 + 20,000) / 15 × 10
    assert found.costs == (Decimal(10000), Decimal(5000), Decimal(20000), Decimal("16666.66666667"))
    assert found.closing[2026] == Stock(Decimal(5), Decimal("8333.33333333"))


def test_a_total_average_is_one_price_for_the_whole_year() -> None:
    found = total_average(Stock(), YEAR)

    # 30,000 / 20 = 1,500
    assert found.costs[1] == Decimal(7500)
    assert found.costs[3] == Decimal(15000)
    assert found.closing[2026] == Stock(Decimal(5), Decimal(7500))


def test_an_opening_that_is_stated_counts_in_both() -> None:
    opening = Stock(Decimal(10), Decimal(40000))

    assert moving_average(opening, YEAR).costs[1] == Decimal(12500)
    assert total_average(opening, YEAR).costs[1] == Decimal("11666.66666667")


def test_a_year_begins_with_what_the_one_before_left() -> None:
    later = (*YEAR, moved(SOLD, "5", "9000", day=400))

    found = total_average(Stock(), later)

    assert found.costs[-1] == Decimal(7500)
    assert found.closing[2027] == Stock(ZERO, ZERO)


def test_coins_that_nobody_bought_here_have_no_cost_and_neither_has_what_follows() -> None:
    short = (moved(BOUGHT, "1", "1000"), moved(SOLD, "3", "4000", day=1), moved(BOUGHT, "5", "5000", day=2),
             moved(SOLD, "1", "1500", day=3))  # fmt: skip

    for method in (moving_average, total_average):
        costs = method(Stock(), short).costs
        assert costs[3] is None
    assert moving_average(Stock(), short).costs[1] is None
    assert shortage(Stock(), short) == (Decimal(2), START + timedelta(days=1))


def test_an_acquisition_without_a_value_makes_the_cost_unknown() -> None:
    unvalued = (moved(BOUGHT, "1", None), moved(SOLD, "1", "1000", day=1))

    assert moving_average(Stock(), unvalued).costs == (None, None)
    assert total_average(Stock(), unvalued).costs == (None, None)


def test_what_is_spent_takes_its_cost_along_and_is_no_disposal() -> None:
    found = moving_average(Stock(), (moved(BOUGHT, "10", "10000"), moved(SPENT, "1", day=1)))

    assert found.costs[1] == Decimal(1000)
    assert found.closing[2026] == Stock(Decimal(9), Decimal(9000))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Movement, ...]:
    """Acquisitions, and disposals of no more than is there."""
    held, found = ZERO, []
    for day in range(draw(st.integers(1, 12))):
        qty = Decimal(draw(st.integers(1, 10**9))).scaleb(-8)
        krw = Decimal(draw(st.integers(0, 10**12))).scaleb(-2)
        change = BOUGHT if not held else draw(st.sampled_from(Change))
        qty = qty if change is BOUGHT else min(qty, held)
        held += qty if change is BOUGHT else -qty
        found.append(Movement(asset="X", at=START + timedelta(days=day * 40), change=change, qty=qty, krw=krw))
    return tuple(found)


@given(histories())
def test_cost_is_neither_made_nor_lost_by_either_method(history: tuple[Movement, ...]) -> None:
    acquired = exact_sum(movement.krw or ZERO for movement in history if movement.change is BOUGHT)
    for method in (moving_average, total_average):
        found = method(Stock(), history)
        pairs = zip(history, found.costs, strict=True)
        left = exact_sum(cost or ZERO for movement, cost in pairs if movement.change is not BOUGHT)
        last = found.closing[max(found.closing)]

        assert last.cost_krw is not None
        # One rounding at 1e-8 per movement is the most that a share of a total average can differ.
        assert abs(acquired - left - last.cost_krw) <= Decimal("1e-8") * len(history)
        assert last.qty >= 0
