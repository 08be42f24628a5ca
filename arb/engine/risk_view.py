"""What the gate looks at, gathered from memory for one intent.

Owns: what an intent needs, adds and comes near to.
Never: changes memory, refuses anything.
Units: KRW, USDT and base units as named; Decimal where money is compared.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.costs import liquidation_price
from arb.domain.events import VenueCondition, VenueStatus
from arb.domain.ids import VenueId
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import Intent, IntentKind
from arb.domain.order import Side
from arb.domain.pair import Pair
from arb.engine.config import EngineConfig
from arb.engine.memory import Lane, Memory
from arb.engine.view import (
    HOUR_NS,
    MINUTE_NS,
    ZERO,
    coin_krw,
    locked_quote,
    net_delta_krw,
    open_marks_krw,
    pair_krw,
    planned_entries,
    recent,
    reserved_on,
    residual_krw,
    spendable,
    total_krw,
    unfilled_b,
)
from arb.risk.checks import RiskView
from arb.state.positions import KRW, USDT, PairPosition
from arb.strategy.api import PairView

MAINTENANCE_RATE: Final = 0.01
"""Assumed until the venue has told its own liquidation price; above the real bracket of every major."""


def liq_distance(memory: Memory, config: EngineConfig, intent: Intent) -> float:
    """How far the mark would be from liquidation after the fill, as a fraction of it."""
    instrument = memory.market.instruments[intent.b.instrument]
    if instrument.kind is not InstrumentKind.PERPETUAL:
        return float("inf")
    price, qty = float(intent.b.expected_price), float(intent.b.qty)
    wallet = qty * price / config.risk.leverage
    at = liquidation_price(side=intent.b.side, wallet_usdt=wallet, qty=qty, entry_price=price, mmr=MAINTENANCE_RATE)
    estimate = abs(at / price - 1)
    held = memory.ledger.holdings.contracts.get(instrument.id)
    if held is None or not held.qty or held.liquidation_price is None or not held.mark_price:
        return estimate
    return min(estimate, abs(float(held.liquidation_price / held.mark_price) - 1))


def risk_view(memory: Memory, config: EngineConfig, view: PairView, intent: Intent, lane: Lane) -> RiskView:
    """The gate's view of an intent."""
    pair, market, a, b = view.pair, memory.market, view.instrument_a, view.instrument_b
    notional_krw, needs_krw, needs_usdt, fx_added = _needs(view, config, intent)
    return RiskView(
        now_ns=memory.now_ns,
        wall_ns=view.wall_ns,
        state=memory.causes.state_of(pair.id),
        is_armed=memory.is_armed,
        is_draining=memory.is_draining,
        limits=config.risk,
        pair=pair,
        instrument_a=a,
        instrument_b=b,
        mid_a=view.a.mid,
        mid_b=view.b.mid,
        fx_mid=view.fx.mid,
        data_refusal=view.data_refusal,
        fx_refusal=memory.fx.refusal(memory.now_ns, view.wall_ns) if view.data_refusal else "",
        statuses=(_status(memory, config, view, a.venue), _status(memory, config, view, b.venue)),
        wallets=(market.wallet(a.venue, a.base), market.wallet(b.venue, b.base)),
        wallet_reopened_ns=lane.wallet_reopened_ns,
        reopened_ns=_reopened_ns(memory, config, view),
        is_tradable=view.is_exit_tradable,
        blocked=lane.blocked or lane.doubted,
        is_other_asset=lane.is_other_asset,
        is_busy=bool(lane.legs),
        has_position=view.position is not None and not _adds(config, view.position, intent),
        funding=view.funding,
        is_dislocation_confirmed=is_dislocation_confirmed(memory, config, pair, lane),
        notional_krw=notional_krw,
        pair_krw=pair_krw(memory, lane, pair),
        coin_krw=coin_krw(memory, config, a.base),
        total_krw=total_krw(memory, config),
        fx_exposure_usdt=memory.ledger.fx_exposure_usdt(config.fx.home_usdt) + fx_planned_usdt(memory),
        fx_added_usdt=fx_added,
        net_delta_krw=net_delta_krw(memory, config),
        residual_krw=residual_krw(memory, pair),
        free_krw=spendable(memory, config, a.venue, KRW) - reserved_on(memory, config, a.venue, a.base).quote,
        free_usdt=spendable(memory, config, b.venue, USDT) - reserved_on(memory, config, b.venue, b.base).quote,
        needs_krw=needs_krw,
        needs_usdt=needs_usdt,
        liq_distance=liq_distance(memory, config, intent) if intent.kind is IntentKind.ENTER else float("inf"),
        open_positions=len(memory.ledger.positions),
        orders_last_minute=len(recent(memory.order_times, memory.now_ns, MINUTE_NS)),
        incidents_last_hour=len(recent(memory.incident_times, memory.now_ns, HOUR_NS)),
        day_loss_krw=memory.ledger.totals.day_loss_krw,
        drawdown_krw=memory.ledger.totals.drawdown_krw(open_marks_krw(memory)),
        losing_streak=memory.ledger.totals.losing_streak,
        funding_day_bps=-memory.funding_day_krw.get(pair.id, 0.0) / float(notional_krw) * 1e4,
    )


