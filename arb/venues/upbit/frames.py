"""Upbit's public messages as typed structs, in both of its spellings, generic in the number type.

Owns: field names of the `DEFAULT` and `SIMPLE` formats and of the public REST bodies.
Never: interprets a value.
Units: times are the venue's (milliseconds; one recording shows microseconds), prices KRW or the market's quote.

A book (https://docs.upbit.com/kr/reference/websocket-orderbook), `DEFAULT` then `SIMPLE`::

    {"type":"orderbook","code":"KRW-BTC","timestamp":1787727947526,"orderbook_units":[
      {"ask_price":109950000.0,"bid_price":109880000.0,"ask_size":0.00342134,"bid_size":0.18819864}],"stream_type":"SNAPSHOT"}
    {"ty":"orderbook","cd":"KRW-BTC","tms":1787727947526,"obu":[{"ap":109950000.0,"bp":109880000.0,"as":0.003,"bs":0.188}]}

Both spellings share their attribute names here, so that one function reads either.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct, field

from arb.venues.answers import Count
from arb.venues.exact import check_amounts

N = TypeVar("N")


class UpbitUnit(Struct, Generic[N], frozen=True, gc=False):
    """One level of both sides."""

    ask_price: N
    bid_price: N
    ask_size: N
    bid_size: N


class UpbitUnitSimple(Struct, Generic[N], frozen=True, gc=False):
    """One level of both sides, short names."""

    ask_price: N = field(name="ap")
    bid_price: N = field(name="bp")
    ask_size: N = field(name="as")
    bid_size: N = field(name="bs")


class UpbitBook(Struct, Generic[N], frozen=True, tag_field="type", tag="orderbook", gc=False):
    """A whole image of the best levels."""

    code: str
    timestamp: Count
    units: list[UpbitUnit[N]] = field(name="orderbook_units")


class UpbitBookSimple(Struct, Generic[N], frozen=True, tag_field="ty", tag="orderbook", gc=False):
    """A whole image, short names."""

    code: str = field(name="cd")
    timestamp: Count = field(name="tms")
    units: list[UpbitUnitSimple[N]] = field(name="obu")


class UpbitTrade(Struct, Generic[N], frozen=True, tag_field="type", tag="trade"):
    """An execution; `ask_bid` is the taker's side."""

    code: str
    timestamp: Count
    trade_timestamp: Count
    trade_price: N
    trade_volume: N
    ask_bid: str
    sequential_id: Count

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitTradeSimple(Struct, Generic[N], frozen=True, tag_field="ty", tag="trade"):
    """An execution, short names."""

    code: str = field(name="cd")
    timestamp: Count = field(name="tms")
    trade_timestamp: Count = field(name="ttms")
    trade_price: N = field(name="tp")
    trade_volume: N = field(name="tv")
    ask_bid: str = field(name="ab")
    sequential_id: Count = field(name="sid")

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitTicker(Struct, Generic[N], frozen=True, tag_field="type", tag="ticker"):
    """Last price and the market's state."""

    code: str
    timestamp: Count
    trade_price: N
    market_state: str | None = None
    is_trading_suspended: bool | None = None

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitTickerSimple(Struct, Generic[N], frozen=True, tag_field="ty", tag="ticker"):
    """Last price and the market's state, short names."""

    code: str = field(name="cd")
    timestamp: Count = field(name="tms")
    trade_price: N = field(name="tp")
    market_state: str | None = field(name="ms", default=None)
    is_trading_suspended: bool | None = field(name="its", default=None)

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitErrorBody(Struct, frozen=True):
    """What an error says of itself; quotation errors name themselves by HTTP status."""

    name: str | int
    message: str = ""


class UpbitNotice(Struct, frozen=True):
    """Frames without a type: errors and the answer to `PING`."""

    error: UpbitErrorBody | None = None
    status: str | None = None
    type: str | None = None
    ty: str | None = None
    method: str | None = None


# --- REST ------------------------------------------------------------------------------------------------------------


class UpbitRestBook(Struct, Generic[N], frozen=True):
    """GET /v1/orderbook."""

    market: str
    timestamp: Count
    orderbook_units: list[UpbitUnit[N]]


class UpbitMarketEvent(Struct, frozen=True):
    """Warnings on a market."""

    warning: bool = False
    caution: dict[str, bool] = {}


class UpbitMarketRow(Struct, frozen=True):
    """GET /v1/market/all."""

    market: str
    market_event: UpbitMarketEvent | None = None


class UpbitRuleRow(Struct, Generic[N], frozen=True):
    """GET /v1/orderbook/instruments; `tick_size` is the step at the present price."""

    market: str
    tick_size: N


class UpbitTickerRow(Struct, Generic[N], frozen=True):
    """GET /v1/ticker."""

    market: str
    trade_price: N
