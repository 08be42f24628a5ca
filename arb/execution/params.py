"""How orders are worked; values come from `[execution]`.

Units: in each field's name.
"""

from __future__ import annotations

from enum import Enum

import attrs

from arb.domain.params import param


class LegOrder(Enum):
    """Which leg leaves first."""

    UNCERTAIN_FIRST = "uncertain_first"
    """A by IOC, then B for A's cumulative fill, on each fill event."""
    SIMULTANEOUS = "simultaneous"
    """Both in one journal batch, released by one sync."""


@attrs.frozen(kw_only=True)
class ExecutionParams:
    """Numbers of the two-leg order, its incidents and their escalation (engine.md, Legs)."""

    leg_order: LegOrder
    first_leg_timeout_ms: int = param("ms", 50, 60_000)
    collar_bps: float = param("bps", 0, 500)
    depth_fraction: float = param("fraction", 0.01, 1)
    incident_caps_bps: tuple[float, float, float] = param("bps", 0, 2_000)
    """Price caps at 0 / 500 / 1,500 ms after the outcome is known."""
    hedge_collar_bps: float = param("bps", 0, 2_000)
    max_naked_s: float = param("s", 0.1, 600)
    risk_premium_bps: float = param("bps", 0, 500)
    incident_loss_budget_bps: float = param("bps", 0, 5_000)
    unknown_grace_s: float = param("s", 0, 60)
    unknown_not_found_n: int = param("count", 1, 100)
    unknown_not_found_s: float = param("s", 0, 600)
    unknown_stop_bps: float = param("bps", 1, 5_000)
    escalated_retry_s: float = param("s", 0.5, 3_600)
    escalated_cap_bps: float = param("bps", 1, 5_000)
    naked_hard_stop_bps: float = param("bps", 1, 5_000)
    naked_panic_cap_bps: float = param("bps", 1, 5_000)
    escalate_repeat_s: float = param("s", 1, 86_400)
    position_check_s: float = param("s", 0.5, 3_600)
    bnb_cover_trades: int = param("count", 0, 1_000)
    drain_s: float = param("s", 0, 600)
    sweep_s: float = param("s", 0, 60)
