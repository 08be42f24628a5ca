"""The engine as a whole, against a scripted exchange."""

from __future__ import annotations

from arb.domain.effects import Table
from arb.engine import Engine
from arb.execution.params import LegOrder
from tests.engine.exchange import A, B, always_full, cheap, config, fresh


def test_a_whole_trade_opens_wide_and_closes_narrow() -> None:
    exchange = fresh()
    exchange.run(3, cheap(0))
    assert not exchange.submitted
    exchange.run(3, cheap(70))
    assert [r.instrument for r in exchange.submitted] == [A, B]
    assert len(exchange.engine.open_positions()) == 1
    exchange.run(3, cheap(0))
    assert [r.instrument for r in exchange.submitted] == [A, B, A, B]
    assert exchange.engine.is_settled() and not exchange.engine.open_positions()
    (row,) = exchange.rows(Table.POSITIONS)
    assert row["status"] == "closed" and row["pnl_krw"] > 0
    assert [r["kind"] for r in exchange.rows(Table.TRADES)] == ["OPEN", "CLOSE"]


def test_simultaneous_legs_leave_in_one_batch() -> None:
    exchange = fresh(always_full, LegOrder.SIMULTANEOUS)
    exchange.run(3, cheap(70))
    assert [r.instrument for r in exchange.submitted] == [A, B]
    assert len(exchange.engine.open_positions()) == 1


def test_equal_events_give_equal_effects() -> None:
    exchange = fresh()
    exchange.run(3, cheap(70))
    exchange.run(3, cheap(0))
    again = Engine(config())
    assert [again.step(event) for event in exchange.events] == exchange.effects
