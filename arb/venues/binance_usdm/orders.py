"""Binance USD-M futures order entry: requests out, answers in.

Owns: which order forms the futures market has, and the order object of REST (`UsdmOrderBody`, also listed by
`account.py`).
Never: decides what an open fate means; which of the four 503s left it open is told by `errors.py`.
Units: quantities in contracts (base of the contract), prices in quote.

RESULT answers give the final state of MARKET, IOC and FOK orders but, since 2026-07-15, no average price and no
executions: those come by the private stream or by `trades`. One-way mode: `positionSide` is never sent.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from arb.domain.effects import Cancel, Query
from arb.domain.errors import ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id, symbol_of
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder, Fill, Liquidity, OrderRequest, OrderType, OrderUpdate, TimeInForce
from arb.venues.answers import decoded, ns_of, plain
from arb.venues.binance_orders import (
    AT_ONCE,
    SIDES,
    STATES,
    WEIGHT_BUCKET,
    BinanceOrderRequests,
    OrderPaths,
    no_such_form,
)
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.binance_usdm.errors import judge
from arb.venues.exact import check_amounts
from arb.venues.order_answers import Facts, OrderAnswers
from arb.venues.refusals import require_success
from arb.venues.spec import Credentials, HttpRequest, HttpResponse, Stamp

_BATCH_PATH: Final = "/fapi/v1/batchOrders"
_DEAD_MAN_PATH: Final = "/fapi/v1/countdownCancelAll"
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
_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TRADES: Final = msgspec.json.Decoder(list[UsdmTradeBody])


class BinanceUsdmOrders:
    """OrderCodec of Binance USD-M futures."""

    __slots__ = ("_requests", "_signer")

    def __init__(self, credentials: Credentials) -> None:
        self._signer = BinanceSigner(credentials)
        self._requests = BinanceOrderRequests(self._signer, _PATHS)

    def submit(self, order: ApprovedOrder, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """POST /fapi/v1/order."""
        return self._requests.submit(order.request, instrument, stamp)

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """DELETE /fapi/v1/order."""
        return self._requests.cancel(cancel, stamp)

    @property
    def most_cancels(self) -> int:
        """Of DELETE /fapi/v1/batchOrders."""
        return 10

    def cancel_many(self, cancels: tuple[Cancel, ...], stamp: Stamp) -> HttpRequest:
        """DELETE /fapi/v1/batchOrders by our names."""
        names = msgspec.json.encode([one.client_order_id for one in cancels]).decode()
        query = f"symbol={encoded(symbol_of(cancels[0].instrument))}&origClientOrderIdList={quote(names, safe='')}"
        return self._signer.signed("DELETE", _BATCH_PATH, query, stamp, bucket=WEIGHT_BUCKET, weight=1)

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """GET /fapi/v1/order."""
        return self._requests.query(query, stamp)

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """GET /fapi/v1/userTrades of the order, where it has executions."""
        return self._requests.trades(query, update, stamp)

    def parse_submit(self, order: ApprovedOrder, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as the venue left it, or a refusal."""
        return _ANSWERS.to_submit(order.request, answer, received_ns)

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as it ended."""
        return _ANSWERS.to_cancel(cancel, answer, received_ns)

    def parse_cancel_many(self, cancels: tuple[Cancel, ...], answer: HttpResponse, received_ns: int) -> Facts:
        """The orders as they ended and refusals, in the order asked; anything else tells nothing of any of them."""
        rows: list[msgspec.Raw] = []
        if answer.status == 200:
            with suppress(ProtocolError):
                rows = decoded("binance_usdm", answer.body, _RAW_ROWS)
        if len(rows) != len(cancels):
            return tuple(fact for one in cancels for fact in _ANSWERS.to_cancel(one, _unreadable(answer), received_ns))
        facts: list[OrderUpdate | Fill] = []
        for one, row in zip(cancels, rows, strict=True):
            facts += _ANSWERS.to_cancel(one, _as_answer(bytes(row)), received_ns)
        return tuple(facts)

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as it stands, without its executions (see `trades`)."""
        return _ANSWERS.to_query(query, answer, received_ns)

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions of the order.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """
        require_success("binance_usdm", judge, answer)
        return tuple(_trade_fill(body, query, received_ns) for body in decoded("binance_usdm", answer.body, _TRADES))

    def dead_man_request(self, instrument: Instrument, countdown_ms: int, stamp: Stamp) -> HttpRequest | None:
        """POST /fapi/v1/countdownCancelAll."""
        query = f"symbol={encoded(instrument.symbol)}&countdownTime={countdown_ms}"
        return self._signer.signed("POST", _DEAD_MAN_PATH, query, stamp, bucket=WEIGHT_BUCKET, weight=10)


def _as_answer(row: bytes) -> HttpResponse:
    """One row of a batch as the answer to a request of its own."""
    is_refusal = b'"code"' in row and b'"orderId"' not in row
    return HttpResponse(status=400 if is_refusal else 200, headers={}, body=row)


def _unreadable(answer: HttpResponse) -> HttpResponse:
    """The answer to a batch that lists nothing readable: a success tells as little as a server error."""
    return attrs.evolve(answer, status=502) if answer.status < 300 else answer


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


_PATHS: Final = OrderPaths(
    order="/fapi/v1/order",
    trades="/fapi/v1/userTrades",
    query_weight=1,
    form=_form,
    ending="newOrderRespType=RESULT&selfTradePreventionMode=EXPIRE_TAKER",
)
_ANSWERS: Final = OrderAnswers(judge, _facts)


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


def _trade_fill(body: UsdmTradeBody, query: Query, received_ns: int) -> Fill:
    if body.symbol != symbol_of(query.instrument) or body.side not in SIDES:
        raise ProtocolError("binance_usdm", f"asked about {query.instrument}, answered about {body.symbol} {body.side}")
    return Fill(
        instrument=query.instrument,
        trade_id=TradeId(str(body.id)),
        client_order_id=query.client_order_id,
        venue_order_id=VenueOrderId(str(body.order_id)),
        side=SIDES[body.side],
        qty=body.qty,
        price=body.price,
        fee=Fee(body.commission, AssetId(body.commission_asset)),
        liquidity=Liquidity.MAKER if body.maker else Liquidity.TAKER,
        received_ns=received_ns,
        venue_ns=ns_of(body.time),
    )
