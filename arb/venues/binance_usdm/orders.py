"""Binance USD-M futures order entry: requests out, answers in.

Owns: which order forms the futures market has, and the order object of REST (`UsdmOrderBody`, also listed by
`account.py`).
Never: decides what an open fate means; which of the four 503s left it open is told by `errors.py`.
Units: quantities in contracts (base of the contract), prices in quote.

RESULT answers give the final state of MARKET, IOC and FOK orders but, since 2026-07-15, no average price and no
executions: those come by the private stream or by `trades`. One-way mode: `positionSide` is never sent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id, symbol_of
from arb.domain.order import Fill, Liquidity, OrderRequest, OrderType, OrderUpdate, TimeInForce
from arb.venues.answers import decoded, ns_of, plain
from arb.venues.binance_codec import BinanceMarket
from arb.venues.binance_orders import (
    AT_ONCE,
    SIDES,
    STATES,
    OrderPaths,
    no_such_form,
)
from arb.venues.binance_usdm.errors import judge
from arb.venues.exact import check_amounts
from arb.venues.order_answers import Facts
from arb.venues.spec import HttpResponse

_TIME_IN_FORCE: Final = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTX",
}


class UsdmOrderBody(msgspec.Struct, rename="camel"):
    """An order object; `avgPrice` only in answers to queries."""

    symbol: str
    order_id: int
    client_order_id: str
    status: str
    side: str
    executed_qty: Decimal
    avg_price: Decimal | None = None
    update_time: int | None = None

    def __post_init__(self) -> None:
        check_amounts(self)


class UsdmTradeBody(msgspec.Struct, rename="camel"):
    """One row of GET /fapi/v1/userTrades."""

    symbol: str
    id: int
    order_id: int
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    maker: bool

    def __post_init__(self) -> None:
        check_amounts(self)


_ORDER: Final = msgspec.json.Decoder(UsdmOrderBody)
_TRADES: Final = msgspec.json.Decoder(list[UsdmTradeBody])


def _form(request: OrderRequest) -> str:
    qty, total, limit = request.qty, request.quote_qty, request.price
    lasting, reduce_only = request.time_in_force, "&reduceOnly=true" if request.reduce_only else ""
    match request.order_type:
        case OrderType.LIMIT if qty is not None and limit is not None and total is None:
            words = f"type=LIMIT&timeInForce={_TIME_IN_FORCE[lasting]}&quantity={plain(qty)}&price={plain(limit)}"
            return words + reduce_only
        case OrderType.MARKET if qty is not None and limit is None and total is None and lasting in AT_ONCE:
            return f"type=MARKET&quantity={plain(qty)}{reduce_only}"
    raise no_such_form("binance_usdm", request)


def _facts(answer: HttpResponse, instrument: InstrumentId, name: ClientOrderId, received_ns: int) -> Facts:
    body = decoded("binance_usdm", answer.body, _ORDER)
    if body.symbol != symbol_of(instrument) or name != body.client_order_id:
        raise ProtocolError("binance_usdm", f"asked about {name}, answered about {body.symbol} {body.client_order_id}")
    return (usdm_update(body, received_ns),)


def _executions(answer: HttpResponse, instrument: InstrumentId, received_ns: int) -> tuple[Fill, ...]:
    return tuple(_trade_fill(body, instrument, received_ns) for body in decoded("binance_usdm", answer.body, _TRADES))


USDM_ORDERS: Final = BinanceMarket(
    venue="binance_usdm",
    paths=OrderPaths(
        order="/fapi/v1/order",
        trades="/fapi/v1/userTrades",
        query_weight=1,
        form=_form,
        ending="newOrderRespType=RESULT&selfTradePreventionMode=EXPIRE_TAKER",
    ),
    judge=judge,
    facts=_facts,
    executions=_executions,
    orders_list="/fapi/v1/allOrders",
    list_weight=5,
    window_ms=7 * 86_400_000,
    batch_path="/fapi/v1/batchOrders",
    dead_man_path="/fapi/v1/countdownCancelAll",
)


def usdm_update(body: UsdmOrderBody, received_ns: int) -> OrderUpdate:
    """The order's own state.

    Raises:
        ProtocolError: status or side is not one the venue is known to have.
    """
    if body.status not in STATES or body.side not in SIDES:
        raise ProtocolError("binance_usdm", f"order {body.order_id}: status {body.status!r}, side {body.side!r}")
    return OrderUpdate(
        client_order_id=ClientOrderId(body.client_order_id),
        instrument=instrument_id("binance_usdm", body.symbol),
        state=STATES[body.status],
        filled_qty=body.executed_qty,
        avg_price=body.avg_price or None,
        venue_order_id=VenueOrderId(str(body.order_id)),
        received_ns=received_ns,
        venue_ns=None if body.update_time is None else ns_of(body.update_time),
    )


def _trade_fill(body: UsdmTradeBody, instrument: InstrumentId, received_ns: int) -> Fill:
    if body.symbol != symbol_of(instrument) or body.side not in SIDES:
        raise ProtocolError("binance_usdm", f"asked about {instrument}, answered about {body.symbol} {body.side}")
    return Fill(
        instrument=instrument,
        trade_id=TradeId(str(body.id)),
        client_order_id=None,
        venue_order_id=VenueOrderId(str(body.order_id)),
        side=SIDES[body.side],
        qty=body.qty,
        price=body.price,
        fee=Fee(body.commission, AssetId(body.commission_asset)),
        liquidity=Liquidity.MAKER if body.maker else Liquidity.TAKER,
        received_ns=received_ns,
        venue_ns=ns_of(body.time),
    )
