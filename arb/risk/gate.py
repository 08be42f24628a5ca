"""The gate: admits an intent, approves an order.

Owns: the order of the checks, and `ApprovedOrder`, which is made nowhere else (invariant I2).
Never: changes anything; hedges and unwinds skip `admit` and never `approve`.
Units: collars in bps of the reference price, an instrument's quote.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.instrument import Instrument
from arb.domain.intent import Intent
from arb.domain.money import is_multiple
from arb.domain.order import ApprovedOrder, OrderRequest, OrderType, Purpose
from arb.risk.checks import CHECKS, Refusal, RiskView, unsafe, waiting
from arb.risk.limits import RiskLimits
from arb.risk.trading_state import ALLOWED, TradingState

AT_ANY_PRICE: Final = frozenset({Purpose.EMERGENCY, Purpose.FLATTEN})
"""Orders that may be market orders."""


@attrs.frozen(kw_only=True)
class ApprovalView:
    """What the approval of one order looks at."""

    now_ns: int
    state: TradingState
    limits: RiskLimits
    instrument: Instrument
    reference: Decimal | None
    """Price that the collar is measured from: the touched side of the book, else the fill that is undone."""
    collar_bps: Decimal
    orders_last_minute: int
    max_notional_krw: Decimal
    """Most that one order of this purpose may be worth."""
    quote_krw: Decimal
    """KRW per unit of the instrument's quote."""


def admit(intent: Intent, view: RiskView) -> Refusal | None:
    """Whether an intent may become orders; the first refusal in the fixed order."""
    for check in CHECKS:
        refusal = check(intent, view)
        if refusal is not None:
            return refusal
    return None


def approve(request: OrderRequest, view: ApprovalView) -> ApprovedOrder | Refusal:
    """An approved order, or why not: state, price collar, notional, venue rules, rate."""
    refusal = _state(request, view) or _rules(request, view) or _collar(request, view) or _worth(request, view)
    return refusal or ApprovedOrder(request, view.now_ns)


def _state(request: OrderRequest, view: ApprovalView) -> Refusal | None:
    return None if request.purpose in ALLOWED[view.state] else waiting("trading_state")


def _rules(request: OrderRequest, view: ApprovalView) -> Refusal | None:
    """What the venue would refuse anyway."""
    instrument, qty, price = view.instrument, request.qty, request.price
    if qty is None or qty <= 0 or not is_multiple(qty, instrument.lot) or qty < instrument.min_qty:
        return unsafe("order_qty")
    if instrument.max_qty is not None and qty > instrument.max_qty:
        return unsafe("order_qty")
    if price is None:
        is_market = request.order_type is OrderType.MARKET and request.purpose in AT_ANY_PRICE
        return None if is_market else unsafe("order_price")
    if price <= 0 or not is_multiple(price, instrument.ticks.tick_at(price)):
        return unsafe("order_price")
    return unsafe("order_notional") if qty * price < instrument.min_notional and not request.reduce_only else None


def _collar(request: OrderRequest, view: ApprovalView) -> Refusal | None:
    """The price is no worse than the reference by more than the collar."""
    if request.price is None or view.reference is None:
        return None
    if view.reference <= 0:
        return unsafe("price_collar")
    worse = (request.price / view.reference - 1) * request.side.sign
    tick = view.instrument.ticks.tick_at(request.price) / view.reference
    return unsafe("price_collar") if worse > view.collar_bps / 10_000 + tick else None


def _worth(request: OrderRequest, view: ApprovalView) -> Refusal | None:
    """Notional and rate; reserved budget pays for hedges."""
    price = request.price if request.price is not None else view.reference or Decimal(0)
    if (request.qty or Decimal(0)) * price * view.quote_krw > view.max_notional_krw:
        return unsafe("order_notional_max")
    if request.purpose is Purpose.ENTRY and view.orders_last_minute >= view.limits.max_orders_per_min:
        return unsafe("order_rate")
    return None
