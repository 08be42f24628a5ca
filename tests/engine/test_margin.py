"""The margin guard: the venue's own liquidation price against the newest mark, on either side."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.effects import Alert
from arb.domain.events import FundingRateSeen, PositionSeen
from arb.domain.ids import PairId
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.engine import Engine, EngineConfig
from arb.execution.params import LegOrder
from arb.risk.trading_state import Cause
from tests.engine.exchange import MS, START_NS, WALL_NS, A, B, Exchange, always_full, cheap, config, contract, fresh

D = Decimal
BTC = PairId("BTC")


def entered(direction: Direction, **params: float) -> Exchange:
    """An exchange with a position, its contract far from liquidation."""
    exchange = fresh(always_full, LegOrder.UNCERTAIN_FIRST, direction, **params)
    exchange.run(2, cheap(70 * direction.sign))
    assert exchange.engine.open_positions()
    return exchange


def marked(exchange: Exchange, mark: str) -> None:
    """The venue's mark price moves; nothing else is told."""
    exchange.put(
        FundingRateSeen(
            at_ns=exchange.now_ns, instrument=B, rate=D("0.0001"), interval_s=28800, mark_price=D(mark),
            next_settlement_ms=(WALL_NS + exchange.now_ns - START_NS) // MS + 14_400_000, index_price=None,
        )
    )  # fmt: skip


def liquidated_at(exchange: Exchange, price: str) -> None:
    """The venue tells the liquidation price."""
    held = attrs.evolve(contract(exchange.contracts), liquidation_price=D(price))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=held))


def near(exchange: Exchange, direction: Direction, distance: str) -> None:
    """The mark comes to this distance of its liquidation price, from the side that hurts."""
    mark = D(103_000)
    liquidated_at(exchange, str(mark * (1 + direction.sign * D(distance))))
    marked(exchange, str(mark))
    exchange.run(0.1, cheap(70 * direction.sign))


@pytest.mark.parametrize("direction", Direction)
def test_it_reduces_alerts_once_and_closes_both_legs_before_any_time_to_hold_is_over(direction: Direction) -> None:
    exchange = entered(direction, min_hold_s=3600.0)
    home = exchange.coins + exchange.contracts
    near(exchange, direction, "0.26")
    assert not exchange.engine.memory.causes.has(Cause.LIQUIDATION_NEAR)
    near(exchange, direction, "0.24")
    assert exchange.engine.memory.causes.has(Cause.LIQUIDATION_NEAR)
    exchange.run(15, cheap(70 * direction.sign))
    assert len(exchange.engine.open_positions()) == 1
    assert alerts(exchange) == 1
    near(exchange, direction, "0.14")
    exchange.run(2, cheap(70 * direction.sign))
    assert not exchange.engine.open_positions()
    assert exchange.contracts == 0
    assert exchange.coins == home
    assert alerts(exchange) == 2
    assert not exchange.engine.memory.causes.has(Cause.LIQUIDATION_NEAR)


def alerts(exchange: Exchange) -> int:
    """How often a person was told."""
    return sum(
        isinstance(effect, Alert) and effect.key == f"liquidation/{BTC}" for step in exchange.effects for effect in step
    )


@pytest.mark.parametrize("direction", Direction)
def test_a_mark_that_moves_alone_is_seen_without_any_word_on_the_position(direction: Direction) -> None:
    exchange = entered(direction)
    liquidated_at(exchange, "150000" if direction is Direction.LONG_A else "60000")
    marked(exchange, "135000" if direction is Direction.LONG_A else "68000")
    exchange.run(3, cheap(70 * direction.sign))
    assert not exchange.engine.open_positions()


@pytest.mark.parametrize("direction", Direction)
def test_a_mark_beyond_the_liquidation_price_is_no_distance_but_an_emergency(direction: Direction) -> None:
    exchange = entered(direction)
    liquidated_at(exchange, "103000")
    marked(exchange, str(103_000 * (1 + direction.sign * 0.5)))
    exchange.run(0.1, cheap(70 * direction.sign))
    assert exchange.engine.memory.lanes[BTC].is_emergency
    closing = exchange.submitted[2]
    assert closing.side is (Side.SELL if direction is Direction.LONG_A else Side.BUY)


def two_pairs() -> EngineConfig:
    """BTC twice, under two names."""
    told = config()
    (item,) = told.pairs
    other = attrs.evolve(item, pair=attrs.evolve(item.pair, id=PairId("ALSO")))
    return attrs.evolve(told, pairs=(item, other))


@pytest.mark.parametrize("worse", ["BTC", "ALSO"])
def test_of_several_pairs_the_smallest_loss_is_closed_first(worse: str) -> None:
    exchange = fresh()
    exchange.run(0.1, cheap(0))
    engine = Engine(two_pairs(), exchange.engine.memory)
    look = engine.memory.lanes[BTC].look
    assert look is not None
    for name, value_bps in (("BTC", -90.0 if worse == "BTC" else -10.0), ("ALSO", -90.0 if worse == "ALSO" else -10.0)):
        engine.memory.lanes[PairId(name)].look = attrs.evolve(look, best_bps=value_bps)
    assert [item.pair.id for item in engine._by_edge()][-1] == worse
    assert A in {item.pair.a for item in engine.config.pairs}
