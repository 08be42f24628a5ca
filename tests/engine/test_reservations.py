"""Whatever is planned is reserved: at the worst, no entry takes a venue beyond its reserve or a limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arb.domain.effects import Effect, Submit
from arb.domain.ids import AssetId, PairId, VenueId
from arb.domain.order import OrderRequest, OrderState, Purpose, Side
from arb.engine import Engine, EngineConfig
from arb.engine.view import reserved_on, spendable
from arb.execution.params import LegOrder
from arb.risk.trading_state import TradingState
from tests.engine.exchange import A, B, Exchange, Reply, cheap, config, limits

D = Decimal
BTC = AssetId("BTC")
NAMES = ("BTC", "ALSO", "THIRD")
FEE = D("1.0005")
RESERVE_KRW, TOTAL_KRW, EXPOSURE_USDT = D(1_000_000), D(4_500_000), D(2_900)


def several_pairs(leg_order: LegOrder) -> EngineConfig:
    """The same two instruments under three names, so that everything is shared."""
    told = config(leg_order, cooldown_s=0.0)
    (item,) = told.pairs
    pairs = tuple(attrs.evolve(item, pair=attrs.evolve(item.pair, id=PairId(name))) for name in NAMES)
    tight = limits(
        min_krw_reserve=RESERVE_KRW, max_total_krw=TOTAL_KRW, max_pair_krw=D(8_000_000),
        max_fx_exposure_usdt=EXPOSURE_USDT, max_net_delta_krw=D(10_000_000),
        max_incidents_per_hour=1_000, max_orders_per_min=10_000,
    )  # fmt: skip
    return attrs.evolve(told, pairs=pairs, risk=tight)


def within_limits(exchange: Exchange, effects: tuple[Effect, ...], _before: TradingState) -> None:
    """When an entry leaves: all that is on its way fills at its limit, as the venues themselves would count it."""
    sent = [item.request for effect in effects if isinstance(effect, Submit) for item in effect.orders]
    if not any(request.purpose is Purpose.ENTRY for request in sent):
        return
    buys = [r for r in (*exchange.pending.values(), *sent) if r.instrument == A and r.side is Side.BUY]
    locked_krw = sum((worth(request) * FEE for request in buys), D(0))
    assert exchange.krw - locked_krw >= RESERVE_KRW
    held_krw = exchange.coins * D(str(cheap(70))) + sum((worth(request) for request in buys), D(0))
    assert held_krw <= TOTAL_KRW * D("1.01")
    coins = exchange.coins + sum((request.qty or D(0) for request in buys), D(0))
    assert coins * 103_000 <= EXPOSURE_USDT * D("1.01")


def worth(request: OrderRequest) -> Decimal:
    """At its limit."""
    return (request.qty or D(0)) * (request.price or D(0))


replies = st.builds(
    Reply,
    shares=st.sampled_from([(), ("1",), ("0.5",), ("0.5", "0.5")]),
    state=st.sampled_from([None, None, OrderState.UNKNOWN]),
    delay_ms=st.sampled_from([5, 250, 1_700]),
    told_ms=st.sampled_from([0, 0, 2_500]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(replies, max_size=8), st.sampled_from(LegOrder), st.sampled_from([0, 700, 4_000]))
def test_at_the_worst_no_entry_goes_beyond_a_reserve_or_a_limit(
    script: list[Reply], leg_order: LegOrder, account_delay_ms: int
) -> None:
    def rule(_request: OrderRequest, number: int) -> Reply:
        return script[number - 1] if number <= len(script) else Reply()

    exchange = Exchange(Engine(several_pairs(leg_order)), rule, account_delay_ms=account_delay_ms)
    exchange.krw = D(4_200_000)
    exchange.start()
    exchange.observer = within_limits
    exchange.run(4, cheap(70))
    exchange.run(2, cheap(0))
    exchange.run(6, cheap(70))
    assert exchange.submitted


def started(**values: Any) -> Exchange:
    """Three pairs, nothing planned, answers late."""
    exchange = Exchange(
        Engine(several_pairs(LegOrder.UNCERTAIN_FIRST)), lambda _request, _number: Reply(delay_ms=900), **values
    )
    exchange.start()
    return exchange


def test_the_second_leg_of_an_entry_is_reserved_before_it_leaves_and_freed_when_it_has_traded() -> None:
    exchange = started()
    engine = exchange.engine
    assert reserved_on(engine.memory, engine.config, VenueId("binance_usdm"), BTC).quote == 0
    exchange.run(0.2, cheap(70))
    planned = reserved_on(engine.memory, engine.config, VenueId("binance_usdm"), BTC).quote
    assert planned > 600
    assert {request.instrument for request in exchange.submitted} == {A}
    exchange.run(1, cheap(70))
    assert B in {request.instrument for request in exchange.submitted}
    sent = reserved_on(engine.memory, engine.config, VenueId("binance_usdm"), BTC).quote
    assert abs(sent - planned) < planned * D("0.02")
    exchange.run(3, cheap(70))
    assert reserved_on(engine.memory, engine.config, VenueId("binance_usdm"), BTC).quote == 0


def test_money_that_executions_took_is_not_spent_again_before_the_venue_has_told_its_balance() -> None:
    exchange = started(account_delay_ms=60_000)
    before = spendable(exchange.engine.memory, exchange.engine.config, VenueId("upbit"), AssetId("KRW"))
    exchange.run(4, cheap(70))
    bought = exchange.coins
    assert bought
    after = spendable(exchange.engine.memory, exchange.engine.config, VenueId("upbit"), AssetId("KRW"))
    assert after == exchange.krw < before
    margin = spendable(exchange.engine.memory, exchange.engine.config, VenueId("binance_usdm"), AssetId("USDT"))
    assert margin < 15_000 - bought * 103_000 / 2 + 1


def test_pairs_that_trade_one_coin_share_the_limit_of_one_pair() -> None:
    told = several_pairs(LegOrder.UNCERTAIN_FIRST)
    shared = attrs.evolve(told, risk=attrs.evolve(told.risk, max_pair_krw=D(2_500_000)))
    exchange = Exchange(Engine(shared), lambda _request, _number: Reply())
    exchange.start()
    exchange.run(4, cheap(70))
    assert len(exchange.engine.open_positions()) == 2
    assert exchange.coins * D(str(cheap(70))) <= 2_500_000


def test_an_unknown_order_keeps_what_it_may_still_take() -> None:
    exchange = Exchange(
        Engine(several_pairs(LegOrder.UNCERTAIN_FIRST)),
        lambda _request, _number: Reply(shares=(), state=OrderState.UNKNOWN),
    )
    exchange.start()
    exchange.run(3, cheap(70))
    engine = exchange.engine
    (first, *_) = exchange.submitted
    kept = reserved_on(engine.memory, engine.config, VenueId("upbit"), BTC).quote
    assert kept >= worth(first)
    exchange.run(20, cheap(0))
    assert reserved_on(engine.memory, engine.config, VenueId("upbit"), BTC).quote == 0
