"""Edges, premiums, funding and liquidation against the golden numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.costs import (
    close_bps,
    depth_cost_bps,
    divergence_bps,
    four_fees_bps,
    funding,
    fx_rates,
    liquidation_price,
    open_bps,
    premiums,
)
from arb.domain.fx import FxHedge
from arb.domain.order import Side
from arb.domain.pair import Direction, PairKind
from arb.domain.pricing import limit_price, tick_bps
from tests import strategies as make


def test_golden_edges_at_mid_and_executable_fx() -> None:
    assert open_bps(103000.0, 148_800_000, 1450.5) == pytest.approx(40.4234, abs=5e-5)
    assert open_bps(103000.0, 148_800_000, 1450.0) == pytest.approx(36.9624, abs=5e-5)
    assert close_bps(151_100_000, 104150.0, 1450.5) == pytest.approx(2.0140, abs=5e-5)
    assert close_bps(151_100_000, 104150.0, 1451.0) == pytest.approx(-1.4326, abs=5e-5)
    assert close_bps(149_581_350, 104150.0, 1435.5) == pytest.approx(4.9513, abs=5e-5)


def test_golden_inventory_edge_and_closed_loop() -> None:
    assert close_bps(3150, 2.16, 1451.0) == pytest.approx(50.5399, abs=5e-5)
    bought, fee = Decimal("2002.1"), Decimal("2002.1") * Decimal("0.001")
    assert bought - fee == Decimal("2000.0979")
    received, paid = Decimal(6_300_000 - 3150), bought * Decimal("2.16") * 1451
    loop = received - paid - paid * Decimal("0.0005")
    assert loop == Decimal("18810.813132")
    assert float(loop / paid) * 1e4 == pytest.approx(29.9779, abs=5e-5)
    assert loop + Decimal("0.0979") * 3150 == Decimal("19119.198132")


@pytest.mark.parametrize(
    ("kind", "hedge", "sell", "buy"),
    [
        (PairKind.SPOT_PERP, FxHedge.NONE, 1450.5, 1450.5),
        (PairKind.SPOT_PERP, FxHedge.TREASURY, 1450.5, 1450.5),
        (PairKind.SPOT_PERP, FxHedge.PER_TRADE, 1450 * 0.9995, 1451 * 1.0005),
        (PairKind.SPOT_SPOT, FxHedge.NONE, 1450 * 0.9995, 1451 * 1.0005),
    ],
)
def test_fx_is_what_is_really_exchanged(kind: PairKind, hedge: FxHedge, sell: float, buy: float) -> None:
    found = fx_rates(kind, hedge, 1450.0, 1451.0, 0.0005)

    assert found.mid == 1450.5
    assert found.sell_b == pytest.approx(sell)
    assert found.buy_b == pytest.approx(buy)


@given(st.floats(1e3, 2e8), st.floats(1e-3, 1e5), st.floats(900, 2200), st.floats(900, 2200), st.floats(0.9, 1.1))
def test_kimchi_is_basis_times_tether(mid_a: float, mid_b: float, fx_mid: float, bank: float, usdt_usd: float) -> None:
    found = premiums(mid_a=mid_a, mid_b=mid_b, fx_mid=fx_mid, bank=bank, usdt_usd=usdt_usd)

    assert 1 + found.kimchi == pytest.approx((1 + found.basis) * (1 + found.tether), rel=1e-12)


def test_open_edge_is_divergence_less_both_depth_costs() -> None:
    a = make.depth(make.A_BTC, (148_780_000, 1.0), (148_800_000, 1.0))
    b = make.depth(make.B_BTC, (103_000.0, 0.5), (103_000.1, 0.5))
    d = divergence_bps(a.mid, b.mid, 1450.5)
    cost = depth_cost_bps(a, Side.BUY, 0.1) + depth_cost_bps(b, Side.SELL, 0.1)

    assert open_bps(103_000.0, 148_800_000, 1450.5) == pytest.approx(d - cost, abs=0.01)


def test_a_round_trip_has_four_fees() -> None:
    assert four_fees_bps(0.0005, 0.0005) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("direction", "rate", "hold_s", "bps"),
    [
        (Direction.LONG_A, 0.0001, 3599, 0.0),
        (Direction.LONG_A, 0.0001, 3600, 0.5),
        (Direction.LONG_A, -0.0003, 3600, -3.0),
        (Direction.SHORT_A, 0.0001, 3600, -1.0),
        (Direction.LONG_A, 0.0001, 3600 + 28800, 0.5 + 1.0),
    ],
)
def test_funding_sums_settlements_with_a_haircut_on_receipts(
    direction: Direction, rate: float, hold_s: float, bps: float
) -> None:
    found = funding(
        direction=direction, rate=rate, mean_rate=0.0002, interval_s=28800, next_in_s=3600, hold_s=hold_s, haircut=0.5
    )

    assert found.bps == pytest.approx(bps)


@pytest.mark.parametrize(
    ("leverage", "price"), [(1, 205_179.3), (2, 153_884.5), (3, 136_786.2), (5, 123_107.6), (10, 112_848.6)]
)
def test_golden_liquidation_prices(leverage: int, price: float) -> None:
    found = liquidation_price(side=Side.SELL, wallet_usdt=10300 / leverage, qty=0.1, entry_price=103_000, mmr=0.004)

    assert found == pytest.approx(price, abs=0.05)


def test_a_long_is_liquidated_below_its_entry() -> None:
    found = liquidation_price(side=Side.BUY, wallet_usdt=5150, qty=0.1, entry_price=103_000, mmr=0.004)

    assert found == pytest.approx((10300 - 5150) / (0.1 * 0.996))


def test_golden_funding_cash() -> None:
    assert Decimal("0.1") * 103_400 * Decimal("0.0001") == Decimal("1.034")
    assert -Decimal("0.1") * 103_400 * Decimal("0.003") == Decimal("-31.02")


def test_limit_price_rounds_towards_the_market() -> None:
    rules = make.instrument(tick="1000")

    buy = limit_price(rules, Side.BUY, Decimal(148_800_000), Decimal("0.1"), Decimal(148_800_000))
    sell = limit_price(rules, Side.SELL, Decimal(148_800_000), Decimal("0.1"), Decimal(148_800_000))

    assert (buy.price, sell.price) == (Decimal(148_801_000), Decimal(148_799_000))
    assert buy.reaches
    assert sell.reaches


def test_a_band_clips_and_tells_when_the_walk_is_out_of_reach() -> None:
    rules = make.perpetual(band=("1.05", "0.95"))

    inside = limit_price(rules, Side.BUY, Decimal(104), Decimal(200), Decimal(100))
    short = limit_price(rules, Side.BUY, Decimal(106), Decimal(1), Decimal(100))
    low = limit_price(rules, Side.SELL, Decimal(94), Decimal(1), Decimal(100))

    assert inside == (Decimal(105), True)
    assert short == (Decimal(105), False)
    assert low == (Decimal(95), False)


@given(make.prices(), st.sampled_from(Side), st.floats(0, 100))
def test_a_limit_price_is_on_the_tick_and_within_the_collar(price: Decimal, side: Side, collar: float) -> None:
    rules = make.instrument(tick="0.1")
    last = rules.ticks.floor(price)
    collar_bps = Decimal(repr(round(collar, 2)))

    found = limit_price(rules, side, last, collar_bps, last).price

    assert found % Decimal("0.1") == 0
    assert 0 <= side.sign * (found - last) <= last * collar_bps / 10_000


def test_tick_in_bps() -> None:
    assert tick_bps(make.instrument(tick="1"), Decimal(2000)) == pytest.approx(5.0)
