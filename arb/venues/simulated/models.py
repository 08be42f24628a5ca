"""What a simulated venue is made of: frozen parameters of its trading rules, latencies, accounts and fault scripts.

Owns: the parameters and the defaults that resemble Upbit, Binance spot and Binance USD-M futures.
Never: decides anything; `matching`, `world` and the dialects read them.
Units: in each field's name; rates are fractions; `_s` seconds, `_ms` milliseconds of the simulated world.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

import attrs

from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.ids import AssetId, VenueId
from arb.venues.simulated.chance import Chance
from arb.venues.simulated.facts import SelfTrade


class FaultKind(Enum):
    """What a script may break, and for how long it lasts."""

    SILENCE = "silence"
    """Streams stay open and say nothing."""
    DISCONNECT = "disconnect"
    """Streams are closed with a close frame; new ones are refused while it lasts."""
    TCP_RESET = "tcp_reset"
    """Once: every connection of the venue is reset."""
    HALF_OPEN = "half_open"
    """Connections stay open, nothing is read or answered, pings included."""
    SLOW = "slow"
    """Answers come seconds late."""
    HTTP_5XX = "http_5xx"
    RATE_LIMIT = "rate_limit"
    BAN = "ban"
    GARBAGE = "garbage"
    """Frames that nobody understands among the good ones."""
    SEQUENCE_GAP = "sequence_gap"
    """Once: book updates are lost on the way."""
    CROSSED_BOOK = "crossed_book"
    """Book images show the best bid above the best ask."""
    REJECT = "reject"
    """Orders are refused."""
    TIMEOUT_THEN_ACCEPT = "timeout_then_accept"
    """Orders are executed and never answered."""
    PARTIAL_FILL = "partial_fill"
    """Orders find only a part of the depth they want."""
    MAINTENANCE = "maintenance"
    """No trading; streams and reads stay."""
    ADL = "adl"
    """Once: half of every contract position is taken away."""
    CAUTION = "caution"
    """The venue warns of its coins, where it warns of anything."""
    WALLET_CLOSED = "wallet_closed"
    """No coin can be deposited or withdrawn."""
    KEY_WITHDRAWS = "key_withdraws"
    """The venue says that the account's key may withdraw, where it says anything of keys."""
    KEY_REFUSED = "key_refused"
    """The account's key is not accepted for anything signed."""

    @property
    def is_once(self) -> bool:
        """Whether it happens at a moment and has no duration."""
        return self in (FaultKind.TCP_RESET, FaultKind.SEQUENCE_GAP, FaultKind.ADL)


@attrs.frozen(kw_only=True)
class FaultScript:
    """One line of a script."""

    at_s: float
    """After the start of the world."""
    venue: VenueId
    kind: FaultKind
    duration_s: float = 0.0
    """Ignored by what happens once."""
    target: str | None = None
    """A symbol or path it is restricted to; None: all."""


@attrs.frozen(kw_only=True)
class LatencyModel:
    """Log-normal delay by its median and 99th percentile; 0: none."""

    p50_ms: float = 0.0
    p99_ms: float = 0.0

    def draw_ns(self, chance: Chance) -> int:
        """One delay."""
        return chance.latency_ns(self.p50_ms, self.p99_ms)


@attrs.frozen(kw_only=True)
class RateCapacity:
    """What a venue allows per window."""

    name: str
    capacity: int
    window_s: float


