"""Inventory: sell where the coin is dear, buy where it is cheap, out of balances that are already there.

Owns: the order of the questions, and the words of the answer.
Never: waits, reads a clock, draws a number, moves anything between venues.
Units: bps of what the bought leg costs; times monotonic `_ns`.

A trade opens a loop, further ones in its direction add to it, ones against it trade it back: the edge of each is
captured when it is made and realised when the loop is closed.
"""

from __future__ import annotations

import attrs

from arb.domain.intent import Intent
from arb.domain.pair import Direction
from arb.strategy.api import Answer, HeldFacts, HeldQuote, Look, PairView, TopQuote
from arb.strategy.inventory import kernel
from arb.strategy.inventory.memory import LOOK_EVERY_NS, NEVER_NS, InventoryMemory
from arb.strategy.inventory.params import InventoryParams
from arb.strategy.inventory.trade import FAIR_BPS, LoopWorth, Proposal, forced, loop_worth, proposals, trade, view_d_bps

_INFINITE = float("inf")
_NO_WORTH = LoopWorth(0.0, 0.0)


@attrs.frozen
class Inventory:
    """The strategy as the engine calls it; it holds nothing."""

    @property
    def params_class(self) -> type[InventoryParams]:
        """Its parameters."""
        return InventoryParams

    def initial(self) -> InventoryMemory:
        """Nothing known: no trade yet, the bars to be taken."""
        return InventoryMemory(last_trade_ns=NEVER_NS)

    def renewed(self, own: InventoryMemory) -> InventoryMemory:
        """The cooldown stands; the bars are taken anew."""
        return attrs.evolve(own, next_look_ns=NEVER_NS)

    def missed_by_bps(self, top: TopQuote, own: InventoryMemory, params: InventoryParams) -> float:
        """How far best quotes are from the nearer bar of the last whole look; 0 or less asks for a whole look."""
        if top.now_ns >= own.next_look_ns:
            return 0.0
        quotes = kernel.Quotes(
            top.bid_a, top.ask_a, top.bid_b / top.unit_b, top.ask_b / top.unit_b, top.fx.sell_b, top.fx.buy_b
        )
        long_bps = own.bar_long_bps - kernel.gross_bps(1, quotes)
        short_bps = own.bar_short_bps - kernel.gross_bps(-1, quotes)
        return long_bps if long_bps < short_bps else short_bps

    def holding(self, facts: HeldFacts, params: InventoryParams) -> HeldFacts:
        """Whether an open loop rests hangs on the bars alone, as if there were none."""
        return facts

    def is_at_rest(self, held: HeldFacts, quote: HeldQuote, own: InventoryMemory, params: InventoryParams) -> bool:
        """Whether best quotes miss both bars, and the bars are young."""
        return self.missed_by_bps(quote.top, own, params) > 0

    def decide(self, view: PairView, own: InventoryMemory, params: InventoryParams) -> tuple[InventoryMemory, Answer]:
        """One look at one pair."""
        if view.is_busy:
            return attrs.evolve(own, last_trade_ns=view.now_ns), _nothing("busy", _NO_WORTH)
        position = view.position
        worth = loop_worth(view, position) if position is not None else _NO_WORTH
        if view.risk_exit and position is not None:
            intent, refusal = forced(view, position)
            answer = _nothing(refusal or "risk", worth)
            return own, Answer(intent, attrs.evolve(answer.look, direction=position.direction))
        if view.data_refusal:
            return own, _nothing(view.data_refusal, worth)
        return _seek(view, own, params, worth)

    def problems(self, params: InventoryParams, *, round_trip_cost_bps: float, fx_tick_bps: float) -> tuple[str, ...]:
        """Parameters that cannot earn, or that pay more to restore a balance than moving it costs."""
        found = []
        if params.min_profit_bps <= 0:
            found.append(f"min_profit_bps = {params.min_profit_bps:g} must be above 0: it is net of all costs")
        least_bps = params.min_profit_bps + 2 * params.rebalance_bps
        if params.relief_floor_bps > least_bps:
            found.append(
                f"relief_floor_bps = {params.relief_floor_bps:g} is above min_profit_bps + 2 rebalance_bps "
                f"({least_bps:g}): a closed loop could lose"
            )
        fair_cost_bps = round_trip_cost_bps / 2 + fx_tick_bps + params.rebalance_bps
        if params.relief_floor_bps > fair_cost_bps:
            found.append(
                f"relief_floor_bps = {params.relief_floor_bps:g} is above the cost of a trade at fair prices "
                f"({fair_cost_bps:.1f}): what is bought would be sold again at once"
            )
        for name in ("krw_a", "coin_a", "usdt_b", "coin_b"):
            target, band = getattr(params, f"target_{name}"), getattr(params, f"band_{name}")
            if band > target > 0:
                found.append(
                    f"band_{name} = {band:g} is above target_{name} = {target:g}: the balance can only run dry"
                )
        return tuple(found)


