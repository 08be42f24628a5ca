"""Conservation: opening + fills − fees + transfers = closing, for every asset."""

from __future__ import annotations

from decimal import Decimal

import attrs
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.events import BalanceSeen, PositionSeen
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, VenueId
from arb.domain.order import Balance, Position, Side
from arb.state.holdings import Holdings
from tests import strategies as make

D = Decimal
UPBIT, USDM = VenueId("upbit"), VenueId("binance_usdm")


def seen(holdings: Holdings, venue: VenueId, amounts: dict[AssetId, Decimal], *, is_full: bool = True) -> None:
    balances = tuple(Balance(asset, amount, D(0)) for asset, amount in amounts.items())
    holdings.see_balances(BalanceSeen(at_ns=0, venue=venue, balances=balances, is_full=is_full))


@given(st.lists(st.tuples(st.sampled_from(Side), make.quantities(), make.prices(), st.booleans()), max_size=15))
def test_spot_conserves_every_asset(steps: list[tuple[Side, Decimal, Decimal, bool]]) -> None:
    holdings, cash = Holdings(), {make.KRW: D(10**12), make.BTC: D(10**4)}
    seen(holdings, UPBIT, cash)
    for index, (side, qty, price, in_base) in enumerate(steps):
        fee = Fee(qty / 1000 if in_base else qty * price / 1000, make.BTC if in_base else make.KRW)
        holdings.add_fill(make.fill(make.A_BTC, str(index), side, qty, price), make.instrument(), fee)
        cash[make.BTC] += side.sign * qty
        cash[make.KRW] -= side.sign * qty * price
        cash[fee.asset] -= fee.amount
    holdings.add_transfer(UPBIT, make.KRW, D(-5))
    cash[make.KRW] -= 5
    seen(holdings, UPBIT, cash)

    assert all(abs(difference) < D("1e-12") for _, difference in holdings.unexplained(UPBIT))


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(90, 110)), max_size=20))
def test_a_contract_pays_what_its_trades_earned_once_it_is_flat(steps: list[tuple[Side, int, int]]) -> None:
    holdings, cash, qty = Holdings(), D(0), D(0)
    seen(holdings, USDM, {make.USDT: D(0)})
    last = sum(-side.sign * size for side, size, _ in steps)
    closing = [(Side.BUY if last > 0 else Side.SELL, abs(last), 100)] if last else []
    for index, (side, size, price) in enumerate([*steps, *closing]):
        fee = Fee(D(0), make.USDT)
        holdings.add_fill(make.fill(make.B_BTC, str(index), side, D(size), D(price)), make.perpetual(), fee)
        cash -= side.sign * size * price
        qty += side.sign * size

    assert qty == 0
    assert all(tally.qty == 0 for tally in holdings.own_contracts.values())
    assert abs(holdings.tallies[f"{USDM}/USDT"].closing - cash) < D("1e-20")


def test_what_is_missing_is_unexplained_until_it_is_booked_as_a_transfer() -> None:
    holdings = Holdings()
    seen(holdings, UPBIT, {make.KRW: D(100), make.BTC: D(1)})
    seen(holdings, UPBIT, {make.KRW: D(90)}, is_full=False)

    assert holdings.unexplained(UPBIT) == ((make.KRW, D(-10)),)
    holdings.add_transfer(UPBIT, make.KRW, D(-10))
    assert holdings.unexplained(UPBIT) == ()


def test_a_coin_that_is_seen_before_the_fill_that_brought_it_counts_once() -> None:
    holdings = Holdings()
    seen(holdings, UPBIT, {make.KRW: D(1_000)})
    seen(holdings, UPBIT, {make.BTC: D(2), make.KRW: D(800)})
    holdings.add_fill(make.fill(make.A_BTC, "1", Side.BUY, D(2), D(100)), make.instrument(), Fee(D(0), make.KRW))

    assert holdings.unexplained(UPBIT) == ()


def test_a_full_report_zeroes_what_it_does_not_name() -> None:
    holdings = Holdings()
    seen(holdings, UPBIT, {make.KRW: D(100), make.BTC: D(1)})
    seen(holdings, UPBIT, {make.KRW: D(100)})

    assert holdings.total(UPBIT, make.BTC) == 0
    assert holdings.unexplained(UPBIT) == ((make.BTC, D(-1)),)


def test_a_contract_report_without_a_mark_keeps_the_known_one() -> None:
    holdings = Holdings()
    told = Position(
        instrument=make.B_BTC, qty=D("-0.1"), entry_price=D(1), mark_price=D(2), liquidation_price=D(3), leverage=D(2)
    )
    for position in (told, attrs.evolve(told, mark_price=None, liquidation_price=None, leverage=None)):
        holdings.see_contract(PositionSeen(at_ns=0, position=position))

    assert holdings.contracts[make.B_BTC] == told
