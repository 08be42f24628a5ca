"""Parameters of inventory; values come from `[strategy.inventory]` and `params.*` of a pair.

Units: in each field's name; coins in base units, bps of what the bought leg costs.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from arb.domain.params import param


@attrs.frozen(kw_only=True)
class InventoryParams:
    """What a trade must bring, and where the balances of the pair should stand (engine.md, inventory)."""

    trades_inventory: ClassVar[bool] = True
    """Whether it adds to what is open and the coins held are its business."""
    min_profit_bps: float = param("bps", 0, 1_000)
    """Of each trade, after both fees, the FX fee and `rebalance_bps`."""
    rebalance_bps: float = param("bps", 0, 500)
    """What bringing the balances back costs a trade, on average."""
    skew_bps: float = param("bps", 0, 1_000)
    """Asked on top where a trade drives a balance from its target, at the edge of the band."""
    relief_bps: float = param("bps", 0, 1_000)
    """Forgiven where a trade brings A's coins back, at the edge of the band."""
    relief_floor_bps: float = param("bps", 0, 500)
    """The required net never falls below minus this."""
    cooldown_s: float = param("s", 0, 86_400)
    """Between two trades of the pair."""
    target_krw_a: float = param("KRW", 0, 1e12)
    band_krw_a: float = param("KRW", 1, 1e12)
    target_coin_a: float = param("coins", 0, 1e12)
    band_coin_a: float = param("coins", 1e-9, 1e12)
    target_usdt_b: float = param("USDT", 0, 1e10)
    band_usdt_b: float = param("USDT", 1e-3, 1e10)
    target_coin_b: float = param("coins", 0, 1e12)
    """Of a spot B; a contract has no coins to hold: not read there."""
    band_coin_b: float = param("coins", 1e-9, 1e12)
    offset_coin: float = param("coins", 0, 1e12)
    """Coins sold short elsewhere against the ones held: that much of them is no exposure."""
    transfer_fee_coin: float = param("coins", 0, 1e9)
    """What a withdrawal of the coin costs; a venue that tells its fee is not asked here."""
    transfer_fee_usdt: float = param("USDT", 0, 1e6)