def _seek(
    view: PairView, own: InventoryMemory, params: InventoryParams, worth: LoopWorth
) -> tuple[InventoryMemory, Answer]:
    """Is there a trade that the balances bear?"""
    found = proposals(view, params)
    own = _with_bars(own, view.now_ns, found)
    best = found[0]
    intent, refusal = _best_trade(view, own, params, found)
    if intent is not None:
        best = next(proposal for proposal in found if _trades_as(intent, proposal))
    net_bps = best.choice.net_bps if intent is None else intent.edge.expected_bps - params.rebalance_bps
    look = Look(
        refusal=refusal,
        direction=best.direction,
        best_bps=net_bps,
        missed_by_bps=max(0.0, best.choice.required_bps - best.choice.net_bps),
        d_bps=view_d_bps(view),
        fair_bps=FAIR_BPS,
        gross_bps=best.gross_bps if intent is None else intent.edge.gross_bps,
        value_bps=worth.value_bps,
        fx_value_bps=worth.fx_value_bps,
    )
    return own, Answer(intent, look)


def _trades_as(intent: Intent, proposal: Proposal) -> bool:
    return (intent.a.side.sign > 0) is (proposal.direction is Direction.LONG_A)


def _best_trade(
    view: PairView, own: InventoryMemory, params: InventoryParams, found: tuple[Proposal, ...]
) -> tuple[Intent | None, str]:
    """The best proposal that can be ordered, or the name of what forbids the best one."""
    first = ""
    for proposal in found:
        if proposal.choice.code != kernel.TRADE:
            refusal = "band" if proposal.choice.code == kernel.BAND else "edge"
        elif resting := _waiting(view, own, params):
            refusal = resting
        else:
            intent, refusal = trade(view, proposal)
            if intent is not None:
                return intent, ""
        first = first or refusal
    return None, first


def _waiting(view: PairView, own: InventoryMemory, params: InventoryParams) -> str:
    """Whether the pair must rest: the cooldown, and never on the view on which it last traded."""
    if own.last_trade_ns == NEVER_NS:
        return ""
    is_cooling = view.now_ns - own.last_trade_ns < params.cooldown_s * 1e9
    is_same_view = max(view.a.received_ns, view.b.received_ns) <= own.last_trade_ns
    return "cooldown" if is_cooling or is_same_view else ""


def _with_bars(own: InventoryMemory, now_ns: int, found: tuple[Proposal, ...]) -> InventoryMemory:
    bars = {proposal.direction: proposal.choice.bar_bps for proposal in found}
    return attrs.evolve(
        own,
        next_look_ns=now_ns + LOOK_EVERY_NS,
        bar_long_bps=bars.get(Direction.LONG_A, _INFINITE),
        bar_short_bps=bars.get(Direction.SHORT_A, _INFINITE),
    )


def _nothing(refusal: str, worth: LoopWorth) -> Answer:
    look = Look(
        refusal=refusal,
        direction=Direction.LONG_A,
        best_bps=-_INFINITE,
        missed_by_bps=0.0,
        d_bps=0.0,
        fair_bps=None,
        gross_bps=0.0,
        value_bps=worth.value_bps,
        fx_value_bps=worth.fx_value_bps,
    )
    return Answer(None, look)
