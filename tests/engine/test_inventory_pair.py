"""What the engine adds for a pair that trades inventory: growth, open notional, and coins as an exposure."""

from __future__ import annotations

import attrs
import pytest

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.ids import PairId, VenueId
from arb.domain.pair import PairKind
from arb.engine import Engine
from arb.engine.view import leg_rules, net_delta_krw, pair_krw
from tests.engine.exchange import A, D, Exchange, cheap, limits
from tests.engine.inventory_exchange import balances, holding

BTC = PairId("BTC")


def refusal(exchange: Exchange) -> str:
    return exchange.engine.explain()[BTC][0]


def open_krw(exchange: Exchange) -> int:
    engine = exchange.engine
    return int(pair_krw(engine.memory, engine.memory.lanes[BTC], engine.config.pairs[0].pair))


def test_a_loop_grows_until_the_limit_of_its_pair_and_is_traded_back_when_the_market_turns() -> None:
    exchange = holding()
    exchange.run(8, cheap(40))
    position = exchange.engine.memory.ledger.position(BTC)
    assert position is not None
    assert len(exchange.submitted) > 2
    assert 6_000_000 < open_krw(exchange) <= 8_000_000
    assert refusal(exchange) in ("max_pair", "max_total", "min_position", "band")

    exchange.run(8, cheap(-40))

    assert exchange.engine.memory.ledger.totals.realised_krw > 0
    assert exchange.engine.memory.ledger.position(BTC) != position


def test_what_is_open_shrinks_with_the_loop_and_leaves_room_again() -> None:
    exchange = holding()
    exchange.run(3, cheap(40))
    most = open_krw(exchange)
    exchange.run(0.7, cheap(-40))

    assert 0 <= open_krw(exchange) < most


def test_coins_held_are_an_exposure_less_what_offsets_them() -> None:
    exchange = holding(offset_coin=0.04)
    exchange.books(cheap(0))

    assert float(net_delta_krw(exchange.engine.memory, exchange.engine.config)) == pytest.approx(0.06 * cheap(0))


def test_a_loop_against_a_contract_moves_no_delta() -> None:
    exchange = holding()
    exchange.run(3, cheap(40))
    delta = net_delta_krw(exchange.engine.memory, exchange.engine.config)

    assert exchange.engine.memory.ledger.position(BTC) is not None
    assert abs(delta) < 1_000


def test_coins_beyond_the_limit_of_the_net_delta_open_nothing() -> None:
    exchange = holding(offset_coin=0.0)
    exchange.run(2, cheap(40))

    assert not exchange.submitted
    assert refusal(exchange) == "max_net_delta"


def test_a_fee_in_bnb_takes_coins_where_too_little_bnb_is_held() -> None:
    exchange = holding()
    exchange.books(cheap(0))
    config, item = exchange.engine.config, exchange.engine.config.pairs[0]
    spot = attrs.evolve(exchange.engine.memory.market.instruments[A], id=A)
    exchange.engine.memory.market.instruments[item.pair.b] = attrs.evolve(spot, id=item.pair.b)
    fees = {
        VenueId("binance_usdm"): FeeSchedule(maker_rate=D("0.001"), taker_rate=D("0.00075"), fee_asset=FeeAsset.BNB)
    }
    config = attrs.evolve(config, fees=config.fees | fees)

    assert leg_rules(exchange.engine.memory, config, item.pair, "b").received_fee_rate == D("0.00075")


def test_usdt_that_a_spot_trade_would_bring_counts_in_the_fx_exposure() -> None:
    exchange = holding()
    item = exchange.engine.config.pairs[0]
    pair = attrs.evolve(item, pair=attrs.evolve(item.pair, kind=PairKind.SPOT_SPOT))
    exchange.engine = Engine(
        attrs.evolve(exchange.engine.config, pairs=(pair,), risk=limits(max_fx_exposure_usdt=D(100)))
    )
    exchange.coins = D("0.1")
    exchange.start()
    balances(exchange, "upbit", KRW="10000000", BTC="0.1")
    balances(exchange, "binance_usdm", USDT="8000")
    exchange.run(2, cheap(60))

    assert not exchange.submitted
    assert refusal(exchange) == "max_fx_exposure"
