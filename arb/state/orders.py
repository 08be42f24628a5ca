"""Every order of ours that matters: what was asked, what is known, what arrived.

Owns: the order status table. Cumulative quantities only grow; late, doubled and reordered messages only add.
Never: decides what to do about an order.
Units: quantities in contract units of the instrument; times monotonic _ns.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.ids import ClientOrderId, InstrumentId, TradeId, VenueOrderId
from arb.domain.order import Fill, OrderRequest, OrderState, OrderUpdate

ZERO: Final = Decimal(0)
KEEP_FINISHED: Final = 2_000
"""Finished orders that are remembered, so that late messages find them."""

_RANK: Final = {
    OrderState.SUBMITTED: 0,
    OrderState.UNKNOWN: 1,
    OrderState.NOT_FOUND: 1,
    OrderState.OPEN: 2,
    OrderState.CANCELED: 3,
    OrderState.REJECTED: 3,
    OrderState.FILLED: 4,
}


@attrs.frozen(kw_only=True)
class OrderLine:
    """One order: request and knowledge."""

    request: OrderRequest
    owner: str
    """Id of the two-leg order it belongs to."""
    state: OrderState
    submitted_ns: int
    changed_ns: int
    reported_qty: Decimal = ZERO
    """Highest cumulative quantity any update told."""
    reported_price: Decimal | None = None
    fill_qty: Decimal = ZERO
    """Sum of the distinct fills."""
    fill_cost: Decimal = ZERO
    """Sum of price × quantity of the distinct fills, quote."""
    fee_base: Decimal = ZERO
    """Fees of the fills taken in the base asset, base units."""
    trades: tuple[TradeId, ...] = ()
    venue_order_id: VenueOrderId | None = None
    reason: str = ""
    is_qty_known: bool = True
    """False: the venue said the order ended without saying how much of it traded."""
    is_cancel_sent: bool = False
    told: OrderState | None = None
    """The last end (or unknown fate) that observers were told of."""
    not_found_count: int = 0
    not_found_since_ns: int = 0
    queries: int = 0
    next_query_ns: int | None = None
    revision: int = 0

    @property
    def filled_qty(self) -> Decimal:
        """Cumulative quantity, from whichever message told more."""
        return max(self.reported_qty, self.fill_qty)

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state.is_final

    @property
    def is_settled(self) -> bool:
        """Whether it is final and every execution the venue counts has arrived with its price and fee."""
        return self.state.is_final and self.is_qty_known and self.fill_qty >= self.reported_qty

    @property
    def open_qty(self) -> Decimal:
        """What may still trade."""
        if self.state.is_final or self.request.qty is None:
            return ZERO
        return max(self.request.qty - self.filled_qty, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Average of the fills, else as reported."""
        return self.fill_cost / self.fill_qty if self.fill_qty else self.reported_price


def merged(line: OrderLine, update: OrderUpdate, now_ns: int) -> OrderLine:
    """`line` with what the update adds; knowledge never goes backwards."""
    reported = line.reported_qty if update.filled_qty is None else max(line.reported_qty, update.filled_qty)
    if update.state is OrderState.NOT_FOUND:
        return _not_found(line, now_ns)
    is_qty_known = line.is_qty_known
    state = line.state
    if _RANK[update.state] > _RANK[state] or (state is OrderState.NOT_FOUND and update.state is OrderState.UNKNOWN):
        state = update.state
    if state is OrderState.FILLED and line.request.qty is not None:
        reported = max(reported, line.request.qty if update.filled_qty is None else reported)
    elif state is OrderState.CANCELED:
        is_qty_known = update.filled_qty is not None or (line.state is OrderState.CANCELED and is_qty_known)
    return attrs.evolve(
        line,
        state=state,
        changed_ns=now_ns if state is not line.state or reported != line.reported_qty else line.changed_ns,
        reported_qty=reported,
        reported_price=update.avg_price or line.reported_price,
        venue_order_id=update.venue_order_id or line.venue_order_id,
        reason=update.reason or line.reason,
        is_qty_known=is_qty_known,
        not_found_count=0,
        revision=line.revision + 1,
    )


def _not_found(line: OrderLine, now_ns: int) -> OrderLine:
    """A query found nothing: counted, and not yet definite; an order that once was seen stays what it was."""
    if line.state.is_final or line.filled_qty or line.venue_order_id is not None:
        return line
    return attrs.evolve(
        line,
        state=OrderState.NOT_FOUND,
        not_found_count=line.not_found_count + 1,
        not_found_since_ns=line.not_found_since_ns if line.not_found_count else now_ns,
        revision=line.revision + 1,
    )


