"""One function per check: a wish and a view in, a refusal or None out.

Owns: the names of refusals. `is_safety` marks those that say something is wrong, not that one has to wait.
Never: changes anything; makes an order.
Units: in each field's name; bps of notional, KRW at the executable FX mid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import attrs

from arb.domain.events import FundingRateSeen, VenueCondition, VenueStatus, WalletState
from arb.domain.instrument import Caution, Instrument, InstrumentKind, InstrumentStatus
from arb.domain.intent import Intent, IntentKind
from arb.domain.pair import Direction, Pair
from arb.domain.pricing import tick_bps
from arb.risk.limits import RiskLimits
from arb.risk.trading_state import TradingState

DAY_MS: Final = 86_400_000
BPS: Final = 1e4
SHUT_CAUTIONS: Final = frozenset(
    {Caution.WARNING, Caution.GLOBAL_PRICE_DIFFERENCE, Caution.DEPOSIT_SOARING, Caution.SMALL_ACCOUNTS}
)
"""Cautions that forbid entries."""
HALF_CAUTIONS: Final = frozenset({Caution.PRICE_FLUCTUATIONS, Caution.VOLUME_SOARING})
"""Cautions that halve the size."""


@attrs.frozen
class Refusal:
    """Why not."""

    reason: str
    is_safety: bool


class RiskView(NamedTuple):
    """What the checks of an intent look at; numbers already include every reservation."""

    now_ns: int
    wall_ns: int
    state: TradingState
    is_armed: bool
    is_draining: bool
    limits: RiskLimits
    pair: Pair
    instrument_a: Instrument
    instrument_b: Instrument
    mid_a: float
    mid_b: float
    fx_mid: float
    data_refusal: str
    fx_refusal: str
    statuses: tuple[VenueStatus | None, VenueStatus | None]
    wallets: tuple[WalletState, WalletState]
    wallet_reopened_ns: int | None
    reopened_ns: int | None
    """When a venue of the pair came back from maintenance."""
    is_tradable: bool
    blocked: str
    is_other_asset: bool
    """Both instruments did not price one asset when they were last compared, at the start or this day."""
    is_busy: bool
    has_position: bool
    funding: FundingRateSeen | None
    is_dislocation_confirmed: bool
    notional_krw: Decimal
    pair_krw: Decimal
    """Open and reserved notional of the pair."""
    coin_krw: Decimal
    """The same of all pairs that trade the coin."""
    total_krw: Decimal
    fx_exposure_usdt: Decimal
    fx_added_usdt: Decimal
    """What the intent adds to it, signed."""
    net_delta_krw: Decimal
    residual_krw: Decimal
    """What the pair has left over and no venue takes, unsigned."""
    free_krw: Decimal
    """On A, reservations off."""
    free_usdt: Decimal
    needs_krw: Decimal
    needs_usdt: Decimal
    liq_distance: float
    """Of the contract after the fill, fraction of mark; infinite for spot."""
    open_positions: int
    orders_last_minute: int
    incidents_last_hour: int
    day_loss_krw: Decimal
    """Lost today, positive costs."""
    drawdown_krw: Decimal
    """Fall from the highest equity, what is open marked."""
    losing_streak: int
    funding_day_bps: float
    """Paid today by the pair's positions, positive costs."""


def waiting(reason: str) -> Refusal:
    """A refusal that only asks for patience."""
    return Refusal(reason, False)


def unsafe(reason: str) -> Refusal:
    """A refusal that counts for the watchdog."""
    return Refusal(reason, True)


def trading_state(intent: Intent, view: RiskView) -> Refusal | None:
    """Entries need ACTIVE, strategy exits at least REDUCING."""
    if intent.kind is IntentKind.ENTER:
        if view.is_draining:
            return waiting("draining")
        return waiting("trading_state") if view.state is not TradingState.ACTIVE else None
    shut = TradingState.FROZEN if intent.reason == "risk" else TradingState.HALTED
    return waiting("trading_state") if view.state.value >= shut.value else None


def arming(intent: Intent, view: RiskView) -> Refusal | None:
    """Unarmed opens nothing."""
    return None if view.is_armed or intent.kind is IntentKind.EXIT else waiting("not_armed")


def pair_is_free(intent: Intent, view: RiskView) -> Refusal | None:
    """One two-leg order at a time, and nothing on a pair that foreign hands have touched."""
    if view.blocked and intent.kind is IntentKind.ENTER:
        return waiting("pair_blocked")
    if view.is_busy:
        return waiting("pair_busy")
    return waiting("has_position") if view.has_position and intent.kind is IntentKind.ENTER else None


