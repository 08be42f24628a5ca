"""Complete or reverse: the golden incident (G4) and the laws behind the choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.execution.hedge import Imbalance, adverse_bps, cap_bps, choose, complete_krw, next_try_ns, reverse_krw
from tests.engine.exchange import execution

PARAMS = execution()
F_M = 1450.5


def golden(b_bid: float | None) -> Imbalance:
    """A filled 0.1 at 148,800,000; 0.06 of the perpetual is missing."""
    return Imbalance(
        qty=0.06, direction=Direction.LONG_A, filled_leg="a", filled_side=Side.BUY, fill_krw=148_800_000.0,
        missing_krw=None if b_bid is None else b_bid * F_M, exit_krw=148_780_000.0, fair_bps=0.0, h_exit_krw=25_000.0,
        fee_rate_filled=0.0005, fee_rate_missing=0.0005, is_closing=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("b_bid", "complete", "is_complete"), [(102_930.0, 15_075.9021, True), (102_600.0, -13_615.278, False)]
)
def test_golden_incident(b_bid: float, complete: float, is_complete: bool) -> None:
    choice = choose(golden(b_bid), PARAMS, is_complete_allowed=True)
    assert choice.complete_krw == pytest.approx(complete, abs=1e-4)
    assert choice.reverse_krw == pytest.approx(-5_663.4, abs=1e-6)
    assert choice.is_complete is is_complete


def test_without_a_book_of_the_missing_leg_it_reverses() -> None:
    assert not choose(golden(None), PARAMS, is_complete_allowed=True).is_complete


def test_without_a_book_of_the_filled_leg_it_completes() -> None:
    assert choose(golden(102_600.0)._replace(exit_krw=None), PARAMS, is_complete_allowed=True).is_complete


def test_what_the_gate_would_not_hold_is_reversed() -> None:
    assert not choose(golden(102_930.0), PARAMS, is_complete_allowed=False).is_complete


def test_a_close_is_completed_even_at_a_loss() -> None:
    assert choose(golden(90_000.0)._replace(is_closing=True), PARAMS, is_complete_allowed=False).is_complete


@given(st.floats(50_000, 200_000), st.floats(-100, 100), st.floats(0, 1e6))
def test_short_is_the_mirror_of_long(b_usdt: float, fair_bps: float, h_krw: float) -> None:
    long = golden(b_usdt)._replace(fair_bps=fair_bps, h_exit_krw=h_krw, fee_rate_filled=0.0, fee_rate_missing=0.0)
    short = long._replace(direction=Direction.SHORT_A, filled_side=Side.SELL)
    both = (complete_krw(long) or 0.0) + (complete_krw(short) or 0.0)
    assert both == pytest.approx(-2 * h_krw * long.qty, abs=1e-3)
    assert (reverse_krw(long) or 0.0) == pytest.approx(-(reverse_krw(short) or 0.0), abs=1e-6)


@pytest.mark.parametrize(("waited_ms", "cap"), [(0, 5), (499, 5), (500, 15), (1499, 15), (1500, 50), (60_000, 50)])
def test_caps_widen_with_the_wait(waited_ms: int, cap: float) -> None:
    assert cap_bps(PARAMS, waited_ms * 1_000_000) == cap


def test_the_next_try_is_at_the_next_widening_then_every_second() -> None:
    at = [0]
    for _ in range(4):
        at.append(next_try_ns(0, at[-1]))
    assert at == [0, 500_000_000, 1_500_000_000, 2_500_000_000, 3_500_000_000]


def test_a_leg_is_measured_against_its_fill_and_by_nothing_where_fx_was_never_seen() -> None:
    assert adverse_bps(Side.BUY, 100.0, 99.0) == pytest.approx(100.0)
    assert adverse_bps(Side.SELL, 100.0, 99.0) == pytest.approx(-100.0)
    assert adverse_bps(Side.SELL, 0.0, 99.0) == 0.0
