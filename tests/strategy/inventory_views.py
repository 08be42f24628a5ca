"""Views of a spot–spot XRP pair at the golden prices, and parameters whose bands they lie in."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from arb.domain.costs import FxRates, fx_rates
from arb.domain.fees import FeeAsset
from arb.domain.fx import FxHedge
from arb.domain.ids import AssetId, InstrumentId, PairId
from arb.domain.pair import Direction, Pair, PairKind
from arb.strategy.api import HeldBalances, PairView
from arb.strategy.inventory.params import InventoryParams
from tests import strategies as make

D = Decimal
S = 1_000_000_000
XRP = AssetId("XRP")
A_XRP, B_XRP = InstrumentId("upbit:KRW-XRP"), InstrumentId("binance_spot:XRPUSDT")
XRP_PAIR = PairId("XRP")
MIDDLE = HeldBalances(10_000_000.0, 5_000.0, 8_000.0, 5_000.0)
"""Every balance at its target."""


def inventory_params(**values: Any) -> InventoryParams:
    """Targets at `MIDDLE`; 5 bps wanted, 2 bps for the way back."""
    defaults: dict[str, Any] = {
        "min_profit_bps": 5.0, "rebalance_bps": 2.0, "skew_bps": 20.0, "relief_bps": 15.0, "relief_floor_bps": 6.0,
        "cooldown_s": 2.0, "target_krw_a": 10_000_000.0, "band_krw_a": 9_000_000.0, "target_coin_a": 5_000.0,
        "band_coin_a": 4_000.0, "target_usdt_b": 8_000.0, "band_usdt_b": 7_000.0, "target_coin_b": 5_000.0,
        "band_coin_b": 4_000.0, "offset_coin": 0.0, "transfer_fee_coin": 0.2, "transfer_fee_usdt": 1.0,
    }  # fmt: skip
    return InventoryParams(**(defaults | values))


def fx(mid: float = 1450.5, fee: float = 0.0005) -> FxRates:
    """USDT/KRW one tick wide, as a spot–spot pair exchanges it."""
    return fx_rates(PairKind.SPOT_SPOT, FxHedge.NONE, mid - 0.5, mid + 0.5, fee)


def xrp_pair(**changes: Any) -> Pair:
    """Upbit XRP against Binance spot."""
    values: dict[str, Any] = {
        "id": XRP_PAIR, "a": A_XRP, "b": B_XRP, "kind": PairKind.SPOT_SPOT, "multiplier": D(1),
        "directions": frozenset(Direction), "identity_max_dev": 0.1, "strategy": "inventory",
    }  # fmt: skip
    return Pair(**(values | changes))


def view(
    *, now_ns: int = 100 * S, bid_a: float = 3150.0, ask_b: float = 2.16, books_ns: int | None = None, **changes: Any
) -> PairView:
    """A dear on Upbit by the golden 50.5 bps before the FX fee."""
    at_ns = now_ns if books_ns is None else books_ns
    base = PairView(
        pair=xrp_pair(),
        now_ns=now_ns,
        wall_ns=now_ns,
        a=make.depth(A_XRP, (bid_a, 2_000.0), (bid_a + 1, 2_000.0), at_ns=at_ns),
        b=make.depth(B_XRP, (round(ask_b - 0.0001, 4), 50_000.0), (ask_b, 50_000.0), at_ns=at_ns),
        fx=fx(),
        fx_received_ns=at_ns,
        data_refusal="",
        instrument_a=make.instrument(A_XRP, base=XRP, tick="1"),
        instrument_b=make.instrument(
            B_XRP, base=XRP, quote=make.USDT, tick="0.0001", lot="0.1", min_qty="0.1", min_notional="5"
        ),
        fees_a=make.fees(),
        fees_b=make.fees("0.001", FeeAsset.RECEIVED),
        funding=None,
        held=MIDDLE,
        headroom=make.headroom(notional_krw=2e7),
        rules=make.rules(min_position_krw=D(200_000)),
        position=None,
        is_busy=False,
        is_exit_tradable=True,
        is_fx_hedged=False,
        risk_exit="",
        stop_loss_cap_bps=math.inf,
    )
    return base._replace(**changes)
