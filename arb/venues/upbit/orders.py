"""Upbit order entry: requests out, answers in.

Owns: which order forms the venue has, and the order object of REST (`UpbitOrderBody`, also listed by `account.py`).
Never: decides what an open fate means; a 5xx or an unreadable answer is UNKNOWN.
Units: volumes in base, prices and funds in quote.

A placed order answers 201 with its order object, usually `wait` even for IOC: fills come by the private stream or by a
query. REST leaves null fields out. An order that ends with a remainder (IOC, FOK, a market buy whose total does not
divide) ends as `cancel` with `executed_volume > 0`. There is no endpoint for fills: a query's `trades[]` are they, with
the trade ids of the stream and without a fee each. The order's `paid_fee` is shared out by funds where that is exact.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from arb.domain.effects import Cancel, Query
from arb.domain.errors import InvariantBroken, ProtocolError
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id
from arb.domain.instrument import Instrument
from arb.domain.money import EXACT
from arb.domain.order import ApprovedOrder, Fill, OrderRequest, OrderState, OrderType, OrderUpdate, Side, TimeInForce
from arb.venues.answers import decoded, plain
from arb.venues.exact import check_amounts
from arb.venues.order_answers import Facts, OrderAnswers
from arb.venues.refusals import Consequence, Outcome, cancel_refused, require_success
from arb.venues.spec import Credentials, HttpRequest, HttpResponse, Stamp
from arb.venues.upbit.errors import judge
from arb.venues.upbit.signing import UpbitSigner

STATES: Final = {
    "wait": OrderState.OPEN,
    "watch": OrderState.OPEN,
    "trade": OrderState.OPEN,
    "prevented": OrderState.OPEN,
    "done": OrderState.FILLED,
    "cancel": OrderState.CANCELED,
}
"""`trade` and `prevented` are said by the stream only; the final state follows them."""

SIDES: Final = {"bid": Side.BUY, "ask": Side.SELL, "BID": Side.BUY, "ASK": Side.SELL}

ORDER_BUCKET: Final = "order"
DEFAULT_BUCKET: Final = "default"

_TIME_IN_FORCE: Final = {TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok", TimeInForce.POST_ONLY: "post_only"}
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.GTC)
"""What a market order may say: it cannot rest."""

_RATE_STEP: Final = Decimal("0.000001")
_FEE_TOLERANCE: Final = Decimal("0.00000001")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UpbitTradeBody(msgspec.Struct):
    """One execution inside an order object."""

    uuid: str
    price: Decimal
    volume: Decimal
    side: str
    created_at: str = ""

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitOrderBody(msgspec.Struct):
    """An order object."""

    uuid: str
    market: str
    state: str
    side: str
    executed_volume: Decimal = Decimal(0)
    paid_fee: Decimal | None = None
    trades_count: Decimal = Decimal(0)
    """A number, or its text in some answers."""
    identifier: str | None = None
    created_at: str = ""
    trades: list[UpbitTradeBody] = []

    def __post_init__(self) -> None:
        check_amounts(self)


class UpbitCancelledBody(msgspec.Struct):
    """An order in the answer to a cancel of many."""

    uuid: str
    identifier: str | None = None


class UpbitCancelledPart(msgspec.Struct):
    """Those accepted, or those refused."""

    orders: list[UpbitCancelledBody] = []


class UpbitCancelledBodies(msgspec.Struct):
    """The answer to DELETE /v1/orders/uuids."""

    success: UpbitCancelledPart


_CANCELLED: Final = msgspec.json.Decoder(UpbitCancelledBodies)
_ORDER: Final = msgspec.json.Decoder(UpbitOrderBody)


class UpbitOrders:
    """OrderCodec of Upbit."""

    __slots__ = ("_signer",)

    def __init__(self, credentials: Credentials) -> None:
        self._signer = UpbitSigner(credentials)

    def submit(self, order: ApprovedOrder, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """POST /v1/orders; the signature covers the body's pairs in body order."""
        fields = order_fields(order.request, instrument)
        token = self._signer.token_for(stamp.nonce, "&".join(f"{name}={value}" for name, value in fields.items()))
        headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json; charset=utf-8"))
        body = msgspec.json.encode(fields)
        return HttpRequest(method="POST", path="/v1/orders", headers=headers, body=body, bucket=ORDER_BUCKET)

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """DELETE /v1/order: accepted, not completed."""
        return self._by_name("DELETE", cancel.client_order_id, cancel.venue_order_id, stamp)

    @property
    def most_cancels(self) -> int:
        """Of DELETE /v1/orders/uuids."""
        return 20

    def cancel_many(self, cancels: tuple[Cancel, ...], stamp: Stamp) -> HttpRequest:
        """DELETE /v1/orders/uuids by our names; brackets stay literal in the hashed text and on the wire."""
        hashed = "&".join(f"identifiers[]={one.client_order_id}" for one in cancels)
        headers = (("Authorization", f"Bearer {self._signer.token_for(stamp.nonce, hashed)}"),)
        query = "&".join(f"identifiers[]={quote(one.client_order_id, safe='')}" for one in cancels)
        return HttpRequest(
            method="DELETE", path="/v1/orders/uuids", query=query, headers=headers, bucket=DEFAULT_BUCKET
        )

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """GET /v1/order, which holds the executions too."""
        return self._by_name("GET", query.client_order_id, query.venue_order_id, stamp)

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """GET /v1/order again, where an answer counts more than it lists: those to submits and cancels list none."""
        return self.query(query, stamp) if update.filled_qty else None

    def parse_submit(self, order: ApprovedOrder, answer: HttpResponse, received_ns: int) -> Facts:
        """201 with the order object, or a refusal."""
        return _ANSWERS.to_submit(order.request, answer, received_ns)

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as it stood when the cancel was accepted, usually still open."""
        return _ANSWERS.to_cancel(cancel, answer, received_ns)

    def parse_cancel_many(self, cancels: tuple[Cancel, ...], answer: HttpResponse, received_ns: int) -> Facts:
        """Which cancels were accepted; the state of an order stands in no answer of the kind."""
        accepted: frozenset[str] = frozenset()
        if answer.status in (200, 201):
            with suppress(ProtocolError):
                listed = decoded("upbit", answer.body, _CANCELLED).success.orders
                accepted = frozenset(one.identifier or one.uuid for one in listed)
            verdict, words = Consequence(Outcome.UNKNOWN, "cancel_refused"), ""
        else:
            verdict, words = judge(answer)
        taken = Consequence(Outcome.UNKNOWN, "cancel_accepted")
        return tuple(
            cancel_refused(one, taken if one.client_order_id in accepted else verdict, words, received_ns)
            for one in cancels
        )

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> Facts:
        """The order and its executions."""
        return _ANSWERS.to_query(query, answer, received_ns)

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions in an order object.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """
        require_success("upbit", judge, answer)
        facts = _facts(answer, query.instrument, query.client_order_id, received_ns)
        return tuple(fact for fact in facts if isinstance(fact, Fill))

    def dead_man_request(self, instrument: Instrument, countdown_ms: int, stamp: Stamp) -> HttpRequest | None:
        """None: there is no such timer on spot."""
        return None

    def _by_name(self, method: str, name: ClientOrderId, venue_name: VenueOrderId | None, stamp: Stamp) -> HttpRequest:
        field, value = ("identifier", str(name)) if venue_name is None else ("uuid", str(venue_name))
        headers = (("Authorization", f"Bearer {self._signer.token_for(stamp.nonce, f'{field}={value}')}"),)
        query = f"{field}={quote(value, safe='')}"
        return HttpRequest(method=method, path="/v1/order", query=query, headers=headers, bucket=DEFAULT_BUCKET)


