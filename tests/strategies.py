"""Generators for the domain; a new value gets one in the same commit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from arb.domain.costs import fx_rates
from arb.domain.depth import Depth, DepthSource
from arb.domain.fees import Fee, FeeAsset, FeeSchedule
from arb.domain.fx import FxHedge
from arb.domain.headroom import Headroom
from arb.domain.ids import AssetId, FeedId, InstrumentId, PairId, TradeId
from arb.domain.instrument import Instrument, InstrumentKind, single_tick
from arb.domain.order import Fill, Liquidity, Purpose, Side
from arb.domain.pair import Direction, Pair, PairKind
from arb.state.flows import FillTag
from arb.state.positions import PairPosition
from arb.strategy.convergence.params import ConvergenceParams
from arb.strategy.sizing import SizingRules

KRW, USDT, BTC, BNB = AssetId("KRW"), AssetId("USDT"), AssetId("BTC"), AssetId("BNB")
A_BTC, B_BTC = InstrumentId("upbit:KRW-BTC"), InstrumentId("binance_usdm:BTCUSDT")
SPOT_B_BTC = InstrumentId("binance_spot:BTCUSDT")
FX_BOOK = InstrumentId("upbit:KRW-USDT")
BTC_PAIR = PairId("BTC")


def instrument(
    name: InstrumentId = A_BTC,
    *,
    kind: InstrumentKind = InstrumentKind.SPOT,
    base: AssetId = BTC,
    quote: AssetId = KRW,
    tick: str = "1000",
    lot: str = "1e-8",
    min_qty: str = "0",
    min_notional: str = "5000",
    max_qty: str | None = None,
    max_notional: str | None = None,
    band: tuple[str, str] | None = None,
) -> Instrument:
    """An instrument with Upbit's rules unless told otherwise."""
    return Instrument(
        id=name,
        kind=kind,
        base=base,
        quote=quote,
        ticks=single_tick(Decimal(tick)),
        lot=Decimal(lot),
        min_qty=Decimal(min_qty),
        max_qty=None if max_qty is None else Decimal(max_qty),
        min_notional=Decimal(min_notional),
        max_notional=None if max_notional is None else Decimal(max_notional),
        band_up=None if band is None else Decimal(band[0]),
        band_down=None if band is None else Decimal(band[1]),
    )


def perpetual(name: InstrumentId = B_BTC, **rules: Any) -> Instrument:
    """A USD-M perpetual: tick 0.1, lot 0.001, minimum 100 USDT."""
    values = {"tick": "0.1", "lot": "0.001", "min_qty": "0.001", "min_notional": "100"} | rules
    return instrument(name, kind=InstrumentKind.PERPETUAL, quote=USDT, **values)


def pair(kind: PairKind = PairKind.SPOT_PERP, directions: frozenset[Direction] = frozenset({Direction.LONG_A})) -> Pair:
    """Upbit BTC against Binance BTC."""
    return Pair(
        id=BTC_PAIR,
        a=A_BTC,
        b=B_BTC if kind is PairKind.SPOT_PERP else SPOT_B_BTC,
        kind=kind,
        multiplier=Decimal(1),
        directions=directions,
        identity_max_dev=0.1,
        strategy="convergence",
    )


def fees(rate: str = "0.0005", asset: FeeAsset = FeeAsset.QUOTE) -> FeeSchedule:
    """5 bps, in quote."""
    return FeeSchedule(maker_rate=Decimal(rate), taker_rate=Decimal(rate), fee_asset=asset)


def depth(
    name: InstrumentId,
    bids: tuple[float, ...],
    asks: tuple[float, ...],
    *,
    at_ns: int = 0,
    feed: str = "feed",
    venue_ns: int | None = None,
    source: DepthSource = DepthSource.WS,
    uncertainty_ns: int = 0,
) -> Depth:
    """An image of a book."""
    return Depth(
        instrument=name,
        feed=FeedId(feed),
        bids=bids,
        asks=asks,
        received_ns=at_ns,
        venue_ns=venue_ns,
        sequence=at_ns,
        source=source,
        uncertainty_ns=uncertainty_ns,
    )