def data(intent: Intent, view: RiskView) -> Refusal | None:
    """Fresh, uncrossed, within skew; only an exit that risk demands may do without."""
    return waiting(view.data_refusal) if view.data_refusal and intent.reason != "risk" else None


def fx(intent: Intent, view: RiskView) -> Refusal | None:
    """Executable FX is there, fresh and sane."""
    return waiting(view.fx_refusal) if view.fx_refusal and intent.reason != "risk" else None


def venue_condition(intent: Intent, view: RiskView) -> Refusal | None:
    """Both venues up, no window ahead, settled after the last one, and room in the rate budget."""
    if not view.is_tradable:
        return waiting("venue_untradable")
    if intent.kind is IntentKind.EXIT:
        return None
    limits = view.limits
    for status in view.statuses:
        if status is None:
            continue
        window_ns = status.until_ns if status.condition is VenueCondition.UP else None
        if window_ns is not None and window_ns - view.now_ns < limits.maint_lead_s * 1e9:
            return waiting("maintenance_ahead")
        if status.free_order_slots is not None and status.free_order_slots < 2:
            return waiting("rate_budget")
    if view.reopened_ns is not None and view.now_ns - view.reopened_ns < limits.maint_settle_s * 1e9:
        return waiting("maintenance_settle")
    return None


def wallets(intent: Intent, view: RiskView) -> Refusal | None:
    """Convergence needs transfers: A out and B in for long A, the reverse for short A. Unknown is a refusal where the
    venue tells at all (keys are there)."""
    if intent.kind is IntentKind.EXIT:
        return None
    a, b = view.wallets
    ways = (a.withdraw, b.deposit) if intent.direction is Direction.LONG_A else (a.deposit, b.withdraw)
    if False in ways:
        return waiting("wallet_closed")
    for way, status in zip(ways, view.statuses, strict=True):
        if way is None and status is not None and status.wallets:
            return waiting("wallet_unknown")
    reopened = view.wallet_reopened_ns
    if reopened is not None and view.now_ns - reopened < view.limits.wallet_reopen_cooldown_s * 1e9:
        return waiting("wallet_reopened")
    return None


def listing(intent: Intent, view: RiskView) -> Refusal | None:
    """No young listing, no market warning, no delisting, no coarse tick."""
    if intent.kind is IntentKind.EXIT:
        return None
    limits, wall_ms = view.limits, view.wall_ns // 1_000_000
    for instrument, price in (
        (view.instrument_a, intent.a.expected_price),
        (view.instrument_b, intent.b.expected_price),
    ):
        if instrument.cautions & SHUT_CAUTIONS:
            return waiting("caution")
        if instrument.listed_ms is not None and wall_ms - instrument.listed_ms < limits.min_listing_days * DAY_MS:
            return waiting("young_listing")
        if instrument.status is not InstrumentStatus.TRADING:
            return waiting("delisting")
        if instrument.delisting_ms is not None and instrument.delisting_ms - wall_ms < limits.delist_exit_h * 3_600_000:
            return waiting("delisting")
        if tick_bps(instrument, price) > limits.max_tick_bps:
            return waiting("coarse_tick")
    return None


def identity(intent: Intent, view: RiskView) -> Refusal | None:
    """Both instruments still price the same asset, and did so at the start and this day."""
    if view.is_other_asset and intent.kind is IntentKind.ENTER:
        return unsafe("identity")
    if view.mid_a <= 0 or view.mid_b <= 0 or view.fx_mid <= 0:
        return None
    dev = abs(view.mid_a / (view.mid_b / float(view.pair.multiplier) * view.fx_mid) - 1)
    return unsafe("identity") if dev >= view.pair.identity_max_dev and intent.kind is IntentKind.ENTER else None


def plausibility(intent: Intent, view: RiskView) -> Refusal | None:
    """A distance from fair beyond belief is suspicious data until it is confirmed."""
    far = abs(intent.edge.d_bps - intent.edge.fair_bps) > view.limits.max_plausible_bps
    return unsafe("implausible") if far and not view.is_dislocation_confirmed and intent.reason != "risk" else None


def perp_index(intent: Intent, view: RiskView) -> Refusal | None:
    """The perpetual has not left its index."""
    funding = view.funding
    if intent.kind is IntentKind.EXIT or view.instrument_b.kind is not InstrumentKind.PERPETUAL or funding is None:
        return None
    if funding.index_price is None or funding.index_price <= 0:
        return None
    basis_bps = abs(view.mid_b / float(funding.index_price) - 1) * BPS
    return waiting("perp_index") if basis_bps > view.limits.max_perp_index_bps else None


