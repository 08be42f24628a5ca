"""Binance's public messages as typed structs, spot and USD-M alike, generic in the number type.

Owns: field names of streams and public REST bodies; prices and sizes are decimal strings there.
Never: interprets a value.
Units: times are UTC milliseconds (microseconds where a connection asked for them).

A diff on USD-M (spot has no `T` and no `pu`), inside its combined envelope::

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1571889248277,"T":1571889248276,"s":"BTCUSDT",
     "U":390497796,"u":390497878,"pu":390497794,"b":[["7403.89","0.002"]],"a":[["7405.96","3.340"]]}}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct, field

from arb.venues.answers import Count

N = TypeVar("N")
T = TypeVar("T")


class StreamFrame(Struct, Generic[T], frozen=True, gc=False):
    """The combined envelope."""

    stream: str
    data: T


class DepthDiff(Struct, Generic[N], frozen=True, gc=False):
    """Levels that changed, absolute sizes."""

    event_ms: Count = field(name="E")
    first_id: Count = field(name="U")
    final_id: Count = field(name="u")
    bids: list[tuple[N, N]] = field(name="b")
    asks: list[tuple[N, N]] = field(name="a")
    previous_id: int = field(name="pu", default=-1)
    """`u` of the update before; −1 on spot, which does not tell."""


class DepthImage(Struct, Generic[N], frozen=True, gc=False):
    """A whole image: spot partial depth, and REST of both markets."""

    last_id: Count = field(name="lastUpdateId")
    bids: list[tuple[N, N]]
    asks: list[tuple[N, N]]
    event_ms: Count | None = field(name="E", default=None)


class BestQuotes(Struct, Generic[N], frozen=True):
    """bookTicker."""

    bid: N = field(name="b")
    ask: N = field(name="a")
    event_ms: Count | None = field(name="E", default=None)


class TradeFrame(Struct, Generic[N], frozen=True):
    """trade: one execution."""

    trade_id: Count = field(name="t")
    price: N = field(name="p")
    qty: N = field(name="q")
    trade_ms: Count = field(name="T")
    is_buyer_maker: bool = field(name="m")
    kind: str = field(name="X", default="MARKET")


class AggregateFrame(Struct, Generic[N], frozen=True):
    """aggTrade: executions of one taker order at one price."""

    trade_id: Count = field(name="a")
    price: N = field(name="p")
    qty: N = field(name="q")
    trade_ms: Count = field(name="T")
    is_buyer_maker: bool = field(name="m")


class DayFrame(Struct, Generic[N], frozen=True):
    """24hrTicker; USD-M has no best quotes in it."""

    event_ms: Count = field(name="E")
    last: N = field(name="c")
    bid: N | None = field(name="b", default=None)
    ask: N | None = field(name="a", default=None)


class MarkFrame(Struct, Generic[N], frozen=True):
    """markPriceUpdate."""

    event_ms: Count = field(name="E")
    mark: N = field(name="p")
    rate: str = field(name="r")
    """Empty on contracts without funding."""
    settlement_ms: Count = field(name="T")
    index: N | None = field(name="i", default=None)


class BinanceErrorFrame(Struct, frozen=True):
    """An error inside an answer."""

    code: int = 0
    msg: str = ""


class LooseFrame(Struct, frozen=True):
    """Whatever is not a known stream: answers to requests, errors, notices, payloads without envelope."""

    stream: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event: str | None = field(name="e", default=None)
    symbol: str | None = field(name="s", default=None)
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: BinanceErrorFrame | None = None
    code: int | None = None
    msg: str | None = None


# --- REST ------------------------------------------------------------------------------------------------------------


class SymbolFilter(Struct, frozen=True):
    """One filter; only the fields of its type are there."""

    type: str = field(name="filterType")
    tick: Decimal | None = field(name="tickSize", default=None)
    step: Decimal | None = field(name="stepSize", default=None)
    min_qty: Decimal | None = field(name="minQty", default=None)
    max_qty: Decimal | None = field(name="maxQty", default=None)
    min_notional: Decimal | None = field(name="minNotional", default=None)
    max_notional: Decimal | None = field(name="maxNotional", default=None)
    notional: Decimal | None = None
    up: Decimal | None = field(name="multiplierUp", default=None)
    down: Decimal | None = field(name="multiplierDown", default=None)
    bid_up: Decimal | None = field(name="bidMultiplierUp", default=None)
    ask_down: Decimal | None = field(name="askMultiplierDown", default=None)


class SymbolRow(Struct, frozen=True):
    """One symbol of exchangeInfo."""

    symbol: str
    status: str
    base: str = field(name="baseAsset")
    quote: str = field(name="quoteAsset")
    filters: list[SymbolFilter]
    contract_type: str | None = field(name="contractType", default=None)
    delivery_ms: Count | None = field(name="deliveryDate", default=None)
    onboard_ms: Count | None = field(name="onboardDate", default=None)


class ExchangeInfo(Struct, frozen=True):
    """exchangeInfo."""

    symbols: list[SymbolRow]


class SystemStatus(msgspec.Struct, frozen=True):
    """GET /sapi/v1/system/status."""

    status: int
    """0: normal, 1: maintenance."""
    msg: str = ""


class ServerTime(Struct, frozen=True):
    """/time."""

    server_ms: Count = field(name="serverTime")


class PremiumRow(Struct, frozen=True):
    """/fapi/v1/premiumIndex."""

    symbol: str
    mark: Decimal = field(name="markPrice")
    index: Decimal = field(name="indexPrice")
    rate: Decimal = field(name="lastFundingRate")
    settlement_ms: Count = field(name="nextFundingTime")


class IntervalRow(Struct, frozen=True):
    """/fapi/v1/fundingInfo: only symbols whose terms were changed."""

    symbol: str
    hours: Count = field(name="fundingIntervalHours", default=8)


class PastRateRow(Struct, frozen=True):
    """/fapi/v1/fundingRate, oldest first."""

    symbol: str
    rate: Decimal = field(name="fundingRate")
    settled_ms: Count = field(name="fundingTime")
