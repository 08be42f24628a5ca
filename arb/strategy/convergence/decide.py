"""Convergence: open when A is cheap against B, close when it has come back.

Owns: the order of the questions, and the words of the answer.
Never: waits, reads a clock, draws a number.
Units: bps of the A leg; times monotonic `_ns`.
"""

from __future__ import annotations

import attrs

from arb.domain.pair import Direction
from arb.state.positions import PairPosition
from arb.strategy.api import Answer, HeldFacts, HeldQuote, Look, PairView, TopQuote
from arb.strategy.convergence import kernel
from arb.strategy.convergence.entry import Hurdle, Wish, hurdle, view_divergence_bps, wish
from arb.strategy.convergence.exit import RULE_NAMES, Worth, closing, rules_true, worth
from arb.strategy.convergence.holding import Holding, holding_of, is_any_rule_true
from arb.strategy.convergence.memory import (
    NEVER_NS,
    BookCount,
    ConvergenceMemory,
    confirmed_rule,
    with_rules,
    with_sample,
)
from arb.strategy.convergence.params import ConvergenceParams

_INFINITE = float("inf")


@attrs.frozen
class Convergence:
    """The strategy as the engine calls it; it holds nothing."""

    @property
    def params_class(self) -> type[ConvergenceParams]:
        """Its parameters."""
        return ConvergenceParams

    def initial(self) -> ConvergenceMemory:
        """Nothing known: no sample, no cooldown."""
        return ConvergenceMemory()

    def renewed(self, own: ConvergenceMemory) -> ConvergenceMemory:
        """The fair level and the cooldown stand; exit rules are confirmed anew, by books of the new process."""
        return attrs.evolve(own, books=BookCount(), rules=())

    def missed_by_bps(self, top: TopQuote, own: ConvergenceMemory, params: ConvergenceParams) -> float:
        """How far best quotes are from the bar of the last full look; 0 or less asks for a full look.

        The bar is refreshed with every sample of the fair level, at most a second apart.
        """
        if top.now_ns >= own.next_sample_ns:
            return 0.0
        fair_bps = own.fair_level_bps
        if fair_bps is None:
            return _INFINITE
        _, bid_a, ask_a, bid_b, ask_b, unit_b, (_, _, fx_mid, sell_b, buy_b) = top
        return kernel.missed_bps(
            bid_a, ask_a, bid_b / unit_b, ask_b / unit_b, fx_mid, sell_b, buy_b, fair_bps,
            own.hurdle_long_bps, own.hurdle_short_bps,
        )  # fmt: skip

    def holding(self, facts: HeldFacts, params: ConvergenceParams) -> Holding | None:
        """A held position as `is_at_rest` takes it."""
        return holding_of(facts, params)

    def is_at_rest(self, held: Holding, quote: HeldQuote, own: ConvergenceMemory, params: ConvergenceParams) -> bool:
        """Whether a whole look would change nothing: no sample due, no exit rule true or waiting for confirmation."""
        if quote.top.now_ns >= own.next_sample_ns or any(own.rules):
            return False
        fair_bps = own.fair_level_bps if own.fair_level_bps is not None else held.fair_bps
        return not is_any_rule_true(held, quote, fair_bps)

    def decide(
        self, view: PairView, own: ConvergenceMemory, params: ConvergenceParams
    ) -> tuple[ConvergenceMemory, Answer]:
        """One look at one pair."""
        if not view.data_refusal:
            own = with_sample(own, params, view.now_ns, view_divergence_bps(view))
        position = view.position
        if view.is_busy or position is not None:
            own = attrs.evolve(own, last_busy_ns=view.now_ns)
        elif own.rules or own.books != BookCount():
            own = attrs.evolve(own, rules=(), books=BookCount())
        if view.is_busy:
            return own, _nothing("busy", own)
        if position is not None:
            return _hold(view, own, params, position)
        return _seek(view, own, params)

    def problems(self, params: ConvergenceParams, *, round_trip_cost_bps: float, fx_tick_bps: float) -> tuple[str, ...]:
        """Parameters that cannot earn, or that stop out of every fresh position."""
        found = []
        if params.take_profit_bps <= 0:
            found.append(f"take_profit_bps = {params.take_profit_bps:g} must be above 0: it is net of all costs")
        floor_bps = round_trip_cost_bps + 2 * fx_tick_bps
        if params.stop_loss_bps < floor_bps:
            found.append(
                f"stop_loss_bps = {params.stop_loss_bps:g} is below the round-trip cost plus two KRW-USDT ticks "
                f"({floor_bps:.1f}): every fresh position would be stopped"
            )
        return tuple(found)


