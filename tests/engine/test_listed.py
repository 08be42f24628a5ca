"""Executions as venues list them with an account: by the number of an order, again and again, whoever ordered them."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from arb.domain.effects import Alert, Table
from arb.domain.events import FillSeen, OrderUpdated
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, PairId, TradeId, VenueOrderId
from arb.domain.order import Fill, Liquidity, OrderState, OrderUpdate, Side
from arb.risk.trading_state import Cause
from arb.state import orders as order_memory
from tests.engine.exchange import WALL_NS, A, B, Exchange, Reply, cheap
from tests.engine.test_incidents import entered, net, scripted

D = Decimal
SECOND = 1_000_000_000


def listed(
    exchange: Exchange, trade: str, number: str, *, name: ClientOrderId | None = None, venue_ns: int | None = None
) -> Fill:
    """An execution of the contract in the venue's list."""
    return Fill(
        instrument=B, trade_id=TradeId(trade), client_order_id=name, venue_order_id=VenueOrderId(number),
        side=Side.BUY, qty=D("0.002"), price=D(103_500), fee=Fee(D("0.1"), AssetId("USDT")),
        liquidity=Liquidity.TAKER, received_ns=exchange.now_ns, venue_ns=venue_ns,
    )  # fmt: skip


def tell(exchange: Exchange, fill: Fill) -> None:
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=fill))


def is_foreign(exchange: Exchange) -> bool:
    return exchange.engine.memory.causes.has(Cause.EXTERNAL_HANDS, "BTC")


def test_executions_of_our_orders_that_are_listed_by_number_are_known_already() -> None:
    exchange = entered(scripted())
    before = exchange.rows(Table.FILLS)
    for fill in exchange.executions:
        tell(exchange, attrs.evolve(fill, client_order_id=None))
    exchange.run(10, cheap(70))

    assert len(before) == 2
    assert exchange.rows(Table.FILLS) == before
    assert not is_foreign(exchange)


def test_an_execution_listed_before_the_order_has_a_number_waits_for_it() -> None:
    exchange = entered(scripted(Reply(delay_ms=8_000)), seconds=1)
    (request,) = exchange.submitted
    fill = attrs.evolve(listed(exchange, "t1-0", "v1"), instrument=A, qty=request.qty or D(0), price=D(148_000_000))
    tell(exchange, fill)
    exchange.run(6.5, cheap(70))
    assert list(exchange.engine.memory.orphans) == [fill]

    update = OrderUpdate(
        client_order_id=request.client_order_id, instrument=A, state=OrderState.FILLED, filled_qty=request.qty,
        venue_order_id=VenueOrderId("v1"), received_ns=exchange.now_ns,
    )  # fmt: skip
    exchange.put(OrderUpdated(at_ns=exchange.now_ns, update=update))

    assert not exchange.engine.memory.orphans
    assert [row["trade_id"] for row in exchange.rows(Table.FILLS)] == ["t1-0"]
    assert not is_foreign(exchange)


@pytest.mark.parametrize("name", [ClientOrderId("somebody"), None])
def test_an_execution_of_somebody_else_is_told_once_however_often_it_is_listed(name: ClientOrderId | None) -> None:
    exchange = entered(scripted())
    for _ in range(3):
        tell(exchange, listed(exchange, "x1", "999", name=name))
        exchange.run(6, cheap(70))
    assert is_foreign(exchange)

    exchange.engine.memory.causes.lift(Cause.EXTERNAL_HANDS)
    tell(exchange, listed(exchange, "x1", "999", name=name))
    exchange.run(10, cheap(70))

    assert not is_foreign(exchange)
    told = [effect for step in exchange.effects for effect in step if isinstance(effect, Alert)]
    assert [alert.key for alert in told].count("external/BTC") == 1


def test_what_the_venue_did_while_nobody_listened_is_booked_as_it_was_listed() -> None:
    exchange = entered(scripted())
    fill = listed(exchange, "x1", "999", name=ClientOrderId("adl_autoclose"))
    exchange.trade(fill)
    exchange.now_ns += 1
    tell(exchange, fill)
    exchange.account(B)
    exchange.run(15, cheap(70))

    rows = {row["trade_id"]: row for row in exchange.rows(Table.FILLS)}
    assert (rows["x1"]["qty"], rows["x1"]["price"], rows["x1"]["fee"]) == (fill.qty, fill.price, D("0.1"))
    assert not [trade for trade in rows if str(trade).startswith("watch-")]
    assert net(exchange) == 0
    assert exchange.contracts == exchange.engine.memory.ledger.positions[PairId("BTC")].b.net_qty


def test_what_is_listed_before_the_position_knows_of_it_waits_for_the_position() -> None:
    exchange = entered(scripted())
    fills = [listed(exchange, f"x{n}", f"99{n}", name=ClientOrderId("autoclose-7")) for n in (1, 2)]
    exchange.now_ns += 1
    for fill in fills:
        tell(exchange, fill)
    exchange.trade(fills[0])
    exchange.account(B)
    exchange.run(10, cheap(70))
    exchange.trade(fills[1])
    exchange.now_ns += 1
    exchange.account(B)
    exchange.run(10, cheap(70))

    rows = [row["trade_id"] for row in exchange.rows(Table.FILLS) if not str(row["trade_id"]).startswith("t")]
    assert rows == ["x1", "x2"]
    assert net(exchange) == 0


@pytest.mark.parametrize(("late_s", "is_strange"), [(-1, False), (1, True)])
def test_whose_an_execution_is_that_is_older_than_the_memory_of_orders_nobody_asks(
    monkeypatch: pytest.MonkeyPatch, late_s: int, is_strange: bool
) -> None:
    monkeypatch.setattr(order_memory, "KEEP_FINISHED", 0)
    exchange = entered(scripted())
    exchange.run(15, cheap(0))
    forgotten_ns = exchange.engine.memory.orders.forgotten_ns
    assert forgotten_ns is not None
    at_ns = exchange.engine.memory.market.wall_ns(forgotten_ns) + late_s * SECOND
    assert at_ns > WALL_NS
    tell(exchange, listed(exchange, "old", "17", venue_ns=at_ns))
    exchange.run(10, cheap(0))

    assert is_foreign(exchange) is is_strange
