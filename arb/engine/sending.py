"""Orders leave: from a leg and a quantity to an approved order, and how a silent one is asked after.

Owns: building requests, passing the gate's second half, remembering what left, the schedule of queries.
Never: chooses quantity or venue.
Units: quantities in base units until the request, contract units in it; prices in the instrument's quote.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, Query, Severity, Submit
from arb.domain.instrument import InstrumentKind
from arb.domain.money import decimal_of
from arb.domain.order import ApprovedOrder, OrderRequest, OrderState, OrderType, Purpose, Side, TimeInForce
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.memory import Turn
from arb.engine.view import MINUTE_NS, leg_instrument, recent
from arb.execution.legs import LegPair
from arb.risk.checks import Refusal
from arb.risk.gate import ApprovalView, approve
from arb.risk.trading_state import Cause
from arb.state.orders import OrderLine

QUERY_BUDGET: Final = 120
"""Queries about one order before the engine halts and asks a person."""


@attrs.frozen(kw_only=True)
class WishedOrder:
    """One order to be made."""

    leg: str
    side: Side
    qty: Decimal
    """Base units, on the step."""
    price: Decimal
    expected_price: Decimal
    purpose: Purpose
    is_closing: bool
    """It shrinks what the leg holds."""
    collar_bps: float
    is_planned: bool
    is_market: bool = False
    """At any price; `price` then bounds nothing."""


def touched(turn: Turn, pair: Pair, leg: str, side: Side) -> Decimal | None:
    """The side of the newest book that an order would touch."""
    book = turn.memory.market.book(leg_instrument(pair, leg))
    if book is None or not book.is_usable:
        return None
    return decimal_of(book.depth.best_ask if side is Side.BUY else book.depth.best_bid)


def request_of(turn: Turn, legs: LegPair, pair: Pair, wish: WishedOrder) -> OrderRequest:
    """An IOC order, limited but where a market order is due; perpetual closes are reduce-only."""
    instrument = turn.memory.market.instruments[leg_instrument(pair, wish.leg)]
    multiplier = Decimal(1) if wish.leg == "a" else pair.multiplier
    return OrderRequest(
        client_order_id=turn.next_order_id(),
        instrument=instrument.id,
        side=wish.side,
        order_type=OrderType.MARKET if wish.is_market else OrderType.LIMIT,
        qty=wish.qty / multiplier,
        price=None if wish.is_market else wish.price,
        time_in_force=TimeInForce.IOC,
        reduce_only=wish.is_closing and instrument.kind is InstrumentKind.PERPETUAL,
        purpose=wish.purpose,
        pair=legs.pair,
        leg=wish.leg,
        expected_price=wish.expected_price,
    )


def send(turn: Turn, legs: LegPair, pair: Pair, wishes: tuple[WishedOrder, ...]) -> Refusal | None:
    """Approve all wishes and submit them in one batch, or none of them."""
    approved: list[ApprovedOrder] = []
    for wish in wishes:
        verdict = approve(request_of(turn, legs, pair, wish), _order_view(turn, pair, wish))
        if isinstance(verdict, Refusal):
            return verdict
        approved.append(verdict)
    memory = turn.memory
    for wish, order in zip(wishes, approved, strict=True):
        memory.orders.add(order.request, legs.id, memory.now_ns)
        legs.sent(wish.leg, order.request.client_order_id, is_planned=wish.is_planned)
        rows.order_row(turn, memory.orders.lines[order.request.client_order_id], legs.position)
    times = recent(memory.order_times, memory.now_ns, MINUTE_NS)
    memory.order_times = times + (memory.now_ns,) * len(approved)
    turn.effects.append(Submit(tuple(approved)))
    return None


def _order_view(turn: Turn, pair: Pair, wish: WishedOrder) -> ApprovalView:
    memory, limits = turn.memory, turn.config.risk
    instrument = memory.market.instruments[leg_instrument(pair, wish.leg)]
    is_entry = wish.purpose is Purpose.ENTRY
    most = limits.max_position_krw if is_entry else limits.max_total_krw
    reference = touched(turn, pair, wish.leg, wish.side) or wish.expected_price
    quote_krw = Decimal(1) if instrument.quote == "KRW" else decimal_of(memory.fx.known_mid)
    if wish.is_closing:
        most = max(most, _held_qty(turn, pair, wish.leg) * reference * quote_krw)
    return ApprovalView(
        now_ns=memory.now_ns,
        state=memory.causes.state_of(pair.id),
        limits=limits,
        instrument=instrument,
        reference=reference,
        collar_bps=decimal_of(wish.collar_bps),
        orders_last_minute=len(recent(memory.order_times, memory.now_ns, MINUTE_NS)),
        max_notional_krw=most * Decimal("1.1"),
        quote_krw=quote_krw,
    )


def _held_qty(turn: Turn, pair: Pair, leg: str) -> Decimal:
    """What a leg holds, unsigned contract units: whoever made it larger than any limit, an order over it must pass."""
    position = turn.memory.ledger.position(pair.id)
    if position is None:
        return Decimal(0)
    return abs(position.a.net_qty) if leg == "a" else abs(position.b.net_qty) / pair.multiplier


def query(turn: Turn, line: OrderLine, wait_ns: int) -> None:
    """Ask what became of an order, `wait_ns` from now; the budget of questions is not endless."""
    memory = turn.memory
    at_ns = memory.now_ns + wait_ns
    memory.orders.put(attrs.evolve(line, queries=line.queries + 1, next_query_ns=at_ns))
    request = line.request
    turn.effects.append(
        Query(
            client_order_id=request.client_order_id,
            venue_order_id=line.venue_order_id,
            instrument=request.instrument,
            not_before_ns=at_ns,
        )
    )
    if line.queries + 1 == QUERY_BUDGET and memory.causes.add(
        Cause.QUERY_BUDGET, request.client_order_id, memory.now_ns
    ):
        fields: dict[str, Cell] = {"client_order_id": request.client_order_id, "venue": request.venue}
        turn.alert(f"query/{request.client_order_id}", Severity.ERROR, "an order's fate cannot be learnt", fields)
        rows.trading_state_topic(turn)


def ask_after_silent(turn: Turn) -> None:
    """Query every order that is overdue: unanswered, of unknown fate, or final with executions missing."""
    memory, params = turn.memory, turn.config.execution
    spacing_ns = int(params.unknown_not_found_s * 1e9 / params.unknown_not_found_n)
    for line in memory.orders.working():
        if line.next_query_ns is not None:
            is_due = memory.now_ns >= line.next_query_ns + spacing_ns
        elif line.state in (OrderState.UNKNOWN, OrderState.NOT_FOUND):
            is_due = True
        elif line.is_final:
            is_due = memory.now_ns - line.changed_ns >= params.unknown_grace_s * 1e9
        else:
            is_due = memory.now_ns - line.submitted_ns >= params.first_leg_timeout_ms * 1_000_000
        if is_due:
            if line.state is OrderState.SUBMITTED:
                line = attrs.evolve(line, state=OrderState.UNKNOWN, reason="no answer", revision=line.revision + 1)
            is_early = line.state is OrderState.UNKNOWN and line.queries == 0
            query(turn, line, int(params.unknown_grace_s * 1e9) if is_early else 0)
