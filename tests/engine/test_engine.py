"""The engine as a whole, against a scripted exchange."""

from __future__ import annotations

import attrs

from arb.domain.effects import Table
from arb.domain.events import DepthSeen, Tick
from arb.domain.ids import FeedId
from arb.engine import Engine
from arb.execution.params import LegOrder
from tests.engine.exchange import FX, SECOND, WALL_NS, A, B, always_full, cheap, config, fresh


def test_a_whole_trade_opens_wide_and_closes_narrow() -> None:
    exchange = fresh()
    exchange.run(3, cheap(0))
    assert not exchange.submitted
    exchange.run(3, cheap(70))
    assert [r.instrument for r in exchange.submitted] == [A, B]
    assert len(exchange.engine.open_positions()) == 1
    exchange.run(3, cheap(0))
    assert [r.instrument for r in exchange.submitted] == [A, B, A, B]
    assert exchange.engine.is_settled()
    assert not exchange.engine.open_positions()
    (row,) = exchange.rows(Table.POSITIONS)
    assert row["status"] == "closed"
    assert row["pnl_krw"] > 0
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


def test_stale_books_support_neither_entry_nor_exit() -> None:
    exchange = fresh()
    exchange.run(1, cheap(0))
    exchange.now_ns += 5 * SECOND
    book = exchange.engine.memory.market.books[FX].depth
    for mid in (cheap(70), cheap(80)):
        sent = len(exchange.submitted)
        depth = attrs.evolve(book, instrument=A, feed=FeedId("x/1"), bids=(mid - 1000, 1.0), asks=(mid + 1000, 1.0))
        exchange.put(DepthSeen(at_ns=exchange.now_ns, depth=attrs.evolve(depth, received_ns=exchange.now_ns)))
        exchange.put(Tick(at_ns=exchange.now_ns, wall_ns=WALL_NS, is_loop=True))
        assert len(exchange.submitted) == sent
    ((refusal, _look),) = exchange.engine.explain().values()
    assert refusal.endswith(("_a", "_b", "_fx"))
