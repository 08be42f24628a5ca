"""The cheap half of a look: what is left alone, and that nothing is missed by it."""

from __future__ import annotations

import pytest

from arb.domain.events import ArmingSeen, FeesSeen
from arb.domain.fees import FeeSchedule
from arb.domain.ids import PairId
from arb.engine import EngineConfig, Memory, PairConfig, trading
from arb.engine.memory import Lane
from arb.engine.view import view_of
from arb.strategy.api import PairView
from tests.engine.exchange import MS, A, D, Exchange, cheap, fresh

BTC = PairId("BTC")


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Moments of whole looks."""
    found: list[int] = []

    def noted(memory: Memory, config: EngineConfig, item: PairConfig, lane: Lane) -> PairView | None:
        found.append(memory.now_ns)
        return view_of(memory, config, item, lane)

    monkeypatch.setattr(trading, "view_of", noted)
    return found


def unarmed() -> Exchange:
    exchange = fresh()
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=False))
    return exchange


def books(exchange: Exchange, bps: float, count: int, every_ms: int) -> None:
    for _ in range(count):
        exchange.now_ns += every_ms * MS
        exchange.books(cheap(bps), only=frozenset({A}))


def test_a_refusal_that_no_book_changes_rests_for_a_moment(looked: list[int]) -> None:
    exchange = unarmed()
    exchange.books(cheap(70))
    assert exchange.engine.explain()[BTC][0] == "trading_state"
    looked.clear()

    books(exchange, 70, 9, 10)
    assert looked == []
    books(exchange, 70, 1, 10)
    assert len(looked) == 1


def test_what_was_refused_is_taken_up_as_soon_as_the_reason_is_gone() -> None:
    exchange = unarmed()
    exchange.run(0.3, cheap(70))
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=True))
    exchange.run(0.3, cheap(70))

    assert exchange.submitted


def test_a_held_pair_is_looked_at_whole_only_for_its_sample_and_its_exit(looked: list[int]) -> None:
    exchange = fresh(take_profit_bps=20.0, exit_bps=-50.0)
    exchange.run(0.4, cheap(70))
    assert exchange.engine.memory.ledger.position(BTC) is not None
    exchange.run(1, cheap(70))
    exchange.books(cheap(70))
    looked.clear()
    books(exchange, 70, 20, 10)
    assert len(looked) <= 1

    looked.clear()
    books(exchange, 0, 20, 10)
    assert len(looked) >= 19


def test_other_fees_are_taken_into_a_held_pair_at_once() -> None:
    exchange = fresh(take_profit_bps=20.0, exit_bps=-50.0)
    exchange.run(0.4, cheap(70))
    exchange.run(1, cheap(70))
    held = exchange.engine._sights[0].held
    assert held is not None
    dear = FeeSchedule(maker_rate=D("0.001"), taker_rate=D("0.001"), source="venue")
    exchange.put(FeesSeen(at_ns=exchange.now_ns, instrument=A, fees=dear))
    books(exchange, 70, 1, 10)

    assert exchange.engine._sights[0].holding.fee_a == 0.001
