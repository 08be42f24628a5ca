"""The books: once each, conserved, and nothing lost when a position ends."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.errors import InvariantBroken
from arb.domain.events import BalanceSeen, FundingPaid, TransferSeen
from arb.domain.fees import Fee
from arb.domain.ids import VenueId
from arb.domain.order import Balance, Purpose, Side
from arb.domain.pair import Direction
from arb.state.ledger import DAY_NS, Ledger
from arb.state.totals import PnlTotals
from tests import strategies as make

D = Decimal
HOUR_NS = 3600 * 1_000_000_000


def opened(direction: Direction = Direction.LONG_A, *, is_contract_b: bool = True) -> Ledger:
    ledger = Ledger(9 * HOUR_NS)
    ledger.open_position(make.position(direction, is_contract_b=is_contract_b))
    return ledger


def booked(
    ledger: Ledger, name: str, leg: str, side: Side, qty: str, price: str, purpose: Purpose = Purpose.ENTRY
) -> None:
    rules = make.instrument() if leg == "a" else make.perpetual()
    fee = Fee(D(qty) * D(price) * D("0.0005"), rules.quote)
    fill = make.fill(rules.id, name, side, qty, price)
    ledger.book_fill(fill, rules, make.tag(leg, price, purpose), fx_mid=D("1450.5"), fee=fee)


def test_a_fill_counts_once() -> None:
    ledger = opened()
    booked(ledger, "1", "a", Side.BUY, "0.1", "148800000")
    before = ledger.position(make.BTC_PAIR)
    booked(ledger, "1", "a", Side.BUY, "0.1", "148800000")

    assert ledger.position(make.BTC_PAIR) == before
    assert before is not None
    assert before.entry_a_krw == D("14880000.0")


def test_a_fill_of_no_position_moves_balances_only() -> None:
    ledger = Ledger(0)
    fill = make.fill(make.A_BTC, "1", Side.BUY, "1", "100")

    flows = ledger.book_fill(fill, make.instrument(), None, fx_mid=D(1), fee=Fee(D(0), make.KRW))

    assert flows == ()
    assert ledger.holdings.tallies["upbit/BTC"].closing == 1


def test_a_fee_without_a_value_is_an_error_not_a_zero() -> None:
    ledger = opened()
    fill = make.fill(make.B_BTC, "1", Side.SELL, "0.1", "103000")

    with pytest.raises(InvariantBroken):
        ledger.book_fill(fill, make.perpetual(), make.tag("b", "103000"), fx_mid=D(1), fee=Fee(D("0.01"), make.BNB))


def test_a_bnb_fee_is_valued_in_usdt_when_it_happens() -> None:
    ledger = opened()
    fill = make.fill(make.B_BTC, "1", Side.SELL, "0.1", "103000")
    flows = ledger.book_fill(
        fill,
        make.perpetual(),
        make.tag("b", "103000"),
        fx_mid=D(1450),
        fee=Fee(D("0.01"), make.BNB),
        fee_usdt_mid=D(600),
    )

    assert flows is not None
    assert (flows[1].asset, flows[1].amount) == (make.USDT, D("-6.00"))


def test_golden_inventory_fill_with_its_fee_in_base_leaves_a_residue() -> None:
    ledger = opened(Direction.SHORT_A, is_contract_b=False)
    xrp_a = make.instrument(tick="1", lot="1e-8")
    xrp_b = make.instrument(make.SPOT_B_BTC, quote=make.USDT, tick="0.0001", lot="0.1")
    sale = make.fill(xrp_a.id, "1", Side.SELL, "2000", "3150")
    ledger.book_fill(sale, xrp_a, make.tag("a", "3150"), fx_mid=D(1451), fee=Fee(D(3150), make.KRW))
    bought = make.fill(xrp_b.id, "2", Side.BUY, "2002.1", "2.16")
    ledger.book_fill(bought, xrp_b, make.tag("b", "2.16"), fx_mid=D(1451), fee=Fee(D("2.0021"), make.BTC))

    position = ledger.position(make.BTC_PAIR)
    assert position is not None
    assert (position.krw, position.usdt) == (D(6_296_850), D("-4324.536"))
    assert position.net_qty == D("0.0979")
    assert position.fees_krw == D("-3150") - D("2.0021") * D("2.16") * 1451


def test_a_residue_leaves_at_fill_price_and_the_position_ends_with_nothing() -> None:
    ledger = opened()
    booked(ledger, "1", "a", Side.BUY, "0.10000007", "148800000")
    booked(ledger, "2", "b", Side.SELL, "0.1", "103000")
    booked(ledger, "3", "a", Side.SELL, "0.1", "148800000", Purpose.EXIT)
    booked(ledger, "4", "b", Side.BUY, "0.1", "103000", Purpose.EXIT)

    closed = ledger.close_position(make.BTC_PAIR, fx_mid=D("1450.5"), at_ns=5, wall_ns=5, reason="reversal")

    assert closed.krw.spread_at_decision == 0
    assert closed.krw.total == closed.krw.fees
    assert [(r.leg, r.qty, r.cost) for r in closed.residuals] == [("a", D("7e-8"), D("10.416"))]
    assert ledger.residual_qty(make.BTC_PAIR) == D("7e-8")
    assert ledger.position(make.BTC_PAIR) is None


def test_residues_add_up_and_vanish_at_zero() -> None:
    ledger = Ledger(0)
    for name, side in (("1", Side.BUY), ("2", Side.BUY), ("3", Side.SELL), ("4", Side.SELL)):
        ledger.open_position(make.position())
        booked(ledger, name, "a", side, "0.00001", "148800000")
        ledger.close_position(make.BTC_PAIR, fx_mid=D("1450.5"), at_ns=1, wall_ns=1, reason="x")

    assert ledger.residuals == {}


def test_fx_exposure_is_cash_and_contracts_less_home() -> None:
    ledger = opened()
    usdm = VenueId("binance_usdm")
    cash = (Balance(make.USDT, D(10_000), D(5_000)),)
    ledger.see_balances(BalanceSeen(at_ns=0, venue=usdm, balances=cash, is_full=True))
    booked(ledger, "2", "b", Side.SELL, "0.1", "103000")

    assert ledger.fx_exposure_usdt(D(15_000)) == D(10_300)


def test_a_hedge_shows_in_the_cash_it_was_sold_from_and_is_counted_once() -> None:
    ledger = opened()
    usdm, upbit = VenueId("binance_usdm"), VenueId("upbit")
    for venue, amount in ((usdm, "10000"), (upbit, "10300")):
        cash = (Balance(make.USDT, D(amount), D(0)),)
        ledger.see_balances(BalanceSeen(at_ns=0, venue=venue, balances=cash, is_full=True))
    booked(ledger, "1", "b", Side.SELL, "0.1", "103000")
    assert ledger.fx_exposure_usdt(D(20_300)) == D(10_300)

    rules = make.instrument(make.FX_BOOK, base=make.USDT, tick="0.5", lot="1e-8")
    hedge = make.fill(rules.id, "2", Side.SELL, "10300", "1450")
    ledger.book_fill(hedge, rules, make.tag("fx", "1450"), fx_mid=D("1450.5"), fee=Fee(D("7467.5"), make.KRW))
    sold = (Balance(make.USDT, D(0), D(0)),)
    ledger.see_balances(BalanceSeen(at_ns=1, venue=upbit, balances=sold, is_full=True))

    assert ledger.fx_exposure_usdt(D(20_300)) == 0


def test_a_short_a_position_owes_what_its_contract_bought() -> None:
    ledger = opened(Direction.SHORT_A)
    booked(ledger, "1", "b", Side.BUY, "0.1", "103000")

    assert ledger.fx_exposure_usdt(D(0)) == D(-10_300)


def test_a_result_that_its_parts_do_not_explain_is_not_believed() -> None:
    ledger = opened()
    booked(ledger, "1", "a", Side.BUY, "0.1", "148800000")
    position = ledger.positions[make.BTC_PAIR]
    ledger.positions[make.BTC_PAIR] = attrs.evolve(position, krw=position.krw + D("0.01"))

    with pytest.raises(InvariantBroken, match="kept while it was open"):
        ledger.close_position(make.BTC_PAIR, fx_mid=D("1450.5"), at_ns=1, wall_ns=1, reason="x")


def test_funding_that_comes_late_revises_the_position_it_belongs_to_at_its_own_closing_fx() -> None:
    ledger = opened()
    booked(ledger, "1", "a", Side.BUY, "0.1", "148800000")
    booked(ledger, "2", "a", Side.SELL, "0.1", "148800000")
    closed = ledger.close_position(make.BTC_PAIR, fx_mid=D("1450.5"), at_ns=5, wall_ns=5 * 10**9, reason="x")
    before = ledger.totals
    paid = FundingPaid(
        at_ns=9, instrument=make.B_BTC, income_id="1", amount=D(2), asset=make.USDT, rate=None, settled_ms=4000
    )

    booking = ledger.book_funding(paid, make.BTC_PAIR, D(1400))

    assert booking is not None
    assert booking.ended is not None
    assert (booking.ended.krw.total - closed.krw.total, booking.ended.krw.fx) == (D(2901), D(0))
    assert booking.ended.krw.funding == D(2901)
    assert ledger.totals.realised_krw - before.realised_krw == D(2901)
    assert (ledger.totals.trade_count, booking.ended.revision) == (before.trade_count, closed.revision + 1)
    assert ledger.book_funding(paid, make.BTC_PAIR, D(1400)) is None


@pytest.mark.parametrize(("settled_s", "is_its"), [(10, True), (-30, True), (-61, False)])
def test_a_position_opened_while_a_settlement_goes_on_has_paid_it(settled_s: int, *, is_its: bool) -> None:
    ledger = Ledger(0)
    ledger.open_position(attrs.evolve(make.position(), opened_wall_ns=1000 * 10**9))
    paid = FundingPaid(
        at_ns=0, instrument=make.B_BTC, income_id="1", amount=D(2), asset=make.USDT, rate=None,
        settled_ms=(1000 + settled_s) * 1000,
    )  # fmt: skip

    booking = ledger.book_funding(paid, make.BTC_PAIR, D(1400))

    assert booking is not None
    assert (booking.position is not None) is is_its


def test_funding_and_transfers_count_once() -> None:
    ledger = opened()
    paid = FundingPaid(
        at_ns=0, instrument=make.B_BTC, income_id="1", amount=D("1.5"), asset=make.USDT, rate=None, settled_ms=0
    )
    moved = TransferSeen(at_ns=0, venue=VenueId("upbit"), transfer_id="1", amount=D(5), asset=make.KRW)

    assert ledger.book_funding(paid, make.BTC_PAIR, D(1450))
    assert ledger.book_funding(paid, make.BTC_PAIR, D(1450)) is None
    assert ledger.see_transfer(moved)
    assert not ledger.see_transfer(moved)
    position = ledger.position(make.BTC_PAIR)
    assert position is not None
    assert position.funding_krw == 2175
    assert ledger.holdings.tallies["upbit/KRW"].closing == 5


def test_funding_after_the_end_is_retained() -> None:
    ledger = Ledger(0)
    paid = FundingPaid(
        at_ns=0, instrument=make.B_BTC, income_id="1", amount=D(2), asset=make.USDT, rate=None, settled_ms=0
    )
    ledger.book_funding(paid, make.BTC_PAIR, D(1450))

    assert (ledger.totals.realised_krw, ledger.totals.trade_count) == (D(2900), 0)


def test_the_day_turns_at_its_offset_and_only_forwards() -> None:
    ledger = Ledger(9 * HOUR_NS)
    ledger.roll_day(14 * HOUR_NS)
    ledger.totals = ledger.totals.with_closed(D(-5), D(-1), HOUR_NS)
    ledger.roll_day(15 * HOUR_NS - 1)
    assert ledger.totals.day_krw == -5

    ledger.roll_day(15 * HOUR_NS)
    assert (ledger.totals.day, ledger.totals.day_krw, ledger.totals.realised_krw) == (1, D(0), D(-5))
    ledger.roll_day(14 * HOUR_NS + DAY_NS - DAY_NS)
    assert ledger.totals.day == 1


def test_totals_count_wins_streaks_peaks_and_drawdown() -> None:
    totals = PnlTotals()
    for krw in (100, -30, -20, 0, -10):
        totals = totals.with_closed(D(krw), D(krw) / 1000, 60 * 10**9)

    assert (totals.trade_count, totals.win_count, totals.losing_streak) == (5, 1, 1)
    assert totals.win_rate == pytest.approx(0.2)
    assert totals.avg_duration_s == 60.0
    assert (totals.peak_krw, totals.drawdown_krw(D(-5)), totals.drawdown_krw(D(70))) == (D(100), D(65), D(0))


LEGS = st.sampled_from(["a", "b"])


@given(
    st.lists(
        st.tuples(LEGS, st.sampled_from(Side), make.quantities("0.001", "9", 3), make.prices(places=2), make.fx_mids())
    ),
    make.fx_mids(),
)
def test_any_history_is_explained_to_the_last_digit(
    steps: list[tuple[str, Side, Decimal, Decimal, Decimal]], fx_close: Decimal
) -> None:
    ledger = opened()
    for index, (leg, side, qty, price, fx_mid) in enumerate(steps):
        rules = make.instrument() if leg == "a" else make.perpetual()
        fee = Fee(qty * price * D("0.0005"), rules.quote)
        fill = make.fill(rules.id, str(index), side, qty, price)
        ledger.book_fill(fill, rules, make.tag(leg, price + 1), fx_mid=fx_mid, fee=fee)
    position = ledger.position(make.BTC_PAIR)
    assert position is not None
    assert position.booked_krw == sum(flow.krw for flow in position.flows)

    closed = ledger.close_position(make.BTC_PAIR, fx_mid=fx_close, at_ns=1, wall_ns=1, reason="x")

    assert closed.krw.unexplained == closed.usdt.unexplained == 0
    left = sum((residual.qty for residual in closed.residuals), D(0))
    assert left == position.net_qty
    assert ledger.totals.realised_krw == closed.krw.total
