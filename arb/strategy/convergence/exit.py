"""The wish to close: value of the position, the rules that hold, and the orders that end it.

Owns: the exit half of convergence.
Never: closes one leg alone, or acts on a view that does not support it (only `risk` may).
Units: bps of the A leg's KRW cost; quantities in base units.
"""

from __future__ import annotations

from typing import NamedTuple

from arb.domain.depth import walk
from arb.domain.intent import EdgeView, Intent, IntentKind
from arb.domain.money import decimal_of
from arb.domain.pair import Direction
from arb.state.positions import PairPosition
from arb.strategy.api import PairView
from arb.strategy.both_legs import sized_legs
from arb.strategy.convergence import kernel
from arb.strategy.convergence.entry import view_divergence_bps
from arb.strategy.convergence.params import ConvergenceParams
from arb.strategy.sizing import plan_exit

RULE_NAMES = ("", "stop_loss", "fx_stop", "take_profit", "reversal", "time_limit")
"""By the kernel's code."""


class Worth(NamedTuple):
    """An open position on one view."""

    value_bps: float
    fx_value_bps: float
    gross_bps: float
    """The spread of the closing trade alone."""
    d_bps: float


def worth(view: PairView, position: PairPosition) -> Worth:
    """`u` and `fx_u` at the exit-side prices of what is held."""
    a, b = sized_legs(view, position.entry_side_a.opposite)
    unit = float(view.pair.multiplier)
    net_a, net_b = float(position.a.net_qty), float(position.b.net_qty)
    found_a, found_b = walk(a.levels, abs(net_a)), walk(b.levels, abs(net_b) / unit)
    numbers = kernel.Valuation(
        booked_krw=float(position.booked_krw),
        net_a=net_a,
        net_b=net_b,
        exit_a=found_a.vwap,
        exit_b=found_b.vwap / unit,
        fee_a=float(view.fees_a.taker_rate),
        fee_b=float(view.fees_b.taker_rate),
        fx_mid=view.fx.mid,
        principal_b_usdt=float(position.principal_b_usdt),
        principal_b_krw=float(position.principal_b_krw),
        cost_krw=float(position.entry_a_krw),
    )
    gross_bps = 0.0
    if found_a.qty > 0 and found_b.qty > 0:
        if position.direction is Direction.LONG_A:
            gross_bps = kernel.closing_bps(found_a.vwap, found_b.vwap / unit, view.fx.buy_b)
        else:
            gross_bps = kernel.opening_bps(found_b.vwap / unit, found_a.vwap, view.fx.sell_b)
    return Worth(kernel.value_bps(numbers), kernel.fx_value_bps(numbers), gross_bps, view_divergence_bps(view))


def rules_true(
    view: PairView, params: ConvergenceParams, position: PairPosition, now: Worth, fair_bps: float
) -> tuple[bool, ...]:
    """Each exit rule on this view, in order of precedence."""
    numbers = kernel.ExitNumbers(
        side=position.direction.sign,
        value_bps=now.value_bps,
        fx_value_bps=now.fx_value_bps,
        d_bps=now.d_bps,
        fair_bps=fair_bps,
        held_ns=view.now_ns - position.opened_ns,
    )
    limits = exit_limits(params, stop_loss_cap_bps=view.stop_loss_cap_bps, is_fx_hedged=view.is_fx_hedged)
    return tuple(kernel.is_rule_true(rule, numbers, limits) for rule in kernel.RULES)


def exit_limits(params: ConvergenceParams, *, stop_loss_cap_bps: float, is_fx_hedged: bool) -> kernel.ExitLimits:
    """What the exit rules compare with; a closed wallet caps the stop, a hedge per trade ends the FX stop."""
    return kernel.ExitLimits(
        stop_loss_bps=min(params.stop_loss_bps, stop_loss_cap_bps),
        fx_stop_bps=float("inf") if is_fx_hedged else params.fx_stop_bps,
        take_profit_bps=params.take_profit_bps,
        exit_bps=params.exit_bps,
        time_limit_max_loss_bps=params.time_limit_max_loss_bps,
        min_hold_ns=int(params.min_hold_s * 1e9),
        max_hold_ns=int(params.max_hold_s * 1e9),
    )


def closing(
    view: PairView, position: PairPosition, now: Worth, fair_bps: float, reason: str
) -> tuple[Intent | None, str]:
    """Both orders that end the position, or the name of what forbids them."""
    a, b = sized_legs(view, position.entry_side_a.opposite)
    sized = plan_exit(a, b, qty_a=abs(position.a.net_qty), qty_b=abs(position.b.net_qty), rules=view.rules)
    if sized.a is None or sized.b is None:
        return None, sized.refusal
    edge = EdgeView(
        d_bps=now.d_bps,
        fair_bps=fair_bps,
        gross_bps=now.gross_bps,
        expected_bps=now.value_bps,
        cost_bps=2 * (view.fees_a.taker_bps + view.fees_b.taker_bps),
        funding_bps=float(position.funding_krw) / float(position.entry_a_krw) * 1e4,
        fx_mid=decimal_of(view.fx.mid),
        fx_bid=decimal_of(view.fx.bid),
        fx_ask=decimal_of(view.fx.ask),
    )
    intent = Intent(
        pair=view.pair.id,
        kind=IntentKind.EXIT,
        direction=position.direction,
        qty=sized.qty,
        a=sized.a,
        b=sized.b,
        edge=edge,
        reason=reason,
    )
    return intent, ""
