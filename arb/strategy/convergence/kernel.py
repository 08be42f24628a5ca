"""Convergence in numbers: edges, value and the exit rules as scalar functions.

Owns: every comparison the strategy makes.
Never: attrs, Decimal, exceptions, imports of ours; only + − × ÷ and comparisons over floats, ints and NamedTuples
of them, so that a compiler can take these very functions.
Units: prices A in KRW and B in USDT per base unit, FX in KRW per USDT, the rest in bps of the A leg; times in ns.
`side` is +1 for long A, −1 for short A.
"""

from __future__ import annotations

from typing import NamedTuple

STAY = 0
STOP_LOSS = 1
FX_STOP = 2
TAKE_PROFIT = 3
REVERSAL = 4
TIME_LIMIT = 5
RULE_COUNT = 5
RULES = (STOP_LOSS, FX_STOP, TAKE_PROFIT, REVERSAL, TIME_LIMIT)


class Valuation(NamedTuple):
    """An open position in floats: flows so far, what is held, and the prices at which it would end."""

    booked_krw: float
    """All flows, each at its own FX mid."""
    net_a: float
    net_b: float
    exit_a: float
    exit_b: float
    fee_a: float
    """Rates, fractions."""
    fee_b: float
    fx_mid: float
    principal_b_usdt: float
    principal_b_krw: float
    cost_krw: float
    """N0."""


class ExitNumbers(NamedTuple):
    """What the exit rules compare."""

    side: int
    value_bps: float
    """`u`."""
    fx_value_bps: float
    d_bps: float
    fair_bps: float
    held_ns: int


class ExitLimits(NamedTuple):
    """What they compare it with."""

    stop_loss_bps: float
    fx_stop_bps: float
    """Infinite where the FX is hedged per trade."""
    take_profit_bps: float
    exit_bps: float
    time_limit_max_loss_bps: float
    min_hold_ns: int
    max_hold_ns: int


def divergence_bps(mid_a: float, mid_b: float, fx_mid: float) -> float:
    """`d`: positive when A is cheap."""
    return (mid_b * fx_mid - mid_a) / mid_a * 1e4


def opening_bps(bid_b: float, ask_a: float, fx: float) -> float:
    """Edge of buying A and selling B."""
    return (bid_b * fx - ask_a) / ask_a * 1e4


def closing_bps(bid_a: float, ask_b: float, fx: float) -> float:
    """Edge of selling A and buying B."""
    cost = ask_b * fx
    return (bid_a - cost) / cost * 1e4


def missed_bps(
    bid_a: float,
    ask_a: float,
    bid_b: float,
    ask_b: float,
    fx_mid: float,
    sell_b: float,
    buy_b: float,
    fair_bps: float,
    hurdle_long_bps: float,
    hurdle_short_bps: float,
) -> float:
    """How far best quotes are from the nearer of two hurdles: the way to fair and both crossings, in one go."""
    mid_a = (bid_a + ask_a) / 2
    away = ((bid_b + ask_b) / 2 * fx_mid - mid_a) / mid_a * 1e4 - fair_bps
    cost = ask_b * buy_b
    crossing = (bid_b * sell_b - ask_a) / ask_a * 1e4 + (bid_a - cost) / cost * 1e4
    long, short = hurdle_long_bps - away, hurdle_short_bps + away
    return (long if long < short else short) - crossing


def expected_bps(side: int, d_bps: float, fair_bps: float, there_and_back_bps: float, cost_bps: float) -> float:
    """What a round trip should bring: the way to fair, both crossings (`open + close`, −2h), all other costs."""
    return side * (d_bps - fair_bps) + there_and_back_bps - cost_bps


def entry_floor_bps(side: int, d_bps: float, fair_bps: float, way_back_bps: float, hurdle_bps: float) -> float:
    """The entry edge that just reaches the hurdle, when the way back costs what it costs now."""
    return hurdle_bps - way_back_bps - side * (d_bps - fair_bps)


def value_bps(numbers: Valuation) -> float:
    """`u`: the position closed now at exit-side prices, every flow at its own FX mid."""
    worth_a = numbers.net_a * numbers.exit_a
    worth_b = numbers.net_b * numbers.exit_b * numbers.fx_mid
    fees = abs(worth_a) * numbers.fee_a + abs(worth_b) * numbers.fee_b
    return (numbers.booked_krw + worth_a + worth_b - fees) / numbers.cost_krw * 1e4


def fx_value_bps(numbers: Valuation) -> float:
    """`fx_u`: what the move of FX since each flow did to B's principal."""
    return (numbers.principal_b_usdt * numbers.fx_mid - numbers.principal_b_krw) / numbers.cost_krw * 1e4


def is_rule_true(rule: int, numbers: ExitNumbers, limits: ExitLimits) -> bool:
    """Whether one exit rule holds on this view; `min_hold` restrains the last three only."""
    if rule == STOP_LOSS:
        return numbers.value_bps <= -limits.stop_loss_bps
    if rule == FX_STOP:
        return numbers.fx_value_bps <= -limits.fx_stop_bps
    if numbers.held_ns < limits.min_hold_ns:
        return False
    if rule == TAKE_PROFIT:
        return numbers.value_bps >= limits.take_profit_bps
    if rule == REVERSAL:
        return numbers.side * (numbers.d_bps - numbers.fair_bps) <= limits.exit_bps
    if numbers.held_ns < limits.max_hold_ns:
        return False
    return numbers.value_bps >= -limits.time_limit_max_loss_bps or numbers.held_ns >= 2 * limits.max_hold_ns


def is_confirmed(true_for_ns: int, confirm_ns: int, books_a: int, books_b: int, fx_books: int) -> bool:
    """Whether a rule has held long enough over enough new books."""
    return true_for_ns >= confirm_ns and books_a >= 2 and books_b >= 2 and fx_books >= 1
