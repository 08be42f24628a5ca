"""What an operator asks for, and for which pair."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.events import Command, CommandKind
from arb.domain.ids import PairId
from arb.risk.trading_state import Cause, TradingState
from tests.engine.exchange import Exchange, Reply, cheap, fresh

BTC, ETH = PairId("BTC"), PairId("ETH")


def told(exchange: Exchange, kind: CommandKind, pair: PairId | None = None) -> None:
    """An operator's command."""
    exchange.put(Command(at_ns=exchange.now_ns, kind=kind, operator="me", pair=pair))


@pytest.mark.parametrize(("pair", "is_traded"), [(BTC, False), (ETH, True), (None, False)])
def test_a_pause_of_one_pair_holds_that_pair_and_no_other(pair: PairId | None, is_traded: bool) -> None:
    exchange = fresh()

    told(exchange, CommandKind.PAUSE, pair)
    exchange.run(2, cheap(70))

    assert bool(exchange.submitted) is is_traded
    assert exchange.engine.memory.causes.state is (TradingState.REDUCING if pair is None else TradingState.ACTIVE)


def test_resuming_one_pair_leaves_every_other_cause_in_force() -> None:
    exchange = fresh()
    told(exchange, CommandKind.PAUSE, BTC)
    told(exchange, CommandKind.PAUSE, ETH)
    told(exchange, CommandKind.PAUSE)

    told(exchange, CommandKind.RESUME, BTC)

    assert [item.detail for item in exchange.engine.memory.causes.in_force] == [ETH, ""]


def test_flatten_closes_what_an_entry_in_flight_becomes() -> None:
    exchange = fresh(lambda _request, _number: Reply(delay_ms=900))
    exchange.run(0.5, cheap(70))
    assert exchange.submitted
    assert exchange.coins == 0

    told(exchange, CommandKind.FLATTEN)
    exchange.run(30, cheap(70))

    assert not exchange.engine.open_positions()
    assert (exchange.coins, exchange.contracts) == (Decimal(0), Decimal(0))
    assert exchange.engine.memory.causes.has(Cause.FLATTEN, "")


def test_resume_takes_the_wish_to_flatten_back() -> None:
    exchange = fresh()
    exchange.run(2, cheap(70))
    assert exchange.engine.open_positions()

    told(exchange, CommandKind.FLATTEN)
    told(exchange, CommandKind.RESUME)
    exchange.run(15, cheap(70))

    assert exchange.engine.open_positions()
