"""The cheap half of a look: what a book changes is asked in floats before anything is gathered.

Owns: what is found once for each pair and kept, and the question whether a whole look would do anything.
Never: changes memory, or keeps what memory does not hold.
Units: as the market tells them; times monotonic _ns.
"""

from __future__ import annotations

from typing import Any

import attrs

from arb.domain.costs import FxRates
from arb.domain.fx import FxHedge
from arb.domain.ids import InstrumentId, PairId
from arb.engine.config import EngineConfig, PairConfig
from arb.engine.memory import Lane, Memory
from arb.engine.view import fees_of, rates_of
from arb.state.market import MarketBook
from arb.state.positions import PairPosition
from arb.strategy.api import HeldFacts, HeldQuote, Strategy, TopQuote


@attrs.define(kw_only=True)
class PairSight:
    """One pair as the cheap look needs it, found once: nothing here that memory does not hold."""

    item: PairConfig
    pair: PairId
    a: InstrumentId
    b: InstrumentId
    unit_b: float
    lane: Lane
    strategy: Strategy[Any, Any, Any]
    book_a: MarketBook | None = None
    book_b: MarketBook | None = None
    rates: FxRates | None = None
    """Derived from the FX mark; forgotten with every new one."""
    held: PairPosition | None = None
    """The position that `holding` was made from."""
    holding: Any = None
    """The strategy's own; None: every look is whole."""


def wants_look(memory: Memory, config: EngineConfig, sight: PairSight) -> bool:
    """The cheap half of a look: an idle pair is left alone while its books change nothing."""
    lane = sight.lane
    if lane.legs or memory.is_settling:
        return False
    position = memory.ledger.positions.get(sight.pair)
    if position is None and memory.now_ns < lane.gated_until_ns:
        return False
    books = memory.market.books
    a, b = sight.book_a or books.get(sight.a), sight.book_b or books.get(sight.b)
    sight.book_a, sight.book_b = a, b
    if a is None or b is None or not a.is_usable or not b.is_usable or memory.fx.mid <= 0:
        return position is not None
    rates = sight.rates
    if rates is None:
        rates = sight.rates = rates_of(memory, config, sight.item.pair.kind)
    depth_a, depth_b = a.depth, b.depth
    top = TopQuote(
        memory.now_ns, depth_a.bids[0], depth_a.asks[0], depth_b.bids[0], depth_b.asks[0], sight.unit_b, rates
    )
    if position is None:
        return sight.strategy.missed_by_bps(top, lane.own, sight.item.params) <= 0
    return not is_at_rest(memory, config, sight, position, HeldQuote(top, depth_a, depth_b))


def is_at_rest(
    memory: Memory, config: EngineConfig, sight: PairSight, position: PairPosition, quote: HeldQuote
) -> bool:
    """Whether nothing but its strategy asks for a held pair, and that would want nothing."""
    lane = sight.lane
    if lane.risk_exit or lane.is_emergency or lane.mismatch_ns is not None or lane.wallet_closed_ns is not None:
        return False
    if position is not sight.held:
        fees_a, fees_b = (fees_of(memory, config, leg) for leg in (sight.a, sight.b))
        is_hedged = config.fx.hedge is FxHedge.PER_TRADE
        facts = HeldFacts(position, fees_a, fees_b, sight.unit_b, is_hedged)
        sight.held, sight.holding = position, sight.strategy.holding(facts, sight.item.params)
    held = sight.holding
    return held is not None and sight.strategy.is_at_rest(held, quote, lane.own, sight.item.params)
