"""ESCALATED: a person is called and called again, and the exposure is worked until it is gone."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.effects import Alert
from arb.domain.events import (
    BalanceSeen,
    Command,
    CommandKind,
    FillSeen,
    PositionSeen,
    VenueCondition,
    VenueStatus,
)
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, PairId, TradeId, VenueId
from arb.domain.order import Balance, Fill, Liquidity, OrderRequest, OrderState, OrderType, Purpose, Side
from arb.engine import Engine
from arb.execution.legs import LegState
from arb.execution.params import LegOrder
from arb.risk.trading_state import Cause, TradingState
from tests.engine.exchange import FULL, SECOND, A, B, Exchange, Reply, Rule, cheap, contract, execution, fresh

D = Decimal
BTC = PairId("BTC")
NONE = Reply(shares=(), state=OrderState.CANCELED)
SILENT = Reply(shares=(), state=OrderState.UNKNOWN)


def only_first(then: Reply = NONE) -> Rule:
    """A's entry fills, nothing after it does."""
    return lambda _request, number: FULL if number == 1 else then


def escalated(rule: Rule, order: LegOrder = LegOrder.UNCERTAIN_FIRST) -> Exchange:
    """An exchange on which A was bought and B could not be sold for longer than allowed."""
    exchange = fresh(rule, order)
    exchange.run(5.6, cheap(70))
    (legs,) = exchange.engine.memory.legs.values()
    assert legs.state is LegState.ESCALATED
    return exchange


def state(exchange: Exchange) -> LegState:
    """Of the only two-leg order."""
    return next(iter(exchange.engine.memory.legs.values())).state


def tries(exchange: Exchange) -> list[tuple[InstrumentId, Side]]:
    """Orders of the escalation."""
    found = [request for request in exchange.submitted if request.purpose is Purpose.EMERGENCY]
    return [(request.instrument, request.side) for request in found]


def pages(exchange: Exchange) -> int:
    """How often a person was called."""
    return sum(
        isinstance(effect, Alert) and effect.key.startswith("escalated/")
        for step in exchange.effects
        for effect in step
    )


def net(exchange: Exchange) -> Decimal:
    """What both venues hold together."""
    return exchange.coins + exchange.contracts


def test_the_caps_widen_at_their_moments_and_no_order_reaches_further() -> None:
    exchange = fresh(only_first())
    exchange.run(4, cheap(70))
    hedges = [request for request in exchange.submitted[2:] if request.instrument == B]
    touch = D(exchange.engine.memory.market.books[B].depth.best_bid)
    reached = [round((1 - (request.price or D(0)) / touch) * 10_000) for request in hedges]
    assert reached[:3] == [5, 15, 50]
    assert set(reached[3:]) == {50}


def test_it_tries_again_at_its_interval_and_after_a_vain_try_on_the_other_leg() -> None:
    exchange = escalated(only_first())
    exchange.run(41, cheap(70))
    assert tries(exchange) == [(A, Side.SELL), (B, Side.SELL)] * 2 + [(A, Side.SELL)]
    exchange.rule = lambda _request, _number: FULL
    exchange.run(11, cheap(70))
    assert state(exchange).is_end
    assert abs(net(exchange)) < D("0.001")


def test_it_acts_on_whichever_venue_answers() -> None:
    exchange = fresh(only_first())
    exchange.run(5, cheap(70))
    exchange.put(VenueStatus(at_ns=exchange.now_ns, venue=VenueId("upbit"), condition=VenueCondition.MAINTENANCE))
    exchange.rule = lambda _request, _number: FULL
    exchange.run(1.5, cheap(70))
    assert tries(exchange) in ([(B, Side.SELL)], [])
    assert net(exchange) == 0
    assert state(exchange) is LegState.COMPLETED


def test_a_person_is_called_again_at_an_interval_even_while_an_order_is_of_unknown_fate() -> None:
    exchange = escalated(only_first())
    told = attrs.evolve(exchange.engine.config, execution=execution(escalate_repeat_s=5, unknown_not_found_n=50))
    exchange.engine = Engine(told, exchange.engine.memory)
    before = pages(exchange)
    exchange.rule = lambda _request, _number: SILENT
    exchange.run(26, cheap(70))
    assert exchange.engine.open_orders()
    assert pages(exchange) - before in (5, 6)


