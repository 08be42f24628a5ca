"""The order codec of every Binance market: requests out, answers in.

Owns: what the markets do alike: one order, one cancel or a batch of them, a query, its executions, the dead-man timer.
Never: knows a market's order object or forms; each brings its own (`BinanceMarket`).
Units: as in the market's own `orders.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from arb.domain.effects import Cancel, Query
from arb.domain.errors import ProtocolError
from arb.domain.ids import ClientOrderId, InstrumentId, symbol_of
from arb.domain.instrument import Instrument
from arb.domain.order import ApprovedOrder, Fill, OrderUpdate
from arb.venues.answers import decoded
from arb.venues.binance_orders import WEIGHT_BUCKET, BinanceOrderRequests, OrderPaths
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.order_answers import Facts, OrderAnswers
from arb.venues.refusals import Judge, require_success
from arb.venues.spec import Credentials, HttpRequest, HttpResponse, Stamp

_MOST_CANCELS: Final = 10
_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


@attrs.frozen(kw_only=True)
class BinanceMarket:
    """What one market does in its own way."""

    venue: str
    paths: OrderPaths
    judge: Judge
    facts: Callable[[HttpResponse, InstrumentId, ClientOrderId, int], Facts]
    """A good answer about an order; raises `ProtocolError` when it is about something else."""
    executions: Callable[[HttpResponse, InstrumentId, int], tuple[Fill, ...]]
    """A good answer to a request for executions of an instrument, which tells its orders by number only; raises
    `ProtocolError`."""
    orders_list: str
    """Path of the list of all orders of a symbol."""
    list_weight: int
    """Of that list and of the list of executions."""
    window_ms: int
    """The longest span that either list takes."""
    batch_path: str | None = None
    """Cancels several orders by name; None: the market has no such request."""
    dead_man_path: str | None = None
    """Sets the timer that cancels by itself; None: the market has none."""


class BinanceOrders:
    """OrderCodec of one market."""

    __slots__ = ("_answers", "_market", "_requests", "_signer")

    def __init__(self, credentials: Credentials, market: BinanceMarket) -> None:
        self._signer = BinanceSigner(credentials)
        self._market = market
        self._requests = BinanceOrderRequests(self._signer, market.paths)
        self._answers = OrderAnswers(market.judge, market.facts)

    def submit(self, order: ApprovedOrder, instrument: Instrument, stamp: Stamp) -> HttpRequest:
        """POST the order."""
        return self._requests.submit(order.request, instrument, stamp)

    def cancel(self, cancel: Cancel, stamp: Stamp) -> HttpRequest:
        """DELETE the order."""
        return self._requests.cancel(cancel, stamp)

    @property
    def most_cancels(self) -> int:
        """Of one batch."""
        return 1 if self._market.batch_path is None else _MOST_CANCELS

    def cancel_many(self, cancels: tuple[Cancel, ...], stamp: Stamp) -> HttpRequest:
        """DELETE a batch by our names, or the only one."""
        path = self._market.batch_path
        if path is None:
            (one,) = cancels
            return self.cancel(one, stamp)
        names = msgspec.json.encode([one.client_order_id for one in cancels]).decode()
        query = f"symbol={encoded(symbol_of(cancels[0].instrument))}&origClientOrderIdList={quote(names, safe='')}"
        return self._signer.signed("DELETE", path, query, stamp, bucket=WEIGHT_BUCKET, weight=1)

    def query(self, query: Query, stamp: Stamp) -> HttpRequest:
        """GET the order."""
        return self._requests.query(query, stamp)

    def trades(self, query: Query, update: OrderUpdate, stamp: Stamp) -> HttpRequest | None:
        """GET the executions of the order, where it has some."""
        return self._requests.trades(query, update, stamp)

    def parse_submit(self, order: ApprovedOrder, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as the venue left it, or a refusal."""
        return self._answers.to_submit(order.request, answer, received_ns)

    def parse_cancel(self, cancel: Cancel, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as it ended."""
        return self._answers.to_cancel(cancel, answer, received_ns)

    def parse_cancel_many(self, cancels: tuple[Cancel, ...], answer: HttpResponse, received_ns: int) -> Facts:
        """The orders as they ended and refusals, in the order asked; anything else tells nothing of any of them."""
        if self._market.batch_path is None:
            (one,) = cancels
            return self.parse_cancel(one, answer, received_ns)
        rows: list[msgspec.Raw] = []
        if answer.status == 200:
            with suppress(ProtocolError):
                rows = decoded(self._market.venue, answer.body, _RAW_ROWS)
        answers = [_as_answer(bytes(row)) for row in rows]
        if len(answers) != len(cancels):
            answers = [_unreadable(answer)] * len(cancels)
        facts: list[OrderUpdate | Fill] = []
        for one, row in zip(cancels, answers, strict=True):
            facts += self._answers.to_cancel(one, row, received_ns)
        return tuple(facts)

    def parse_query(self, query: Query, answer: HttpResponse, received_ns: int) -> Facts:
        """The order as it stands."""
        return self._answers.to_query(query, answer, received_ns)

    def parse_trades(self, query: Query, answer: HttpResponse, received_ns: int) -> tuple[Fill, ...]:
        """The executions of the order.

        Raises:
            ProtocolError: the answer cannot be understood.
            VenueUnavailable: the answer is an error of the venue.
        """
        require_success(self._market.venue, self._market.judge, answer)
        fills = self._market.executions(answer, query.instrument, received_ns)
        return tuple(attrs.evolve(fill, client_order_id=query.client_order_id) for fill in fills)

    def dead_man_request(self, instrument: Instrument, countdown_ms: int, stamp: Stamp) -> HttpRequest | None:
        """Set the timer of a symbol; None: the market has none."""
        path = self._market.dead_man_path
        if path is None:
            return None
        query = f"symbol={encoded(instrument.symbol)}&countdownTime={countdown_ms}"
        return self._signer.signed("POST", path, query, stamp, bucket=WEIGHT_BUCKET, weight=10)


def _as_answer(row: bytes) -> HttpResponse:
    """One row of a batch as the answer to a request of its own."""
    is_refusal = b'"code"' in row and b'"orderId"' not in row
    return HttpResponse(status=400 if is_refusal else 200, headers={}, body=row)


def _unreadable(answer: HttpResponse) -> HttpResponse:
    """The answer to a batch that lists nothing readable: a success tells as little as a server error."""
    return attrs.evolve(answer, status=502) if answer.status < 300 else answer
