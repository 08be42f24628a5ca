"""Where a position's result came from, exactly, in each numeraire.

Owns: the six components and the identity `spread_at_decision + slippage + fees + funding + fx + rounding = total`.
Never: marks anything; the flows carry their FX and the caller brings the closing mid.
Units: KRW or USDT by the numeraire of the value; booked half-even at 1e-8.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs

from arb.domain.money import EXACT, booked, exact_sum
from arb.state.flows import KRW, USDT, Flow, FlowKind

_ONE = Decimal(1)


@attrs.frozen(kw_only=True)
class Attribution:
    """One position in one numeraire; the six components sum to `total` exactly."""

    spread_at_decision: Decimal
    slippage: Decimal
    fees: Decimal
    funding: Decimal
    fx: Decimal
    rounding: Decimal
    total: Decimal

    @property
    def unexplained(self) -> Decimal:
        """Total minus its components: zero, or the ledger is wrong."""
        parts = (self.spread_at_decision, self.slippage, self.fees, self.funding, self.fx, self.rounding)
        return EXACT.subtract(self.total, exact_sum(parts))


def attribute(flows: tuple[Flow, ...], fx_close: Decimal) -> tuple[Attribution, Attribution]:
    """The flows of a closed (or marked) position in KRW and in USDT, at the closing FX mid."""
    krw = exact_sum(flow.amount for flow in flows if flow.asset == KRW)
    usdt = exact_sum(flow.amount for flow in flows if flow.asset == USDT)
    total = EXACT.add(krw, EXACT.multiply(usdt, fx_close))
    fx_krw = exact_sum(EXACT.multiply(flow.amount, fx_close - flow.fx_mid) for flow in flows if flow.asset == USDT)
    fx_usdt = exact_sum(_fx_in_usdt(flow, fx_close) for flow in flows if flow.asset == KRW)
    return (
        _split(flows, total, fx_krw, lambda flow: flow.krw, lambda flow: flow.decided_krw),
        _split(flows, EXACT.divide(total, fx_close), fx_usdt, lambda flow: flow.usdt, lambda flow: flow.decided_usdt),
    )


def _fx_in_usdt(flow: Flow, fx_close: Decimal) -> Decimal:
    return EXACT.multiply(flow.amount, EXACT.subtract(EXACT.divide(_ONE, fx_close), EXACT.divide(_ONE, flow.fx_mid)))


def _split(
    flows: tuple[Flow, ...],
    total: Decimal,
    fx: Decimal,
    actual: Callable[[Flow], Decimal],
    decided: Callable[[Flow], Decimal],
) -> Attribution:
    principals = [flow for flow in flows if flow.kind is FlowKind.PRINCIPAL]
    spread = exact_sum(decided(flow) for flow in principals)
    slippage = EXACT.subtract(exact_sum(actual(flow) for flow in principals), spread)
    fees = exact_sum(actual(flow) for flow in flows if flow.kind is FlowKind.FEE)
    funding = exact_sum(actual(flow) for flow in flows if flow.kind is FlowKind.FUNDING)
    total, fx = booked(total), booked(fx)
    rounding = EXACT.subtract(total, exact_sum((spread, slippage, fees, funding, fx)))
    return Attribution(
        spread_at_decision=spread, slippage=slippage, fees=fees, funding=funding, fx=fx, rounding=rounding, total=total
    )
