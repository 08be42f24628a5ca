"""CRITICAL leaves each unbalanced pair one bounded order that reduces, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.events import FeedDown, HealthSeen, Level, RunStarted
from arb.domain.ids import FeedId, RunId
from arb.domain.order import OrderState, Purpose, Side
from arb.execution.params import LegOrder
from arb.risk.trading_state import Cause
from tests.engine.exchange import FULL, WALL_NS, A, B, Exchange, Reply, cheap, fresh
from tests.engine.test_incidents import NONE, SILENT, entered, net, scripted

D = Decimal


def critical(exchange: Exchange, reason: str = "CRITICAL: the loop is late") -> int:
    """Tell the engine; how many orders had left before."""
    before = len(exchange.submitted)
    exchange.put(HealthSeen(at_ns=exchange.now_ns, level=Level.CRITICAL, reasons=(reason,)))
    return before


def unbalanced(then: Reply = FULL) -> Exchange:
    """A filled, B missed twice, nothing in flight."""
    exchange = entered(scripted(FULL, NONE, NONE, then=then), 0.4)
    assert net(exchange) > 0
    assert not exchange.engine.open_orders()
    return exchange


def test_an_unbalanced_pair_gets_one_order_that_reduces_within_the_cap() -> None:
    exchange = unbalanced()
    before = critical(exchange)
    (order,) = exchange.submitted[before:]
    assert (order.instrument, order.side, order.purpose) == (A, Side.SELL, Purpose.EMERGENCY)
    touch = exchange.engine.memory.market.books[A].depth.best_bid
    assert order.price is not None
    assert order.price >= D(touch) * (1 - D("0.0100001"))
    exchange.run(2, cheap(70))
    assert len(exchange.submitted) == before + 1
    assert net(exchange) == 0


def test_one_order_only_even_when_it_brings_nothing() -> None:
    exchange = unbalanced(then=NONE)
    before = critical(exchange)
    exchange.run(3, cheap(70))
    critical(exchange)
    exchange.run(3, cheap(0))
    assert len(exchange.submitted) == before + 1


def test_a_balanced_pair_is_left_alone_and_strategies_rest() -> None:
    exchange = entered(scripted())
    before = critical(exchange)
    exchange.run(3, cheap(0))
    assert len(exchange.submitted) == before


def test_a_short_contract_in_excess_is_bought_back_reduce_only() -> None:
    exchange = entered(scripted(NONE, FULL, then=NONE), 0.4, LegOrder.SIMULTANEOUS)
    assert net(exchange) < 0
    before = critical(exchange)
    (order,) = exchange.submitted[before:]
    assert (order.instrument, order.side, order.reduce_only) == (B, Side.BUY, True)


@pytest.mark.parametrize("reason", ["ledger: InvariantBroken: I3", "journal: JournalFull: disk"])
def test_nothing_leaves_when_the_books_themselves_are_lost(reason: str) -> None:
    exchange = unbalanced()
    before = critical(exchange, reason)
    exchange.run(1, cheap(70))
    assert len(exchange.submitted) == before


def test_nothing_leaves_while_an_account_stream_is_down() -> None:
    exchange = unbalanced()
    feed = FeedId("binance_usdm/private/0")
    exchange.put(FeedDown(at_ns=exchange.now_ns, feed=feed, instruments=(), reason="closed"))
    before = critical(exchange)
    assert len(exchange.submitted) == before


def test_nothing_leaves_while_an_order_of_the_pair_is_of_unknown_fate() -> None:
    exchange = entered(scripted(FULL, SILENT), 0.3)
    assert any(line.state is OrderState.UNKNOWN for line in exchange.engine.open_orders())
    before = critical(exchange)
    assert len(exchange.submitted) == before


def test_what_fills_after_critical_is_undone_once() -> None:
    exchange = fresh(scripted(FULL, then=FULL))
    exchange.run(0.1, cheap(70))
    assert [r.instrument for r in exchange.submitted] == [A]
    critical(exchange)
    exchange.run(1, cheap(70))
    assert [(r.instrument, r.purpose) for r in exchange.submitted] == [(A, Purpose.ENTRY), (A, Purpose.EMERGENCY)]
    assert net(exchange) == 0


def test_the_next_run_begins_without_the_last_ones_level_and_drain() -> None:
    exchange = unbalanced()
    critical(exchange)
    exchange.put(RunStarted(at_ns=exchange.now_ns, wall_ns=WALL_NS, run_id=RunId("next"), build="b", parameters="{}"))
    memory = exchange.engine.memory
    assert memory.level is Level.OK
    assert not memory.is_draining
    assert not memory.emergencies
    assert not memory.causes.has(Cause.WATCHDOG)
    assert not memory.causes.has(Cause.DRAIN)
