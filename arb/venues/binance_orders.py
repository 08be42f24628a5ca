"""Binance order entry and its reports, the same for spot and futures but for paths and order forms.

Owns: the words of states and sides, the budgets that orders count against, and orders by name.
Never: knows which order forms a market has.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Protocol

import attrs

from arb.domain.effects import Cancel, Query
from arb.domain.errors import InvariantBroken
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, symbol_of
from arb.domain.instrument import Instrument
from arb.domain.order import Fill, Liquidity, OrderRequest, OrderState, OrderUpdate, Side, TimeInForce
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.spec import HttpRequest, Stamp

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
SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.GTC)
"""What a market order may say: it cannot rest."""
WEIGHT_BUCKET: Final = "weight"

_SIDE_WORDS: Final = {Side.BUY: "BUY", Side.SELL: "SELL"}
_ORDER_BUCKET: Final = "orders-10s"


@attrs.frozen(kw_only=True)
class OrderPaths:
    """Where a market takes orders, and how it words one."""

    order: str
    trades: str
    query_weight: int
    form: Callable[[OrderRequest], str]
    """Type, quantity, price and what else a market wants to hear; raises `InvariantBroken` for forms it has not."""
    ending: str


class BinanceOrderRequests:
    """Signed requests of one market."""

    __slots__ = ("_paths", "_signer")

    def __init__(self, signer: BinanceSigner, paths: OrderPaths) -> None:
        self._signer = signer
        self._paths = paths

    def submit(self, request: OrderRequest, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """POST an order.

        Raises:
            InvariantBroken: the market has no such order form, so it should never have been planned.
        """
        if request.instrument != instrument.id:
            raise InvariantBroken(f"order {request.client_order_id}: {request.instrument} encoded as {instrument.id}")
        paths = self._paths
        query = (
            f"symbol={encoded(instrument.symbol)}&side={_SIDE_WORDS[request.side]}&{paths.form(request)}"
            f"&newClientOrderId={request.client_order_id}&{paths.ending}"
        )
        return self._signer.signed("POST", paths.order, query, stamp, bucket=_ORDER_BUCKET, weight=1)

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """DELETE an order by the venue's number where it is known, else by our name."""
        query = _identified(cancel.instrument, cancel.client_order_id, cancel.venue_order_id)
        return self._signer.signed("DELETE", self._paths.order, query, stamp, bucket=WEIGHT_BUCKET, weight=1)

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """GET an order by the venue's number where it is known, else by our name."""
        named = _identified(query.instrument, query.client_order_id, query.venue_order_id)
        weight = self._paths.query_weight
        return self._signer.signed("GET", self._paths.order, named, stamp, bucket=WEIGHT_BUCKET, weight=weight)

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """GET the executions of an order, where it has some."""
        if not update.filled_qty or update.venue_order_id is None:
            return None
        named = f"symbol={encoded(symbol_of(query.instrument))}&orderId={update.venue_order_id}"
        return self._signer.signed("GET", self._paths.trades, named, stamp, bucket=WEIGHT_BUCKET, weight=5)


class ExecutionReport(Protocol):
    """An order's report on a private stream; both markets name these alike."""

    @property
    def side(self) -> str:
        """One of `SIDES`."""

    @property
    def last_qty(self) -> Decimal:
        """Of this execution."""

    @property
    def last_price(self) -> Decimal:
        """Of this execution."""

    @property
    def fee(self) -> Decimal | None:
        """None until there is one."""

    @property
    def fee_asset(self) -> str | None:
        """May be a third asset."""

    @property
    def trade_id(self) -> int:
        """Unique by symbol."""

    @property
    def is_maker(self) -> bool | None:
        """None: not told."""


def stream_fill(report: ExecutionReport, update: OrderUpdate) -> Fill:
    """The execution that a private stream reports together with its order's state."""
    return Fill(
        instrument=update.instrument,
        trade_id=TradeId(str(report.trade_id)),
        client_order_id=update.client_order_id,
        venue_order_id=update.venue_order_id,
        side=SIDES[report.side],
        qty=report.last_qty,
        price=report.last_price,
        fee=None if report.fee is None or report.fee_asset is None else Fee(report.fee, AssetId(report.fee_asset)),
        liquidity=None if report.is_maker is None else Liquidity.MAKER if report.is_maker else Liquidity.TAKER,
        received_ns=update.received_ns,
        venue_ns=update.venue_ns,
    )


def no_such_form(venue: str, request: OrderRequest) -> InvariantBroken:
    """A market was asked for an order form that it has not."""
    return InvariantBroken(
        f"{venue} has no {request.order_type.value} {request.side.value} with time in force "
        f"{request.time_in_force.value}, qty {request.qty}, total {request.quote_qty}, price {request.price} "
        f"(order {request.client_order_id})"
    )


def _identified(instrument: InstrumentId, name: ClientOrderId, number: VenueOrderId | None) -> str:
    """Names may come again once an order has ended, numbers never."""
    symbol = f"symbol={encoded(symbol_of(instrument))}"
    return f"{symbol}&orderId={number}" if number is not None else f"{symbol}&origClientOrderId={encoded(name)}"
