"""Two-leg orders that do not go as planned (I5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.effects import Alert, Effect, Submit, Table
from arb.domain.events import Command, CommandKind, FillSeen, PositionSeen
from arb.domain.ids import PairId, VenueOrderId
from arb.domain.intent import IntentKind
from arb.domain.order import OrderRequest, OrderState, Purpose, Side
from arb.engine import Engine, thaw
from arb.execution.legs import LegState
from arb.execution.params import LegOrder
from arb.risk.trading_state import ALLOWED, TradingState
from arb.state.ledger import Residual
from arb.storage.codec import decode_value, encode_value
from tests.engine.exchange import FULL, A, B, Exchange, Reply, Rule, cheap, config, contract, fresh

D = Decimal
NONE = Reply(shares=(), state=OrderState.CANCELED)
REJECTED = Reply(shares=(), state=OrderState.REJECTED)
SILENT = Reply(shares=(), state=OrderState.UNKNOWN)


def scripted(*replies: Reply, then: Reply = FULL) -> Rule:
    """The replies to the first orders, then always the same."""
    return lambda _request, number: replies[number - 1] if number <= len(replies) else then


def states(exchange: Exchange) -> list[LegState]:
    """States of all two-leg orders, oldest first."""
    return [legs.state for legs in exchange.engine.memory.legs.values()]


def entered(rule: Rule, seconds: float = 2, order: LegOrder = LegOrder.UNCERTAIN_FIRST) -> Exchange:
    """An exchange on which an entry was tried."""
    exchange = fresh(rule, order)
    exchange.run(seconds, cheap(70))
    return exchange


def net(exchange: Exchange) -> Decimal:
    """What both venues hold together."""
    return exchange.coins + exchange.contracts


def test_a_first_leg_that_fills_nothing_leaves_nothing() -> None:
    exchange = entered(scripted(NONE, then=NONE), 1)
    assert states(exchange)[0] is LegState.COMPLETED
    assert {r.instrument for r in exchange.submitted} == {A}
    assert not exchange.engine.open_positions()
    assert not exchange.rows(Table.POSITIONS)


def test_a_rejected_first_leg_leaves_nothing() -> None:
    exchange = entered(scripted(REJECTED, then=REJECTED), 1)
    assert states(exchange)[0] is LegState.COMPLETED
    assert net(exchange) == 0


def test_the_second_leg_follows_each_fill_of_the_first() -> None:
    exchange = entered(scripted(Reply(shares=("0.5", "0.5"))))
    assert [r.instrument for r in exchange.submitted] == [A, B, B]
    assert sum(r.qty or D(0) for r in exchange.submitted[1:]) == exchange.coins.quantize(D("0.001"))
    assert abs(net(exchange)) < D("0.001")


def test_a_partly_filled_first_leg_is_hedged_for_what_arrived() -> None:
    exchange = entered(scripted(Reply(shares=("0.6",))))
    assert abs(net(exchange)) < D("0.001")
    assert len(exchange.engine.open_positions()) == 1
    assert exchange.engine.is_settled()


def test_a_second_leg_that_misses_is_completed_within_the_caps() -> None:
    exchange = entered(scripted(FULL, NONE))
    assert [r.purpose for r in exchange.submitted] == [Purpose.ENTRY, Purpose.HEDGE, Purpose.HEDGE]
    assert states(exchange) == [LegState.COMPLETED]
    (incident,) = exchange.rows(Table.INCIDENTS)
    assert incident["resolution"] == "completed"
    assert net(exchange) == 0


def test_a_second_leg_that_never_fills_is_reversed_when_completing_is_not_worth_it() -> None:
    exchange = fresh(scripted(FULL, attrs.evolve(NONE, delay_ms=400)))
    exchange.run(0.3, cheap(70))
    exchange.run(1, cheap(5))
    assert Purpose.REVERSE in [r.purpose for r in exchange.submitted]
    assert states(exchange)[0] is LegState.UNWOUND
    assert exchange.rows(Table.POSITIONS)[0]["exit_reason"] == "unwound"
    assert net(exchange) == 0


def test_what_stays_naked_is_escalated_paged_and_still_worked() -> None:
    rule = scripted(FULL, then=NONE)
    exchange = entered(rule, 8)
    assert LegState.ESCALATED in states(exchange)
    alerts = [e for step in exchange.effects for e in step if isinstance(e, Alert)]
    assert any(alert.key.startswith("escalated/") for alert in alerts)
    exchange.rule = scripted(then=FULL)
    exchange.run(12, cheap(70))
    assert states(exchange)[0] in (LegState.UNWOUND, LegState.COMPLETED)
    assert abs(net(exchange)) < D("0.001")


def test_a_silent_order_is_asked_after_and_never_sent_again() -> None:
    exchange = entered(scripted(SILENT, then=SILENT), 3)
    assert len(exchange.submitted) == 1
    assert exchange.queries
    assert states(exchange) == [LegState.UNKNOWN]
    exchange.run(20, cheap(70))
    assert states(exchange)[0] is LegState.COMPLETED
    assert net(exchange) == 0


def test_a_second_leg_of_unknown_fate_that_did_fill_completes() -> None:
    exchange = entered(scripted(FULL, Reply(shares=("1",), state=OrderState.UNKNOWN)), 3)
    assert states(exchange)[0] is LegState.COMPLETED
    assert net(exchange) == 0


def test_a_position_cut_by_the_venue_is_balanced_at_once() -> None:
    exchange = entered(scripted())
    (position,) = exchange.engine.open_positions()
    exchange.contracts += D("0.005")
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(4, cheap(70))
    assert exchange.submitted[-1].purpose is Purpose.REVERSE
    assert exchange.submitted[-1].qty == D("0.005")
    assert net(exchange) == 0
    assert exchange.engine.open_positions()[0].id == position.id


def test_flatten_closes_and_drain_settles() -> None:
    exchange = entered(scripted())
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.FLATTEN, operator="me"))
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.DRAIN, operator="me"))
    exchange.run(1, cheap(70))
    assert not exchange.engine.open_positions()
    assert exchange.engine.is_settled()
    assert exchange.coins == exchange.contracts == 0


replies = st.builds(
    lambda shares, state, delay: Reply(shares=shares, state=state, delay_ms=delay),
    st.sampled_from([(), ("1",), ("0.5",), ("0.3", "0.3"), ("0.5", "0.5"), ("0.07",)]),
    st.sampled_from([None, None, None, OrderState.UNKNOWN]),
    st.sampled_from([5, 60, 250, 1700]),
)
histories = st.tuples(
    st.lists(replies, max_size=8),
    st.lists(
        st.tuples(st.sampled_from([0, 30, 70, 90, -20]), st.sampled_from(["", *[k.value for k in CommandKind]])),
        max_size=6,
    ),
    st.sampled_from(list(LegOrder)),
)


def reduces_or_belongs(exchange: Exchange, effects: tuple[Effect, ...], before: TradingState) -> None:
    """I6: what leaves is allowed in its state, and outside ACTIVE it shrinks |net| of its pair or closes both legs."""
    memory = exchange.engine.memory
    if memory.causes.state is not before:
        return
    for order in (item for effect in effects if isinstance(effect, Submit) for item in effect.orders):
        request = order.request
        assert request.purpose in ALLOWED[before]
        legs = memory.legs[memory.orders.lines[request.client_order_id].owner]
        is_close = legs.kind is IntentKind.EXIT and request.client_order_id in (legs.orders_a[:1] + legs.orders_b[:1])
        if before is TradingState.ACTIVE or is_close:
            continue
        position = memory.ledger.position(request.pair)
        assert position is not None
        assert request.qty is not None
        assert request.side.sign * position.net_qty < 0
        assert request.qty <= abs(position.net_qty)


def played(history: Any) -> Exchange:
    """A random history: replies, premiums and commands."""
    script, moves, order = history
    exchange = fresh(scripted(*script), order)
    exchange.observer = reduces_or_belongs
    exchange.run(0.5, cheap(70))
    for bps, kind in moves:
        if kind:
            exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind(kind), operator="me"))
        exchange.run(0.8, cheap(bps))
    return exchange


@settings(max_examples=40, deadline=None)
@given(histories)
def test_every_history_ends_balanced_or_with_an_alert(history: Any) -> None:
    exchange = played(history)
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.RESUME, operator="me"))
    exchange.put(Command(at_ns=exchange.now_ns, kind=CommandKind.DRAIN, operator="me"))
    exchange.run(25, cheap(70), step_ms=250)
    alerts = [e for step in exchange.effects for e in step if isinstance(e, Alert)]
    assert all(legs.state.is_end for legs in exchange.engine.memory.legs.values()) or alerts
    assert abs(net(exchange)) < D("0.001") or alerts
    ids = [request.client_order_id for request in exchange.submitted]
    assert len(ids) == len(set(ids))


@settings(max_examples=10, deadline=None)
@given(histories, st.floats(0, 1))
def test_thawed_engines_continue_with_equal_effects(history: Any, share: float) -> None:
    exchange = played(history)
    cut = int(len(exchange.events) * share)
    first = Engine(config(history[2]))
    assert [first.step(event) for event in exchange.events[:cut]] == exchange.effects[:cut]
    frozen = first.freeze()
    stored = decode_value(encode_value(frozen), type(frozen))
    for snapshot in (frozen, stored):
        again = thaw(config(history[2]), snapshot)
        assert [again.step(event) for event in exchange.events[cut:]] == exchange.effects[cut:]


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.FREEZE, CommandKind.DRAIN])
def test_no_entry_leaves_while_paused_frozen_or_draining(kind: CommandKind) -> None:
    exchange = fresh()
    exchange.put(Command(at_ns=exchange.now_ns, kind=kind, operator="me"))
    exchange.run(2, cheap(70))
    assert not exchange.submitted


def sides(orders: list[OrderRequest]) -> list[Side]:
    """Which way orders went."""
    return [order.side for order in orders]


def test_closes_of_the_perpetual_are_reduce_only() -> None:
    exchange = entered(scripted())
    exchange.run(2, cheap(0))
    assert [r.reduce_only for r in exchange.submitted] == [False, False, False, True]
    assert sides(exchange.submitted) == [Side.BUY, Side.SELL, Side.SELL, Side.BUY]


def test_a_fill_after_everything_had_ended_is_undone_as_an_incident() -> None:
    exchange = entered(scripted(SILENT, then=NONE), 1)
    exchange.rule = scripted(then=NONE)
    (first, *_) = exchange.submitted
    exchange.run(20, cheap(0))
    assert states(exchange)[0] is LegState.COMPLETED
    assert exchange.engine.is_settled()
    exchange.rule = scripted(then=FULL)
    late = exchange._fill(first, first.qty or D(0), "late", exchange.now_ns, VenueOrderId("late"))
    exchange.trade(late)
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=late))
    exchange.account(A)
    exchange.run(2, cheap(0))
    assert exchange.submitted[-1].side is Side.SELL
    assert exchange.submitted[-1].qty == first.qty
    assert net(exchange) == 0
    assert not exchange.engine.open_positions()


def test_half_of_the_known_leg_goes_when_the_price_runs_away_from_an_unknown_other() -> None:
    exchange = entered(scripted(FULL, SILENT), 1)
    assert states(exchange) == [LegState.UNKNOWN]
    before, held = len(exchange.submitted), exchange.coins
    exchange.run(1, cheap(70) * 0.995)
    assert len(exchange.submitted) == before
    exchange.run(2, cheap(70) * 0.985)
    (cut,) = exchange.submitted[before:]
    assert (cut.instrument, cut.side, cut.purpose) == (A, Side.SELL, Purpose.REVERSE)
    assert cut.qty == held / 2
    exchange.run(20, cheap(70) * 0.985)
    assert states(exchange)[0].is_end
    assert abs(net(exchange)) < D("0.001")


def test_a_person_is_called_while_the_fate_of_an_order_leaves_the_pair_naked_for_long() -> None:
    exchange = entered(scripted(FULL, SILENT), 7)
    assert states(exchange) == [LegState.UNKNOWN]
    alerts = [e.key for step in exchange.effects for e in step if isinstance(e, Alert)]
    assert any(key.startswith("escalated/") for key in alerts)


def test_what_was_left_over_rides_on_the_next_exit_and_is_no_incident() -> None:
    exchange = fresh(scripted())
    memory = exchange.engine.memory
    left = Residual(pair=PairId("BTC"), leg="a", qty=D("0.00002"), cost=D(2_980), since_ns=exchange.now_ns)
    memory.ledger.residuals["BTC/a"] = left
    exchange.coins = left.qty
    exchange.run(2, cheap(70))
    assert not memory.ledger.residuals
    assert exchange.engine.open_positions()[0].a.net_qty == D("0.01302")
    exchange.run(2, cheap(0))
    assert [r.qty for r in exchange.submitted] == [D("0.013"), D("0.013"), D("0.01302"), D("0.013")]
    assert not exchange.engine.open_positions()
    assert not memory.ledger.residuals
    assert not memory.incident_times
    assert exchange.coins == exchange.contracts == 0


@pytest.mark.parametrize("order", LegOrder)
def test_what_was_left_over_on_the_second_leg_joins_the_next_position_and_leaves_it_where_no_lot_holds_it(
    order: LegOrder,
) -> None:
    exchange = fresh(scripted(), order)
    memory = exchange.engine.memory
    left = Residual(pair=PairId("BTC"), leg="b", qty=D("-0.00002"), cost=D("-2.06"), since_ns=exchange.now_ns)
    memory.ledger.residuals["BTC/b"] = left
    exchange.contracts = left.qty
    exchange.run(2, cheap(70))
    (position,) = exchange.engine.open_positions()
    assert not memory.ledger.residuals
    assert position.b.net_qty == exchange.contracts == D("-0.01302")
    exchange.run(2, cheap(0))
    assert not exchange.engine.open_positions()
    assert memory.ledger.residuals["BTC/b"].qty == exchange.contracts == left.qty
    assert not memory.incident_times


@pytest.mark.parametrize("shares", [(), ("0.001",), ("0.5",)])
def test_an_exit_that_carries_something_along_stays_balanced_when_it_fills_in_part(shares: tuple[str, ...]) -> None:
    exchange = fresh(scripted(FULL, FULL, Reply(shares=shares, state=OrderState.CANCELED)))
    memory = exchange.engine.memory
    left = Residual(pair=PairId("BTC"), leg="a", qty=D("0.00005"), cost=D(7_450), since_ns=exchange.now_ns)
    memory.ledger.residuals["BTC/a"] = left
    exchange.coins = left.qty
    exchange.run(2, cheap(70))
    exchange.run(4, cheap(0))
    assert not exchange.engine.open_positions()
    assert abs(net(exchange)) < D("0.0001")
    assert Purpose.EMERGENCY not in {request.purpose for request in exchange.submitted}
