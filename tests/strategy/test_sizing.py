"""The largest allowed quantity: golden numbers, then the law that no limit is ever passed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.fees import FeeAsset
from arb.domain.instrument import Instrument
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.strategy.sizing import Sized, SizedLeg, SizingRules, locked_quote, plan_exit, planned_qty, size_entry
from tests import strategies as make

D = Decimal
INFINITE = float("inf")
A_ASKS = (148_800_000.0, 0.03123456, 148_850_000.0, 0.05, 148_900_000.0, 0.2)
B_BIDS = (103_000.0, 0.020, 102_990.0, 0.045, 102_950.0, 1.0)


def _legs(
    a_rules: Instrument | None = None, b_rules: Instrument | None = None, asks: tuple[float, ...] = A_ASKS
) -> tuple[SizedLeg, SizedLeg]:
    a_rules, b_rules = a_rules or make.instrument(), b_rules or make.perpetual()
    a = make.depth(a_rules.id, (148_780_000.0, 1.0), asks)
    b = make.depth(b_rules.id, B_BIDS, (103_000.1, 1.0))
    return (
        SizedLeg(instrument=a_rules, depth=a, fees=make.fees(), side=Side.BUY, multiplier=D(1), reference=a.mid),
        SizedLeg(instrument=b_rules, depth=b, fees=make.fees(), side=Side.SELL, multiplier=D(1), reference=b.mid),
    )


def _size(
    legs: tuple[SizedLeg, SizedLeg] | None = None,
    *,
    floor_bps: float = 38.0,
    rules: SizingRules | None = None,
    cap_qty: float = INFINITE,
    **room: Any,
) -> Sized:
    a, b = legs or _legs()
    return size_entry(
        a,
        b,
        direction=Direction.LONG_A,
        fx=make.FX,
        headroom=make.headroom(**room),
        rules=rules or make.rules(),
        floor_bps=floor_bps,
        cap_qty=cap_qty,
    )


def test_golden_size() -> None:
    sized = _size()

    assert sized.qty == D("0.031")
    assert sized.a is not None
    assert sized.b is not None
    assert sized.a.expected_price == D("148800000")
    assert float(sized.b.expected_price) == pytest.approx(3192.89 / 0.031, rel=1e-12)
    assert (sized.a.limit_price, sized.b.limit_price) == (D("148800000"), D("102990"))
    assert locked_quote(sized.a.qty, sized.a.limit_price, D("0.0005")) == D("4615106.4")


def test_quantity_is_usd_times_fx_over_the_price_of_a() -> None:
    sized = _size(floor_bps=-1e4, notional_krw=1000 * 1450.5)

    assert sized.qty == (D(1000) * D("1450.5") / D("148800000")).quantize(D("0.001"), rounding="ROUND_DOWN")


@pytest.mark.parametrize(
    ("room", "refusal"),
    [
        ({"notional_krw": 100_000.0, "limit": "max_pair_krw"}, "max_pair_krw"),
        ({"quote_a_krw": 100_000.0}, "balance_a"),
        ({"quote_b_usdt": 10.0}, "balance_b"),
    ],
)
def test_what_allows_nothing_is_named(room: dict[str, Any], refusal: str) -> None:
    assert _size(**room).refusal == refusal


def test_no_level_above_the_threshold_is_edge() -> None:
    assert _size(floor_bps=41.0).refusal == "edge"


def test_a_coarse_tick_is_refused() -> None:
    assert _size(_legs(a_rules=make.instrument(tick="100000"))).refusal == "tick_a"


def test_minimums_are_named() -> None:
    assert _size(_legs(b_rules=make.perpetual(min_notional="4000"))).refusal == "min_notional_b"
    assert _size(_legs(b_rules=make.perpetual(min_notional="3000"))).refusal == "min_exit_b"
    assert _size(rules=make.rules(min_position_krw=D(5_000_000))).refusal == "min_position"


def test_a_band_below_the_walk_is_refused() -> None:
    banded = make.perpetual(band=("1.05", "0.99999"))

    assert _size(_legs(b_rules=banded)).refusal == "price_band_b"


def test_depth_fraction_leaves_the_rest_to_others() -> None:
    assert _size(rules=make.rules(depth_fraction=0.4)).qty == D("0.012")


def test_collar_widens_the_limit_and_what_is_locked() -> None:
    sized = _size(rules=make.rules(collar_bps=3.0), quote_a_krw=4_615_107.0)

    assert sized.a is not None
    assert sized.b is not None
    assert (sized.qty, sized.a.limit_price) == (D("0.03"), D("148844000"))
    assert sized.b.limit_price == D("102959.2")


def test_a_spot_buy_with_its_fee_in_base_is_planned_larger() -> None:
    xrp = make.instrument(make.SPOT_B_BTC, quote=make.USDT, tick="0.0001", lot="0.1")
    book = make.depth(xrp.id, (2.1599, 1e5), (2.16, 1e5))
    leg = SizedLeg(
        instrument=xrp,
        depth=book,
        fees=make.fees("0.001", FeeAsset.RECEIVED),
        side=Side.BUY,
        multiplier=D(1),
        reference=2.16,
    )

    assert planned_qty(leg, D(2000), is_bnb_covering=False) == D("2002.1")


def test_an_exit_takes_the_whole_position_or_the_common_part_that_is_there() -> None:
    rules = make.rules()
    a = make.depth(make.A_BTC, (151_100_000.0, 0.08), (151_120_000.0, 1.0))
    b = make.depth(make.B_BTC, (104_149.9, 1.0), (104_150.0, 1.0))
    leg_a = SizedLeg(
        instrument=make.instrument(), depth=a, fees=make.fees(), side=Side.SELL, multiplier=D(1), reference=a.mid
    )
    leg_b = SizedLeg(
        instrument=make.perpetual(), depth=b, fees=make.fees(), side=Side.BUY, multiplier=D(1), reference=b.mid
    )

    whole = plan_exit(leg_a, leg_b, qty_a=D("0.05"), qty_b=D("0.05"), rules=rules)
    part = plan_exit(leg_a, leg_b, qty_a=D("0.1"), qty_b=D("0.1"), rules=rules)

    assert whole.qty == D("0.05")
    assert part.qty == D("0.08")
    assert part.a is not None
    assert part.b is not None
    assert part.a.qty == part.b.qty == D("0.08")


@given(st.data())
def test_no_limit_is_ever_passed(data: st.DataObject) -> None:
    asks = data.draw(make.ladders(mid=148_790_000.0, is_bid=False, step=10_000.0))
    collar = data.draw(st.sampled_from([0.0, 3.0, 10.0]))
    fraction = data.draw(st.floats(0.1, 1.0))
    notional = data.draw(st.floats(1e4, 1e9))
    krw, margin = data.draw(st.floats(1e4, 1e9)), data.draw(st.floats(10, 1e6))
    max_qty = data.draw(st.sampled_from([None, "0.05", "1"]))
    b_rules = make.perpetual() if max_qty is None else make.perpetual(max_qty=max_qty)
    legs = _legs(b_rules=b_rules, asks=asks)
    rules = make.rules(collar_bps=collar, depth_fraction=fraction)
    cap = data.draw(st.floats(0.001, 3.0))

    sized = _size(
        legs,
        floor_bps=data.draw(st.floats(-100, 50)),
        rules=rules,
        cap_qty=cap,
        notional_krw=notional,
        quote_a_krw=krw,
        quote_b_usdt=margin,
    )

    assert bool(sized.refusal) == (sized.a is None) == (sized.qty == 0)
    if sized.a is None or sized.b is None:
        return
    assert sized.qty % D("0.001") == 0
    assert float(sized.qty) <= cap
    assert sized.a.qty == sized.b.qty == sized.qty
    assert sized.a.qty * sized.a.limit_price <= D(repr(notional))
    assert locked_quote(sized.a.qty, sized.a.limit_price, D("0.0005")) <= D(repr(krw))
    assert sized.b.qty * sized.b.limit_price * D("0.5005") <= D(repr(margin))
    assert b_rules.max_qty is None or sized.b.qty <= b_rules.max_qty
    assert sized.b.qty * sized.b.limit_price * D("0.7") >= b_rules.min_notional
    assert float(sized.qty) <= sum(asks[1::2]) * fraction * (1 + 1e-9)


def test_a_contract_is_closed_even_below_its_minimum_notional() -> None:
    a = make.depth(make.A_BTC, (151_100_000.0, 1.0), (151_120_000.0, 1.0))
    b = make.depth(make.B_BTC, (104_149.9, 1.0), (104_150.0, 1.0))
    legs = [
        SizedLeg(instrument=rules, depth=book, fees=make.fees(), side=side, multiplier=D(1), reference=book.mid)
        for rules, book, side in (
            (make.instrument(), a, Side.SELL),
            (make.perpetual(min_notional="1000"), b, Side.BUY),
        )
    ]

    assert plan_exit(legs[0], legs[1], qty_a=D("0.001"), qty_b=D("0.001"), rules=make.rules()).refusal == ""
    assert (
        plan_exit(legs[0], legs[1], qty_a=D("0.00001"), qty_b=D("0.001"), rules=make.rules()).refusal
        == "min_notional_a"
    )