def test_a_person_is_called_while_both_fates_are_unknown() -> None:
    exchange = fresh(lambda _request, _number: SILENT, LegOrder.SIMULTANEOUS)
    exchange.run(8, cheap(70))
    assert state(exchange) is LegState.UNKNOWN
    assert pages(exchange) == 1


def test_far_past_the_hard_stop_what_no_limit_brings_goes_at_any_price() -> None:
    exchange = escalated(only_first())
    low = cheap(70) * 0.97
    exchange.run(45, low, low * 1.005 / 1450.5)
    last = [request for request in exchange.submitted if request.purpose is Purpose.EMERGENCY]
    assert OrderType.MARKET in {request.order_type for request in last}
    assert all(request.order_type is OrderType.LIMIT for request in last[:2])
    assert all(request.reduce_only or request.instrument == A or request.side is Side.SELL for request in last)


def test_a_spent_budget_halts_and_the_exposure_is_still_worked() -> None:
    exchange = escalated(only_first())
    exchange.engine.memory.causes.add(Cause.INCIDENT_BUDGET, "1", exchange.now_ns)
    assert exchange.engine.memory.causes.state is TradingState.HALTED
    before = len(tries(exchange))
    exchange.run(11, cheap(70))
    assert len(tries(exchange)) > before
    exchange.rule = lambda _request, _number: FULL
    exchange.run(11, cheap(70))
    assert state(exchange).is_end
    assert net(exchange) == 0


def test_frozen_nothing_leaves_and_afterwards_it_goes_on() -> None:
    exchange = escalated(only_first())
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FREEZE, operator="me"))
    before = len(exchange.submitted)
    exchange.run(25, cheap(70))
    assert len(exchange.submitted) == before
    exchange.rule = lambda _request, _number: FULL
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.RESUME, operator="me"))
    exchange.run(11, cheap(70))
    assert state(exchange).is_end
    assert net(exchange) == 0


def test_an_operators_flatten_works_it_at_market() -> None:
    exchange = escalated(only_first())
    exchange.rule = lambda _request, _number: FULL
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FLATTEN, operator="me"))
    exchange.run(11, cheap(70))
    (last,) = [request for request in exchange.submitted if request.purpose is Purpose.FLATTEN]
    assert (last.instrument, last.side, last.order_type) == (A, Side.SELL, OrderType.MARKET)
    assert state(exchange) is LegState.UNWOUND
    assert exchange.coins == exchange.contracts == 0


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("instrument", [A, B])
def test_an_operators_own_order_at_a_venue_ends_it(instrument: InstrumentId, *, is_told: bool) -> None:
    exchange = escalated(only_first())
    by_hand = sold_by_hand(exchange, instrument)
    exchange.now_ns += SECOND
    if is_told:
        exchange.put(FillSeen(at_ns=exchange.now_ns, fill=by_hand))
    if instrument == A:
        coins = Balance(AssetId("BTC"), exchange.coins, D(0))
        exchange.put(BalanceSeen(at_ns=exchange.now_ns, venue=VenueId("upbit"), balances=(coins,), is_full=False))
    else:
        exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(20, cheap(70))
    assert state(exchange).is_end
    assert net(exchange) == 0
    assert exchange.engine.is_settled()


def sold_by_hand(exchange: Exchange, instrument: InstrumentId) -> Fill:
    """A person sells what is too much."""
    quote, price = ("KRW", cheap(70)) if instrument == A else ("USDT", 103_000)
    fill = Fill(
        instrument=instrument, trade_id=TradeId("by hand"), client_order_id=ClientOrderId("web_1"),
        venue_order_id=None, side=Side.SELL, qty=net(exchange), price=D(price), fee=Fee(D(0), AssetId(quote)),
        liquidity=Liquidity.TAKER, received_ns=exchange.now_ns, venue_ns=None,
    )  # fmt: skip
    exchange.trade(fill)
    return fill


def test_an_exit_that_cannot_buy_its_contract_back_buys_the_coins_again_rather_than_stay_naked() -> None:
    def rule(request: OrderRequest, number: int) -> Reply:
        return NONE if number > 3 and request.instrument == B else FULL

    exchange = fresh(rule)
    exchange.run(2, cheap(70))
    exchange.run(17, cheap(0))
    assert net(exchange) == 0
    assert exchange.engine.memory.ledger.positions[BTC].a.net_qty == exchange.coins > 0
    sent = len(exchange.submitted)
    exchange.run(6, cheap(0))
    assert len(exchange.submitted) == sent
    assert exchange.engine.explain()[BTC][0] == "exit_unwound"
