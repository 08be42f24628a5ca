"""What `arb check` refuses in a configuration that trades balances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arb.cli.engine_config import engine_config
from arb.cli.local_orders import first_balances
from arb.cli.settings import load_settings
from arb.cli.sim import sim_params, traded
from arb.domain.errors import ConfigError
from arb.domain.ids import AssetId, VenueId
from arb.engine import EngineConfig
from arb.storage.codec import decode_value, encode_value
from arb.strategy.inventory.params import InventoryParams
from arb.supervision.clock import AnchoredClock

CONFIG = Path(__file__).parents[2] / "config" / "live.toml"
PARAMS = (
    "target_krw_a=10000000,band_krw_a=9500000,target_coin_a=0.1,band_coin_a=0.08,"
    "target_usdt_b=10000,band_usdt_b=8000,target_coin_b=0.1,band_coin_b=0.08"
)
STRATEGY = (
    "strategy.inventory={min_profit_bps=3,rebalance_bps=1,skew_bps=4,relief_bps=4,relief_floor_bps=2,cooldown_s=1,"
    "offset_coin=0,transfer_fee_coin=0.0002,transfer_fee_usdt=1}"
)


def pair(
    name: str = "COINS",
    b: str = "binance_spot:BTCUSDT",
    ways: str = '"long_a","short_a"',
    kind: str = "spot_spot",
    params: str = PARAMS,
) -> str:
    return (
        f'{{name="{name}",a="upbit:KRW-BTC",b="{b}",kind="{kind}",multiplier=1,directions=[{ways}],'
        f'identity_max_dev=0.1,strategy="inventory",params={{{params}}}}}'
    )


def loaded(*pairs: str, more: tuple[str, ...] = ()) -> Any:
    return load_settings(CONFIG, overrides=[f"pairs=[{','.join(pairs)}]", STRATEGY, *more], environ={}).settings


def fault(*pairs: str, more: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as found:
        loaded(*pairs, more=more)
    return str(found.value)


def test_a_pair_that_trades_inventory_is_legal_and_its_parameters_come_back() -> None:
    config = engine_config(loaded(pair()), 0)

    copy: EngineConfig = decode_value(encode_value(config), EngineConfig)

    assert isinstance(config.pairs[0].params, InventoryParams)
    assert copy == config


def test_both_strategies_stand_in_one_configuration_and_come_back() -> None:
    settings = load_settings(CONFIG, environ={}).settings
    other = engine_config(loaded(pair()), 0).pairs
    config = engine_config(settings, 0)
    both = EngineConfig(
        pairs=(*config.pairs, *other), fx=config.fx, execution=config.execution, risk=config.risk, fees=config.fees,
        day_offset_ns=0, spreads_every_s=1.0,
    )  # fmt: skip

    assert decode_value(encode_value(both), EngineConfig) == both


def test_inventory_needs_both_directions() -> None:
    assert "pairs.COINS.directions: inventory trades both ways" in fault(pair(ways='"long_a"'))


def test_inventory_shares_its_coins_with_no_other_pair() -> None:
    assert "upbit:KRW-BTC is also traded by the pair OTHER" in fault(
        pair(), pair("OTHER", "binance_usdm:BTCUSDT", kind="spot_perp")
    )


def test_every_balance_needs_its_target_and_its_band() -> None:
    assert "'band_usdt_b' is missing" in fault(pair(params=PARAMS.replace("band_usdt_b=8000,", "")))


def test_a_band_that_can_only_run_dry_is_refused() -> None:
    params = PARAMS.replace("band_coin_b=0.08", "band_coin_b=0.2")

    assert "band_coin_b = 0.2 is above target_coin_b" in fault(pair(params=params))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("strategy.inventory={min_profit_bsp=3}", "did you mean 'min_profit_bps'?"),
        ("strategy.inventory={skew_bps=5000}", "outside its range"),
        ("strategy.momentum={}", "there is no strategy 'momentum'"),
    ],
)
def test_a_section_of_a_strategy_that_no_pair_uses_is_checked_all_the_same(section: str, words: str) -> None:
    with pytest.raises(ConfigError, match="strategy") as found:
        load_settings(CONFIG, overrides=[section], environ={})

    assert words in str(found.value)


async def test_a_simulated_account_opens_with_what_it_is_told_to_hold() -> None:
    settings = loaded(pair(), more=('sim.holdings=[{venue="upbit",asset="BTC",amount=0.1}]',))

    params = sim_params(settings, traded(settings), AnchoredClock())
    upbit = next(dict(model.balances) for model in params.world.models if model.venue == "upbit")

    assert str(upbit[AssetId("BTC")]) == "0.1"
    assert upbit[AssetId("KRW")] == 20_000_000


async def test_holdings_at_a_venue_that_nobody_simulates_are_refused() -> None:
    settings = loaded(pair(), more=('sim.holdings=[{venue="kraken",asset="BTC",amount=1}]',))

    with pytest.raises(ConfigError, match="'kraken' is not simulated"):
        sim_params(settings, traded(settings), AnchoredClock())


def test_a_paper_account_may_hold_coins_at_first() -> None:
    held = ('paper.holdings=[{venue="binance_spot",asset="BTC",amount=0.1}]',)
    balances = first_balances(VenueId("binance_spot"), loaded(pair(), more=held).paper)

    assert {(each.asset, str(each.free)) for each in balances} == {("USDT", "15000"), ("BTC", "0.1")}
    assert "paper.holdings: 'kraken' trades no pair" in fault(
        pair(), more=('paper.holdings=[{venue="kraken",asset="BTC",amount=1}]',)
    )