def position_limit_krw(limits: RiskLimits, a: Instrument, b: Instrument, *, is_dislocated: bool) -> Decimal:
    """The largest position now: a part of the limit on a dislocated market, half of it under a caution."""
    limit = limits.max_position_krw
    if is_dislocated:
        limit = limit * Decimal(str(limits.dislocation_size_fraction))
    return limit / 2 if (a.cautions | b.cautions) & HALF_CAUTIONS else limit


def notional(intent: Intent, view: RiskView) -> Refusal | None:
    """Per position, pair, coin and in all; what a venue holds is bounded by all, each pair having one leg there.

    Pairs that trade the same coin share the limit of one pair.
    """
    if intent.kind is IntentKind.EXIT:
        return None
    limits = view.limits
    most = position_limit_krw(limits, view.instrument_a, view.instrument_b, is_dislocated=view.is_dislocation_confirmed)
    if view.notional_krw > most:
        return unsafe("max_position")
    if view.pair_krw + view.notional_krw > limits.max_pair_krw:
        return unsafe("max_pair")
    if view.coin_krw + view.notional_krw > limits.max_pair_krw:
        return unsafe("max_coin")
    return unsafe("max_total") if view.total_krw + view.notional_krw > limits.max_total_krw else None


def exposure(intent: Intent, view: RiskView) -> Refusal | None:
    """FX exposure, unless it shrinks, and what is naked already."""
    if intent.kind is IntentKind.EXIT:
        return None
    after = abs(view.fx_exposure_usdt + view.fx_added_usdt)
    if after > view.limits.max_fx_exposure_usdt and after > abs(view.fx_exposure_usdt):
        return unsafe("max_fx_exposure")
    if abs(view.net_delta_krw) > view.limits.max_net_delta_krw:
        return unsafe("max_net_delta")
    return unsafe("max_residual") if view.residual_krw > view.limits.residual_max_krw else None


def liquidation(intent: Intent, view: RiskView) -> Refusal | None:
    """The contract must stay far from liquidation after the fill."""
    if intent.kind is IntentKind.EXIT or view.liq_distance >= view.limits.min_liq_distance_entry:
        return None
    return unsafe("liq_distance")


def reserves(intent: Intent, view: RiskView) -> Refusal | None:
    """Free balances cover the orders and leave the reserves alone."""
    if intent.kind is IntentKind.EXIT:
        return None
    limits = view.limits
    if view.needs_krw and view.free_krw - view.needs_krw < limits.min_krw_reserve:
        return waiting("krw_reserve")
    return (
        waiting("usdt_reserve")
        if view.needs_usdt and view.free_usdt - view.needs_usdt < limits.min_usdt_reserve
        else None
    )


def counts(intent: Intent, view: RiskView) -> Refusal | None:
    """Open positions, incidents per hour, orders per minute."""
    if intent.kind is IntentKind.EXIT:
        return None
    limits = view.limits
    if view.open_positions >= limits.max_open_positions:
        return waiting("max_open_positions")
    if view.incidents_last_hour >= limits.max_incidents_per_hour:
        return unsafe("max_incidents")
    return unsafe("order_rate") if view.orders_last_minute + 2 > limits.max_orders_per_min else None


def losses(intent: Intent, view: RiskView) -> Refusal | None:
    """Daily loss, drawdown, losing streak."""
    if intent.kind is IntentKind.EXIT:
        return None
    limits = view.limits
    if view.day_loss_krw >= limits.daily_loss_krw > 0:
        return unsafe("daily_loss")
    if view.drawdown_krw >= limits.max_drawdown_krw > 0:
        return unsafe("drawdown")
    return waiting("losing_streak") if view.losing_streak >= limits.max_consecutive_losses else None


def funding_cost(intent: Intent, view: RiskView) -> Refusal | None:
    """What funding has taken today."""
    if intent.kind is IntentKind.EXIT or view.funding_day_bps <= view.limits.max_funding_bps_day:
        return None
    return waiting("funding_day")


CHECKS: Final = (
    trading_state, arming, pair_is_free, data, fx, venue_condition, wallets, listing, identity, plausibility,
    perp_index, notional, exposure, liquidation, reserves, counts, losses, funding_cost,
)  # fmt: skip
"""In this order; the first refusal is the answer."""