def _seek(view: PairView, own: ConvergenceMemory, params: ConvergenceParams) -> tuple[ConvergenceMemory, Answer]:
    """Flat and idle: is there an entry?"""
    if view.data_refusal:
        return own, _nothing(view.data_refusal, own)
    bars = {direction: hurdle(view, params, direction) for direction in Direction if direction in view.pair.directions}
    own = _with_bars(own, bars)
    fair_bps = own.fair_level_bps
    d_bps = view_divergence_bps(view)
    if fair_bps is None:
        return own, _nothing("fair_unknown", own, d_bps)
    found = [(wish(view, params, direction, fair_bps, bar), direction) for direction, bar in bars.items()]
    best, direction = max(found, key=lambda pair: (pair[0].intent is not None, pair[0].expected_bps))
    refusal = best.refusal
    if best.intent is not None:
        refusal = _waiting(view, own, params)
        if refusal:
            best = best._replace(intent=None)
    look = _look(refusal, direction, best, params.min_profit_bps, (d_bps, fair_bps))
    return own, Answer(best.intent, look)


def _waiting(view: PairView, own: ConvergenceMemory, params: ConvergenceParams) -> str:
    """Whether the pair must rest: the cooldown, and never on the view on which it was last busy."""
    if own.last_busy_ns == NEVER_NS:
        return ""
    if view.now_ns - own.last_busy_ns < params.cooldown_s * 1e9:
        return "cooldown"
    is_same_view = max(view.a.received_ns, view.b.received_ns) <= own.last_busy_ns
    return "cooldown" if is_same_view else ""


def _hold(
    view: PairView, own: ConvergenceMemory, params: ConvergenceParams, position: PairPosition
) -> tuple[ConvergenceMemory, Answer]:
    """A position is open: must it go?"""
    fair_bps = own.fair_level_bps if own.fair_level_bps is not None else position.fair_bps
    if not position.entry_a_krw or not view.a.is_two_sided or not view.b.is_two_sided or view.fx.mid <= 0:
        return own, _nothing(view.data_refusal or "no_value", own)
    now = worth(view, position)
    reason, own = _exit_reason(view, own, params, position, fair_bps, now)
    refusal, intent = _holding_refusal(view, reason), None
    if reason and not refusal:
        intent, refusal = closing(view, position, now, fair_bps, reason)
    look = Look(
        refusal=refusal,
        direction=position.direction,
        best_bps=now.value_bps,
        missed_by_bps=max(0.0, params.take_profit_bps - now.value_bps),
        d_bps=now.d_bps,
        fair_bps=fair_bps,
        gross_bps=now.gross_bps,
        value_bps=now.value_bps,
        fx_value_bps=now.fx_value_bps,
    )
    return own, Answer(intent, look)


def _exit_reason(
    view: PairView,
    own: ConvergenceMemory,
    params: ConvergenceParams,
    position: PairPosition,
    fair_bps: float,
    now: Worth,
) -> tuple[str, ConvergenceMemory]:
    """The first exit that fires; on unsupported data only `risk` can, and confirmations start again."""
    if view.data_refusal or not view.is_exit_tradable:
        own = attrs.evolve(own, rules=()) if own.rules else own
        return ("risk" if view.risk_exit else ""), own
    own = attrs.evolve(own, books=own.books.seen(view.a.received_ns, view.b.received_ns, view.fx_received_ns))
    holds = rules_true(view, params, position, now, fair_bps)
    own = with_rules(own, view.now_ns, holds)
    if view.risk_exit:
        return "risk", own
    rule = confirmed_rule(own, view.now_ns, params.confirm_ms * 1_000_000, view.fx_received_ns == NEVER_NS)
    return RULE_NAMES[rule], own


def _holding_refusal(view: PairView, reason: str) -> str:
    if reason:
        return ""
    if view.data_refusal:
        return view.data_refusal
    return "hold" if view.is_exit_tradable else "venue_down"


def _with_bars(own: ConvergenceMemory, bars: dict[Direction, Hurdle]) -> ConvergenceMemory:
    long_bps = bars[Direction.LONG_A].bps if Direction.LONG_A in bars else _INFINITE
    short_bps = bars[Direction.SHORT_A].bps if Direction.SHORT_A in bars else _INFINITE
    if own.hurdle_long_bps == long_bps and own.hurdle_short_bps == short_bps:
        return own
    return attrs.evolve(own, hurdle_long_bps=long_bps, hurdle_short_bps=short_bps)


def _look(refusal: str, direction: Direction, best: Wish, bar_bps: float, level: tuple[float, float]) -> Look:
    return Look(
        refusal=refusal,
        direction=direction,
        best_bps=best.expected_bps,
        missed_by_bps=max(0.0, bar_bps - best.expected_bps),
        d_bps=level[0],
        fair_bps=level[1],
        gross_bps=best.gross_bps,
        value_bps=0.0,
        fx_value_bps=0.0,
    )


def _nothing(refusal: str, own: ConvergenceMemory, d_bps: float = 0.0) -> Answer:
    look = Look(
        refusal=refusal,
        direction=Direction.LONG_A,
        best_bps=-_INFINITE,
        missed_by_bps=0.0,
        d_bps=d_bps,
        fair_bps=own.fair_level_bps,
        gross_bps=0.0,
        value_bps=0.0,
        fx_value_bps=0.0,
    )
    return Answer(None, look)
