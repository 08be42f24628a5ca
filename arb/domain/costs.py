"""Fees, FX and funding turned into basis points: the arithmetic of an edge.

Owns: which FX applies to which pair, both edges, the cost of a round trip, funding to come, liquidation, premiums.
Never: money that is owed; everything here is compared, not booked.
Units: prices A in KRW, B in USDT, per base unit; FX in KRW per USDT; rates are fractions, results bps of the A leg.
"""

from __future__ import annotations

from typing import NamedTuple

from arb.domain.depth import Depth, walk
from arb.domain.fx import FxHedge
from arb.domain.order import Side
from arb.domain.pair import Direction, PairKind

BPS = 1e4


class FxRates(NamedTuple):
    """What a USDT is worth to a pair: for valuing, for selling B and for buying B."""

    bid: float
    ask: float
    mid: float
    sell_b: float
    """KRW got per USDT when B is sold (engine.md, Edge); equals `mid` where the notional is not exchanged."""
    buy_b: float
    """KRW paid per USDT when B is bought."""


class Premiums(NamedTuple):
    """Display numbers, ratios: `(1 + kimchi) = (1 + basis)(1 + tether)`."""

    basis: float
    tether: float
    kimchi: float


class Funding(NamedTuple):
    """Settlements to come within the holding time."""

    bps: float
    """Positive is income, after the haircut on receipts."""
    next_bps: float
    """What the very next settlement brings (negative costs), whole."""
    next_in_s: float


def fx_rates(kind: PairKind, hedge: FxHedge, bid: float, ask: float, fee_rate: float) -> FxRates:
    """The executable FX of a pair; `fee_rate` is φ_x, the taker fee of the FX book as a fraction."""
    mid = (bid + ask) / 2
    if kind is PairKind.SPOT_PERP and hedge is not FxHedge.PER_TRADE:
        return FxRates(bid, ask, mid, mid, mid)
    return FxRates(bid, ask, mid, bid * (1 - fee_rate), ask * (1 + fee_rate))


def open_bps(bid_b: float, ask_a: float, fx: float) -> float:
    """Edge of buying A and selling B."""
    return (bid_b * fx - ask_a) / ask_a * BPS


def close_bps(bid_a: float, ask_b: float, fx: float) -> float:
    """Edge of selling A and buying B."""
    cost = ask_b * fx
    return (bid_a - cost) / cost * BPS


def divergence_bps(mid_a: float, mid_b: float, fx_mid: float) -> float:
    """`d`: positive when A is cheap."""
    return (mid_b * fx_mid - mid_a) / mid_a * BPS


def depth_cost_bps(depth: Depth, side: Side, qty: float) -> float:
    """Half-spread plus the cost of walking `qty` (contract units), in bps of the mid; `side` is what we do."""
    mid = depth.mid
    found = walk(depth.asks if side is Side.BUY else depth.bids, qty)
    return abs(found.vwap - mid) / mid * BPS if mid > 0 and found.qty > 0 else 0.0


def four_fees_bps(fee_rate_a: float, fee_rate_b: float) -> float:
    """A round trip has four fills and four fees."""
    return 2 * (fee_rate_a + fee_rate_b) * BPS


def premiums(*, mid_a: float, mid_b: float, fx_mid: float, bank: float, usdt_usd: float) -> Premiums:
    """Basis, tether premium and kimchi premium against the bank rate."""
    return Premiums(
        mid_a / (mid_b * fx_mid) - 1,
        fx_mid / (bank * usdt_usd) - 1,
        mid_a / (mid_b * bank * usdt_usd) - 1,
    )


def funding(
    *,
    direction: Direction,
    rate: float,
    mean_rate: float,
    interval_s: int,
    next_in_s: float,
    hold_s: float,
    haircut: float,
) -> Funding:
    """Sum the settlements in `(now, now + hold_s]`: the first at the predicted rate, later ones at the mean.

    B is short in a long A position, so a positive rate is income there.
    """
    sign = direction.sign * BPS
    first = sign * rate
    total = 0.0
    at_s = next_in_s if next_in_s > 0 else next_in_s + interval_s
    flow = first
    while at_s <= hold_s and interval_s > 0:
        total += flow * haircut if flow > 0 else flow
        flow = sign * mean_rate
        at_s += interval_s
    return Funding(total, first, next_in_s)


def liquidation_price(
    *, side: Side, wallet_usdt: float, qty: float, entry_price: float, mmr: float, cum: float = 0.0
) -> float:
    """Mark price at which an isolated position is liquidated; `mmr` and `cum` are the venue's maintenance bracket."""
    if side is Side.SELL:
        return (wallet_usdt + cum + qty * entry_price) / (qty * (1 + mmr))
    return (qty * entry_price - wallet_usdt - cum) / (qty * (1 - mmr))
