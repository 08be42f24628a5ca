"""The whole matrix of two-leg orders: whatever becomes of each leg, venue and engine tell the same story at the end.

The exchange keeps its own ledger; every assertion compares with that, never with what the engine hopes.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arb.domain.effects import Effect, Submit, Table
from arb.domain.events import Command, CommandKind
from arb.domain.ids import PairId
from arb.domain.intent import IntentKind
from arb.domain.order import OrderRequest, OrderState, Purpose
from arb.domain.pair import Direction
from arb.execution.params import LegOrder
from arb.risk.trading_state import TradingState
from arb.state.orders import OrderLine
from tests.engine.exchange import FULL, A, B, Exchange, Reply, Rule, cheap, fresh

D = Decimal
BTC: Final = PairId("BTC")
HOME: Final = {Direction.LONG_A: D(0), Direction.SHORT_A: D("0.05")}
"""Coins that were there before."""
FATES: Final = {
    "none": Reply(shares=(), state=OrderState.CANCELED),
    "refused": Reply(shares=(), state=OrderState.REJECTED),
    "partial": Reply(shares=("0.5",), state=OrderState.CANCELED),
    "crumbs": Reply(shares=("0.3", "0.07", "0.3")),
    "full": FULL,
    "lost_full": Reply(is_lost=True),
    "lost_partial": Reply(shares=("0.5",), state=OrderState.CANCELED, is_lost=True),
    "never_arrived": Reply(shares=(), state=OrderState.UNKNOWN),
}
SHORT: Final = ("none", "partial", "full", "lost_full", "never_arrived")
"""One for each cell of {none, partial, full, unknown}², the unknown one in both of its truths."""
UNCLEAR: Final = (OrderState.UNKNOWN, OrderState.NOT_FOUND)


def fated(kind: IntentKind, a: list[Reply], b: list[Reply], then: Reply = FULL) -> Rule:
    """The replies to the first orders on each leg of the entry, or after it; everything else is filled."""
    left = {A: list(a), B: list(b)}
    seen: Counter[str] = Counter()

    def rule(request: OrderRequest, _number: int) -> Reply:
        seen[request.instrument] += 1
        if (
            kind is IntentKind.EXIT
            and request.purpose in (Purpose.ENTRY, Purpose.HEDGE)
            and seen[request.instrument] < 2
        ):
            return FULL
        return left[request.instrument].pop(0) if left[request.instrument] else then

    return rule


def is_known_first(exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState) -> None:
    """Nothing leaves for a venue on which an order of the pair is of unknown fate, and no name leaves twice."""
    sent = [item.request for effect in effects if isinstance(effect, Submit) for item in effect.orders]
    names = {request.client_order_id for request in sent}
    for request in sent:
        for line in exchange.engine.memory.orders.working(request.instrument):
            if line.request.client_order_id not in names:
                assert line.state not in UNCLEAR, (request, line)
                assert line.state is not OrderState.SUBMITTED or is_next_part(exchange, request, line), (request, line)


def is_next_part(exchange: Exchange, request: OrderRequest, line: OrderLine) -> bool:
    """Whether an order follows another of the same leg and way, within what has arrived on the first leg."""
    legs = exchange.engine.memory.legs[line.owner]
    sent = [exchange.engine.memory.orders.lines[key].request for key in legs.orders_b]
    return request.instrument == B and len({item.side for item in sent}) == 1


def begun(kind: IntentKind, leg_order: LegOrder, direction: Direction, rule: Rule) -> Exchange:
    """An exchange on which the entry, or the exit after a good entry, was just sent."""
    sign = direction.sign
    exchange = fresh(rule, leg_order, direction)
    exchange.observer = is_known_first
    exchange.run(0.1, cheap(70 * sign))
    assert exchange.submitted
    if kind is IntentKind.EXIT:
        exchange.run(1, cheap(70 * sign))
        assert exchange.engine.open_positions()
        assert exchange.engine.is_settled()
        sent = len(exchange.submitted)
        while len(exchange.submitted) == sent:
            exchange.run(0.1, cheap(0))
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.PAUSE, operator="me"))
    return exchange


def lived(exchange: Exchange, mid_a: float, most_s: float = 150) -> Exchange:
    """Time passes until nothing is in hand and nothing on its way."""
    end_ns = exchange.now_ns + int(most_s * 1e9)
    quiet = 0
    while exchange.now_ns < end_ns and quiet < 6:
        exchange.run(0.2, mid_a, step_ms=100)
        quiet = quiet + 1 if exchange.engine.is_settled() and not exchange.due else 0
    return exchange


def check_books(exchange: Exchange, direction: Direction) -> None:
    """I5, and the venues' ledger is the engine's."""
    memory = exchange.engine.memory
    ledger, position = memory.ledger, memory.ledger.position(BTC)
    for leg, told in (("a", exchange.coins - HOME[direction]), ("b", exchange.contracts)):
        tally = D(0) if position is None else position.a.net_qty if leg == "a" else position.b.net_qty
        left = ledger.residuals.get(f"{BTC}/{leg}")
        assert tally + (left.qty if left is not None else D(0)) == told, leg
    assert ledger.holdings.tallies["upbit/KRW"].closing == exchange.krw
    assert ledger.holdings.tallies["upbit/BTC"].closing == exchange.coins
    assert ledger.holdings.own_contracts[B].qty == exchange.contracts if exchange.contracts else True
    rows = sorted((row["trade_id"], row["qty"], row["price"], row["fee"]) for row in exchange.rows(Table.FILLS))
    truth = sorted((f.trade_id, f.qty, f.price, f.fee.amount) for f in exchange.executions if f.fee is not None)
    assert rows == truth
    names = [request.client_order_id for request in exchange.submitted]
    assert len(names) == len(set(names))


def check_ended(exchange: Exchange) -> None:
    """Every two-leg order has ended, and what is open is balanced."""
    engine = exchange.engine
    assert [legs.state for legs in engine.memory.legs.values() if not legs.state.is_end] == []
    assert engine.unbalanced() == ()
    assert engine.is_settled()
    listed = [row for row in exchange.rows(Table.POSITIONS) if row["status"] == "open"]
    assert len(listed) == len(engine.open_positions())


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("leg_order", LegOrder)
@pytest.mark.parametrize("kind", IntentKind)
@pytest.mark.parametrize("fate_a", FATES)
def test_every_cell_ends_with_the_books_of_the_venues(
    kind: IntentKind, leg_order: LegOrder, direction: Direction, fate_a: str
) -> None:
    for fate_b in SHORT:
        exchange = begun(kind, leg_order, direction, fated(kind, [FATES[fate_a]], [FATES[fate_b]]))
        mid_a = cheap(70 * direction.sign if kind is IntentKind.ENTER else 0)
        lived(exchange, mid_a)
        try:
            check_books(exchange, direction)
            check_ended(exchange)
        except AssertionError as broken:
            raise AssertionError(f"{kind} {leg_order} {direction} a={fate_a} b={fate_b}: {broken}") from broken


told = st.builds(
    Reply,
    shares=st.sampled_from([(), ("1",), ("0.5",), ("0.3", "0.07", "0.3"), ("0.5", "0.5"), ("0.04",)]),
    state=st.sampled_from([None, None, None, OrderState.UNKNOWN]),
    delay_ms=st.sampled_from([5, 60, 250, 1_700, 4_000, 16_000]),
    told_ms=st.sampled_from([0, 0, 300, 2_500]),
    repeats=st.integers(1, 2),
    is_update_first=st.booleans(),
    is_told_apart=st.booleans(),
)
lost = st.builds(
    Reply,
    shares=st.sampled_from([(), ("1",), ("0.5",), ("0.3", "0.3")]),
    delay_ms=st.sampled_from([5, 1_700, 4_000]),
    is_lost=st.just(True),
)
replies = told | lost
scripts = st.lists(replies, max_size=3)
moves = st.lists(st.tuples(st.floats(0.1, 4), st.sampled_from([70, 40, 90, -10]), st.floats(-0.02, 0.02)), max_size=4)
STORY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@STORY
@given(st.sampled_from(IntentKind), st.sampled_from(LegOrder), st.sampled_from(Direction), scripts, scripts, moves)
def test_messages_late_doubled_and_out_of_order_change_no_book(
    kind: IntentKind, leg_order: LegOrder, direction: Direction, a: list[Reply], b: list[Reply], wander: Any
) -> None:
    exchange = begun(kind, leg_order, direction, fated(kind, a, b))
    for seconds, bps, drift in wander:
        exchange.run(seconds, cheap(bps * direction.sign) * (1 + drift), 103_000.0 * (1 + drift))
    lived(exchange, cheap(70 * direction.sign if kind is IntentKind.ENTER else 0))
    check_books(exchange, direction)
    check_ended(exchange)
