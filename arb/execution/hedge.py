"""One leg filled more than the other: complete or reverse, by value from now on.

Owns: the two values, the choice, and the price an order for it may reach.
Never: counts what is sunk; prefers the plan to the present.
Units: quantities in base units; values in KRW; `_krw` prices per base unit at the FX mid.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from arb.domain.order import Purpose, Side
from arb.domain.pair import Direction
from arb.execution.params import ExecutionParams

CAP_TIMES_NS: Final = (0, 500_000_000, 1_500_000_000)
"""When the price caps widen, after the outcome is known."""
BPS: Final = 1e4


class Imbalance(NamedTuple):
    """What is missing and what both ways out cost, everything per base unit in KRW."""

    qty: float
    direction: Direction
    """Of the position that the two legs make."""
    filled_leg: str
    filled_side: Side
    fill_krw: float
    """What the filled leg traded at."""
    missing_krw: float | None
    """VWAP at which the missing leg could trade now; None: no fresh book or the venue does not trade."""
    exit_krw: float | None
    """VWAP at which the filled leg could be undone now; None as above."""
    fair_bps: float
    h_exit_krw: float
    """Half-spreads plus depth cost of leaving both legs."""
    fee_rate_filled: float
    fee_rate_missing: float
    is_closing: bool
    """The legs close a position: completing ends it, and nothing has to be left later."""


class HedgeChoice(NamedTuple):
    """Which way out, and both values that led to it (KRW; None: could not be computed)."""

    is_complete: bool
    complete_krw: float | None
    reverse_krw: float | None


def complete_krw(case: Imbalance) -> float | None:
    """Value of trading the missing leg now and leaving at the fair level later."""
    if case.missing_krw is None:
        return None
    is_a_filled = case.filled_leg == "a"
    a_krw, b_krw = (case.fill_krw, case.missing_krw) if is_a_filled else (case.missing_krw, case.fill_krw)
    sign = case.direction.sign
    fee_missing = case.fee_rate_missing * case.missing_krw
    if case.is_closing:
        return case.qty * (sign * (a_krw - b_krw + case.fair_bps * a_krw / BPS) - fee_missing)
    gain = sign * (b_krw - a_krw - case.fair_bps * a_krw / BPS) - case.h_exit_krw
    fees = 2 * fee_missing + case.fee_rate_filled * case.fill_krw
    return case.qty * (gain - fees)


def reverse_krw(case: Imbalance) -> float | None:
    """Value of undoing the filled leg now."""
    if case.exit_krw is None:
        return None
    gain = (case.exit_krw - case.fill_krw) * case.filled_side.sign
    return case.qty * (gain - case.fee_rate_filled * case.exit_krw)


def choose(case: Imbalance, params: ExecutionParams, *, is_complete_allowed: bool) -> HedgeChoice:
    """Complete if it is worth more than reversing by the risk premium; one book fresh: act there; none: reverse.

    `is_complete_allowed`: the gate would hold the result. A close is completed wherever it can be: undoing it re-opens.
    """
    complete, reverse = complete_krw(case), reverse_krw(case)
    if complete is None:
        return HedgeChoice(False, complete, reverse)
    if case.is_closing or reverse is None:
        return HedgeChoice(True, complete, reverse)
    unit = case.qty * case.fill_krw / BPS
    is_worth = complete > reverse + params.risk_premium_bps * unit
    is_payable = complete >= -params.incident_loss_budget_bps * unit
    return HedgeChoice(is_complete_allowed and is_worth and is_payable, complete, reverse)


def cap_bps(params: ExecutionParams, waited_ns: int) -> float:
    """How far from the quote an order may reach, `waited_ns` after the outcome was known."""
    cap = params.incident_caps_bps[0]
    for at_ns, wider in zip(CAP_TIMES_NS, params.incident_caps_bps, strict=True):
        if waited_ns >= at_ns:
            cap = wider
    return cap


def escalated_cap_bps(params: ExecutionParams, adverse_bps: float) -> float:
    """The cap once a person has been called; wider past the hard stop."""
    return params.naked_panic_cap_bps if adverse_bps >= params.naked_hard_stop_bps else params.escalated_cap_bps


def purpose_of(*, is_complete: bool, is_escalated: bool, is_leaving: bool) -> Purpose:
    """Why an incident's order exists; `is_leaving`: an operator ordered the pair flat."""
    if is_leaving:
        return Purpose.FLATTEN
    if is_escalated:
        return Purpose.EMERGENCY
    return Purpose.HEDGE if is_complete else Purpose.REVERSE


def next_try_ns(known_ns: int, now_ns: int) -> int:
    """When to try again: at the next widening, then once a second."""
    for at_ns in CAP_TIMES_NS:
        if known_ns + at_ns > now_ns:
            return known_ns + at_ns
    return now_ns + 1_000_000_000


def adverse_bps(side: Side, fill_krw: float, now_krw: float) -> float:
    """How far the price has moved against a leg traded on `side`, bps of its price; 0 where FX was never seen."""
    return 0.0 if not fill_krw else (fill_krw - now_krw) * side.sign / fill_krw * BPS