def fx_planned_usdt(memory: Memory) -> Decimal:
    """What the second legs of entries in hand will still add to the FX exposure, signed."""
    total = ZERO
    for legs in planned_entries(memory):
        if legs.intent is not None:
            plan = legs.intent.b
            total -= plan.side.sign * unfilled_b(memory, legs) * plan.expected_price
    return total


def _adds(config: EngineConfig, position: PairPosition, intent: Intent) -> bool:
    """Whether an entry may add to what is open: a strategy of balances goes on in the direction of its loop."""
    item = next(item for item in config.pairs if item.pair.id == intent.pair)
    return item.params.trades_inventory and intent.direction is position.direction


def _needs(view: PairView, config: EngineConfig, intent: Intent) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Notional in KRW, the KRW and USDT that an intent locks, and the FX exposure it adds (USDT, signed)."""
    a, b = view.instrument_a, view.instrument_b
    is_contract = b.kind is InstrumentKind.PERPETUAL
    krw = locked_quote(a, intent.a.qty, intent.a.limit_price, view.fees_a.taker_rate, config)
    usdt = locked_quote(b, intent.b.qty, intent.b.limit_price, view.fees_b.taker_rate, config)
    # a contract's notional, or the USDT that a spot trade brings or takes
    fx_added = -intent.b.side.sign * intent.b.qty * intent.b.expected_price
    return (
        intent.a.qty * intent.a.expected_price,
        krw if intent.a.side is Side.BUY else ZERO,
        usdt if intent.b.side is Side.BUY or is_contract else ZERO,
        fx_added,
    )


def _status(memory: Memory, config: EngineConfig, view: PairView, venue: VenueId) -> VenueStatus | None:
    """What the venue says of itself, and the next announced window where it says nothing of one."""
    told = memory.market.venues.get(venue)
    starts = [each.from_ns for each in config.windows if each.venue == venue and each.until_ns > view.wall_ns]
    if not starts or (told is not None and told.condition is not VenueCondition.UP):
        return told
    known = told or VenueStatus(at_ns=view.now_ns, venue=venue, condition=VenueCondition.UP)
    starts_ns = view.now_ns + min(starts) - view.wall_ns
    return attrs.evolve(known, until_ns=starts_ns if known.until_ns is None else min(known.until_ns, starts_ns))


def _reopened_ns(memory: Memory, config: EngineConfig, view: PairView) -> int | None:
    """When the later of both venues came back from maintenance, told or announced."""
    venues = (view.instrument_a.venue, view.instrument_b.venue)
    ups = [memory.venue_up_ns[venue] for venue in venues if venue in memory.venue_up_ns]
    ends = [each.until_ns for each in config.windows if each.venue in venues and each.until_ns <= view.wall_ns]
    return max((*ups, *(view.now_ns + end_ns - view.wall_ns for end_ns in ends)), default=None)


def is_dislocation_confirmed(memory: Memory, config: EngineConfig, pair: Pair, lane: Lane) -> bool:
    """Implausible for long enough, seen over REST on both venues since, and agreed by a second FX."""
    since = lane.dislocated_ns
    if since is None or memory.now_ns - since < config.risk.plausible_confirm_s * 1e9:
        return False
    is_seen = all(memory.rest_ns.get(instrument, -1) >= since for instrument in (pair.a, pair.b))
    return is_seen and memory.fx.second_received_ns >= since
