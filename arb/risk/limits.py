"""Limits that the gate enforces; values come from `[risk]`.

Units: in each field's name; `_bps` of notional, `_krw` valued at the executable FX mid, fractions 0–1.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.params import param


@attrs.frozen(kw_only=True)
class RiskLimits:
    """Every number the gate compares against (engine.md, Risk gate)."""

    max_book_age_ms: int = param("ms", 50, 60_000)
    max_quiet_s: float = param("s", 0.1, 600)
    max_conn_silence_ms: int = param("ms", 50, 60_000)
    max_feed_lag_ms: int = param("ms", 10, 60_000)
    max_skew_ms: int = param("ms", 1, 60_000)
    max_plausible_bps: float = param("bps", 1, 5_000)
    plausible_confirm_s: float = param("s", 0, 3_600)
    dislocation_size_fraction: float = param("fraction", 0, 1)
    max_position_krw: Decimal = param("KRW", 0, 1e12)
    max_pair_krw: Decimal = param("KRW", 0, 1e12)
    max_total_krw: Decimal = param("KRW", 0, 1e12)
    exit_price_shock: float = param("fraction", 0, 0.95)
    min_position_krw: Decimal = param("KRW", 0, 1e12)
    max_tick_bps: float = param("bps", 0.01, 1_000)
    max_net_delta_krw: Decimal = param("KRW", 0, 1e12)
    residual_max_krw: Decimal = param("KRW", 0, 1e12)
    max_fx_exposure_usdt: Decimal = param("USDT", 0, 1e10)
    leverage: int = param("times", 1, 20)
    min_liq_distance_entry: float = param("fraction", 0, 10)
    liq_distance_reduce: float = param("fraction", 0, 10)
    liq_distance_close: float = param("fraction", 0, 10)
    liq_distance_emergency: float = param("fraction", 0, 10)
    transfer_eta_h: float = param("h", 0, 1_000)
    max_open_positions: int = param("count", 0, 1_000)
    max_orders_per_min: int = param("count", 1, 10_000)
    max_incidents_per_hour: int = param("count", 0, 1_000)
    daily_loss_krw: Decimal = param("KRW", 0, 1e12)
    max_drawdown_krw: Decimal = param("KRW", 0, 1e12)
    max_consecutive_losses: int = param("count", 1, 1_000)
    max_funding_bps_day: float = param("bps", 0, 1_000)
    max_perp_index_bps: float = param("bps", 0.1, 5_000)
    min_krw_reserve: Decimal = param("KRW", 0, 1e12)
    min_usdt_reserve: Decimal = param("USDT", 0, 1e10)
    wallet_poll_s: float = param("s", 1, 3_600)
    wallet_unknown_s: float = param("s", 1, 86_400)
    wallet_reopen_cooldown_s: float = param("s", 0, 86_400)
    wallet_closed_stop_bps: float = param("bps", 1, 1_000)
    min_listing_days: float = param("days", 0, 3_650)
    day_timezone: str
    """IANA name; the day turns at `day_start` there."""
    day_start: str
    """HH:MM."""
    maint_lead_s: float = param("s", 0, 86_400)
    maint_settle_s: float = param("s", 0, 86_400)
    delist_exit_h: float = param("h", 0, 1_000)
