"""A held position in floats, taken once: whether a book leaves it at rest, without a whole look.

Owns: what of a position, its fees and its exit rules does not change between two of its fills.
Never: closes anything: a rule that holds asks for a whole look.
Units: bps of the A leg's KRW cost; quantities in base units; times monotonic `_ns`.
"""

from __future__ import annotations

from typing import NamedTuple

from arb.domain.depth import walk
from arb.strategy.api import HeldFacts, HeldQuote
from arb.strategy.convergence import kernel
from arb.strategy.convergence.exit import exit_limits
from arb.strategy.convergence.params import ConvergenceParams


class Holding(NamedTuple):
    """One position as the exit rules need it."""

    side: int
    opened_ns: int
    net_a: float
    net_b: float
    unit_b: float
    booked_krw: float
    principal_b_usdt: float
    principal_b_krw: float
    cost_krw: float
    fee_a: float
    fee_b: float
    fair_bps: float
    """At the decision to enter, where none is known now."""
    limits: kernel.ExitLimits


def holding_of(facts: HeldFacts, params: ConvergenceParams) -> Holding | None:
    """The numbers of a position; None: it has no cost yet, or its legs differ, and every look must be whole."""
    position = facts.position
    if not position.entry_a_krw or position.net_qty or not position.a.net_qty:
        return None
    return Holding(
        side=position.direction.sign,
        opened_ns=position.opened_ns,
        net_a=float(position.a.net_qty),
        net_b=float(position.b.net_qty),
        unit_b=facts.unit_b,
        booked_krw=float(position.booked_krw),
        principal_b_usdt=float(position.principal_b_usdt),
        principal_b_krw=float(position.principal_b_krw),
        cost_krw=float(position.entry_a_krw),
        fee_a=float(facts.fees_a.taker_rate),
        fee_b=float(facts.fees_b.taker_rate),
        fair_bps=position.fair_bps,
        limits=exit_limits(params, stop_loss_cap_bps=float("inf"), is_fx_hedged=facts.is_fx_hedged),
    )


def is_any_rule_true(held: Holding, quote: HeldQuote, fair_bps: float) -> bool:
    """Whether some exit rule holds at these books: the arithmetic of a whole look, rule by rule."""
    (now_ns, _, _, _, _, _, fx), a, b = quote
    net_a, net_b, unit = held.net_a, held.net_b, held.unit_b
    found_a = walk(a.bids if net_a > 0 else a.asks, abs(net_a))
    found_b = walk(b.bids if net_b > 0 else b.asks, abs(net_b) / unit)
    numbers = kernel.Valuation(
        held.booked_krw, net_a, net_b, found_a.vwap, found_b.vwap / unit, held.fee_a, held.fee_b, fx.mid,
        held.principal_b_usdt, held.principal_b_krw, held.cost_krw,
    )  # fmt: skip
    seen = kernel.ExitNumbers(
        held.side, kernel.value_bps(numbers), kernel.fx_value_bps(numbers),
        kernel.divergence_bps(a.mid, b.mid / unit, fx.mid), fair_bps, now_ns - held.opened_ns,
    )  # fmt: skip
    limits = held.limits
    return any(kernel.is_rule_true(rule, seen, limits) for rule in kernel.RULES)
