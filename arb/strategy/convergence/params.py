"""Parameters of convergence; values come from `[strategy.convergence]` and `params.*` of a pair.

Units: in each field's name; bps are of the A leg's KRW cost.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from arb.domain.params import param


@attrs.frozen(kw_only=True)
class ConvergenceParams:
    """When to open, and when to close (engine.md, convergence)."""

    trades_inventory: ClassVar[bool] = False
    """Whether it adds to what is open and the coins held are its business."""
    min_profit_bps: float = param("bps", 0, 1_000)
    fair_bps: float | None = None
    """Fixed fair level; None: the median of `d` over `fair_window_s`."""
    fair_window_s: float = param("s", 1, 604_800)
    fair_min_samples: int = param("count", 1, 1_000_000)
    take_profit_bps: float = param("bps", -1_000, 1_000)
    exit_bps: float = param("bps", -1_000, 1_000)
    stop_loss_bps: float = param("bps", 0, 5_000)
    fx_stop_bps: float = param("bps", 0, 5_000)
    confirm_ms: int = param("ms", 0, 60_000)
    min_hold_s: float = param("s", 0, 86_400)
    cooldown_s: float = param("s", 0, 86_400)
    max_hold_s: float = param("s", 1, 2_592_000)
    expected_hold_s: float = param("s", 0, 2_592_000)
    time_limit_max_loss_bps: float = param("bps", 0, 5_000)
    slippage_in_bps: float = param("bps", 0, 500)
    slippage_out_bps: float = param("bps", 0, 500)
    funding_income_haircut: float = param("fraction", 0, 1)
    funding_lookback: int = param("count", 1, 1_000)
    funding_guard_s: float = param("s", 0, 3_600)
    funding_guard_bps: float = param("bps", 0, 100)
    funding_max_age_s: float = param("s", 1, 86_400)