def fill(
    name: InstrumentId,
    trade: str,
    side: Side,
    qty: str | Decimal,
    price: str | Decimal,
    *,
    fee: Fee | None = None,
    at_ns: int = 0,
) -> Fill:
    """An execution."""
    return Fill(
        instrument=name,
        trade_id=TradeId(trade),
        client_order_id=None,
        venue_order_id=None,
        side=side,
        qty=Decimal(qty),
        price=Decimal(price),
        fee=fee,
        liquidity=Liquidity.TAKER,
        received_ns=at_ns,
        venue_ns=None,
    )


def tag(leg: str, decision_price: str | Decimal, purpose: Purpose = Purpose.ENTRY) -> FillTag:
    """What the engine knows of a fill."""
    return FillTag(
        pair=BTC_PAIR, leg=leg, purpose=purpose, decision_price=Decimal(decision_price), multiplier=Decimal(1)
    )


def position(
    direction: Direction = Direction.LONG_A, *, opened_ns: int = 0, is_contract_b: bool = True
) -> PairPosition:
    """A pair position before its first fill."""
    return PairPosition(
        id="p1",
        pair=BTC_PAIR,
        direction=direction,
        is_contract_b=is_contract_b,
        opened_ns=opened_ns,
        opened_wall_ns=opened_ns,
        d_bps=40.0,
        fair_bps=0.0,
        expected_bps=15.0,
    )


def headroom(**values: Any) -> Headroom:
    """Room for 1e12 KRW and more than enough of everything."""
    room = Headroom(1e12, "max_position_krw", 1e12, 1e6, 1e9, 1e6, 2.0)
    return room._replace(**values)


def rules(**values: Any) -> SizingRules:
    """No collar, the whole depth, no minimum position."""
    defaults: dict[str, Any] = {
        "depth_fraction": 1.0,
        "collar_bps": 0.0,
        "max_tick_bps": 5.0,
        "min_position_krw": Decimal(0),
        "exit_price_shock": 0.3,
        "is_bnb_covering": False,
    }
    return SizingRules(**(defaults | values))


def convergence_params(**values: Any) -> ConvergenceParams:
    """The defaults of the first live weeks."""
    defaults: dict[str, Any] = {
        "min_profit_bps": 12.0,
        "fair_bps": None,
        "fair_window_s": 14400.0,
        "fair_min_samples": 2000,
        "take_profit_bps": 10.0,
        "exit_bps": 3.0,
        "stop_loss_bps": 80.0,
        "fx_stop_bps": 100.0,
        "confirm_ms": 600,
        "min_hold_s": 30.0,
        "cooldown_s": 60.0,
        "max_hold_s": 86400.0,
        "expected_hold_s": 14400.0,
        "time_limit_max_loss_bps": 30.0,
        "slippage_in_bps": 1.5,
        "slippage_out_bps": 2.0,
        "funding_income_haircut": 0.5,
        "funding_lookback": 9,
        "funding_guard_s": 90.0,
        "funding_guard_bps": 1.0,
        "funding_max_age_s": 3600.0,
    }
    return ConvergenceParams(**(defaults | values))


FX = fx_rates(PairKind.SPOT_PERP, FxHedge.TREASURY, 1450.0, 1451.0, 0.0005)
"""Golden FX: 1,450 / 1,451, mid 1,450.5."""


def prices(low: str = "0.1", high: str = "200000000", places: int = 4) -> st.SearchStrategy[Decimal]:
    """Positive prices."""
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


def quantities(low: str = "0.00000001", high: str = "100", places: int = 8) -> st.SearchStrategy[Decimal]:
    """Positive quantities."""
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


def fx_mids() -> st.SearchStrategy[Decimal]:
    """Believable KRW per USDT."""
    return st.decimals(Decimal(900), Decimal(2200), places=2, allow_nan=False, allow_infinity=False)


@st.composite
def ladders(draw: st.DrawFn, *, mid: float, is_bid: bool, step: float) -> tuple[float, ...]:
    """One side of a book: up to eight levels away from the mid."""
    count = draw(st.integers(1, 8))
    sizes = draw(st.lists(st.floats(1e-4, 5.0), min_size=count, max_size=count))
    sign = -1 if is_bid else 1
    return tuple(value for i, size in enumerate(sizes) for value in (round(mid + sign * step * (i + 1), 4), size))
