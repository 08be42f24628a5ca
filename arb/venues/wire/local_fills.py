"""Orders filled here against live books: the simulated exchange driven in real time.

Owns: one simulated exchange per venue, the newest book image of each instrument, and the orders on their way.
Never: talks to a venue, or answers otherwise than by events.
Units: `at_ns` and job times monotonic; the exchanges live on UTC nanoseconds; latencies milliseconds.

1. An order arrives half its sampled latency after it was sent and meets the book of that moment; answers take the rest.
2. What it takes is gone until the venue's next image, and at most `depth_fraction` of each level was there for it.
3. Modelled: latency, misses, depth, fees, filters, balances, margin, funding and liquidation at the marks seen.
   Not modelled: the market's reaction, queues before resting orders, rate limits, venues that fail.
4. The exchanges live as long as the process. A run that goes on from an earlier one gives each venue what the books of
   that run say it holds; orders that rested then have ended, those that were on their way never arrived, and funding
   that fell due in between was not paid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Final

import attrs
import trio

from arb.domain.depth import Depth
from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.events import (
    BalanceSeen,
    FundingRateSeen,
    OrderUpdated,
    PositionSeen,
    Reconciled,
)
from arb.domain.fees import FeeSchedule
from arb.domain.ids import ClientOrderId, InstrumentId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import decimal_of
from arb.domain.order import ApprovedOrder, Balance, OrderRequest, OrderState, OrderUpdate, Position
from arb.ports import Clock, EventSink, HeldOrder
from arb.venues.simulated.chance import Chance, stream
from arb.venues.simulated.facts import (
    BalanceChanged,
    Executed,
    Fact,
    FundingSettled,
    OrderChanged,
    OrderView,
    PositionChanged,
    Refused,
)
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.models import BINANCE_USDM, MODELS, UPBIT, LatencyModel, VenueModel
from arb.venues.wire.local_account import open_with, whole, with_margins
from arb.venues.wire.local_facts import event_of, levels_of, new_order, position_of, refusal_text, update_of

_ACCOUNT: Final = "local"
_WAITING: Final = 512


@attrs.frozen(kw_only=True)
class LocalVenue:
    """A venue whose orders are filled here."""

    venue: VenueId
    instruments: tuple[Instrument, ...]
    order_ms: tuple[float, float]
    """Order latency to the acknowledgement, median and 99th percentile."""
    fees: FeeSchedule
    balances: tuple[Balance, ...]
    """What its account begins with; on a margined venue the margins of `positions` are part of it."""
    positions: tuple[Position, ...] = ()
    orders: tuple[OrderUpdate, ...] = ()
    """How orders of an earlier run ended; of an order that is not among them nothing is known here."""


@attrs.define(eq=False)
class VenueDesk:
    """One venue's exchange, its order latency and the newest live images."""

    exchange: Exchange
    latency: LatencyModel
    chance: Chance
    images: dict[InstrumentId, Depth] = attrs.field(factory=dict)
    """Seen and not yet shown to the exchange."""
    earlier: dict[ClientOrderId, OrderUpdate] = attrs.field(factory=dict)
    """Orders of an earlier run."""


@attrs.define(eq=False)
class LocalGateway:
    """An `OrderGateway` of one venue."""

    venue: VenueId
    fills: LocalFills

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        """Hold an order; it arrives half its latency after its release."""
        return HeldOrder(order, seq, go=lambda _: self.fills.submit(order.request))

    def cancel_nowait(self, cancel: Cancel) -> None:
        """Queue a cancel."""
        self.fills.ask(self.venue, partial(self.fills.cancel, cancel))

    def query_nowait(self, query: Query) -> None:
        """Queue a query; it is asked at `not_before_ns`."""
        self.fills.ask(self.venue, partial(self.fills.tell_order, query), query.not_before_ns)

    def query_account_nowait(self, query: QueryAccount) -> None:
        """Queue a re-read of balances and positions."""
        self.fills.ask(self.venue, partial(self.fills.tell_account, query.venue))


