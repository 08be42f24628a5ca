"""The whole engine in a plain loop: generated books in, orders filled by simulated exchanges, no waiting anywhere.

Owns: virtual time, the orders on their way and back.
Never: journals, or draws a latency: orders take `ORDER_NS` each way.
Units: monotonic nanoseconds from `START_NS`, UTC from `WALL_NS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

from arb.cli.engine_config import engine_config
from arb.cli.measures.machine import START_NS, WALL_NS, beginnings, funding
from arb.cli.schema import Settings
from arb.cli.sim import traded
from arb.domain.depth import Depth
from arb.domain.effects import Effect, Submit
from arb.domain.events import DepthSeen, Event, FillSeen, Tick
from arb.domain.ids import FeedId, VenueId, venue_of
from arb.domain.order import OrderRequest
from arb.engine import Engine
from arb.venues.simulated.chance import stream
from arb.venues.simulated.facts import Levels
from arb.venues.simulated.listings import listing
from arb.venues.simulated.market import BookMove, GeneratedMarket, MarketPlan, MarkMove
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.models import MODELS
from arb.venues.wire.local_facts import event_of, levels_of, new_order

ORDER_NS: Final = 30_000_000
LEVELS: Final = 15
_ACCOUNT: Final = "bench"


def market_events(settings: Settings, steps: int) -> list[Event]:
    """Books of everything the configuration trades, 100 ms apart, and a tick each second."""
    listed = tuple(listing(name) for name in traded(settings))
    market = GeneratedMarket(settings.sim.seed, listed, MarketPlan(levels=LEVELS), WALL_NS)
    found: list[Event] = []
    for number in range(steps):
        at_ns = START_NS + market.next_due_ns() - WALL_NS
        for move in market.advance():
            if isinstance(move, BookMove):
                depth = Depth(
                    instrument=move.instrument, feed=FeedId(f"{venue_of(move.instrument)}/public/0"),
                    bids=_flat(move.bids), asks=_flat(move.asks), received_ns=at_ns,
                    venue_ns=WALL_NS + at_ns - START_NS, sequence=number,
                )  # fmt: skip
                found.append(DepthSeen(at_ns=at_ns, depth=depth))
            elif isinstance(move, MarkMove):
                found.append(funding(move.instrument, move.mark_price, at_ns, WALL_NS + at_ns - START_NS))
        if number % 10 == 0:
            found.append(Tick(at_ns=at_ns, wall_ns=WALL_NS + at_ns - START_NS, is_loop=True))
    return found


def _flat(levels: Levels) -> tuple[float, ...]:
    return tuple(float(value) for level in levels for value in level)


class Playground:
    """An engine and its exchanges."""

    def __init__(self, settings: Settings) -> None:
        config = engine_config(settings, WALL_NS)
        self.engine = Engine(config)
        self.fills = 0
        self._steps = 0
        self._images: dict[str, Depth] = {}
        self._due: list[tuple[int, int, OrderRequest | Event]] = []
        self._numbers = count()
        self._exchanges: dict[VenueId, Exchange] = {}
        for venue in dict.fromkeys(venue_of(name) for name in traded(settings)):
            listed = tuple(listing(name) for name in traded(settings) if venue_of(name) == venue)
            exchange = Exchange(MODELS[venue], listed, WALL_NS, stream(settings.sim.seed, f"bench {venue}"))
            exchange.open_account(_ACCOUNT, WALL_NS)
            self._exchanges[venue] = exchange
            exchange.take()
        for event in beginnings(config, START_NS, WALL_NS):
            self._step(event)

    def run(self, events: Sequence[Event]) -> int:
        """Everything in order of time; how many steps it took."""
        images, due, step = self._images, self._due, self._step
        for event in events:
            while due and due[0][0] <= event.at_ns:
                self._deliver()
            if type(event) is DepthSeen:
                images[event.depth.instrument] = event.depth
            step(event)
        return self._steps

    def _step(self, event: Event) -> None:
        self._steps += 1
        effects = self.engine.step(event)
        if effects:
            self._perform(effects, event.at_ns)

    def _perform(self, effects: tuple[Effect, ...], at_ns: int) -> None:
        for effect in effects:
            if isinstance(effect, Submit):
                for order in effect.orders:
                    heappush(self._due, (at_ns + ORDER_NS, next(self._numbers), order.request))

    def _deliver(self) -> None:
        at_ns, _, item = heappop(self._due)
        if not isinstance(item, OrderRequest):
            self.fills += isinstance(item, FillSeen)
            self._step(item)
            return
        exchange, wall_ns = self._exchanges[item.venue], WALL_NS + at_ns - START_NS
        if (depth := self._images.pop(item.instrument, None)) is not None:
            exchange.on_depth(item.instrument, levels_of(depth.bids), levels_of(depth.asks), wall_ns)
        exchange.submit(_ACCOUNT, new_order(item), wall_ns)
        for fact in exchange.take():
            event = event_of(fact, item.venue, at_ns + ORDER_NS)
            if event is not None:
                heappush(self._due, (at_ns + ORDER_NS, next(self._numbers), event))
