"""What one trade of a loop caught: its flows with the USDT exchanged back at once.

Owns: the one definition of captured, exact.
Never: marks coins: a loop is realised when it is closed.
Units: KRW; FX in KRW per USDT, fees of the FX book included.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arb.domain.money import EXACT, exact_sum
from arb.state.flows import KRW, Flow, FlowKind


def captured_krw(flows: Iterable[Flow], *, sell_usdt: Decimal, buy_usdt: Decimal) -> Decimal:
    """KRW flows and USDT flows of one trade, funding left out; USDT got is sold, USDT spent is bought back."""
    moved = [flow for flow in flows if flow.kind is not FlowKind.FUNDING]
    krw = exact_sum(flow.amount for flow in moved if flow.asset == KRW)
    usdt = exact_sum(flow.amount for flow in moved if flow.asset != KRW)
    return EXACT.add(krw, EXACT.multiply(usdt, sell_usdt if usdt > 0 else buy_usdt))
