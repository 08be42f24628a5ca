"""The venues' accounts against our books: what blocks, what does not, and what an operator's word does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.effects import Alert, Table
from arb.domain.events import (
    ArmingSeen,
    Command,
    CommandKind,
    FillSeen,
    PositionSeen,
    Reconciled,
    StorageSeen,
    TransferSeen,
)
from arb.domain.ids import AssetId, ClientOrderId, TradeId, VenueOrderId
from arb.domain.order import OrderState, OrderUpdate, Side
from arb.domain.pair import Direction
from arb.engine import Engine, EngineSnapshot
from arb.execution.legs import LegState
from arb.execution.order_ids import client_order_id
from arb.risk.trading_state import Cause, TradingState
from arb.storage.codec import decode_value, encode_value
from tests.engine.exchange import FULL, MS, SECOND, A, B, Exchange, Reply, cheap, config, contract, fresh
from tests.engine.test_recovery import VENUES, next_run, read, rule_of

D = Decimal
UPBIT, USDM = VENUES
BTC = AssetId("BTC")


def read_all(exchange: Exchange) -> None:
    """Both accounts are read, long enough after whatever happened."""
    exchange.now_ns += 11 * SECOND
    for venue in VENUES:
        read(exchange, venue)


def words(exchange: Exchange) -> list[tuple[str, Decimal]]:
    """What differs, and by how much."""
    return [(item.name, item.difference) for item in exchange.engine.differences()]


def decide(exchange: Exchange, kind: CommandKind) -> None:
    """An operator decides about what differs."""
    exchange.now_ns += MS
    exchange.put(Command(at_ns=exchange.now_ns, kind=kind, operator="me"))


def alerts(exchange: Exchange) -> set[str]:
    """Keys of all alerts so far."""
    return {effect.key for step in exchange.effects for effect in step if isinstance(effect, Alert)}


def state(exchange: Exchange) -> TradingState:
    """What may trade."""
    return exchange.engine.memory.causes.state


def opened() -> Exchange:
    """A position stands."""
    exchange = fresh()
    exchange.run(3, cheap(70))
    assert exchange.engine.open_positions()
    return exchange


def test_books_that_agree_are_reconciled_once_every_venue_was_read() -> None:
    exchange = next_run(opened())
    exchange.now_ns += 3 * SECOND
    read(exchange, UPBIT)
    assert not exchange.engine.is_reconciled()
    read(exchange, USDM)
    assert exchange.engine.is_reconciled()
    assert words(exchange) == []


@pytest.mark.parametrize("qty", ["-0.005", "0.005"])
def test_a_contract_that_nothing_explains_is_a_difference_even_on_a_first_start(qty: str) -> None:
    exchange = fresh()
    exchange.contracts = D(qty)
    read_all(exchange)
    assert words(exchange) == [(B, D(qty))]
    read_all(exchange)
    assert exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS, "BTC")
    assert exchange.engine.memory.lanes[exchange.engine.config.pairs[0].pair.id].blocked
    exchange.run(2, cheap(90))
    assert not exchange.submitted


def test_one_reading_keeps_a_pair_from_opening_and_only_one_begun_later_blocks_it() -> None:
    exchange = fresh()
    exchange.contracts = D("-0.005")
    read_all(exchange)
    exchange.put(attrs.evolve(Reconciled(at_ns=exchange.now_ns + SECOND, venue=USDM), begun_ns=exchange.now_ns - MS))
    assert not exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS, "BTC"), "that one had begun before"
    exchange.run(1, cheap(90))
    assert not exchange.submitted
    exchange.contracts = D(0)
    exchange.readings.clear()
    exchange.run(2.5, cheap(0))
    assert [one.venue for one in exchange.readings if "confirm" in one.reason] == [USDM]
    read(exchange, USDM)
    exchange.run(1, cheap(90))
    assert exchange.submitted, "it was a word on its way"


def test_a_reading_that_took_long_is_compared_as_of_its_beginning() -> None:
    exchange = opened()
    exchange.run(15, cheap(70))
    begun_ns, held, contracts = exchange.now_ns, exchange._balances(), contract(exchange.contracts)
    exchange.run(2, cheap(0))
    assert not exchange.engine.open_positions()
    exchange.run(11, cheap(0))
    for event, venue in ((held, UPBIT), (PositionSeen(at_ns=begun_ns, position=contracts), USDM)):
        exchange.put(event)
        exchange.put(Reconciled(at_ns=exchange.now_ns, venue=venue, begun_ns=begun_ns))
    assert words(exchange) == []
    assert not exchange.engine.is_reconciled(), "it is read again"
    assert not exchange.engine.memory.causes.in_force


@pytest.mark.parametrize(("coins", "is_told"), [("0.01", True), ("-0.01", True), ("0.00001", False)])
def test_coins_beyond_the_venues_minimum_differ_in_either_direction(coins: str, is_told: bool) -> None:
    exchange = next_run(opened())
    exchange.coins += D(coins)
    read_all(exchange)
    assert words(exchange) == ([(BTC, D(coins))] if is_told else [])
    assert exchange.engine.is_reconciled()


def test_coins_of_a_first_start_are_the_opening() -> None:
    exchange = fresh()
    exchange.coins = D("0.5")
    exchange.engine = Engine(config())
    exchange.start()
    read_all(exchange)
    assert words(exchange) == []


def transfers(exchange: Exchange, asset: str = "KRW") -> list[Any]:
    """What was booked as moved, of one asset."""
    return [row["amount"] for row in exchange.rows(Table.TRANSFERS) if row["asset"] == asset]


def test_cash_that_moved_is_told_booked_as_a_transfer_and_blocks_nothing() -> None:
    exchange = opened()
    exchange.krw += D(700_000)
    read_all(exchange)
    assert words(exchange) == []
    assert transfers(exchange) == [], "what explains it may come later"
    exchange.now_ns += 60 * SECOND
    read_all(exchange)
    assert words(exchange) == []
    assert "cash/upbit/KRW" in alerts(exchange)
    assert state(exchange) is TradingState.ACTIVE
    assert transfers(exchange) == [D(700_000)]
    exchange.now_ns += 60 * SECOND
    read_all(exchange)
    assert transfers(exchange) == [D(700_000)]


def test_cash_that_is_explained_later_or_goes_on_moving_is_no_transfer() -> None:
    exchange = opened()
    exchange.krw += D(700_000)
    read_all(exchange)
    exchange.now_ns += 45 * SECOND
    exchange.krw += D(5_000)
    read_all(exchange)
    exchange.now_ns += 45 * SECOND
    read_all(exchange)
    assert transfers(exchange) == [], "it has not stood for long enough"
    told = TransferSeen(at_ns=exchange.now_ns, venue=UPBIT, transfer_id="d1", amount=D(705_000), asset=AssetId("KRW"))
    exchange.put(told)
    exchange.now_ns += 60 * SECOND
    read_all(exchange)
    assert transfers(exchange) == [D(705_000)]
    assert "cash/upbit/KRW" not in alerts(exchange)


def test_unexplained_cash_has_the_venue_read_again_a_minute_later() -> None:
    exchange = opened()
    exchange.krw += D(700_000)
    read_all(exchange)
    exchange.readings.clear()
    exchange.run(58, cheap(70), step_ms=500)
    assert not exchange.readings
    exchange.run(4, cheap(70), step_ms=500)
    assert {one.venue for one in exchange.readings} == {UPBIT}


def test_nothing_in_flight_is_called_a_difference() -> None:
    exchange = fresh()
    exchange.run(0.3, cheap(70))
    assert exchange.engine.open_orders() or exchange.engine.open_positions()
    exchange.coins += D("0.02")
    for venue in VENUES:
        read(exchange, venue)
    assert words(exchange) == []
    assert not exchange.engine.is_reconciled()
    exchange.coins -= D("0.02")
    exchange.run(25, cheap(60), step_ms=500)
    asked = [one.venue for one in exchange.readings if "could not be compared" in one.reason]
    assert set(asked) == set(VENUES), "they are read again once nothing is in flight"
    read_all(exchange)
    assert exchange.engine.is_reconciled()


@pytest.mark.parametrize("is_ours", [True, False])
def test_an_open_order_that_memory_does_not_hold_is_a_difference(is_ours: bool) -> None:
    exchange = next_run(opened())
    exchange.now_ns += 3 * SECOND
    name = client_order_id("a" * 11, 77, 0) if is_ours else ClientOrderId("by-hand")
    update = OrderUpdate(
        client_order_id=name, instrument=A, state=OrderState.OPEN, filled_qty=D(0),
        venue_order_id=VenueOrderId("v9"), received_ns=exchange.now_ns,
    )  # fmt: skip
    exchange.put(exchange._balances())
    exchange.put(Reconciled(at_ns=exchange.now_ns, venue=UPBIT, open_orders=(update,)))
    (found,) = exchange.engine.differences()
    assert found.is_order
    assert ("step 77" in found.words) is is_ours
    decide(exchange, CommandKind.ADOPT)
    assert exchange.engine.differences(), "an order has to be cancelled, not adopted"
    read(exchange, UPBIT)
    assert not exchange.engine.differences()


@pytest.mark.parametrize("kind", [CommandKind.ADOPT, CommandKind.IGNORE])
def test_what_an_operator_decided_is_over_with_the_next_clean_reading_and_outlives_a_restart(kind: CommandKind) -> None:
    exchange = fresh()
    exchange.run(1, cheap(0))
    exchange.contracts = D("-0.005")
    read_all(exchange)
    read_all(exchange)
    decide(exchange, kind)
    assert words(exchange) == []
    assert exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS), "until the venues have been read again"
    assert {one.venue for one in exchange.readings[-2:]} == set(VENUES)
    read_all(exchange)
    assert state(exchange) is TradingState.ACTIVE
    assert not exchange.engine.memory.lanes[exchange.engine.config.pairs[0].pair.id].blocked
    (row,) = exchange.rows(Table.INCIDENTS)
    assert str(row["resolution"]).startswith(kind.value)
    assert not exchange.engine.memory.ledger.residuals
    held = [position.net_qty for position in exchange.engine.open_positions()]
    assert held == ([D("-0.005")] if kind is CommandKind.ADOPT else [])
    after = next_run(exchange)
    read_all(after)
    assert after.engine.is_reconciled()
    assert words(after) == []


def test_a_decision_made_while_the_engine_is_stopped_holds_at_the_next_start() -> None:
    exchange = opened()
    found = next_run(exchange)
    found.contracts = D(0)
    read_all(found)
    assert [name for name, _ in words(found)] == [B]
    decided = next_run(found)
    decide(decided, CommandKind.ADOPT)
    after = next_run(decided)
    read_all(after)
    assert after.engine.is_reconciled()
    assert words(after) == []
    assert not after.submitted
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=True))
    after.run(1, cheap(70))
    assert [order.instrument for order in after.submitted] == [A], "the leg that stands alone is worked"


def test_a_hedge_that_an_operator_traded_by_hand_and_adopted_ends_the_order_that_asked_for_it() -> None:
    refused = Reply((), OrderState.REJECTED)
    exchange = fresh(rule_of((FULL, *(refused,) * 60)))
    exchange.run(8, cheap(70))
    (legs,) = exchange.engine.memory.legs.values()
    assert legs.state is LegState.ESCALATED
    after = next_run(exchange)
    after.contracts = -after.coins
    read_all(after)
    assert words(after) == [(B, -after.coins)]
    decide(after, CommandKind.ADOPT)
    read_all(after)
    assert words(after) == []
    after.put(ArmingSeen(at_ns=after.now_ns, is_armed=True))
    after.run(2, cheap(70))
    assert not after.submitted
    assert after.engine.is_settled()
    (position,) = after.engine.open_positions()
    assert position.net_qty == 0


def test_a_difference_that_the_watch_has_booked_is_over_at_once_and_cannot_be_adopted_again() -> None:
    exchange = opened()
    exchange.run(15, cheap(70))
    exchange.contracts += D("0.003")
    for _ in range(20):
        exchange.now_ns += MS
        read(exchange, USDM)
        exchange.run(0.5, cheap(70))
        if exchange.rows(Table.INCIDENTS):
            break
    assert exchange.rows(Table.INCIDENTS), "the pair is balanced"
    assert words(exchange) == []
    assert "taken from the venue" in exchange.readings[-1].reason
    exchange.run(5, cheap(70))
    decide(exchange, CommandKind.ADOPT)
    (position,) = exchange.engine.open_positions()
    assert (position.a.net_qty, position.b.net_qty) == (exchange.coins, exchange.contracts)


def test_what_was_booked_since_a_difference_was_found_is_not_adopted_a_second_time() -> None:
    exchange = opened()
    after = next_run(exchange)
    after.contracts += D("0.003")
    read_all(after)
    found = after.engine.differences()
    decide(after, CommandKind.ADOPT)
    after.engine.memory.differences = found
    decide(after, CommandKind.ADOPT)
    (position,) = after.engine.open_positions()
    assert position.b.net_qty == after.contracts


def adopted(qty: str) -> Exchange:
    """A contract that nothing explained is ours now; the next run has read its venues."""
    exchange = fresh()
    exchange.run(1, cheap(0))
    exchange.contracts = D(qty)
    read_all(exchange)
    after = next_run(exchange)
    read_all(after)
    decide(after, CommandKind.ADOPT)
    read_all(after)
    assert words(after) == []
    return after


@pytest.mark.parametrize("qty", ["-0.1", "0.005"])
def test_an_adopted_contract_is_open_and_unbalanced_and_worked_off_once_there_is_word_on_arming(qty: str) -> None:
    exchange = adopted(qty)
    assert exchange.engine.has_open()
    assert exchange.engine.unbalanced() == ("BTC",)
    assert not exchange.submitted
    exchange.books(cheap(0))
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=True))
    exchange.run(5, cheap(0))
    assert not exchange.engine.open_positions()
    assert exchange.contracts == 0, "though it is more than any limit lets us open"
    assert exchange.coins == 0


def test_an_adopted_contract_has_the_margin_guard_and_leaves_by_flatten() -> None:
    exchange = adopted("-0.1")
    near = attrs.evolve(contract(exchange.contracts), liquidation_price=D("105000"), mark_price=D("103000"))
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=near))
    assert exchange.engine.memory.causes.has(Cause.LIQUIDATION_NEAR, "BTC")
    assert "liquidation/BTC" in alerts(exchange)
    exchange.books(cheap(0))
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=False, missing=("file",)))
    decide(exchange, CommandKind.FLATTEN)
    exchange.run(5, cheap(0))
    assert exchange.contracts == 0
    assert not exchange.engine.has_open()


@pytest.mark.parametrize("kind", [CommandKind.ADOPT, CommandKind.IGNORE])
@pytest.mark.parametrize("coins", ["0.01", "-0.004"])
def test_coins_can_be_adopted_and_ignored(kind: CommandKind, coins: str) -> None:
    exchange = next_run(opened())
    exchange.coins += D(coins)
    read_all(exchange)
    decide(exchange, kind)
    read_all(exchange)
    assert words(exchange) == []
    assert exchange.engine.is_reconciled()
    (position,) = exchange.engine.open_positions()
    is_in_position = kind is CommandKind.ADOPT and coins.startswith("-")
    assert (position.net_qty < D("-0.003")) is is_in_position


def books_lost(coins: str, contracts: str) -> Exchange:
    """A run whose books know nothing of what the venues hold; both have been read."""
    exchange = fresh()
    exchange.run(1, cheap(0))
    after = next_run(exchange)
    after.coins, after.contracts = D(coins), D(contracts)
    read_all(after)
    assert words(after) == [(BTC, D(coins)), (B, D(contracts))]
    return after


@pytest.mark.parametrize(("coins", "held"), [("0.01", "0.01"), ("0.013", "0.01"), ("0.004", "0.004")])
def test_a_hedged_book_that_is_adopted_stays_hedged_and_coins_beyond_it_are_a_transfer(coins: str, held: str) -> None:
    exchange = books_lost(coins, "-0.01")
    decide(exchange, CommandKind.ADOPT)
    (position,) = exchange.engine.open_positions()
    assert position.direction is Direction.LONG_A
    assert (position.a.net_qty, position.b.net_qty) == (D(held), D("-0.01"))
    assert sum(transfers(exchange, "BTC")) == D(coins) - D(held)
    read_all(exchange)
    assert words(exchange) == []
    assert exchange.engine.unbalanced() == (() if D(held) == D("0.01") else ("BTC",))
    exchange.put(ArmingSeen(at_ns=exchange.now_ns, is_armed=True))
    exchange.run(2, cheap(70))
    assert sum(order.qty or D(0) for order in exchange.submitted if order.side is Side.BUY) <= D("0.01") - D(held)
    if D(held) == D("0.01"):
        assert not exchange.submitted


def test_coins_that_hedge_an_adopted_contract_may_be_adopted_after_it() -> None:
    exchange = fresh()
    exchange.run(1, cheap(0))
    exchange = next_run(exchange)
    exchange.contracts = D("-0.01")
    read_all(exchange)
    decide(exchange, CommandKind.ADOPT)
    exchange.coins = D("0.01")
    read_all(exchange)
    decide(exchange, CommandKind.ADOPT)
    (position,) = exchange.engine.open_positions()
    assert (position.a.net_qty, position.net_qty) == (D("0.01"), D(0))


def test_coins_on_the_same_side_as_an_adopted_contract_hedge_nothing() -> None:
    exchange = books_lost("0.01", "0.01")
    decide(exchange, CommandKind.ADOPT)
    (position,) = exchange.engine.open_positions()
    assert (position.a.net_qty, position.b.net_qty) == (D(0), D("0.01"))
    assert transfers(exchange, "BTC") == [D("0.01")]


@pytest.mark.parametrize("kind", [CommandKind.ADOPT, CommandKind.IGNORE])
def test_what_a_venue_told_before_the_last_execution_is_not_decided_about(kind: CommandKind) -> None:
    exchange = opened()
    exchange.run(15, cheap(70))
    exchange.coins += D("0.01")
    read_all(exchange)
    assert words(exchange) == [(BTC, D("0.01"))]
    exchange.account_delay_ms = 30_000
    exchange.run(4, cheap(0))
    sold = [order for order in exchange.submitted if order.instrument == A and order.side is Side.SELL]
    assert sold
    assert not exchange.engine.open_positions()
    exchange.readings.clear()
    exchange.is_silent = True
    for _ in range(2):
        decide(exchange, kind)
        assert words(exchange) == [(BTC, D("0.01"))], "it is still told, for the next try"
        assert {one.venue for one in exchange.readings} == set(VENUES)
        assert not transfers(exchange, "BTC")
        assert not exchange.engine.memory.foreign_qty
        exchange.run(12, cheap(0))
    read(exchange, UPBIT)
    decide(exchange, kind)
    read_all(exchange)
    assert words(exchange) == []
    assert sum(transfers(exchange, "BTC")) + sum(exchange.engine.memory.foreign_qty.values()) == D("0.01")


@pytest.mark.parametrize("is_late", [False, True])
def test_a_reading_that_a_decision_asked_for_is_asked_for_until_it_has_come(is_late: bool) -> None:
    exchange = fresh()
    exchange.run(1, cheap(0))
    exchange.contracts = D("-0.005")
    read_all(exchange)
    read_all(exchange)
    exchange.is_silent = True
    decide(exchange, CommandKind.IGNORE)
    if is_late:
        begun_ns = exchange.now_ns - MS
        exchange.now_ns += SECOND
        for venue in VENUES:
            exchange.put(Reconciled(at_ns=exchange.now_ns, venue=venue, begun_ns=begun_ns))
    exchange.readings.clear()
    exchange.run(25, cheap(0))
    assert {one.venue for one in exchange.readings} == set(VENUES)
    assert len(exchange.readings) >= 4
    assert exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS)
    read_all(exchange)
    assert not exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS)
    exchange.readings.clear()
    exchange.run(25, cheap(0))
    assert not exchange.readings


def test_a_reading_that_a_resume_asked_for_is_asked_for_until_it_has_come() -> None:
    exchange = fresh()
    read_all(exchange)
    exchange.now_ns += SECOND
    exchange.put(StorageSeen(at_ns=exchange.now_ns, is_low=False, is_full=True, detail="x"))
    exchange.is_silent = True
    decide(exchange, CommandKind.RESUME)
    exchange.readings.clear()
    exchange.run(12, cheap(0))
    assert {one.venue for one in exchange.readings} == set(VENUES)


def test_of_the_executions_of_somebody_else_that_wait_to_be_booked_the_newest_are_kept() -> None:
    exchange = opened()
    fill = attrs.evolve(exchange.executions[-1], client_order_id=ClientOrderId("by-hand"), venue_order_id=None)
    for number in range(1_010):
        exchange.put(FillSeen(at_ns=exchange.now_ns, fill=attrs.evolve(fill, trade_id=TradeId(f"h{number}"))))
    kept = exchange.engine.memory.lanes[exchange.engine.config.pairs[0].pair.id].foreign
    assert [one.trade_id for one in (kept[0], kept[-1])] == ["h10", "h1009"]


def test_a_clean_reading_of_all_venues_lets_resume_clear_what_halts() -> None:
    exchange = fresh()
    exchange.put(StorageSeen(at_ns=exchange.now_ns, is_low=False, is_full=True, detail="x"))
    exchange.now_ns += SECOND
    decide(exchange, CommandKind.RESUME)
    assert state(exchange) is TradingState.HALTED
    read(exchange, UPBIT)
    decide(exchange, CommandKind.RESUME)
    assert state(exchange) is TradingState.HALTED
    read(exchange, USDM)
    decide(exchange, CommandKind.RESUME)
    assert state(exchange) is TradingState.ACTIVE


amounts = st.sampled_from(["0", "0.003", "-0.003", "0.02", "-0.011"])


@settings(max_examples=40, deadline=None)
@given(st.booleans(), amounts, amounts, st.sampled_from(["0", "5000", "-250000.5"]), st.booleans(), st.booleans())
def test_reconciling_twice_changes_nothing(
    has_position: bool, coins: str, contracts: str, krw: str, is_next: bool, is_adopted: bool
) -> None:
    exchange = opened() if has_position else fresh()
    exchange = next_run(exchange) if is_next else exchange
    exchange.coins, exchange.contracts = exchange.coins + D(coins), exchange.contracts + D(contracts)
    exchange.krw += D(krw)
    read_all(exchange)
    exchange.now_ns += 60 * SECOND
    read_all(exchange)
    if is_adopted:
        decide(exchange, CommandKind.ADOPT)
        read_all(exchange)
        assert words(exchange) == []
    once = untimed(exchange)
    for venue in VENUES:
        read(exchange, venue)
    assert untimed(exchange) == once


def untimed(exchange: Exchange) -> Any:
    """All that is remembered, but for when and in which step it was told."""
    memory = decode_value(encode_value(exchange.engine.freeze()), EngineSnapshot).memory
    return attrs.evolve(memory, seq=0, told_seq={}, now_ns=0)
