"""The simulated world: exchanges, their market and the faults that befall them, on one time line.

Owns: the order of everything that happens by itself; whatever the pattern of `advance_to`, the same facts come out.
Never: waits or reads a clock: who drives it says what time it is.
Units: UTC nanoseconds.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.ids import VenueId
from arb.domain.instrument import Instrument
from arb.venues.simulated.chance import stream
from arb.venues.simulated.crossing import Disturbance
from arb.venues.simulated.faults import FaultBoard
from arb.venues.simulated.market import (
    BookMove,
    GeneratedMarket,
    MarketMove,
    MarketPlan,
    MarketSource,
    MarkMove,
    TradeMove,
)
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.models import MODELS, FaultKind, FaultScript, VenueModel

_FAR_NS = 2**62


@attrs.frozen(kw_only=True)
class WorldPlan:
    """Everything a world is made from."""

    seed: int
    start_ns: int
    instruments: tuple[Instrument, ...]
    """On all venues; a venue without an instrument does not exist."""
    market: MarketPlan = attrs.field(factory=MarketPlan)
    models: tuple[VenueModel, ...] = tuple(MODELS.values())
    faults: tuple[FaultScript, ...] = ()
    bank_usdkrw: Decimal = Decimal("1443.20")


@attrs.define(eq=False, init=False)
class World:
    """Exchanges by venue, driven along one time line."""

    plan: WorldPlan
    exchanges: dict[VenueId, Exchange]
    faults: FaultBoard
    market: MarketSource
    now_ns: int

    def __init__(self, plan: WorldPlan, market: MarketSource | None = None) -> None:
        """`market`: another source than the generated one (a recording)."""
        self.plan = plan
        self.exchanges = {}
        for model in plan.models:
            listed = tuple(each for each in plan.instruments if each.venue == model.venue)
            if listed:
                chance = stream(plan.seed, f"exchange {model.venue}")
                self.exchanges[model.venue] = Exchange(model, listed, plan.start_ns, chance)
        self.faults = FaultBoard(plan.faults, plan.start_ns)
        self.market = market or GeneratedMarket(plan.seed, plan.instruments, plan.market, plan.start_ns)
        self.now_ns = plan.start_ns - 1

    def exchange(self, venue: str) -> Exchange:
        """The exchange of a venue."""
        return self.exchanges[VenueId(venue)]

    def bank_rate(self) -> Decimal:
        """KRW per USD as a bank quotes it."""
        return self.plan.bank_usdkrw

    def add_fault(self, script: FaultScript) -> None:
        """One more script line; it must begin after what has already happened."""
        self.faults = FaultBoard((*self.faults.scripts, script), self.plan.start_ns)

    def next_due_ns(self) -> int:
        """When something happens next by itself; far away when nothing will."""
        return min(self._market_due_ns(), self._fault_due_ns(), self._funding_due_ns())

    def advance_to(self, now_ns: int) -> None:
        """Let everything happen that is due until now, in the order of time: faults, funding, market."""
        while (due_ns := self.next_due_ns()) <= now_ns:
            if due_ns == self._fault_due_ns():
                self._disturb(due_ns)
            for exchange in self.exchanges.values():
                exchange.advance_to(due_ns)
            if due_ns == self._market_due_ns():
                for move in self.market.advance():
                    self._apply(move, due_ns)
            self.now_ns = due_ns
        self.now_ns = max(self.now_ns, now_ns)

    def _market_due_ns(self) -> int:
        due_ns = self.market.next_due_ns()
        return _FAR_NS if due_ns is None else due_ns

    def _fault_due_ns(self) -> int:
        due_ns = self.faults.next_change_ns(self.now_ns)
        return _FAR_NS if due_ns is None else due_ns

    def _funding_due_ns(self) -> int:
        margined = (each.desk.next_funding_ns for each in self.exchanges.values() if each.model.is_margined)
        return min(margined, default=_FAR_NS)

    def _disturb(self, due_ns: int) -> None:
        for venue, exchange in self.exchanges.items():
            kinds = self.faults.active(due_ns, venue)
            exchange.disturb(
                Disturbance(
                    is_closed=FaultKind.MAINTENANCE in kinds,
                    refuses_orders=FaultKind.REJECT in kinds,
                    fills_half=FaultKind.PARTIAL_FILL in kinds,
                    shows_crossed=FaultKind.CROSSED_BOOK in kinds,
                )
            )
            if any(each.kind is FaultKind.ADL for each in self.faults.edges(due_ns - 1, due_ns, venue)):
                exchange.deleverage(due_ns)

    def _apply(self, move: MarketMove, due_ns: int) -> None:
        exchange = self.exchanges.get(VenueId(move.instrument.partition(":")[0]))
        if exchange is None:
            return
        match move:
            case BookMove():
                exchange.on_depth(move.instrument, move.bids, move.asks, due_ns)
            case TradeMove():
                exchange.on_trade(move.instrument, move.price, move.qty, move.is_buy, due_ns)
            case MarkMove():
                exchange.on_mark(move.instrument, move.mark_price, move.index_price, move.funding_rate, due_ns)