def with_fill(line: OrderLine, fill: Fill, base_fee: Decimal, now_ns: int) -> OrderLine:
    """`line` with one more execution; the caller has dropped doubled ones."""
    filled = line.fill_qty + fill.qty
    state = line.state
    if line.request.qty is not None and filled >= line.request.qty:
        state = OrderState.FILLED
    elif state in (OrderState.SUBMITTED, OrderState.NOT_FOUND):
        state = OrderState.OPEN
    return attrs.evolve(
        line,
        state=state,
        changed_ns=now_ns,
        fill_qty=filled,
        fill_cost=line.fill_cost + fill.qty * fill.price,
        fee_base=line.fee_base + base_fee,
        trades=(*line.trades, fill.trade_id),
        venue_order_id=line.venue_order_id or fill.venue_order_id,
        revision=line.revision + 1,
    )


@attrs.define
class Orders:
    """All lines by client id, and which of them are not finished."""

    lines: dict[ClientOrderId, OrderLine] = attrs.field(factory=dict)
    unfinished: dict[ClientOrderId, None] = attrs.field(factory=dict)
    held: dict[str, None] = attrs.field(factory=dict)
    """Owners that still count their orders: none of those is forgotten."""
    by_venue_id: dict[str, ClientOrderId] = attrs.field(factory=dict)
    """`instrument|venue order id`: for fills that do not repeat our name."""
    forgotten_ns: int | None = None
    """When the youngest order that is forgotten last changed: whose older executions are, nobody knows any more."""

    def told(self, line: OrderLine) -> None:
        """Observers were told how it stands."""
        self.lines[line.request.client_order_id] = attrs.evolve(line, told=line.state)

    def add(self, request: OrderRequest, owner: str, now_ns: int) -> None:
        """Remember an order that is about to leave."""
        if request.client_order_id in self.lines:
            raise ValueError(f"client order id {request.client_order_id} is used already")
        self.put(
            OrderLine(request=request, owner=owner, state=OrderState.SUBMITTED, submitted_ns=now_ns, changed_ns=now_ns)
        )

    def put(self, line: OrderLine) -> None:
        """Replace what is known of an order."""
        key = line.request.client_order_id
        self.lines[key] = line
        if line.venue_order_id is not None:
            self.by_venue_id[f"{line.request.instrument}|{line.venue_order_id}"] = key
        if line.is_settled:
            self.unfinished.pop(key, None)
            self._forget_oldest()
        else:
            self.unfinished[key] = None

    def update(self, update: OrderUpdate, now_ns: int) -> OrderLine | None:
        """Fold an update; the new line, or None when it changed nothing or is not ours."""
        line = self.lines.get(update.client_order_id)
        if line is None:
            return None
        after = merged(line, update, now_ns)
        if after == attrs.evolve(line, revision=after.revision):
            return None
        self.put(after)
        return after

    def fill(self, fill: Fill, base_fee: Decimal, now_ns: int) -> OrderLine | None:
        """Fold an execution; None when it is doubled or not ours."""
        line = self.find(fill)
        if line is None or fill.trade_id in line.trades:
            return None
        after = with_fill(line, fill, base_fee, now_ns)
        self.put(after)
        return after

    def find(self, fill: Fill) -> OrderLine | None:
        """The order an execution belongs to, by our name or by the venue's."""
        if fill.client_order_id is not None and fill.client_order_id in self.lines:
            return self.lines[fill.client_order_id]
        key = self.by_venue_id.get(f"{fill.instrument}|{fill.venue_order_id}")
        return self.lines[key] if key is not None else None

    def booked_qty(self, update: OrderUpdate) -> Decimal:
        """How much of an order's executions has arrived."""
        line = self.lines.get(update.client_order_id)
        return line.fill_qty if line is not None else ZERO

    def working(self, instrument: InstrumentId | None = None) -> tuple[OrderLine, ...]:
        """Orders not known to be finished, oldest first; of one instrument if given."""
        lines = (self.lines[key] for key in self.unfinished)
        return tuple(line for line in lines if instrument is None or line.request.instrument == instrument)

    def _may_forget(self, line: OrderLine) -> bool:
        return line.request.client_order_id not in self.unfinished and line.owner not in self.held

    def _forget_oldest(self) -> None:
        while len(self.lines) - len(self.unfinished) > KEEP_FINISHED:
            oldest = next((key for key, line in self.lines.items() if self._may_forget(line)), None)
            if oldest is None:
                return
            line = self.lines.pop(oldest)
            self.forgotten_ns = max(self.forgotten_ns or line.changed_ns, line.changed_ns)
            self.by_venue_id.pop(f"{line.request.instrument}|{line.venue_order_id}", None)