def order_fields(request: OrderRequest, instrument: Instrument) -> dict[str, str]:
    """The body of an order. `reduce_only` says nothing here: a spot holding cannot go below zero.

    Raises:
        InvariantBroken: the venue has no such order form, so it should never have been planned.
    """
    if request.instrument != instrument.id:
        raise InvariantBroken(f"order {request.client_order_id}: {request.instrument} encoded as {instrument.id}")
    form, volume, price = _form(request)
    fields = {"market": instrument.symbol, "side": "bid" if request.side is Side.BUY else "ask", "ord_type": form}
    if volume is not None:
        fields["volume"] = plain(volume)
    if price is not None:
        fields["price"] = plain(price)
    if form in ("limit", "best") and request.time_in_force in _TIME_IN_FORCE:
        fields["time_in_force"] = _TIME_IN_FORCE[request.time_in_force]
    if request.time_in_force is not TimeInForce.POST_ONLY:
        fields["smp_type"] = "cancel_taker"
    fields["identifier"] = request.client_order_id
    return fields


def _form(request: OrderRequest) -> tuple[str, Decimal | None, Decimal | None]:
    """`ord_type`, `volume`, `price` as this venue understands them."""
    is_buy = request.side is Side.BUY
    qty, total, limit = request.qty, request.quote_qty, request.price
    lasting = request.time_in_force
    match request.order_type:
        case OrderType.LIMIT if qty is not None and limit is not None and total is None:
            return "limit", qty, limit
        case OrderType.MARKET if not is_buy and qty is not None and limit is None and lasting in _AT_ONCE:
            return "market", qty, None
        case OrderType.MARKET_BY_QUOTE if is_buy and total is not None and limit is None and lasting in _AT_ONCE:
            return "price", None, total
        case OrderType.BEST if lasting in (TimeInForce.IOC, TimeInForce.FOK) and limit is None:
            if is_buy and total is not None and qty is None:
                return "best", None, total
            if not is_buy and qty is not None and total is None:
                return "best", qty, None
    raise InvariantBroken(
        f"upbit has no {request.order_type.value} {request.side.value} with time in force {lasting.value}, "
        f"qty {qty}, total {total}, price {limit} (order {request.client_order_id})"
    )


