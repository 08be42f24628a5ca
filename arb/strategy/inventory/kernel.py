"""Inventory in numbers: what a trade nets, what it must net, and how much of it the balances bear.

Owns: every comparison the strategy makes.
Never: attrs, Decimal, exceptions, imports of ours; only + − × ÷ and comparisons over floats, ints and NamedTuples
of them, so that a compiler can take these very functions.
Units: prices A in KRW and B in USDT per base unit, FX in KRW per USDT, coins in base units, the rest in bps of what
the bought leg costs. `side` is +1 for long A (buy A, sell B), −1 for short A.
"""

from __future__ import annotations

from typing import NamedTuple

TRADE = 0
EDGE = 1
"""The net edge misses what is required."""
BAND = 2
"""Beyond the band only the restoring direction trades, and no trade crosses the far edge."""


class Quotes(NamedTuple):
    """Best quotes and what USDT is worth."""

    bid_a: float
    ask_a: float
    bid_b: float
    ask_b: float
    sell_b: float
    """KRW got per USDT when B is sold."""
    buy_b: float


class Balances(NamedTuple):
    """What the pair's two venues hold; `coin_b` of a contract is not read."""

    krw_a: float
    coin_a: float
    usdt_b: float
    coin_b: float


class Bands(NamedTuple):
    """Target and band of each balance."""

    target_krw_a: float
    band_krw_a: float
    target_coin_a: float
    band_coin_a: float
    target_usdt_b: float
    band_usdt_b: float
    target_coin_b: float
    band_coin_b: float
    is_contract_b: int
    """1: B is a contract, whose coins and USDT no trade moves."""


class Terms(NamedTuple):
    """What a trade costs and what it must bring."""

    fee_a_bps: float
    fee_b_bps: float
    min_profit_bps: float
    rebalance_bps: float
    skew_bps: float
    relief_bps: float
    relief_floor_bps: float


class Choice(NamedTuple):
    """What the balances and the best quotes say to one direction."""

    code: int
    net_bps: float
    required_bps: float
    room_qty: float
    """Most that keeps every balance inside the far edge of its band."""
    bar_bps: float
    """The gross edge at which the requirement is met; infinite where the band forbids the direction."""


def skew(held: float, target: float, band: float) -> float:
    """How far a balance is from its target, in bands, clipped to ±1."""
    off = (held - target) / band
    if off > 1.0:
        return 1.0
    return off if off > -1.0 else -1.0


def gross_bps(side: int, quotes: Quotes) -> float:
    """The edge of a direction at these quotes, before fees."""
    if side > 0:
        return (quotes.bid_b * quotes.sell_b - quotes.ask_a) / quotes.ask_a * 1e4
    cost = quotes.ask_b * quotes.buy_b
    return (quotes.bid_a - cost) / cost * 1e4


def costs_bps(terms: Terms) -> float:
    """What stands between gross and net: two fills' fees and the share of a rebalancing."""
    return terms.fee_a_bps + terms.fee_b_bps + terms.rebalance_bps


def required_bps(side: int, x: float, y: float, terms: Terms) -> float:
    """Required net: more where the trade drives A's coins or B's USDT away, less where it brings A's coins back.

    `x` and `y` are the skews of A's coins and of B's USDT; a long A adds to both.
    """
    away_x, away_y = side * x, side * y
    asked = terms.min_profit_bps
    asked += terms.skew_bps * (away_x if away_x > 0.0 else 0.0)
    asked += terms.skew_bps * (away_y if away_y > 0.0 else 0.0)
    asked -= terms.relief_bps * (-away_x if away_x < 0.0 else 0.0)
    return asked if asked > -terms.relief_floor_bps else -terms.relief_floor_bps


def room(grows: int, held: float, target: float, band: float) -> float:
    """How much a balance may grow (`grows` = 1) or shrink (−1) before the far edge; 0 beyond it."""
    left = target + band - held if grows > 0 else held - (target - band)
    return left if left > 0.0 else 0.0


def room_qty(side: int, held: Balances, bands: Bands, quotes: Quotes) -> float:
    """Base units that a direction may trade before some balance stands at the far edge of its band."""
    price_a = quotes.ask_a if side > 0 else quotes.bid_a
    most = room(side, held.coin_a, bands.target_coin_a, bands.band_coin_a)
    by_krw = room(-side, held.krw_a, bands.target_krw_a, bands.band_krw_a) / price_a
    most = by_krw if by_krw < most else most
    if bands.is_contract_b:
        return most
    price_b = quotes.bid_b if side > 0 else quotes.ask_b
    by_usdt = room(side, held.usdt_b, bands.target_usdt_b, bands.band_usdt_b) / price_b
    most = by_usdt if by_usdt < most else most
    by_coin = room(-side, held.coin_b, bands.target_coin_b, bands.band_coin_b)
    return by_coin if by_coin < most else most


def choose(side: int, quotes: Quotes, held: Balances, bands: Bands, terms: Terms) -> Choice:
    """Whether a direction trades at these quotes, and how much of it."""
    x = skew(held.coin_a, bands.target_coin_a, bands.band_coin_a)
    y = skew(held.usdt_b, bands.target_usdt_b, bands.band_usdt_b)
    costs = costs_bps(terms)
    net = gross_bps(side, quotes) - costs
    required = required_bps(side, x, y, terms)
    most = room_qty(side, held, bands, quotes)
    if most <= 0.0:
        return Choice(BAND, net, required, 0.0, float("inf"))
    return Choice(TRADE if net >= required else EDGE, net, required, most, required + costs)


def value_bps(
    booked_krw: float, worth_a_krw: float, worth_b_krw: float, fee_a: float, fee_b: float, cost_krw: float
) -> float:
    """An open loop traded back now: flows at their own FX, what is held at exit prices, less both fees."""
    size_a = worth_a_krw if worth_a_krw > 0.0 else -worth_a_krw
    size_b = worth_b_krw if worth_b_krw > 0.0 else -worth_b_krw
    return (booked_krw + worth_a_krw + worth_b_krw - size_a * fee_a - size_b * fee_b) / cost_krw * 1e4


def fx_value_bps(principal_usdt: float, principal_krw: float, fx_mid: float, cost_krw: float) -> float:
    """What the move of FX since each flow did to B's principal."""
    return (principal_usdt * fx_mid - principal_krw) / cost_krw * 1e4
