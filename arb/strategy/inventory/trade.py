"""The wish to trade: what the balances say to each direction, and the two orders of the better one.

Owns: size and words of one trade, and the orders that trade an open loop back.
Never: looks at the cooldown; `decide` has done so.
Units: bps of what the bought leg costs; quantities in base units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from arb.domain.costs import divergence_bps
from arb.domain.depth import walk
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import EdgeView, Intent, IntentKind
from arb.domain.money import decimal_of
from arb.domain.order import Side
from arb.domain.pair import Direction
from arb.state.positions import PairPosition
from arb.strategy.api import PairView
from arb.strategy.both_legs import sized_legs
from arb.strategy.inventory import kernel
from arb.strategy.inventory.params import InventoryParams
from arb.strategy.reach import reach_of
from arb.strategy.sizing import Sized, SizedLeg, plan_exit, size_entry

FAIR_BPS: Final = 0.0
"""A trade of balances has no level to come back to: both venues should price the coin alike."""
LOOP: Final = "loop"
"""Why a trade against an open loop is made."""
_INFINITE: Final = float("inf")


class Proposal(NamedTuple):
    """What one direction came to."""

    direction: Direction
    choice: kernel.Choice
    gross_bps: float


class LoopWorth(NamedTuple):
    """An open loop, traded back now."""

    value_bps: float
    fx_value_bps: float


def proposals(view: PairView, params: InventoryParams) -> tuple[Proposal, ...]:
    """Every direction the pair may trade, best first by what it has above its requirement."""
    quotes, bands, terms = quotes_of(view), bands_of(view, params), terms_of(view, params)
    held = kernel.Balances(*view.held)
    found = [
        Proposal(way, kernel.choose(way.sign, quotes, held, bands, terms), kernel.gross_bps(way.sign, quotes))
        for way in Direction
        if way in view.pair.directions
    ]
    return tuple(sorted(found, key=_excess_bps, reverse=True))


def _excess_bps(proposal: Proposal) -> float:
    return proposal.choice.net_bps - proposal.choice.required_bps


def quotes_of(view: PairView) -> kernel.Quotes:
    """Best quotes per base unit."""
    unit, a, b = float(view.pair.multiplier), view.a, view.b
    return kernel.Quotes(a.best_bid, a.best_ask, b.best_bid / unit, b.best_ask / unit, view.fx.sell_b, view.fx.buy_b)


def bands_of(view: PairView, params: InventoryParams) -> kernel.Bands:
    """Targets and bands as the kernel takes them."""
    return kernel.Bands(
        params.target_krw_a, params.band_krw_a, params.target_coin_a, params.band_coin_a,
        params.target_usdt_b, params.band_usdt_b, params.target_coin_b, params.band_coin_b,
        int(view.instrument_b.kind is InstrumentKind.PERPETUAL),
    )  # fmt: skip


def terms_of(view: PairView, params: InventoryParams) -> kernel.Terms:
    """Costs and requirement as the kernel takes them."""
    return kernel.Terms(
        view.fees_a.taker_bps, view.fees_b.taker_bps, params.min_profit_bps, params.rebalance_bps, params.skew_bps,
        params.relief_bps, params.relief_floor_bps,
    )  # fmt: skip


def trade(view: PairView, proposal: Proposal) -> tuple[Intent | None, str]:
    """The orders of a proposal: a new or further trade of the loop, or one that trades it back."""
    position, direction = view.position, proposal.direction
    side_a = Side.BUY if direction is Direction.LONG_A else Side.SELL
    a, b = sized_legs(view, side_a)
    if position is None or position.direction is direction:
        if view.headroom.notional_krw <= 0:
            return None, view.headroom.limit
        sized = size_entry(
            a, b, direction=direction, fx=view.fx, headroom=view.headroom, rules=view.rules,
            floor_bps=proposal.choice.bar_bps, cap_qty=proposal.choice.room_qty,
        )  # fmt: skip
        return _worded(view, proposal, sized, IntentKind.ENTER, direction, "edge")
    sized = _traded_back(view, proposal, a, b, position)
    return _worded(view, proposal, sized, IntentKind.EXIT, position.direction, LOOP)


def _traded_back(view: PairView, proposal: Proposal, a: SizedLeg, b: SizedLeg, position: PairPosition) -> Sized:
    """At most what is open; no limit but the balances holds back what only returns them."""
    open_a, open_b = abs(position.a.net_qty), abs(position.b.net_qty)
    cap = float(min(open_a, open_b))
    is_contract = b.instrument.kind is InstrumentKind.PERPETUAL
    room = view.headroom._replace(
        notional_krw=_INFINITE, quote_b_usdt=_INFINITE if is_contract else view.headroom.quote_b_usdt
    )
    rules = view.rules._replace(min_position_krw=Decimal(0), exit_price_shock=0.0)
    reach = reach_of(
        a, b, direction=proposal.direction, fx=view.fx, headroom=room, rules=rules, floor_bps=proposal.choice.bar_bps,
        cap_qty=cap,
    )  # fmt: skip
    if reach.qty >= cap * (1 - 1e-9):
        return plan_exit(a, b, qty_a=open_a, qty_b=open_b, rules=rules)
    return size_entry(
        a, b, direction=proposal.direction, fx=view.fx, headroom=room._replace(notional_krw=cap * view.a.mid * 2),
        rules=rules, floor_bps=proposal.choice.bar_bps, cap_qty=cap,
    )  # fmt: skip


def forced(view: PairView, position: PairPosition) -> tuple[Intent | None, str]:
    """The whole loop traded back at any edge: something demands that the position goes."""
    side_a = position.entry_side_a.opposite
    a, b = sized_legs(view, side_a)
    sized = plan_exit(
        a, b, qty_a=abs(position.a.net_qty), qty_b=abs(position.b.net_qty), rules=view.rules
    )  # fmt: skip
    direction = Direction.LONG_A if side_a is Side.BUY else Direction.SHORT_A
    proposal = Proposal(direction, kernel.Choice(kernel.TRADE, 0.0, 0.0, 0.0, 0.0), 0.0)
    return _worded(view, proposal, sized, IntentKind.EXIT, position.direction, "risk")


def _worded(
    view: PairView, proposal: Proposal, sized: Sized, kind: IntentKind, direction: Direction, reason: str
) -> tuple[Intent | None, str]:
    if sized.a is None or sized.b is None:
        return None, sized.refusal
    unit = float(view.pair.multiplier)
    price_a, price_b = float(sized.a.expected_price), float(sized.b.expected_price) / unit
    quotes = kernel.Quotes(price_a, price_a, price_b, price_b, view.fx.sell_b, view.fx.buy_b)
    gross_bps = kernel.gross_bps(proposal.direction.sign, quotes)
    cost_bps = view.fees_a.taker_bps + view.fees_b.taker_bps
    edge = EdgeView(
        d_bps=view_d_bps(view),
        fair_bps=FAIR_BPS,
        gross_bps=gross_bps,
        expected_bps=gross_bps - cost_bps,
        cost_bps=cost_bps,
        funding_bps=0.0,
        fx_mid=decimal_of(view.fx.mid),
        fx_bid=decimal_of(view.fx.bid),
        fx_ask=decimal_of(view.fx.ask),
    )
    intent = Intent(
        pair=view.pair.id, kind=kind, direction=direction, qty=sized.qty, a=sized.a, b=sized.b, edge=edge,
        reason=reason,
    )  # fmt: skip
    return intent, ""


def view_d_bps(view: PairView) -> float:
    """How far the mids stand apart."""
    return divergence_bps(view.a.mid, view.b.mid / float(view.pair.multiplier), view.fx.mid)


def loop_worth(view: PairView, position: PairPosition) -> LoopWorth:
    """An open loop at the prices at which it would be traded back."""
    cost = float(position.entry_a_krw)
    if not cost or not view.a.is_two_sided or not view.b.is_two_sided:
        return LoopWorth(0.0, 0.0)
    a, b = sized_legs(view, position.entry_side_a.opposite)
    unit = float(view.pair.multiplier)
    net_a, net_b = float(position.a.net_qty), float(position.b.net_qty)
    worth_a = net_a * walk(a.levels, abs(net_a)).vwap
    worth_b = net_b * walk(b.levels, abs(net_b) / unit).vwap / unit * view.fx.mid
    fees = float(view.fees_a.taker_rate), float(view.fees_b.taker_rate)
    return LoopWorth(
        kernel.value_bps(float(position.booked_krw), worth_a, worth_b, *fees, cost),
        kernel.fx_value_bps(float(position.principal_b_usdt), float(position.principal_b_krw), view.fx.mid, cost),
    )
