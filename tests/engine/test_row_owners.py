"""Every execution is written with the position that it is booked on, however late it comes."""

from __future__ import annotations

from decimal import Decimal

from arb.domain.effects import Record, Table
from arb.domain.events import FillSeen, PositionSeen
from arb.domain.ids import VenueOrderId
from arb.domain.order import OrderState
from arb.engine.watching import UNTOLD
from tests.engine.exchange import FULL, A, Reply, cheap, contract, fresh

NONE = Reply(shares=(), state=OrderState.CANCELED)
SILENT = Reply(shares=(), state=OrderState.UNKNOWN)


def test_a_fill_after_everything_had_ended_is_a_row_of_the_position_that_undoes_it() -> None:
    exchange = fresh(lambda _, number: SILENT if number == 1 else NONE)
    exchange.run(1, cheap(70))
    first = exchange.submitted[0]
    exchange.run(20, cheap(0))
    exchange.rule = lambda _request, _number: FULL
    late = exchange._fill(first, first.qty or Decimal(0), "late", exchange.now_ns, VenueOrderId("late"))
    exchange.trade(late)
    exchange.put(FillSeen(at_ns=exchange.now_ns, fill=late))
    exchange.account(A)
    exchange.run(2, cheap(0))

    records = [effect for step in exchange.effects for effect in step if isinstance(effect, Record)]
    owners = {str(row["position"]) for row in exchange.rows(Table.FILLS)}

    assert len(owners) == 1
    assert owners == {record.id for record in records if record.table is Table.POSITIONS}


def test_what_a_venue_took_without_telling_is_a_row_too_under_a_name_that_says_so() -> None:
    exchange = fresh(lambda _request, _number: FULL)
    exchange.run(2, cheap(70))
    exchange.contracts += Decimal("0.006")
    exchange.now_ns += 1
    exchange.put(PositionSeen(at_ns=exchange.now_ns, position=contract(exchange.contracts)))
    exchange.run(20, cheap(0))

    assumed = [row for row in exchange.rows(Table.FILLS) if str(row["trade_id"]).startswith(UNTOLD)]
    moved = [
        (1 if row["side"] == "buy" else -1) * row["qty"] for row in exchange.rows(Table.FILLS) if row["leg"] == "b"
    ]

    assert [(row["qty"], row["side"], row["fee"]) for row in assumed] == [(Decimal("0.006"), "buy", Decimal(0))]
    assert sum(moved) == exchange.contracts == 0
