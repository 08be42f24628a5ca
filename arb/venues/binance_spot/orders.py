"""Binance spot order entry: requests out, answers in.

Owns: which order forms the spot market has, and the order object of REST (`SpotOrderBody`, listed by `account.py` too).
Never: decides what an open fate means; a 5xx or an unreadable answer is UNKNOWN.
Units: quantities in base, quote quantities in quote.

Parameters go in the query string, `signature` last. FULL answers hold the executions with fee and fee asset, which may
be a third one (BNB). Fills are unique by (symbol, trade id). A cancel's answer calls itself `clientOrderId` and ours
`origClientOrderId`. IOC remainders, FOK kills and exhausted markets end as EXPIRED.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arb.domain.errors import ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id, symbol_of
from arb.domain.order import Fill, Liquidity, OrderRequest, OrderType, OrderUpdate, Side, TimeInForce
from arb.venues.answers import decoded, ns_of, plain
from arb.venues.binance_codec import BinanceMarket
from arb.venues.binance_orders import AT_ONCE, SIDES, STATES, OrderPaths, no_such_form
from arb.venues.binance_spot.errors import judge
from arb.venues.exact import check_amounts
from arb.venues.order_answers import Facts
from arb.venues.spec import HttpResponse

_LIMIT_FORMS: Final = {
    TimeInForce.GTC: "type=LIMIT&timeInForce=GTC",
    TimeInForce.IOC: "type=LIMIT&timeInForce=IOC",
    TimeInForce.FOK: "type=LIMIT&timeInForce=FOK",
    TimeInForce.POST_ONLY: "type=LIMIT_MAKER",
}


class SpotFillBody(msgspec.Struct, rename="camel"):
    """One execution in a FULL answer."""

    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    trade_id: int

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotOrderBody(msgspec.Struct, rename="camel"):
    """An order object."""

    symbol: str
    order_id: int
    client_order_id: str
    status: str
    side: str
    executed_qty: Decimal
    cummulative_quote_qty: Decimal = Decimal(0)
    orig_client_order_id: str | None = None
    transact_time: int | None = None
    update_time: int | None = None
    expiry_reason: str | None = None
    fills: list[SpotFillBody] = []

    def __post_init__(self) -> None:
        check_amounts(self)


class SpotTradeBody(msgspec.Struct, rename="camel"):
    """One row of GET /api/v3/myTrades."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool

    def __post_init__(self) -> None:
        check_amounts(self)


_ORDER: Final = msgspec.json.Decoder(SpotOrderBody)
_TRADES: Final = msgspec.json.Decoder(list[SpotTradeBody])


def _form(request: OrderRequest) -> str:
    """`reduce_only` says nothing here: a spot holding cannot go below zero."""
    qty, total, limit = request.qty, request.quote_qty, request.price
    lasting = request.time_in_force
    match request.order_type:
        case OrderType.LIMIT if qty is not None and limit is not None and total is None:
            return f"{_LIMIT_FORMS[lasting]}&quantity={plain(qty)}&price={plain(limit)}"
        case OrderType.MARKET if qty is not None and limit is None and total is None and lasting in AT_ONCE:
            return f"type=MARKET&quantity={plain(qty)}"
        case OrderType.MARKET_BY_QUOTE if total is not None and limit is None and qty is None and lasting in AT_ONCE:
            return f"type=MARKET&quoteOrderQty={plain(total)}"
    raise no_such_form("binance_spot", request)


def _facts(answer: HttpResponse, instrument: InstrumentId, name: ClientOrderId, received_ns: int) -> Facts:
    body = decoded("binance_spot", answer.body, _ORDER)
    if body.symbol != symbol_of(instrument) or name != (body.orig_client_order_id or body.client_order_id):
        raise ProtocolError("binance_spot", f"asked about {name}, answered about {body.symbol} {body.client_order_id}")
    return spot_facts(body, received_ns)


def _executions(answer: HttpResponse, instrument: InstrumentId, received_ns: int) -> tuple[Fill, ...]:
    return tuple(_trade_fill(body, instrument, received_ns) for body in decoded("binance_spot", answer.body, _TRADES))


SPOT_ORDERS: Final = BinanceMarket(
    venue="binance_spot",
    paths=OrderPaths(
        order="/api/v3/order",
        trades="/api/v3/myTrades",
        query_weight=4,
        form=_form,
        ending="newOrderRespType=FULL&selfTradePreventionMode=EXPIRE_TAKER",
    ),
    judge=judge,
    facts=_facts,
    executions=_executions,
    orders_list="/api/v3/allOrders",
    list_weight=20,
    window_ms=86_400_000,
)


def spot_facts(body: SpotOrderBody, received_ns: int) -> Facts:
    """The executions listed, then the order's own state.

    Raises:
        ProtocolError: state or side is not one the venue is known to have.
    """
    if body.status not in STATES or body.side not in SIDES:
        raise ProtocolError("binance_spot", f"order {body.order_id}: status {body.status!r}, side {body.side!r}")
    stamp = body.transact_time if body.transact_time is not None else body.update_time
    update = OrderUpdate(
        client_order_id=ClientOrderId(body.orig_client_order_id or body.client_order_id),
        instrument=instrument_id("binance_spot", body.symbol),
        state=STATES[body.status],
        filled_qty=body.executed_qty,
        avg_price=_average(body),
        venue_order_id=VenueOrderId(str(body.order_id)),
        reason=(body.expiry_reason or "").lower(),
        received_ns=received_ns,
        venue_ns=None if stamp is None else ns_of(stamp),
    )
    return (*(_fill(execution, body, update) for execution in body.fills), update)


def _average(body: SpotOrderBody) -> Decimal | None:
    if body.executed_qty <= 0 or body.cummulative_quote_qty <= 0:
        return None
    return body.cummulative_quote_qty / body.executed_qty


def _fill(execution: SpotFillBody, body: SpotOrderBody, update: OrderUpdate) -> Fill:
    return Fill(
        instrument=update.instrument,
        trade_id=TradeId(str(execution.trade_id)),
        client_order_id=update.client_order_id,
        venue_order_id=update.venue_order_id,
        side=SIDES[body.side],
        qty=execution.qty,
        price=execution.price,
        fee=Fee(execution.commission, AssetId(execution.commission_asset)),
        liquidity=Liquidity.TAKER,
        received_ns=update.received_ns,
        venue_ns=update.venue_ns,
    )


def _trade_fill(body: SpotTradeBody, instrument: InstrumentId, received_ns: int) -> Fill:
    if body.symbol != symbol_of(instrument):
        raise ProtocolError("binance_spot", f"asked about {instrument}, answered about {body.symbol}")
    return Fill(
        instrument=instrument,
        trade_id=TradeId(str(body.id)),
        client_order_id=None,
        venue_order_id=VenueOrderId(str(body.order_id)),
        side=Side.BUY if body.is_buyer else Side.SELL,
        qty=body.qty,
        price=body.price,
        fee=Fee(body.commission, AssetId(body.commission_asset)),
        liquidity=Liquidity.MAKER if body.is_maker else Liquidity.TAKER,
        received_ns=received_ns,
        venue_ns=ns_of(body.time),
    )
