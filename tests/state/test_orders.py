"""Order lines: cumulative, monotone, in whatever order messages come."""

from __future__ import annotations

import itertools
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.ids import ClientOrderId, PairId, TradeId
from arb.domain.order import (
    Fill,
    Liquidity,
    OrderRequest,
    OrderState,
    OrderType,
    OrderUpdate,
    Purpose,
    Side,
    TimeInForce,
)
from arb.state.orders import OrderLine, Orders
from tests.engine.exchange import A

D = Decimal
KEY = ClientOrderId("arb" + "a" * 25)
REQUEST = OrderRequest(
    client_order_id=KEY, instrument=A, side=Side.BUY, order_type=OrderType.LIMIT, qty=D(10), price=D(100),
    time_in_force=TimeInForce.IOC, reduce_only=False, purpose=Purpose.ENTRY, pair=PairId("BTC"), leg="a",
    expected_price=D(100),
)  # fmt: skip


def update(state: OrderState, filled: str | None) -> OrderUpdate:
    return OrderUpdate(
        client_order_id=KEY, instrument=A, state=state, filled_qty=None if filled is None else D(filled), received_ns=0
    )


def execution_of(number: int, qty: str) -> Fill:
    return Fill(
        instrument=A, trade_id=TradeId(str(number)), client_order_id=KEY, venue_order_id=None, side=Side.BUY,
        qty=D(qty),
        price=D(100), fee=None, liquidity=Liquidity.TAKER, received_ns=0, venue_ns=None,
    )  # fmt: skip


HISTORY: list[OrderUpdate | Fill] = [
    update(OrderState.OPEN, "0"), execution_of(1, "3"), update(OrderState.OPEN, "3"), execution_of(2, "4"),
    update(OrderState.CANCELED, "7"),
]  # fmt: skip


def folded(messages: list[OrderUpdate | Fill]) -> tuple[Orders, list[OrderLine]]:
    orders, seen = Orders(), []
    orders.add(REQUEST, "x", 0)
    for message in messages:
        if isinstance(message, Fill):
            orders.fill(message, D(0), 1)
        else:
            orders.update(message, 1)
        seen.append(orders.lines[KEY])
    return orders, seen


@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=5))
def test_any_order_and_any_repetition_come_to_the_same_end(
    messages: list[OrderUpdate | Fill], again: list[OrderUpdate | Fill]
) -> None:
    orders, seen = folded([*messages, *again])
    line = orders.lines[KEY]
    assert (line.state, line.filled_qty, line.fill_cost, line.is_settled) == (OrderState.CANCELED, D(7), D(700), True)
    assert all(earlier.filled_qty <= later.filled_qty for earlier, later in itertools.pairwise(seen))
    assert not orders.unfinished


def test_a_final_order_whose_fills_are_missing_is_not_settled() -> None:
    orders, _ = folded([update(OrderState.FILLED, None)])
    assert orders.lines[KEY].filled_qty == 10
    assert not orders.lines[KEY].is_settled
    assert KEY in orders.unfinished


def test_not_found_is_counted_and_forgotten_when_the_order_shows() -> None:
    orders, seen = folded(
        [update(OrderState.UNKNOWN, None), update(OrderState.NOT_FOUND, None), update(OrderState.NOT_FOUND, None)]
    )
    assert seen[-1].not_found_count == 2
    assert not seen[-1].is_final
    orders.fill(execution_of(1, "3"), D(0), 2)
    assert orders.lines[KEY].state is OrderState.OPEN
    orders.update(update(OrderState.NOT_FOUND, None), 3)
    assert orders.lines[KEY].state is OrderState.OPEN


def test_orders_of_an_unfinished_owner_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arb.state.orders.KEEP_FINISHED", 3)
    orders = Orders()
    for number in range(10):
        key = ClientOrderId(f"o{number}")
        request = attrs.evolve(REQUEST, client_order_id=key)
        owner = "kept" if number < 4 else "ended"
        orders.held["kept"] = None
        orders.add(request, owner, number)
        orders.update(attrs.evolve(update(OrderState.REJECTED, "0"), client_order_id=key), number)
    assert [key for key, line in orders.lines.items() if line.owner == "kept"] == ["o0", "o1", "o2", "o3"]
    assert len(orders.lines) == 4
