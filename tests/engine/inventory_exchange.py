"""The exchange of the engine's tests with an account that holds coins on both venues, spot against spot."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from arb.domain.events import BalanceSeen
from arb.domain.ids import AssetId, VenueId
from arb.domain.order import Balance
from arb.domain.pair import Direction
from arb.engine import Engine, PairConfig
from arb.strategy.inventory.params import InventoryParams
from tests.engine.exchange import Exchange, config, limits

D = Decimal


def coin_params(**values: Any) -> InventoryParams:
    """Targets of 10 M KRW, 0.1 BTC on A and 8,000 USDT on B."""
    defaults: dict[str, Any] = {
        "min_profit_bps": 5.0, "rebalance_bps": 2.0, "skew_bps": 10.0, "relief_bps": 8.0, "relief_floor_bps": 4.0,
        "cooldown_s": 0.5, "target_krw_a": 1e7, "band_krw_a": 9e6, "target_coin_a": 0.1, "band_coin_a": 0.08,
        "target_usdt_b": 8_000.0, "band_usdt_b": 7_000.0, "target_coin_b": 0.1, "band_coin_b": 0.08,
        "offset_coin": 0.1, "transfer_fee_coin": 0.0002, "transfer_fee_usdt": 1.0,
    }  # fmt: skip
    return InventoryParams(**(defaults | values))


def holding(krw: str = "10000000", coins: str = "0.1", usdt: str = "8000", **params: Any) -> Exchange:
    """A spot–perp inventory pair whose A holds coins; nothing has been told of the market yet."""
    plain = config()
    pair = attrs.evolve(plain.pairs[0].pair, directions=frozenset(Direction), strategy="inventory")
    told = attrs.evolve(
        plain,
        pairs=(PairConfig(pair, coin_params(**params)),),
        fx=attrs.evolve(plain.fx, home_usdt=D(usdt)),
        risk=limits(min_usdt_reserve=D(0), min_krw_reserve=D(0), max_pair_krw=D(8_000_000)),
    )
    exchange = Exchange(Engine(told))
    exchange.coins = D(coins)
    exchange.start()
    balances(exchange, "upbit", KRW=krw, BTC=coins)
    balances(exchange, "binance_usdm", USDT=usdt)
    return exchange


def balances(exchange: Exchange, venue: str, **amounts: str) -> None:
    """A venue tells all it holds."""
    told = tuple(Balance(AssetId(asset), D(amount), D(0)) for asset, amount in amounts.items())
    exchange.put(BalanceSeen(at_ns=exchange.now_ns, venue=VenueId(venue), balances=told, is_full=True))
