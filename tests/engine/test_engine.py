"""The engine as a whole, against a scripted exchange."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.effects import Effect, Submit, Table
from arb.domain.events import DepthSeen, FeedSeen, Tick
from arb.domain.ids import FeedId, InstrumentId, venue_of
from arb.domain.order import Purpose
from arb.engine import Engine, thaw
from arb.execution.params import LegOrder
from arb.risk.trading_state import TradingState
from tests.engine.exchange import (
    FX,
    MS,
    SECOND,
    START_NS,
    WALL_NS,
    A,
    B,
    Exchange,
    always_full,
    cheap,
    config,
    fresh,
)


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


def supported(exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState) -> None:
    """I8: every book and mark behind an entry or a strategy's exit is within its limit, by the events alone."""
    wanted = (Purpose.ENTRY, Purpose.EXIT)
    sent = [item.request for effect in effects if isinstance(effect, Submit) for item in effect.orders]
    if not any(request.purpose in wanted for request in sent):
        return
    now_ns, books, frames = exchange.now_ns, dict[str, int](), dict[str, int]()
    for event in exchange.events:
        if isinstance(event, DepthSeen):
            books[event.depth.instrument] = event.depth.received_ns
            frames[event.depth.feed] = event.depth.received_ns
        elif isinstance(event, FeedSeen):
            frames[event.feed] = max(frames.get(event.feed, 0), event.last_frame_ns)
    as_of = {name: frames[f"{venue_of(InstrumentId(name))}/public/0"] for name in books}
    assert all(now_ns - received_ns <= 10 * SECOND for received_ns in books.values())
    assert all(now_ns - seen_ns <= 1500 * MS for seen_ns in as_of.values())
    assert now_ns - books[FX] <= 3000 * MS
    assert max(as_of.values()) - min(as_of.values()) <= 400 * MS


steps = st.lists(
    st.tuples(
        st.sampled_from([100, 100, 200, 600, 1600, 3100, 11_000]),
        st.sampled_from([-20, 0, 70, 90]),
        st.frozensets(st.sampled_from([A, B, FX])) | st.just(frozenset({A, B, FX})),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_stale_data_never_supports_an_entry_or_a_strategys_exit(moves: list[Any]) -> None:
    exchange = fresh()
    exchange.observer = supported
    exchange.run(0.2, cheap(0))
    for wait_ms, bps, told, is_alive in moves:
        exchange.now_ns += wait_ms * MS
        exchange.deliver()
        exchange.books(cheap(bps), only=told)
        for feed in ("upbit/public/0", "binance_usdm/public/0") if is_alive else ():
            now_ns = exchange.now_ns
            exchange.put(FeedSeen(at_ns=now_ns, feed=FeedId(feed), last_frame_ns=now_ns, latency_ns=0))
        exchange.put(Tick(at_ns=exchange.now_ns, wall_ns=WALL_NS + exchange.now_ns - START_NS, is_loop=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(30, 60), st.floats(-0.004, 0.004)), min_size=1, max_size=12))
def test_the_cheap_look_never_leaves_out_a_trade(moves: list[tuple[float, float]]) -> None:
    exchange = fresh()
    exchange.run(1.2, cheap(0))
    for bps, move in moves:
        exchange.now_ns += 3 * MS
        exchange.books(cheap(bps) * (1 + move), 103_000.0 * (1 + move), only=frozenset({B, FX}))
        twin = thaw(exchange.engine.config, exchange.engine.freeze())
        monkey = {"_wants_look": lambda _sight: True}
        twin.__dict__.update(monkey)
        depth = exchange.engine.memory.market.books[A].depth
        mid = cheap(bps) * (1 + move)
        bids, asks = (round(mid - 1000, -3), 1.0), (round(mid + 1000, -3), 1.0)
        newer = attrs.evolve(depth, received_ns=exchange.now_ns, bids=bids, asks=asks)
        event = DepthSeen(at_ns=exchange.now_ns, depth=newer)
        eager = [effect for effect in twin.step(event) if isinstance(effect, Submit)]
        assert [effect for effect in exchange.put(event) if isinstance(effect, Submit)] == eager
        if eager:
            return
