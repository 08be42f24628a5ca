"""The golden round trips and the identity behind them."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.events import FundingPaid
from arb.domain.fees import Fee
from arb.domain.money import EXACT
from arb.domain.order import Purpose, Side
from arb.state.attribution import Attribution, attribute
from arb.state.flows import Flow, FlowKind
from arb.state.ledger import ClosedPosition, Ledger
from tests import strategies as make

D = Decimal
FEE_RATE = D("0.0005")


def _trade(
    ledger: Ledger,
    name: str,
    leg: str,
    side: Side,
    price: str,
    fx_mid: str,
    purpose: Purpose,
    decided: str | None = None,
) -> None:
    instrument = {"a": make.instrument(), "b": make.perpetual()}[leg]
    fee = Fee(D("0.1") * D(price) * FEE_RATE, instrument.quote)
    flows = ledger.book_fill(
        make.fill(instrument.id, name, side, "0.1", price, fee=fee),
        instrument,
        make.tag(leg, decided or price, purpose),
        fx_mid=D(fx_mid),
        fee=fee,
    )
    assert flows


def _opened() -> Ledger:
    ledger = Ledger(0)
    ledger.open_position(make.position())
    _trade(ledger, "1", "a", Side.BUY, "148800000", "1450.5", Purpose.ENTRY)
    _trade(ledger, "2", "b", Side.SELL, "103000.0", "1450.5", Purpose.ENTRY)
    return ledger


def _round_trip(exit_a: str, fx_exit: str, fx_funding: str) -> ClosedPosition:
    ledger = _opened()
    paid = FundingPaid(
        at_ns=0,
        instrument=make.B_BTC,
        income_id="f1",
        amount=D("1.034"),
        asset=make.USDT,
        rate=D("0.0001"),
        settled_ms=0,
    )
    assert ledger.book_funding(paid, make.BTC_PAIR, D(fx_funding))
    _trade(ledger, "3", "a", Side.SELL, exit_a, fx_exit, Purpose.EXIT)
    _trade(ledger, "4", "b", Side.BUY, "104150.0", fx_exit, Purpose.EXIT)
    return ledger.close_position(make.BTC_PAIR, fx_mid=D(fx_exit), at_ns=10, wall_ns=10, reason="reversal")


def _parts(found: Attribution) -> dict[str, Decimal]:
    return {key: value.normalize() for key, value in attrs.asdict(found).items() if value}


def _bps(closed: ClosedPosition) -> float:
    return float(closed.krw.total / closed.position.entry_a_krw) * 1e4


def test_golden_round_trip_with_flat_fx() -> None:
    closed = _round_trip("151100000", "1450.5", "1450.5")

    assert closed.position.krw == D("215005")
    assert closed.position.usdt == D("-124.3235")
    assert _parts(closed.krw) == {
        "spread_at_decision": D("63192.5"),
        "fees": D("-30018.55375"),
        "funding": D("1499.817"),
        "total": D("34673.76325"),
    }
    assert closed.usdt.spread_at_decision == D("43.56601172")
    assert closed.usdt.fees == D("-20.69531455")
    assert closed.usdt.funding == D("1.034")
    assert closed.usdt.fx == 0
    assert closed.usdt.total == D("23.90469717")
    assert _bps(closed) == pytest.approx(23.3023, abs=5e-5)


def test_golden_round_trip_with_moving_fx() -> None:
    closed = _round_trip("149581350", "1435.5", "1445.5")

    assert _parts(closed.krw) == {
        "spread_at_decision": D("67552.5"),
        "fees": D("-29864.50875"),
        "funding": D("1494.647"),
        "fx": D("-154433.09"),
        "total": D("-115250.45175"),
    }
    assert closed.usdt.spread_at_decision == D("46.62519896")
    assert closed.usdt.fees == D("-20.69684414")
    assert closed.usdt.funding == D("1.034")
    assert closed.usdt.fx == D("-107.24828429")
    assert closed.usdt.total == D("-80.28592947")
    assert _bps(closed) == pytest.approx(-77.4533, abs=5e-5)


def test_golden_round_trip_with_its_fx_hedged_per_trade() -> None:
    ledger = _opened()
    usdt = make.instrument(make.FX_BOOK, base=make.USDT, tick="0.5", lot="1e-8")
    for name, side, price, fx_mid, purpose in (
        ("5", Side.SELL, "1450", "1450.5", Purpose.ENTRY),
        ("6", Side.BUY, "1436", "1435.5", Purpose.EXIT),
    ):
        fee = Fee(10300 * D(price) * FEE_RATE, make.KRW)
        hedge = make.fill(usdt.id, name, side, "10300", price)
        ledger.book_fill(hedge, usdt, make.tag("fx", price, purpose), fx_mid=D(fx_mid), fee=fee)
        if side is Side.SELL:
            position = ledger.position(make.BTC_PAIR)
            assert position is not None
            assert position.hedged_usdt == 10300
    paid = FundingPaid(
        at_ns=0, instrument=make.B_BTC, income_id="f1", amount=D("1.034"), asset=make.USDT, rate=None, settled_ms=0
    )
    ledger.book_funding(paid, make.BTC_PAIR, D("1445.5"))
    _trade(ledger, "3", "a", Side.SELL, "149581350", "1435.5", Purpose.EXIT)
    _trade(ledger, "4", "b", Side.BUY, "104150.0", "1435.5", Purpose.EXIT)

    closed = ledger.close_position(make.BTC_PAIR, fx_mid=D("1435.5"), at_ns=10, wall_ns=10, reason="reversal")

    assert closed.krw.total == D("14086.64825")
    assert _bps(closed) == pytest.approx(9.4668, abs=5e-5)
    assert closed.krw.unexplained == 0
    assert closed.position.hedged_usdt == 0


def test_golden_mark_right_after_entry() -> None:
    ledger = _opened()

    krw, usdt = ledger.marked(
        make.BTC_PAIR,
        exit_a=D("148780000"),
        exit_b=D("103000.1"),
        fee_rate_a=FEE_RATE,
        fee_rate_b=FEE_RATE,
        fx_mid=D("1450.5"),
        at_ns=1,
    )

    # -31,833.6622525, booked flow by flow half-even at 1e-8
    assert krw.total == D("-31833.6622525")
    assert float(krw.total / 14880000) * 1e4 == pytest.approx(-21.3936, abs=5e-5)
    assert krw.unexplained == usdt.unexplained == 0


def test_slippage_is_what_fills_lost_against_the_decision() -> None:
    ledger = Ledger(0)
    ledger.open_position(make.position())
    _trade(ledger, "1", "a", Side.BUY, "148810000", "1450.5", Purpose.ENTRY, decided="148800000")
    _trade(ledger, "2", "a", Side.SELL, "148790000", "1450.5", Purpose.REVERSE, decided="148800000")

    closed = ledger.close_position(make.BTC_PAIR, fx_mid=D("1450.5"), at_ns=1, wall_ns=1, reason="unwound")

    assert closed.krw.spread_at_decision == 0
    assert closed.krw.slippage == D("-2000")


@st.composite
def _flows(draw: st.DrawFn) -> Flow:
    amount = draw(st.decimals(-(10**9), 10**9, places=draw(st.integers(0, 12))))
    kind = draw(st.sampled_from(FlowKind))
    decided = draw(st.decimals(-(10**9), 10**9, places=8)) if kind is FlowKind.PRINCIPAL else amount
    asset = draw(st.sampled_from([make.KRW, make.USDT]))
    mid = draw(make.fx_mids())
    return Flow(kind=kind, leg="b", asset=asset, amount=amount, decided=decided, fx_mid=mid, at_ns=0)


@given(st.lists(_flows(), max_size=12).map(tuple), make.fx_mids())
def test_components_sum_to_the_total_in_both_numeraires_and_rounding_stays_rounding(
    flows: tuple[Flow, ...], fx_close: Decimal
) -> None:
    krw, usdt = attribute(flows, fx_close)

    for found in (krw, usdt):
        assert found.unexplained == 0
        assert abs(found.rounding) <= D("5e-9") * (len(flows) + 2)
    assert abs(EXACT.multiply(usdt.total, fx_close) - krw.total) <= D("1e-8") * (fx_close + 1)
