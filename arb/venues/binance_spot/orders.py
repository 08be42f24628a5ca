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

from arb.domain.effects import Cancel, Query
from arb.domain.errors import InvariantBroken, ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id, symbol_of
from arb.domain.instrument import Instrument
from arb.domain.order import (
    ApprovedOrder,
    Fill,
    Liquidity,
    OrderRequest,
    OrderState,
    OrderType,
    OrderUpdate,
    Side,
    TimeInForce,
)
from arb.venues.answers import decoded, ns_of, plain
from arb.venues.binance_spot.errors import judge, require_success
from arb.venues.binance_spot.signing import BinanceSigner, encoded
from arb.venues.exact import check_amounts
from arb.venues.refusals import UNREADABLE, cancel_refused, query_refused, submit_refused
from arb.venues.spec import Credentials, HttpRequest, HttpResponse, Stamp

STATES: Final = {
    "NEW": OrderState.OPEN,
    "PENDING_NEW": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.OPEN,
    "PENDING_CANCEL": OrderState.OPEN,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.CANCELED,
    "EXPIRED_IN_MATCH": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
}
"""Of spot and futures alike."""

SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
SIDE_WORDS: Final = {Side.BUY: "BUY", Side.SELL: "SELL"}
ORDER_BUCKET: Final = "orders-10s"
WEIGHT_BUCKET: Final = "weight"

_PATH: Final = "/api/v3/order"
_ENDING: Final = "newOrderRespType=FULL&selfTradePreventionMode=EXPIRE_TAKER"
_LIMIT_FORMS: Final = {
    TimeInForce.GTC: "type=LIMIT&timeInForce=GTC",
    TimeInForce.IOC: "type=LIMIT&timeInForce=IOC",
    TimeInForce.FOK: "type=LIMIT&timeInForce=FOK",
    TimeInForce.POST_ONLY: "type=LIMIT_MAKER",
}
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.GTC)
"""What a market order may say: it cannot rest."""


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


class BinanceSpotOrders:
    """OrderCodec of Binance spot."""

    __slots__ = ("_signer",)

    def __init__(self, credentials: Credentials) -> None:
        self._signer = BinanceSigner(credentials)

    def submit(self, order: ApprovedOrder, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """POST /api/v3/order."""
        query = order_query(order.request, instrument)
        return self._signer.signed("POST", _PATH, query, stamp, bucket=ORDER_BUCKET, weight=1)

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """DELETE /api/v3/order."""
        query = _by_name(cancel.instrument, cancel.client_order_id)
        return self._signer.signed("DELETE", _PATH, query, stamp, bucket=WEIGHT_BUCKET, weight=1)

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """GET /api/v3/order."""
        named = _by_name(query.instrument, query.client_order_id)
        return self._signer.signed("GET", _PATH, named, stamp, bucket=WEIGHT_BUCKET, weight=4)

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """GET /api/v3/myTrades of the order, where it has executions."""
        if not update.filled_qty or update.venue_order_id is None:
            return None
        named = f"symbol={encoded(symbol_of(query.instrument))}&orderId={update.venue_order_id}"
        return self._signer.signed("GET", "/api/v3/myTrades", named, stamp, bucket=WEIGHT_BUCKET, weight=5)

    def parse_submit(
        self, order: ApprovedOrder, answer: HttpResponse, received_ns: int
    ) -> tuple[OrderUpdate | Fill, ...]:
        """A FULL answer, executions first, or a refusal."""
        request = order.request
        if answer.status != 200:
            return (submit_refused(request, *judge(answer), received_ns),)
        try:
            return spot_facts(_read(answer, request.instrument, request.client_order_id), received_ns)
        except ProtocolError as error:
            return (submit_refused(request, UNREADABLE, error.detail, received_ns),)

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """The order as it ended."""
        if answer.status != 200:
            return (cancel_refused(cancel, *judge(answer), received_ns),)
        try:
            return spot_facts(_read(answer, cancel.instrument, cancel.client_order_id), received_ns)
        except ProtocolError as error:
            return (cancel_refused(cancel, UNREADABLE, error.detail, received_ns),)

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
        """The order as it stands, without its executions (see `trades`)."""
        if answer.status != 200:
            return (query_refused(query, *judge(answer), received_ns),)
        try:
            return spot_facts(_read(answer, query.instrument, query.client_order_id), received_ns)
        except ProtocolError as error:
            return (query_refused(query, UNREADABLE, error.detail, received_ns),)

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions of the order.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """
        require_success(answer)
        return tuple(_trade_fill(body, query, received_ns) for body in decoded("binance_spot", answer.body, _TRADES))


def order_query(request: OrderRequest, instrument: Instrument) -> str:
    """The parameters of an order. `reduce_only` says nothing here: a spot holding cannot go below zero.

    Raises:
        InvariantBroken: the venue has no such order form, so it should never have been planned.
    """
    if request.instrument != instrument.id:
        raise InvariantBroken(f"order {request.client_order_id}: {request.instrument} encoded as {instrument.id}")
    return (
        f"symbol={encoded(instrument.symbol)}&side={SIDE_WORDS[request.side]}&{_form(request)}"
        f"&newClientOrderId={request.client_order_id}&{_ENDING}"
    )


def _form(request: OrderRequest) -> str:
    qty, total, limit = request.qty, request.quote_qty, request.price
    lasting = request.time_in_force
    match request.order_type:
        case OrderType.LIMIT if qty is not None and limit is not None and total is None:
            return f"{_LIMIT_FORMS[lasting]}&quantity={plain(qty)}&price={plain(limit)}"
        case OrderType.MARKET if qty is not None and limit is None and total is None and lasting in _AT_ONCE:
            return f"type=MARKET&quantity={plain(qty)}"
        case OrderType.MARKET_BY_QUOTE if total is not None and limit is None and qty is None and lasting in _AT_ONCE:
            return f"type=MARKET&quoteOrderQty={plain(total)}"
    raise InvariantBroken(
        f"binance_spot has no {request.order_type.value} {request.side.value} with time in force {lasting.value}, "
        f"qty {qty}, total {total}, price {limit} (order {request.client_order_id})"
    )


def _by_name(instrument: InstrumentId, name: ClientOrderId) -> str:
    return f"symbol={encoded(symbol_of(instrument))}&origClientOrderId={encoded(name)}"


def _read(answer: HttpResponse, instrument: InstrumentId, name: ClientOrderId) -> SpotOrderBody:
    body = decoded("binance_spot", answer.body, _ORDER)
    if body.symbol != symbol_of(instrument) or name != (body.orig_client_order_id or body.client_order_id):
        raise ProtocolError("binance_spot", f"asked about {name}, answered about {body.symbol} {body.client_order_id}")
    return body


def spot_facts(body: SpotOrderBody, received_ns: int) -> tuple[OrderUpdate | Fill, ...]:
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


def _trade_fill(body: SpotTradeBody, query: Query, received_ns: int) -> Fill:
    if body.symbol != symbol_of(query.instrument):
        raise ProtocolError("binance_spot", f"asked about {query.instrument}, answered about {body.symbol}")
    return Fill(
        instrument=query.instrument,
        trade_id=TradeId(str(body.id)),
        client_order_id=query.client_order_id,
        venue_order_id=VenueOrderId(str(body.order_id)),
        side=Side.BUY if body.is_buyer else Side.SELL,
        qty=body.qty,
        price=body.price,
        fee=Fee(body.commission, AssetId(body.commission_asset)),
        liquidity=Liquidity.MAKER if body.is_maker else Liquidity.TAKER,
        received_ns=received_ns,
        venue_ns=ns_of(body.time),
    )