def read_order(answer: HttpResponse, instrument: InstrumentId, name: ClientOrderId) -> UpbitOrderBody:
    """The order object of an answer, which must be about the order that was asked about.

    Raises:
        ProtocolError: it is something else.
    """
    body = decoded("upbit", answer.body, _ORDER)
    if instrument_id("upbit", body.market) != instrument or (body.identifier or name) != name != body.uuid:
        raise ProtocolError("upbit", f"asked about {name}, answered about {body.market} {body.identifier} {body.uuid}")
    if name != body.uuid:
        body.identifier = name
    return body


def _facts(answer: HttpResponse, instrument: InstrumentId, name: ClientOrderId, received_ns: int) -> Facts:
    return order_facts(read_order(answer, instrument, name), received_ns)


_ANSWERS: Final = OrderAnswers(judge, _facts)


def known_name(identifier: str | None, uuid: str) -> ClientOrderId:
    """Our name of an order; one placed without identifier goes by its uuid, which is never mistaken for one of ours."""
    return ClientOrderId(identifier or uuid)


def order_facts(body: UpbitOrderBody, received_ns: int) -> Facts:
    """The executions listed, then the order's own state.

    Raises:
        ProtocolError: state or side is not one the venue is known to have.
    """
    if body.state not in STATES or body.side not in SIDES:
        raise ProtocolError("upbit", f"order {body.uuid} has state {body.state!r} and side {body.side!r}")
    update = OrderUpdate(
        client_order_id=known_name(body.identifier, body.uuid),
        instrument=instrument_id("upbit", body.market),
        state=STATES[body.state],
        filled_qty=body.executed_volume,
        avg_price=_average_price(body),
        venue_order_id=VenueOrderId(body.uuid),
        received_ns=received_ns,
    )
    return (*_fills(body, update, received_ns), update)


def _average_price(body: UpbitOrderBody) -> Decimal | None:
    volume = sum((trade.volume for trade in body.trades), Decimal(0))
    if not volume or volume != body.executed_volume:
        return None
    return sum(map(_funds, body.trades), Decimal(0)) / volume


def _funds(trade: UpbitTradeBody) -> Decimal:
    return EXACT.multiply(trade.price, trade.volume)


def _fills(body: UpbitOrderBody, update: OrderUpdate, received_ns: int) -> tuple[Fill, ...]:
    rate = _fee_rate(body)
    quote_asset = AssetId(body.market.partition("-")[0])
    return tuple(
        Fill(
            instrument=update.instrument,
            trade_id=TradeId(trade.uuid),
            client_order_id=update.client_order_id,
            venue_order_id=update.venue_order_id,
            side=SIDES[body.side],
            qty=trade.volume,
            price=trade.price,
            fee=None if rate is None else Fee(EXACT.multiply(_funds(trade), rate), quote_asset),
            liquidity=None,
            received_ns=received_ns,
            venue_ns=korean_ns(trade.created_at),
        )
        for trade in body.trades
    )


def _fee_rate(body: UpbitOrderBody) -> Decimal | None:
    """The rate that makes of all executions exactly the fee paid; None where no short one does."""
    funds = sum(map(_funds, body.trades), Decimal(0))
    if body.paid_fee is None or funds <= 0 or not 0 <= body.paid_fee <= funds or len(body.trades) != body.trades_count:
        return None
    rate = (body.paid_fee / funds).quantize(_RATE_STEP, context=EXACT)
    return rate if abs(EXACT.multiply(rate, funds) - body.paid_fee) < _FEE_TOLERANCE else None


def korean_ns(text: str) -> int | None:
    """UTC nanoseconds of `2025-07-04T15:00:00.123+09:00`; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1000
