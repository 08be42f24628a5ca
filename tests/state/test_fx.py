"""Executable FX: known, fresh, sane, or refused by name."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.depth import Depth
from arb.domain.events import FxSeen
from arb.domain.fx import FxHedge, FxParams
from arb.domain.ids import InstrumentId
from arb.state.fx import FxMarks, is_weekend
from tests import strategies as make

S = 1_000_000_000
MONDAY_NOON_NS = (4 * 24 + 12) * 3600 * S
"""1970-01-05 12:00 UTC."""
SECOND = InstrumentId("bithumb:KRW-USDT")
PARAMS = FxParams(
    executable=make.FX_BOOK,
    executable_rate=None,
    second=SECOND,
    hedge=FxHedge.TREASURY,
    home_usdt=Decimal(15000),
    max_age_ms=3000,
    fx_jump_bps=30.0,
    fx_jump_s=10.0,
    fx_band_pct=5.0,
    fx_band_weekend_pct=8.0,
    fx_second_max_bps=50.0,
    fx_max_spread_ticks=3,
    bank_max_age_s=3600.0,
    conversion_fee_bps=5.0,
)


def book(bid: float, ask: float, at_s: float = 0.0, name: InstrumentId = make.FX_BOOK) -> Depth:
    return make.depth(name, (bid, 1.0), (ask, 1.0), at_ns=int(at_s * S))


def marks(*depths: Depth) -> FxMarks:
    found = FxMarks(PARAMS, tick=Decimal("0.5"))
    for depth in depths:
        found.see_executable(depth)
    return found


def refusal(found: FxMarks, at_s: float = 0.0, wall_ns: int = MONDAY_NOON_NS) -> str:
    return found.refusal(int(at_s * S), wall_ns)


def test_missing_then_fresh_then_stale() -> None:
    found = marks()
    assert (refusal(found), found.mark(), found.age_ns(0)) == ("fx_missing", None, None)
    found.see_executable(book(1450.0, 1451.0))

    assert (refusal(found, 3.0), refusal(found, 3.001)) == ("", "fx_stale")
    mark = found.mark()
    assert mark is not None
    assert (mark.bid, mark.ask, mark.mid) == (Decimal(1450), Decimal(1451), Decimal("1450.5"))
    assert mark.source == make.FX_BOOK


@pytest.mark.parametrize(
    ("bid", "ask", "name"), [(1450.0, 1450.0, "fx_crossed"), (1450.0, 1452.0, "fx_spread"), (1450.0, 1451.5, "")]
)
def test_spread_is_sane(bid: float, ask: float, name: str) -> None:
    assert refusal(marks(book(bid, ask))) == name


def test_a_jump_is_quarantined_until_it_has_rested() -> None:
    found = marks(book(1450.0, 1450.5), book(1455.0, 1455.5, 1.0))
    assert refusal(found, 1.0) == "fx_jump"

    for at_s in range(2, 15):
        found.see_executable(book(1455.0, 1455.5, at_s))
        assert refusal(found, at_s) == ("fx_jump" if at_s <= 10 else "")
    assert len(found.spans) <= 12


def test_a_slow_move_is_no_jump() -> None:
    found = marks()
    for step in range(100):
        found.see_executable(book(1450.0 + step * 0.25, 1450.5 + step * 0.25, step))

        assert refusal(found, step) == ""


def test_a_second_book_must_agree_while_it_is_fresh() -> None:
    found = marks(book(1450.0, 1450.5))
    found.see_second(book(1460.0, 1460.5, 0.0, SECOND))
    assert refusal(found) == "fx_second"

    found.see_executable(book(1450.0, 1450.5, 4.0))
    assert refusal(found, 4.0) == ""


def test_the_band_to_the_bank_is_wider_at_weekends_and_a_stale_bank_refuses_nothing() -> None:
    found = marks(book(1450.0, 1450.5))
    found.see_bank(FxSeen(at_ns=0, rate=Decimal(1360), source="dunamu", published_ms=0))

    assert refusal(found) == "fx_band"
    assert refusal(found, wall_ns=MONDAY_NOON_NS - 36 * 3600 * S) == ""
    found.see_executable(book(1450.0, 1450.5, 3700.0))
    assert refusal(found, 3700.0) == ""
    assert found.bank_is_stale(3700 * S)


@pytest.mark.parametrize(
    ("hour", "rests"), [(44, False), (45, True), (92, True), (93, False), (44 + 168, False), (45 + 168, True)]
)
def test_banks_rest_from_friday_to_sunday_evening(hour: int, rests: bool) -> None:
    assert is_weekend(hour * 3600 * S) is rests


def test_a_static_rate_is_always_current_and_says_so() -> None:
    found = FxMarks(attrs.evolve(PARAMS, executable=None, executable_rate=Decimal("1450.5")))

    mark = found.mark()
    assert mark is not None
    assert (mark.source, mark.mid) == ("static", Decimal("1450.5"))
    assert (refusal(found, 1e6), found.age_ns(5)) == ("", 0)


def test_a_clock_jump_makes_the_mark_stale() -> None:
    found = marks(book(1450.0, 1450.5))
    found.jump(S)

    assert refusal(found, 1.0) == "fx_stale"


def test_until_the_first_image_of_a_run_the_last_mid_of_the_run_before_is_what_a_usdt_is_worth() -> None:
    found = marks(book(1450, 1451))
    forgotten = attrs.evolve(found, bid=0.0, ask=0.0, mid=0.0)

    assert forgotten.known_mid == found.known_mid == 1450.5
    assert marks().known_mid == 0.0