class LocalFills:
    """Local exchanges and the jobs on their way to them."""

    def __init__(
        self,
        venues: Iterable[LocalVenue],
        *,
        clock: Clock,
        sink: EventSink,
        seed: int,
        miss_probability: float,
        depth_fraction: float,
        leverage: int,
    ) -> None:
        self._clock = clock
        self._sink = sink
        self._jobs: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = trio.Event()
        self._desks: dict[VenueId, VenueDesk] = {}
        for each in venues:
            model = attrs.evolve(
                _model_like(each),
                venue=each.venue,
                fees=each.fees,
                depth_fraction=decimal_of(depth_fraction),
                miss_probability=miss_probability,
                initial_leverage=leverage,
                is_isolated_at_start=True,
            )
            exchange = Exchange(model, each.instruments, clock.wall_ns(), stream(seed, f"fills {each.venue}"))
            open_with(exchange, _ACCOUNT, each.balances, each.positions, clock.wall_ns())
            latency = LatencyModel(p50_ms=each.order_ms[0], p99_ms=each.order_ms[1])
            earlier = {update.client_order_id: update for update in each.orders}
            chance = stream(seed, f"latency {each.venue}")
            self._desks[each.venue] = VenueDesk(exchange, latency, chance, earlier=earlier)

    def gateway(self, venue: VenueId) -> LocalGateway:
        """The gateway of one of the venues."""
        return LocalGateway(venue, self)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell what the accounts hold, then carry orders until cancelled."""
        for venue in self._desks:
            self.tell_account(venue)
        task_status.started()
        while True:
            self._do_due()
            self._changed = trio.Event()
            with trio.move_on_after(self._wait_s()):
                await self._changed.wait()

    # --- the market as it is seen -----------------------------------------------------------------------------------

    def on_depth(self, depth: Depth) -> None:
        """A newer live image; it is shown to the exchange at once only where an order rests."""
        desk = self._desks.get(venue_of(depth.instrument))
        if desk is None or depth.instrument not in desk.exchange.instruments:
            return
        desk.images[depth.instrument] = depth
        if desk.exchange.accounts[_ACCOUNT].open_orders(depth.instrument):
            self._show(desk, depth.instrument)
            self._tell(desk, 0)

    def on_funding(self, seen: FundingRateSeen) -> None:
        """A newer mark and funding rate of a perpetual: settlements and liquidations follow from them."""
        desk = self._desks.get(venue_of(seen.instrument))
        if desk is None or seen.instrument not in desk.exchange.instruments:
            return
        index = seen.mark_price if seen.index_price is None else seen.index_price
        desk.exchange.on_mark(seen.instrument, seen.mark_price, index, seen.rate, self._clock.wall_ns())
        self._tell(desk, 0)

    # --- orders -----------------------------------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> None:
        """Send an order on its way; refused at once when too many are."""
        if len(self._jobs) >= _WAITING:
            self._refuse(request.client_order_id, request.instrument, "queue_full")
            return
        self.ask(request.venue, partial(self._arrive, request))

    def ask(self, venue: VenueId, job: Callable[[], None], not_before_ns: int = 0) -> None:
        """Let a job arrive at the venue after half a latency."""
        desk = self._desks[venue]
        sent_ns = max(self._clock.monotonic_ns(), not_before_ns)
        self._at(sent_ns + desk.latency.draw_ns(desk.chance) // 2, job)

    def cancel(self, cancel: Cancel) -> None:
        """A cancel arrives; of an order that is unknown or has ended its state is told."""
        desk = self._desks[venue_of(cancel.instrument)]
        found = desk.exchange.find(_ACCOUNT, client_order_id=cancel.client_order_id)
        if found is None or found.state.is_final:
            self._tell_found(desk, cancel.client_order_id, cancel.instrument, found)
            return
        desk.exchange.cancel(_ACCOUNT, found.order_id, self._clock.wall_ns())
        self._tell(desk, self._way_back_ns(desk))

    def tell_order(self, query: Query) -> None:
        """A query arrives: its answer is what is known of the order, and its fills."""
        desk = self._desks[venue_of(query.instrument)]
        found = desk.exchange.find(_ACCOUNT, client_order_id=query.client_order_id)
        self._tell_found(desk, query.client_order_id, query.instrument, found)

    def tell_account(self, venue: VenueId) -> None:
        """Balances and positions, whole."""
        desk, at_ns = self._desks[venue], self._clock.monotonic_ns()
        exchange = desk.exchange
        self._sink.put_account(BalanceSeen(at_ns=at_ns, venue=venue, balances=whole(exchange, _ACCOUNT), is_full=True))
        if exchange.model.is_margined:
            for instrument in exchange.instruments:
                self._sink.put_account(
                    PositionSeen(at_ns=at_ns, position=position_of(exchange.position(_ACCOUNT, instrument)))
                )
        opened = tuple(update_of(view, at_ns) for view in exchange.open_orders(_ACCOUNT))
        self._sink.put_account(Reconciled(at_ns=at_ns, venue=venue, open_orders=opened))

    def _arrive(self, request: OrderRequest) -> None:
        desk = self._desks[request.venue]
        self._show(desk, request.instrument)
        taken = desk.exchange.submit(_ACCOUNT, new_order(request), self._clock.wall_ns())
        back_ns = self._way_back_ns(desk)
        if isinstance(taken, Refused):
            self._later(
                back_ns, partial(self._refuse, request.client_order_id, request.instrument, refusal_text(taken))
            )
        self._tell(desk, back_ns)

    def _show(self, desk: VenueDesk, instrument: InstrumentId) -> None:
        depth = desk.images.pop(instrument, None)
        if depth is not None:
            usable = depth.is_two_sided and not depth.is_crossed
            bids, asks = (levels_of(depth.bids), levels_of(depth.asks)) if usable else ((), ())
            desk.exchange.on_depth(instrument, bids, asks, self._clock.wall_ns())

    # --- the way back -----------------------------------------------------------------------------------------------

    def _way_back_ns(self, desk: VenueDesk) -> int:
        return desk.latency.draw_ns(desk.chance) // 2

    def _tell(self, desk: VenueDesk, after_ns: int) -> None:
        for fact in desk.exchange.take():
            if not isinstance(fact, OrderChanged | Executed | BalanceChanged | PositionChanged | FundingSettled):
                continue
            if isinstance(fact, BalanceChanged):
                fact = attrs.evolve(fact, balances=with_margins(desk.exchange, _ACCOUNT, fact.balances))
            if after_ns:
                self._later(after_ns, partial(self._put, desk, fact))
            else:
                self._put(desk, fact)

    def _tell_found(
        self, desk: VenueDesk, name: ClientOrderId, instrument: InstrumentId, found: OrderView | None
    ) -> None:
        self._later(self._way_back_ns(desk), partial(self._put_found, desk, name, instrument, found))

    def _put_found(
        self, desk: VenueDesk, name: ClientOrderId, instrument: InstrumentId, found: OrderView | None
    ) -> None:
        at_ns = self._clock.monotonic_ns()
        if found is None:
            nothing = OrderUpdate(
                client_order_id=name,
                instrument=instrument,
                state=OrderState.NOT_FOUND,
                filled_qty=None,
                received_ns=at_ns,
            )
            known = attrs.evolve(desk.earlier.get(name, nothing), received_ns=at_ns)
            self._sink.put_account(OrderUpdated(at_ns=at_ns, update=known))
            return
        self._sink.put_account(OrderUpdated(at_ns=at_ns, update=update_of(found, at_ns)))
        for executed in desk.exchange.executions(_ACCOUNT, instrument):
            if executed.view.order_id == found.order_id:
                self._put(desk, executed)

    def _put(self, desk: VenueDesk, fact: Fact) -> None:
        event = event_of(fact, desk.exchange.model.venue, self._clock.monotonic_ns())
        if event is not None:
            self._sink.put_account(event)

    def _refuse(self, name: ClientOrderId, instrument: InstrumentId, reason: str) -> None:
        at_ns = self._clock.monotonic_ns()
        update = OrderUpdate(
            client_order_id=name,
            instrument=instrument,
            state=OrderState.REJECTED,
            filled_qty=Decimal(0),
            reason=reason,
            received_ns=at_ns,
        )
        self._sink.put_account(OrderUpdated(at_ns=at_ns, update=update))

    # --- time -------------------------------------------------------------------------------------------------------

    def _later(self, after_ns: int, job: Callable[[], None]) -> None:
        self._at(self._clock.monotonic_ns() + after_ns, job)

    def _at(self, due_ns: int, job: Callable[[], None]) -> None:
        heappush(self._jobs, (due_ns, next(self._numbers), job))
        self._changed.set()

    def _do_due(self) -> None:
        while self._jobs and self._jobs[0][0] <= self._clock.monotonic_ns():
            heappop(self._jobs)[2]()

    def _wait_s(self) -> float:
        if not self._jobs:
            return float("inf")
        return max(0.0, (self._jobs[0][0] - self._clock.monotonic_ns()) / 1e9)


def _model_like(local: LocalVenue) -> VenueModel:
    """The trading rules to follow: the venue's own where they are known, else those of its kind."""
    is_margined = any(each.kind is InstrumentKind.PERPETUAL for each in local.instruments)
    return MODELS.get(local.venue, BINANCE_USDM if is_margined else UPBIT)
