"""Executions of a Binance account, whoever ordered them: the venue's own liquidations and deleveraging among them.

Owns: the requests for the lists of executions and of orders, and the reading of both together.
Never: judges whose an execution is; keeps anything between readings.
Units: times UTC milliseconds; amounts Decimal from text.

The list of executions tells an order by its number only, the list of orders has the names. Both give the oldest rows
of a span first, at most `_LIMIT` of them: what comes after the last row of a full list is read on the next page.
"""

from __future__ import annotations

from typing import Final

import attrs
import msgspec

from arb.domain.ids import ClientOrderId
from arb.domain.instrument import Instrument
from arb.domain.order import Fill
from arb.venues.answers import decoded
from arb.venues.binance_codec import BinanceMarket
from arb.venues.binance_orders import WEIGHT_BUCKET
from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.refusals import require_success
from arb.venues.spec import ExecutionsSeen, HttpRequest, HttpResponse, Stamp

_LIMIT: Final = 1000
_NAMED_BEFORE_MS: Final = 60_000
"""How much older than its execution an order may be to be listed by name with it."""
_NS_PER_MS: Final = 1_000_000


class NamedOrder(msgspec.Struct, rename="camel"):
    """One row of the list of orders, as far as names go."""

    order_id: int
    client_order_id: str
    time: int


_ORDERS: Final = msgspec.json.Decoder(list[NamedOrder])


class BinanceExecutions:
    """Readings of one market."""

    __slots__ = ("_market", "_signer")

    def __init__(self, signer: BinanceSigner, market: BinanceMarket) -> None:
        self._signer = signer
        self._market = market

    @property
    def window_ms(self) -> int:
        """The longest span of a reading: that of the market less what orders are listed before it."""
        return self._market.window_ms - _NAMED_BEFORE_MS

    def requests(
        self, instruments: tuple[Instrument, ...], since_ms: int, until_ms: int | None, stamps: tuple[Stamp, ...]
    ) -> tuple[HttpRequest, ...]:
        """Executions, then orders, of each instrument."""
        market, found = self._market, list[HttpRequest]()
        for instrument, first, second in zip(instruments, stamps[::2], stamps[1::2], strict=True):
            for path, from_ms, stamp in (
                (market.paths.trades, since_ms, first),
                (market.orders_list, since_ms - _NAMED_BEFORE_MS, second),
            ):
                end = "" if until_ms is None else f"&endTime={until_ms}"
                query = f"symbol={encoded(instrument.symbol)}&startTime={max(from_ms, 0)}{end}&limit={_LIMIT}"
                weight = market.list_weight
                found.append(self._signer.signed("GET", path, query, stamp, bucket=WEIGHT_BUCKET, weight=weight))
        return tuple(found)

    def parsed(
        self, instruments: tuple[Instrument, ...], answers: tuple[HttpResponse, ...], received_ns: int
    ) -> ExecutionsSeen:
        """Executions with the names of their orders; of a span that both lists cover.

        Raises:
            ProtocolError: an answer cannot be understood.
            VenueUnavailable: an answer is an error of the venue.
        """
        market, fills, ends_ms = self._market, list[Fill](), list[int]()
        for answer in answers:
            require_success(market.venue, market.judge, answer)
        for instrument, traded, ordered in zip(instruments, answers[::2], answers[1::2], strict=True):
            listed = market.executions(traded, instrument.id, received_ns)
            orders = decoded(market.venue, ordered.body, _ORDERS)
            names = {str(order.order_id): ClientOrderId(order.client_order_id) for order in orders}
            fills += (attrs.evolve(fill, client_order_id=names.get(fill.venue_order_id or "")) for fill in listed)
            if len(listed) >= _LIMIT:
                ends_ms.append(max(_ms_of(fill) for fill in listed))
            if len(orders) >= _LIMIT:
                ends_ms.append(max(order.time for order in orders))
        end_ms = min(ends_ms, default=None)
        told = (fill for fill in fills if end_ms is None or _ms_of(fill) <= end_ms)
        return ExecutionsSeen(fills=tuple(sorted(told, key=_ms_of)), more_from_ms=end_ms)


def _ms_of(fill: Fill) -> int:
    return (fill.venue_ns or 0) // _NS_PER_MS
