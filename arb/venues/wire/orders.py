"""Orders of one venue: drives any `OrderCodec`; one child task per request, bounded.

Owns: the requests in flight, the rate token each takes by priority, and the list of orders not known to have ended.
Never: resubmits, decides, or returns a result: whatever becomes of an order is an event.
Units: `_s` seconds of Trio's clock, `_ns` monotonic.

A submit that certainly never left is REJECTED by us (`rate_budget`, `not_sent`, `queue_full`); one that may have left
and has no readable answer is UNKNOWN, and the core asks.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Final

import trio

from arb.domain.effects import Cancel, Query, QueryAccount
from arb.domain.errors import InvariantBroken, OrderUnknown, ProtocolError, VenueUnavailable
from arb.domain.events import Event, FillSeen, OrderUpdated
from arb.domain.ids import ClientOrderId, InstrumentId, VenueOrderId
from arb.domain.order import ApprovedOrder, Fill, OrderState, OrderUpdate, Purpose
from arb.venues.spec import HttpRequest, HttpResponse, Priority, Stamp
from arb.venues.wire.dead_man import open_dead_man
from arb.venues.wire.order_parts import OrderParts

_LOG = logging.getLogger("arb.orders")
_IN_FLIGHT: Final = 16
_QUEUED: Final = 512
_TRADES_TRIES: Final = 4
_TRADES_GAP_S: Final = 0.5
_REMEMBERED: Final = 4096
_DEAD_MAN_WAIT_S: Final = 2.0
_SWEEP_WAIT_S: Final = 2.0
_PRIORITIES: Final = {
    Purpose.ENTRY: Priority.ENTRY,
    Purpose.EXIT: Priority.EXIT,
    Purpose.HEDGE: Priority.HEDGE,
    Purpose.REVERSE: Priority.HEDGE,
    Purpose.EMERGENCY: Priority.HEDGE,
    Purpose.FLATTEN: Priority.HEDGE,
}

Answers = tuple[OrderUpdate | Fill, ...]


class VenueOrders:
    """An `OrderGateway` and `OrderTracker`; `run` does the work."""

    def __init__(self, parts: OrderParts) -> None:
        self._parts = parts
        # Full: submits are rejected by us, cancels and queries break an invariant: the core asks for too much.
        self._jobs_in, self._jobs_out = trio.open_memory_channel[Callable[[], Awaitable[None]]](_QUEUED)
        self._slots = trio.CapacityLimiter(_IN_FLIGHT)
        self._unfinished: dict[ClientOrderId, InstrumentId] = {}
        self._ended: dict[ClientOrderId, None] = {}
        """The last that ended: a late word that one of them is open is not believed."""
        self._dead_man = open_dead_man(
            parts.venue,
            parts.codec,
            parts.clock,
            tuple(parts.instruments.values()),
            lambda: frozenset(self._unfinished.values()),
            self._ask_dead_man,
        )
        self._submitting = 0
        self._none_submitting = trio.Event()
        self._swept: list[Event] | None = None

    # --- OrderGateway: never waits ---

    def submit_nowait(self, order: ApprovedOrder) -> None:
        """Queue an order whose intent is already synced to disk."""
        request = order.request
        self._unfinished[request.client_order_id] = request.instrument
        self._submitting += 1
        try:
            self._jobs_in.send_nowait(partial(self._submit, order))
        except trio.WouldBlock:
            self._submitting -= 1
            self._refuse(order, "queue_full")

    def cancel_nowait(self, cancel: Cancel) -> None:
        """Queue a cancel."""
        self._queue(partial(self._cancel, cancel))

    def query_nowait(self, query: Query) -> None:
        """Queue a query; it is asked at `not_before_ns`."""
        self._queue(partial(self._query, query))

    def query_account_nowait(self, query: QueryAccount) -> None:
        """Queue a re-read of balances and positions."""
        self._queue(partial(self._read_account, query.reason))

    # --- OrderTracker ---

    def unfinished(self) -> tuple[tuple[ClientOrderId, InstrumentId], ...]:
        """Orders not known to have ended, requests in flight included."""
        return tuple(self._unfinished.items())

    def heard(self, update: OrderUpdate) -> None:
        """Take note of what the account stream says of an order."""
        if update.state.is_final:
            self._unfinished.pop(update.client_order_id, None)
            self._ended[update.client_order_id] = None
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]

    # --- the work ---

    async def run(self) -> None:
        """Serve the queue until cancelled."""
        async with trio.open_nursery() as nursery:
            if self._dead_man is not None:
                nursery.start_soon(self._dead_man.keep)
            async for job in self._jobs_out:
                nursery.start_soon(job)

    async def sweep(self, limit_s: float) -> tuple[Event, ...]:
        """Wait for the answers to submits in flight, then cancel what is not known to have ended; the answers.

        Each half takes at most `limit_s`; from now on events are returned here instead of put into the sink. `run`
        must still be running. The venue's dead-man timers are set back where nothing is left.
        """
        swept: list[Event] = []
        self._swept = swept
        with trio.move_on_after(limit_s):
            while self._submitting:
                self._none_submitting = trio.Event()
                await self._none_submitting.wait()
        with trio.move_on_after(limit_s):
            async with trio.open_nursery() as nursery:
                for group in self._unfinished_groups():
                    nursery.start_soon(self._cancel_group, group)
            if self._dead_man is not None:
                await self._dead_man.turn()
        return tuple(swept)

    async def _ask_dead_man(self, build: Callable[[Stamp], HttpRequest]) -> HttpResponse | None:
        request = await self._admitted(lambda: build(self._parts.stamp()), Priority.CANCEL, _DEAD_MAN_WAIT_S)
        return None if request is None else await self._sent(request, ClientOrderId("dead-man"))

    def _queue(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            self._jobs_in.send_nowait(job)
        except trio.WouldBlock as error:
            raise InvariantBroken(f"{self._parts.venue}: more than {_QUEUED} order requests are waiting") from error

    async def _submit(self, order: ApprovedOrder) -> None:
        parts, wanted = self._parts, order.request
        instrument = parts.instruments[wanted.instrument]
        waits_s = parts.waits.entry_s if wanted.purpose is Purpose.ENTRY else parts.waits.other_submit_s
        build = partial(parts.codec.submit, order, instrument)
        try:
            request = await self._admitted(lambda: build(parts.stamp()), _PRIORITIES[wanted.purpose], waits_s)
            if request is None:
                self._refuse(order, self._no_budget())
                return
            answer = await self._sent(request, wanted.client_order_id)
        except VenueUnavailable as error:
            self._refuse(order, f"not_sent: {error}")
            return
        except OrderUnknown as error:
            self._tell_unknown(wanted.client_order_id, wanted.instrument, f"no_answer: {error}")
            return
        finally:
            self._submitting -= 1
            if not self._submitting:
                self._none_submitting.set()
        read = partial(parts.codec.parse_submit, order, answer)
        answers = self._read(read, wanted.client_order_id, wanted.instrument)
        query = Query(
            client_order_id=wanted.client_order_id,
            venue_order_id=_venue_order_id(answers),
            instrument=wanted.instrument,
            not_before_ns=0,
        )
        await self._fetch_missing_trades(query, answers)

    async def _cancel(self, cancel: Cancel) -> None:
        build = partial(self._parts.codec.cancel, cancel)
        answer = await self._asked(build, cancel, Priority.CANCEL, self._parts.waits.cancel_s)
        if answer is None:
            return
        read = partial(self._parts.codec.parse_cancel, cancel, answer)
        answers = self._read(read, cancel.client_order_id, cancel.instrument)
        query = Query(
            client_order_id=cancel.client_order_id,
            venue_order_id=cancel.venue_order_id or _venue_order_id(answers),
            instrument=cancel.instrument,
            not_before_ns=0,
        )
        await self._fetch_missing_trades(query, answers)

    def _unfinished_groups(self) -> list[tuple[Cancel, ...]]:
        """Cancels of what is not known to have ended, as many together as the venue takes."""
        by_instrument: dict[InstrumentId, list[Cancel]] = {}
        for name, instrument in self.unfinished():
            cancel = Cancel(client_order_id=name, venue_order_id=None, instrument=instrument)
            by_instrument.setdefault(instrument, []).append(cancel)
        most = self._parts.codec.most_cancels
        return [tuple(part) for each in by_instrument.values() for part in batched(each, most)]

    async def _cancel_group(self, group: tuple[Cancel, ...]) -> None:
        """One request for all of them, then a query of each of which it told no end."""
        if len(group) == 1:
            await self._cancel(group[0])
            return
        codec = self._parts.codec
        answer = await self._asked(partial(codec.cancel_many, group), group[0], Priority.CANCEL, _SWEEP_WAIT_S)
        if answer is not None:
            for fact in codec.parse_cancel_many(group, answer, self._parts.clock.monotonic_ns()):
                self._tell(fact)
        async with trio.open_nursery() as nursery:
            for cancel in group:
                if cancel.client_order_id in self._unfinished:
                    query = Query(
                        client_order_id=cancel.client_order_id,
                        venue_order_id=None,
                        instrument=cancel.instrument,
                        not_before_ns=0,
                    )
                    nursery.start_soon(self._query, query)

    async def _query(self, query: Query) -> None:
        await trio.sleep(max((query.not_before_ns - self._parts.clock.monotonic_ns()) / 1e9, 0.0))
        build = partial(self._parts.codec.query, query)
        answer = await self._asked(build, query, Priority.QUERY, self._parts.waits.query_s)
        if answer is None:
            return
        read = partial(self._parts.codec.parse_query, query, answer)
        await self._fetch_missing_trades(query, self._read(read, query.client_order_id, query.instrument))

    async def _read_account(self, reason: str) -> None:
        try:
            await self._parts.read_account(reason)
        except (VenueUnavailable, ProtocolError) as error:
            # The core asks again: a re-read it does not see answered is still owed.
            _LOG.warning("account_read_failed", extra={"venue": self._parts.venue, "error": str(error)})

    async def _asked(
        self, build: Callable[[Stamp], HttpRequest], about: Cancel | Query, priority: Priority, waits_s: float
    ) -> HttpResponse | None:
        """The answer to a cancel or query; None: there is none, and the core has been told."""
        try:
            request = await self._admitted(lambda: build(self._parts.stamp()), priority, waits_s)
            if request is None:
                self._tell_unknown(about.client_order_id, about.instrument, self._no_budget())
                return None
            return await self._sent(request, about.client_order_id)
        except (VenueUnavailable, OrderUnknown) as error:
            kind = "not_sent" if isinstance(error, VenueUnavailable) else "no_answer"
            self._tell_unknown(about.client_order_id, about.instrument, f"{kind}: {error}")
            return None

    async def _admitted(
        self, build: Callable[[], HttpRequest], priority: Priority, waits_s: float
    ) -> HttpRequest | None:
        """The request with its rate token taken; None: no token within the wait. Stamped anew after a wait."""
        request = build()
        if self._parts.limiter.take_nowait(request.bucket, request.weight, priority):
            return request
        with trio.move_on_after(waits_s):
            await self._parts.limiter.take(request.bucket, request.weight, priority)
            return build()
        return None

    def _no_budget(self) -> str:
        """Why there was no token: the venue's silence with its end, or too many requests of our own."""
        silence = self._parts.limiter.statistics().reason
        return f"rate_budget: {silence}" if silence else "rate_budget"

    async def _sent(self, request: HttpRequest, client_order_id: ClientOrderId) -> HttpResponse:
        async with self._slots:
            answer = await self._parts.wire.send(request, client_order_id)
        self._parts.limiter.learn(answer)
        return answer

    def _read(
        self, parse: Callable[[int], Answers], client_order_id: ClientOrderId, instrument: InstrumentId
    ) -> Answers:
        """Parse an answer and tell the core; an unreadable one leaves the fate open."""
        try:
            answers = parse(self._parts.clock.monotonic_ns())
        except (ProtocolError, VenueUnavailable) as error:
            self._tell_unknown(client_order_id, instrument, f"unreadable: {error}")
            return ()
        for answer in answers:
            self._tell(answer)
        return answers

    async def _fetch_missing_trades(self, query: Query, answers: Answers) -> None:
        """Ask for the executions where the answer counts more than it lists; reading twice does no harm."""
        updates = [answer for answer in answers if isinstance(answer, OrderUpdate)]
        listed = sum((answer.qty for answer in answers if isinstance(answer, Fill)), Decimal(0))
        if not updates or (updates[-1].filled_qty or Decimal(0)) <= listed:
            return
        for attempt in range(_TRADES_TRIES):
            await trio.sleep(attempt * _TRADES_GAP_S)
            if await self._fetch_trades(query, updates[-1]):
                return
        extra = {"venue": self._parts.venue, "client_order_id": query.client_order_id}
        _LOG.warning("executions_missing", extra=extra)

    async def _fetch_trades(self, query: Query, update: OrderUpdate) -> bool:
        """Whether nothing more is to be asked."""
        codec = self._parts.codec
        if codec.trades(query, update, self._parts.stamp()) is None:
            return True

        def build() -> HttpRequest:
            request = codec.trades(query, update, self._parts.stamp())
            assert request is not None
            return request

        try:
            request = await self._admitted(build, Priority.QUERY, self._parts.waits.query_s)
            if request is None:
                return False
            answer = await self._sent(request, query.client_order_id)
            fills = codec.parse_trades(query, answer, self._parts.clock.monotonic_ns())
        except (VenueUnavailable, OrderUnknown, ProtocolError):
            return False
        for fill in fills:
            self._tell(fill)
        return sum((fill.qty for fill in fills), Decimal(0)) >= (update.filled_qty or Decimal(0))

    # --- telling ---

    def _refuse(self, order: ApprovedOrder, reason: str) -> None:
        """An order that certainly never left."""
        self._tell(
            OrderUpdate(
                client_order_id=order.request.client_order_id,
                instrument=order.request.instrument,
                state=OrderState.REJECTED,
                filled_qty=Decimal(0),
                reason=reason,
                received_ns=self._parts.clock.monotonic_ns(),
            )
        )

    def _tell_unknown(self, client_order_id: ClientOrderId, instrument: InstrumentId, reason: str) -> None:
        self._tell(
            OrderUpdate(
                client_order_id=client_order_id,
                instrument=instrument,
                state=OrderState.UNKNOWN,
                filled_qty=None,
                reason=reason,
                received_ns=self._parts.clock.monotonic_ns(),
            )
        )

    def _tell(self, answer: OrderUpdate | Fill) -> None:
        event: Event
        if isinstance(answer, OrderUpdate):
            self.heard(answer)
            if answer.state is OrderState.OPEN and answer.client_order_id not in self._ended:
                # Also one of an earlier run, which the core has asked about.
                self._unfinished[answer.client_order_id] = answer.instrument
            event = OrderUpdated(at_ns=answer.received_ns, update=answer)
        else:
            event = FillSeen(at_ns=answer.received_ns, fill=answer)
        if self._swept is None:
            self._parts.sink.put_account(event)
        else:
            self._swept.append(event)


def batched(cancels: list[Cancel], most: int) -> list[list[Cancel]]:
    """Parts of at most so many."""
    return [cancels[start : start + most] for start in range(0, len(cancels), most)]


def _venue_order_id(answers: Answers) -> VenueOrderId | None:
    for answer in answers:
        if answer.venue_order_id is not None:
            return answer.venue_order_id
    return None
