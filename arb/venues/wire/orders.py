"""Orders of one venue: drives any `OrderCodec`; one child task per request, bounded.

Owns: the requests in flight, the rate token each takes by priority, and the list of orders not known to have ended.
Never: resubmits, decides, or returns a result: whatever becomes of an order is an event.
Units: `_s` seconds of Trio's clock, `_ns` monotonic.

A submit that certainly never left is REJECTED by us (`rate_budget`, `not_sent`, `queue_full`); one that may have left
and has no readable answer is UNKNOWN, and the core asks.

A submit is signed and written out while it is held. It takes its rate token and its connection when it is released, so
that what is held keeps nothing from the cancels and queries of the venue.
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
from arb.ports import HeldOrder, Synced
from arb.venues.spec import HttpRequest, HttpResponse, Priority, Stamp
from arb.venues.wire.admission import Admission
from arb.venues.wire.dead_man import open_dead_man
from arb.venues.wire.order_parts import OrderParts, ParkedSubmit

_LOG = logging.getLogger("arb.orders")
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

CLOSED: Final = "not_sent: the run ends"
TOO_OLD: Final = "too_old: an entry waited too long for the disk, its rate token or a connection"

Answers = tuple[OrderUpdate | Fill, ...]


class VenueOrders:
    """An `OrderGateway`; `run` does the work."""

    def __init__(self, parts: OrderParts) -> None:
        self._parts = parts
        # Full: submits are rejected by us, cancels and queries break an invariant: the core asks for too much.
        self._jobs_in, self._jobs_out = trio.open_memory_channel[Callable[[], Awaitable[None]]](_QUEUED)
        self._admission = Admission(parts.wire, parts.limiter, parts.clock, parts.stamp)
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
        self._is_closed = False
        """Cancels go out: no order may follow its own."""

    # --- OrderGateway: never waits ---

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        """Sign an order and write it out; its bytes leave when it is released."""
        parked = ParkedSubmit(order)
        try:
            self._jobs_in.send_nowait(partial(self._submit, parked))
        except trio.WouldBlock:
            return HeldOrder(order, seq, go=lambda _: self._refuse(order, "queue_full"))
        drop = partial(parked.decide, is_released=False)
        return HeldOrder(order, seq, go=partial(self._let_go, parked), drop=drop)

    def cancel_nowait(self, cancel: Cancel) -> None:
        """Queue a cancel."""
        self._queue(partial(self._cancel, cancel))

    def query_nowait(self, query: Query) -> None:
        """Queue a query; it is asked at `not_before_ns`."""
        self._queue(partial(self._query, query))

    def query_account_nowait(self, query: QueryAccount) -> None:
        """Queue a re-read of balances and positions."""
        self._queue(partial(self._read_account, query.reason))

    # --- what may still be open ---

    def unfinished(self) -> tuple[tuple[ClientOrderId, InstrumentId], ...]:
        """Orders not known to have ended, requests in flight included."""
        return tuple(self._unfinished.items())

    @property
    def needs_sweep(self) -> bool:
        """Whether an order or a dead-man timer at the venue may outlive us."""
        return bool(self._unfinished) or (self._dead_man is not None and bool(self._dead_man.running))

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
        self._is_closed = True
        with trio.move_on_after(limit_s):
            async with trio.open_nursery() as nursery:
                for group in self._unfinished_groups():
                    nursery.start_soon(self._cancel_group, group)
            if self._dead_man is not None:
                await self._dead_man.turn()
        return tuple(swept)

    async def _ask_dead_man(self, build: Callable[[Stamp], HttpRequest]) -> HttpResponse | None:
        ready = await self._admission.admit(build, Priority.CANCEL, _DEAD_MAN_WAIT_S)
        return None if ready is None else await self._admission.send(ready, ClientOrderId("dead-man"))

    def _queue(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            self._jobs_in.send_nowait(job)
        except trio.WouldBlock as error:
            raise InvariantBroken(f"{self._parts.venue}: more than {_QUEUED} order requests are waiting") from error

    def _let_go(self, parked: ParkedSubmit, _word: Synced) -> None:
        wanted = parked.order.request
        self._unfinished[wanted.client_order_id] = wanted.instrument
        self._submitting += 1
        parked.decide(is_released=True)

    async def _submit(self, parked: ParkedSubmit) -> None:
        order, parts = parked.order, self._parts
        wanted = order.request
        build = partial(parts.codec.submit, order, parts.instruments[wanted.instrument])
        ready = self._admission.ready(build)
        if not await parked.is_released():
            return
        try:
            waits_s = parts.waits.entry_s if wanted.purpose is Purpose.ENTRY else parts.waits.other_submit_s
            admitted = await self._admission.admit(build, _PRIORITIES[wanted.purpose], waits_s, ready)
            if admitted is None:
                self._refuse(order, self._admission.no_budget())
                return
            wait_s = self._may_wait_s(order)
            if wait_s <= 0 or self._is_closed:
                self._refuse(order, CLOSED if self._is_closed else TOO_OLD)
                return
            answer = await self._admission.send(admitted, wanted.client_order_id, wait_s)
        except trio.TooSlowError:
            self._refuse(order, TOO_OLD)
            return
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
        await self._read_submit(order, answer)

    def _may_wait_s(self, order: ApprovedOrder) -> float:
        """How much longer an order may wait for its place on the wire."""
        if order.request.purpose is not Purpose.ENTRY:
            return float("inf")
        return self._parts.waits.entry_age_s - (self._parts.clock.monotonic_ns() - order.approved_ns) / 1e9

    async def _read_submit(self, order: ApprovedOrder, answer: HttpResponse) -> None:
        wanted = order.request
        read = partial(self._parts.codec.parse_submit, order, answer)
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
            ready = await self._admission.admit(build, priority, waits_s)
            if ready is None:
                self._tell_unknown(about.client_order_id, about.instrument, self._admission.no_budget())
                return None
            return await self._admission.send(ready, about.client_order_id)
        except (VenueUnavailable, OrderUnknown) as error:
            kind = "not_sent" if isinstance(error, VenueUnavailable) else "no_answer"
            self._tell_unknown(about.client_order_id, about.instrument, f"{kind}: {error}")
            return None

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

        def build(stamp: Stamp) -> HttpRequest:
            request = codec.trades(query, update, stamp)
            assert request is not None
            return request

        try:
            ready = await self._admission.admit(build, Priority.QUERY, self._parts.waits.query_s)
            if ready is None:
                return False
            answer = await self._admission.send(ready, query.client_order_id)
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
