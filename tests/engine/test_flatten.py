"""`flatten`: an operator's order to be flat, at any price that a venue takes, in sight of who ordered it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.effects import Publish
from arb.domain.events import BalanceSeen, Command, CommandKind, VenueCondition, VenueStatus
from arb.domain.ids import AssetId, VenueId
from arb.domain.order import Balance, OrderState, OrderType, Purpose, Side
from arb.domain.pair import Direction
from arb.execution.params import LegOrder
from tests.engine.exchange import FULL, A, B, Exchange, Reply, Rule, always_full, cheap, fresh

D = Decimal
PART = Reply(shares=("0.4",), state=OrderState.CANCELED)


def entered(rule: Rule = always_full, direction: Direction = Direction.LONG_A) -> Exchange:
    """An exchange with an open position."""
    exchange = fresh(rule, LegOrder.UNCERTAIN_FIRST, direction)
    exchange.run(2, cheap(70 * direction.sign))
    assert exchange.engine.open_positions()
    return exchange


def flatten(exchange: Exchange) -> int:
    """Order it; how many orders had left before."""
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FLATTEN, operator="me"))
    return len(exchange.submitted)


def told(exchange: Exchange) -> list[tuple[object, object]]:
    """State and reason of every word about the flatten."""
    found = [
        dict(e.values) for step in exchange.effects for e in step if isinstance(e, Publish) and "flatten/" in e.topic
    ]
    return [(values["state"], values["reason"]) for values in found]


def test_coins_are_sold_and_the_contract_bought_back_at_market() -> None:
    exchange = entered()
    before = flatten(exchange)
    exchange.run(2, cheap(70))
    sale, buyback = exchange.submitted[before:]
    assert (sale.instrument, sale.side, sale.order_type, sale.price) == (A, Side.SELL, OrderType.MARKET, None)
    assert (buyback.instrument, buyback.side, buyback.order_type) == (B, Side.BUY, OrderType.MARKET)
    assert buyback.reduce_only
    assert {sale.purpose, buyback.purpose} == {Purpose.FLATTEN}
    assert not exchange.engine.open_positions()
    assert exchange.coins == exchange.contracts == 0


def test_coins_are_bought_back_by_a_limit_that_reaches_far_because_no_market_order_says_how_many() -> None:
    exchange = entered(direction=Direction.SHORT_A)
    before = flatten(exchange)
    exchange.run(2, cheap(-70))
    buyback, sale = exchange.submitted[before:]
    assert (buyback.instrument, buyback.side, buyback.order_type) == (A, Side.BUY, OrderType.LIMIT)
    assert buyback.price is not None
    assert buyback.price > buyback.expected_price * D("1.03")
    assert (sale.instrument, sale.order_type, sale.reduce_only) == (B, OrderType.MARKET, True)
    assert exchange.coins == D("0.05")


def test_what_fills_in_part_is_ordered_again_until_nothing_is_left() -> None:
    exchange = entered()
    exchange.rule = lambda _request, number: PART if number < 9 else FULL
    flatten(exchange)
    exchange.run(20, cheap(70))
    assert not exchange.engine.open_positions()
    assert abs(exchange.coins + exchange.contracts) < D("0.0001")


def test_its_progress_is_told_when_it_changes_and_ends_flat() -> None:
    exchange = entered()
    flatten(exchange)
    exchange.run(3, cheap(70))
    assert told(exchange)[-1] == ("flat", "")
    assert ("working", "") in told(exchange)
    assert len(told(exchange)) <= 5


def test_why_it_waits_is_told_and_it_goes_on_when_the_venue_is_back() -> None:
    exchange = entered()
    for condition, seconds in ((VenueCondition.MAINTENANCE, 3), (VenueCondition.UP, 3)):
        status = VenueStatus(at_ns=exchange.now_ns, venue=VenueId("upbit"), condition=condition)
        exchange.put(status)
        flatten(exchange)
        exchange.run(seconds, cheap(70))
        if condition is VenueCondition.MAINTENANCE:
            assert told(exchange)[-1] == ("waiting", "venue_untradable")
            assert len(exchange.submitted) == 2
    assert told(exchange)[-1] == ("flat", "")


def doubted(exchange: Exchange) -> None:
    """A balance that differs, and a venue that answers no question about it."""
    exchange.is_silent = True
    exchange.now_ns += 1
    coins = Balance(AssetId("BTC"), D("0.001"), D(0))
    exchange.put(BalanceSeen(at_ns=exchange.now_ns, venue=VenueId("upbit"), balances=(coins,), is_full=False))
    exchange.run(0.1, cheap(70))
    assert exchange.readings


def test_an_unanswered_reading_holds_a_strategys_exit_and_is_asked_for_again() -> None:
    exchange = entered()
    doubted(exchange)
    exchange.run(25, cheap(0))
    assert len(exchange.submitted) == 2
    assert len(exchange.readings) >= 3


def test_an_unanswered_reading_holds_flatten_for_no_longer_than_a_leg_may_be_naked() -> None:
    exchange = entered()
    doubted(exchange)
    flatten(exchange)
    exchange.run(3, cheap(70))
    assert len(exchange.submitted) == 2
    exchange.run(8, cheap(70))
    assert not exchange.engine.open_positions()
    assert exchange.coins == exchange.contracts == 0


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.DRAIN])
def test_neither_pause_nor_drain_keeps_it_back(kind: CommandKind) -> None:
    exchange = entered()
    exchange.put(Command(at_ns=exchange.now_ns, kind=kind, operator="me"))
    flatten(exchange)
    exchange.run(3, cheap(70))
    assert not exchange.engine.open_positions()


def test_frozen_nothing_leaves_and_the_reason_is_told() -> None:
    exchange = entered()
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FREEZE, operator="me"))
    before = flatten(exchange)
    exchange.run(3, cheap(70))
    assert len(exchange.submitted) == before
    assert told(exchange)[-1] == ("waiting", "trading_state")
