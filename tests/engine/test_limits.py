"""Limits of the whole: losses, incidents, margin, storage, marks, and how an operator accepts them."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.effects import Alert, Table
from arb.domain.events import (
    Command,
    CommandKind,
    DepthSeen,
    InstrumentSeen,
    PositionSeen,
    Reconciled,
    StorageSeen,
    Tick,
)
from arb.domain.ids import VenueId
from arb.domain.instrument import Caution, InstrumentStatus
from arb.domain.order import OrderState, OrderUpdate, Purpose
from arb.engine import Engine
from arb.risk.trading_state import Cause, TradingState
from tests.engine.exchange import FULL, FX, SECOND, WALL_NS, A, Exchange, cheap, contract, execution, fresh, limits
from tests.engine.test_incidents import NONE, SILENT, entered, scripted

D = Decimal


def started(exchange: Exchange, **risk: object) -> Exchange:
    """The exchange with an engine of other limits."""
    told = attrs.evolve(exchange.engine.config, risk=limits(**risk))
    exchange.engine = Engine(told)
    exchange.start()
    return exchange


def resume(exchange: Exchange) -> None:
    """An operator resumes after a clean reconciliation."""
    for venue in ("upbit", "binance_usdm"):
        exchange.put(Reconciled(at_ns=exchange.now_ns, venue=VenueId(venue)))
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.RESUME, operator="me"))


def state(exchange: Exchange) -> TradingState:
    """What may trade."""
    return exchange.engine.memory.causes.state


def alerts(exchange: Exchange) -> set[str]:
    """Keys of all alerts so far."""
    return {effect.key for step in exchange.effects for effect in step if isinstance(effect, Alert)}


def test_a_loss_beyond_the_days_limit_reduces_until_an_operator_accepts_it() -> None:
    exchange = started(fresh(), daily_loss_krw=D(1000), max_drawdown_krw=D(3000), max_consecutive_losses=1)
    exchange.run(2, cheap(70))
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FLATTEN, operator="me"))
    exchange.run(2, cheap(70))
    totals = exchange.engine.memory.ledger.totals
    assert totals.day_loss_krw > 1000
    causes = exchange.engine.memory.causes
    assert all(causes.has(cause) for cause in (Cause.DAILY_LOSS, Cause.DRAWDOWN, Cause.LOSING_STREAK))
    assert {"limit/daily_loss", "limit/drawdown", "limit/losing_streak"} <= alerts(exchange)
    sent = len(exchange.submitted)
    exchange.run(6, cheap(70))
    assert len(exchange.submitted) == sent
    resume(exchange)
    assert state(exchange) is TradingState.ACTIVE
    exchange.run(1, cheap(70))
    assert len(exchange.submitted) > sent


def test_the_marks_of_open_positions_count_in_the_drawdown() -> None:
    exchange = started(fresh(), max_drawdown_krw=D(20_000))
    exchange.run(2, cheap(70))
    assert not exchange.engine.memory.causes.has(Cause.DRAWDOWN)
    exchange.run(0.3, cheap(240))
    assert exchange.engine.open_positions()
    assert exchange.engine.memory.causes.has(Cause.DRAWDOWN)


def test_an_incident_is_told_its_cost_and_the_days_budget_halts() -> None:
    exchange = fresh(scripted(FULL, attrs.evolve(NONE, delay_ms=400)))
    told = attrs.evolve(exchange.engine.config, risk=limits(), execution=execution(incident_loss_budget_bps=0.5))
    exchange.engine = Engine(told)
    exchange.number = 0
    exchange.start()
    exchange.run(0.3, cheap(70))
    low = cheap(70) * 0.997
    exchange.run(1, low, low * 1.0005 / 1450.5)
    assert Purpose.REVERSE in [request.purpose for request in exchange.submitted]
    (incident,) = exchange.rows(Table.INCIDENTS)
    bought, sold = (r for r in exchange.submitted if r.instrument == A)
    paid = (bought.expected_price - sold.expected_price) + (bought.expected_price + sold.expected_price) * D("0.0005")
    assert float(incident["cost_krw"]) == pytest.approx(float(paid * (bought.qty or D(0))), rel=1e-6)
    assert state(exchange) is TradingState.HALTED
    assert "limit/incident_budget" in alerts(exchange)
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.RESUME, operator="me"))
    assert state(exchange) is TradingState.HALTED
    exchange.run(10, cheap(0), step_ms=500)
    resume(exchange)
    assert state(exchange) is TradingState.ACTIVE


def test_without_marks_of_what_is_open_it_reduces_until_they_are_back() -> None:
    exchange = entered(scripted())
    exchange.now_ns += 30 * SECOND
    exchange.put(Tick(at_ns=exchange.now_ns, wall_ns=WALL_NS))
    assert exchange.engine.memory.causes.has(Cause.PNL_UNKNOWN)
    exchange.run(0.2, cheap(70))
    assert not exchange.engine.memory.causes.has(Cause.PNL_UNKNOWN)


def test_low_storage_reduces_while_it_lasts_and_a_full_buffer_halts_until_resumed() -> None:
    exchange = fresh()
    for is_low, is_full, found in (
        (True, False, TradingState.REDUCING),
        (False, False, TradingState.ACTIVE),
        (True, True, TradingState.HALTED),
        (False, False, TradingState.HALTED),
    ):
        exchange.put(StorageSeen(at_ns=exchange.now_ns, is_low=is_low, is_full=is_full, detail="disk"))
        assert state(exchange) is found
    exchange.now_ns += 1
    resume(exchange)
    assert state(exchange) is TradingState.ACTIVE


def test_an_order_whose_fate_cannot_be_learnt_halts() -> None:
    exchange = entered(scripted(SILENT, then=SILENT), 1)
    (silent,) = exchange.submitted
    exchange.truth[silent.client_order_id] = OrderUpdate(
        client_order_id=silent.client_order_id, instrument=A, state=OrderState.UNKNOWN, filled_qty=None, received_ns=0
    )
    exchange.engine._config = attrs.evolve(exchange.engine.config, execution=execution(unknown_not_found_n=50))
    exchange.run(60, cheap(0), step_ms=200)
    assert exchange.engine.memory.causes.has(Cause.QUERY_BUDGET)
    assert state(exchange) is TradingState.HALTED


@pytest.mark.parametrize("caution", [Caution.PRICE_FLUCTUATIONS, Caution.VOLUME_SOARING])
def test_mild_cautions_halve_the_size(caution: Caution) -> None:
    whole, half = entered(scripted()), fresh()
    warned = attrs.evolve(half.engine.memory.market.instruments[A], cautions=frozenset({caution}))
    half.put(InstrumentSeen(at_ns=half.now_ns, instrument=warned))
    half.run(2, cheap(70))
    assert whole.submitted[0].qty == D("0.013")
    assert half.submitted[0].qty == D("0.006")


@pytest.mark.parametrize("caution", [Caution.WARNING, Caution.SMALL_ACCOUNTS])
def test_grave_cautions_forbid_entries(caution: Caution) -> None:
    exchange = fresh()
    warned = attrs.evolve(exchange.engine.memory.market.instruments[A], cautions=frozenset({caution}))
    exchange.put(InstrumentSeen(at_ns=exchange.now_ns, instrument=warned))
    exchange.run(2, cheap(70))
    assert not exchange.submitted


def test_a_market_that_is_to_end_is_not_entered_and_left_at_once() -> None:
    exchange = entered(scripted())
    ending = attrs.evolve(exchange.engine.memory.market.instruments[A], status=InstrumentStatus.DELISTING)
    exchange.put(InstrumentSeen(at_ns=exchange.now_ns, instrument=ending))
    exchange.run(11, cheap(70))
    assert not exchange.engine.open_positions()
    sent = len(exchange.submitted)
    exchange.run(10, cheap(70))
    assert len(exchange.submitted) == sent


def near(exchange: Exchange, distance: str) -> None:
    """The venue says how near liquidation is."""
    held = contract(exchange.contracts)
    assert held.mark_price is not None
    price = held.mark_price * (1 + D(distance))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=attrs.evolve(held, liquidation_price=price)))


def test_near_liquidation_it_reduces_then_closes() -> None:
    exchange = entered(scripted())
    near(exchange, "0.2")
    assert exchange.engine.memory.causes.has(Cause.LIQUIDATION_NEAR)
    exchange.run(1, cheap(70))
    assert exchange.engine.open_positions()
    near(exchange, "0.12")
    exchange.run(1, cheap(70))
    assert not exchange.engine.open_positions()


def test_in_the_last_distance_closing_reaches_as_far_as_an_escalated_order() -> None:
    exchange = entered(scripted())
    near(exchange, "0.05")
    exchange.run(0.2, cheap(70))
    closing = exchange.submitted[2]
    touch = D(exchange.engine.memory.market.books[A].depth.best_bid)
    assert closing.instrument == A
    assert closing.price is not None
    assert closing.price < touch * D("0.991")


def test_margin_that_does_not_come_in_time_closes_what_stays_near() -> None:
    exchange = entered(scripted())
    exchange.engine._config = attrs.evolve(exchange.engine.config, risk=limits(transfer_eta_h=5 / 3600))
    (position,) = exchange.engine.open_positions()
    near(exchange, "0.2")
    exchange.run(4, cheap(70))
    assert exchange.engine.open_positions()[0].id == position.id
    exchange.run(12, cheap(70))
    assert exchange.rows(Table.POSITIONS)[0]["exit_reason"] == "risk"


def test_a_fill_while_the_fx_book_is_one_sided_is_booked_at_the_last_good_mark() -> None:
    exchange = fresh()
    exchange.run(0.1, cheap(70))
    assert len(exchange.submitted) == 1
    book = exchange.engine.memory.market.books[FX].depth
    broken = attrs.evolve(book, bids=(), received_ns=exchange.now_ns)
    exchange.put(DepthSeen(at_ns=exchange.now_ns, depth=broken))
    exchange.now_ns += 25_000_000
    exchange.deliver()
    (position,) = exchange.engine.open_positions()
    assert {flow.fx_mid for flow in position.flows} == {D("1450.5")}