@attrs.frozen(kw_only=True)
class VenueModel:
    """One simulated venue."""

    venue: VenueId
    fees: FeeSchedule
    """Fees in the quote asset are locked with a resting bid."""
    is_margined: bool = False
    """USDT-margined perpetuals instead of spot."""
    is_id_unique_forever: bool
    """Client order ids may never come twice; otherwise not twice among open orders."""
    refuses_post_only_that_takes: bool
    """Refuse it; otherwise it is taken and ends at once."""
    refuses_market_beyond_depth: bool
    """Refuse a market order larger than the visible book; otherwise it ends partly filled."""
    max_open_orders: int = 200
    depth_fraction: Decimal = Decimal(1)
    """Part of each level that orders can take."""
    miss_probability: float = 0.0
    """Chance that an aggressive order finds its best level gone."""
    order_in: LatencyModel = LatencyModel()
    """From the client to the matching engine."""
    order_out: LatencyModel = LatencyModel()
    """From the matching engine back to the client."""
    feed: LatencyModel = LatencyModel()
    balances: tuple[tuple[AssetId, Decimal], ...] = ()
    """Of every account at its opening."""
    rates: tuple[RateCapacity, ...] = ()
    bnb_usdt: Decimal = Decimal(600)
    """Price of BNB where fees are paid in it."""
    bnb_discount: Decimal = Decimal("0.25")
    maintenance_rate: Decimal = Decimal("0.004")
    """Of the notional; no cumulative amount."""
    initial_leverage: int = 20
    max_leverage: int = 125
    is_isolated_at_start: bool = False
    funding_interval_s: int = 28_800
    default_self_trade: SelfTrade
    """Used by the dialect where an order says nothing."""


def _asset(name: str, amount: str) -> tuple[AssetId, Decimal]:
    return AssetId(name), Decimal(amount)


UPBIT: Final = VenueModel(
    venue=VenueId("upbit"),
    fees=FeeSchedule(maker_rate=Decimal("0.0005"), taker_rate=Decimal("0.0005"), source="venue"),
    is_id_unique_forever=True,
    refuses_post_only_that_takes=False,
    refuses_market_beyond_depth=True,
    order_in=LatencyModel(p50_ms=8.0, p99_ms=40.0),
    order_out=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    feed=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    balances=(_asset("KRW", "20000000"), _asset("USDT", "0")),
    rates=(
        RateCapacity(name="quotation", capacity=10, window_s=1.0),
        RateCapacity(name="default", capacity=30, window_s=1.0),
        RateCapacity(name="order", capacity=12, window_s=1.0),
        RateCapacity(name="order-cancel-all", capacity=1, window_s=2.0),
    ),
    default_self_trade=SelfTrade.CANCEL_MAKER,
)

BINANCE_SPOT: Final = VenueModel(
    venue=VenueId("binance_spot"),
    fees=FeeSchedule(
        maker_rate=Decimal("0.001"), taker_rate=Decimal("0.001"), fee_asset=FeeAsset.RECEIVED, source="venue"
    ),
    is_id_unique_forever=False,
    refuses_post_only_that_takes=True,
    refuses_market_beyond_depth=False,
    order_in=LatencyModel(p50_ms=8.0, p99_ms=40.0),
    order_out=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    feed=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    balances=(_asset("USDT", "15000"), _asset("BTC", "0.2"), _asset("BNB", "0")),
    rates=(
        RateCapacity(name="weight", capacity=6_000, window_s=60.0),
        RateCapacity(name="orders_10s", capacity=100, window_s=10.0),
        RateCapacity(name="orders_day", capacity=200_000, window_s=86_400.0),
    ),
    default_self_trade=SelfTrade.CANCEL_MAKER,
)

BINANCE_USDM: Final = VenueModel(
    venue=VenueId("binance_usdm"),
    fees=FeeSchedule(maker_rate=Decimal("0.0002"), taker_rate=Decimal("0.0005"), source="venue"),
    is_margined=True,
    is_id_unique_forever=False,
    refuses_post_only_that_takes=False,
    refuses_market_beyond_depth=False,
    order_in=LatencyModel(p50_ms=8.0, p99_ms=40.0),
    order_out=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    feed=LatencyModel(p50_ms=4.0, p99_ms=20.0),
    balances=(_asset("USDT", "15000"),),
    rates=(
        RateCapacity(name="weight", capacity=2_400, window_s=60.0),
        RateCapacity(name="orders_10s", capacity=300, window_s=10.0),
        RateCapacity(name="orders_1m", capacity=1_200, window_s=60.0),
    ),
    default_self_trade=SelfTrade.CANCEL_MAKER,
)

MODELS: Final = {model.venue: model for model in (UPBIT, BINANCE_SPOT, BINANCE_USDM)}
