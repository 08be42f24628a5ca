"""What is looked at at the start and once a day: one asset on both sides, balances within their bands."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from arb.domain.effects import Alert, Publish
from arb.domain.events import RunStarted, VenueCondition, VenueStatus, WalletState
from arb.domain.ids import AssetId, PairId, RunId, VenueId
from arb.engine import Engine
from arb.engine.advising import HOLD, OUTSIDE, TRAVEL_RULE, Advice, advice_of, spoken
from tests.engine.exchange import SECOND, WALL_NS, D, Exchange, cheap, fresh
from tests.engine.inventory_exchange import balances, holding

BTC = PairId("BTC")


def alerts(exchange: Exchange, key: str) -> list[Alert]:
    return [effect for step in exchange.effects for effect in step if isinstance(effect, Alert) and effect.key == key]


def advised(exchange: Exchange) -> tuple[Advice, ...]:
    exchange.books(cheap(0))
    return advice_of(exchange.engine.memory, exchange.engine.config)


def strict(exchange: Exchange, deviation: float) -> Exchange:
    item = exchange.engine.config.pairs[0]
    pair = attrs.evolve(item, pair=attrs.evolve(item.pair, identity_max_dev=deviation))
    exchange.engine = Engine(attrs.evolve(exchange.engine.config, pairs=(pair,)))
    exchange.start()
    return exchange


# --- one asset


def test_a_pair_whose_mids_lie_apart_at_the_start_is_disabled_by_name_though_they_meet_later() -> None:
    exchange = strict(fresh(), 0.009)
    exchange.run(1, cheap(100))
    exchange.run(5, cheap(70))

    assert len(alerts(exchange, "identity/BTC")) == 1
    assert exchange.engine.explain()[BTC][0] == "identity"
    assert not exchange.submitted


def test_the_next_start_looks_again() -> None:
    exchange = strict(fresh(), 0.009)
    exchange.run(1, cheap(100))
    lane = exchange.engine.memory.lanes[BTC]
    assert lane.is_other_asset
    exchange.put(RunStarted(at_ns=exchange.now_ns, wall_ns=WALL_NS, run_id=RunId("next"), build="b", parameters="{}"))
    exchange.run(2, cheap(70))

    assert not lane.is_other_asset


def test_a_pair_that_was_one_asset_is_looked_at_again_the_next_day() -> None:
    exchange = strict(fresh(), 0.009)
    exchange.run(1, cheap(0))
    lane = exchange.engine.memory.lanes[BTC]
    first = lane.identity_checked
    exchange.now_ns += 86_400 * SECOND
    exchange.funding()
    exchange.run(1, cheap(100))

    assert lane.identity_checked != first
    assert lane.is_other_asset


# --- balances


def test_balances_inside_their_bands_need_no_advice() -> None:
    assert advised(holding()) == ()


@pytest.mark.parametrize(
    ("krw", "coins", "usdt", "expected"),
    [
        ("10000000", "0.19", "8000", ("BTC", "0.09", "upbit", OUTSIDE)),
        ("10000000", "0.01", "8000", ("BTC", "0.09", OUTSIDE, "upbit")),
        ("15000000", "0.1", "500", ("USDT", "7500", "upbit", "binance_usdm")),
        ("5000000", "0.1", "500", ("USDT", "7500", OUTSIDE, "binance_usdm")),
        ("9000000", "0.1", "16000", ("USDT", "8000", "binance_usdm", "upbit")),
        ("500000", "0.1", "7000", ("KRW", "9500000", OUTSIDE, "upbit")),
    ],
)
def test_what_is_beyond_its_band_is_moved_to_its_target(
    krw: str, coins: str, usdt: str, expected: tuple[str, str, str, str]
) -> None:
    (found,) = advised(holding(krw, coins, usdt))

    assert (found.asset, found.amount, found.source, found.target) == (
        expected[0], D(expected[1]), expected[2], expected[3],
    )  # fmt: skip


def test_the_cost_is_the_exchange_and_the_fee_and_is_counted_in_trades() -> None:
    (found,) = advised(holding("15000000", "0.1", "500"))

    exchange_krw = D(7500) * (D("0.5") + D("1450.5") * 5 / 10_000)
    assert found.cost_krw == (exchange_krw + D("1450.5")).quantize(D(1))
    assert found.trades_to_pay == 11  # 10,640 KRW; 5 bps of 2 M are 1,000
    assert "USDT on B: 500 is below 1000, the edge of its band" in spoken(found)
    assert spoken(found).endswith("paid by 11 trades")


def test_a_person_is_told_of_wallets_holds_and_the_travel_rule() -> None:
    exchange = holding("10000000", "0.19", "8000")
    closed = WalletState(asset=AssetId("BTC"), deposit=True, withdraw=False)
    exchange.put(
        VenueStatus(at_ns=exchange.now_ns, venue=VenueId("upbit"), condition=VenueCondition.UP, wallets=(closed,))
    )
    (found,) = advised(exchange)

    assert "upbit: withdrawals of BTC are closed now" in found.notes
    assert HOLD in found.notes
    assert TRAVEL_RULE in found.notes


def test_convergence_is_told_what_one_more_position_lacks() -> None:
    exchange = fresh()
    balances(exchange, "upbit", KRW="1500000")
    (krw,) = advised(exchange)
    assert (krw.asset, krw.source, krw.target) == ("USDT", "binance_usdm", "upbit")
    assert krw.amount == pytest.approx(D(1_500_000) / D("1450.5"))

    balances(exchange, "upbit", KRW="20000000")
    balances(exchange, "binance_usdm", USDT="2100")
    (usdt,) = advised(exchange)
    assert (usdt.asset, usdt.source, usdt.target) == ("USDT", "upbit", "binance_usdm")

    balances(exchange, "upbit", KRW="1100000")
    assert {found.source for found in advised(exchange)} == {OUTSIDE}


def test_a_pair_is_advised_once_a_day_and_nothing_is_sent() -> None:
    exchange = holding("10000000", "0.19", "8000")
    exchange.run(130, cheap(0), step_ms=1000)
    told = alerts(exchange, "advice/BTC")
    topics = [effect for step in exchange.effects for effect in step
              if isinstance(effect, Publish) and effect.topic == "advice/BTC"]  # fmt: skip

    assert len(told) == len(topics) == 1
    text: Any = dict(told[0].fields)["advice"]
    assert text.startswith("move 0.09 BTC from upbit to outside")
    assert not exchange.submitted

    exchange.now_ns += 86_400 * SECOND
    exchange.funding()
    exchange.run(2, cheap(0), step_ms=1000)

    assert len(alerts(exchange, "advice/BTC")) == 2
