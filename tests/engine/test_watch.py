"""The watch over balanced positions: late messages repair nothing, confirmed differences do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.events import BalanceSeen, PositionSeen
from arb.domain.ids import AssetId, VenueId
from arb.domain.order import Balance, Purpose
from tests.engine.exchange import Exchange, cheap, contract, fresh
from tests.engine.test_incidents import entered, net, scripted

D = Decimal


@pytest.mark.parametrize("delay_ms", [3_000, 12_000])
def test_late_balances_and_positions_never_repair_a_good_position(delay_ms: int) -> None:
    exchange = fresh()
    exchange.account_delay_ms = delay_ms
    exchange.run(20, cheap(70))
    exchange.run(delay_ms / 1000 + 10, cheap(0))
    exchange.run(20, cheap(70))
    assert {r.purpose for r in exchange.submitted} == {Purpose.ENTRY, Purpose.EXIT, Purpose.HEDGE}
    assert len(exchange.submitted) == 6
    assert not exchange.engine.memory.incident_times


def old_words(exchange: Exchange) -> None:
    """Messages of before the entry arrive after it."""
    nothing = Balance(AssetId("BTC"), D(0), D(0))
    at_ns = exchange.now_ns
    exchange.put(BalanceSeen(at_ns=at_ns, venue=VenueId("upbit"), balances=(nothing,), is_full=False))
    exchange.put(PositionSeen(at_ns=at_ns, position=contract(D(0))))


def test_an_old_word_is_asked_about_before_anything_is_done() -> None:
    exchange = entered(scripted())
    before = len(exchange.submitted)
    old_words(exchange)
    exchange.run(15, cheap(70))
    assert exchange.readings
    assert len(exchange.submitted) == before
    assert net(exchange) == 0


def test_coins_that_left_without_us_are_missed_after_a_reading_and_the_contract_follows() -> None:
    exchange = entered(scripted())
    exchange.coins -= D("0.005")
    exchange.now_ns += 1
    coins = Balance(AssetId("BTC"), exchange.coins, D(0))
    exchange.put(BalanceSeen(at_ns=exchange.now_ns, venue=VenueId("upbit"), balances=(coins,), is_full=False))
    exchange.run(5, cheap(70))
    assert [query.venue for query in exchange.readings] == ["upbit"]
    assert exchange.submitted[-1].purpose is Purpose.REVERSE
    assert net(exchange) == 0
