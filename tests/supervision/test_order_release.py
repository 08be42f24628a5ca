"""Dispatch and the order tasks together: whatever happens meanwhile, no byte leaves before its step is on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from arb.domain.effects import Cancel, Query, Submit
from arb.domain.errors import InvariantBroken, JournalFull
from arb.domain.events import OrderUpdated
from arb.domain.ids import ClientOrderId, venue_of
from arb.domain.order import ApprovedOrder, OrderState, Purpose
from arb.ports import HeldOrder, Synced
from arb.supervision.dispatch import Dispatch
from arb.venues.spec import Bucket, HttpRequest, HttpResponse, Stamp
from arb.venues.wire.order_http import WrittenRequest
from arb.venues.wire.order_parts import OrderParts
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.rate_limit import RateLimiter
from tests.strategies import A_BTC, instrument
from tests.supervision.test_dispatch import Edges, SlowJournal
from tests.venues.wire.test_orders import Words, order
from tests.venues.wire.wire_fakes import VENUE, Inbox, Rules, TrioClock, ok

PLENTY = Bucket(name="order", capacity=1000, window_s=1.0, reserve=0)


@attrs.define
class Wire:
    """Notes what leaves, when, and what the disk had by then."""

    journal: SlowJournal
    sent: list[tuple[str, str, float, int]] = attrs.field(factory=list)
    """Path, nonce, time, and the sequence synced."""

    def written(self, request: HttpRequest) -> WrittenRequest:
        return WrittenRequest(request, b"")

    async def send(self, written: WrittenRequest, client_order_id: str, wait_s: float) -> HttpResponse:
        request = written.request
        self.sent.append((request.path, request.query, trio.current_time(), self.journal.synced_seq))
        await trio.sleep(0.05)
        return ok(b"canceled 0")

    def names(self) -> list[str]:
        return [path.rpartition("/")[2] for path, *_ in self.sent if path.startswith("/submit")]


@attrs.define
class Desk:
    """A dispatch over one venue's orders."""

    dispatch: Dispatch
    orders: VenueOrders
    journal: SlowJournal
    wire: Wire
    inbox: Inbox

    def states(self) -> dict[str, OrderState]:
        """The last word on each order."""
        updates = [event.update for event in self.inbox.events() if isinstance(event, OrderUpdated)]
        return {str(update.client_order_id): update.state for update in updates}


@asynccontextmanager
async def open_desk(bucket: Bucket = PLENTY) -> AsyncIterator[Desk]:
    clock, inbox, journal = TrioClock(), Inbox(), SlowJournal()
    wire, nonces = Wire(journal), iter(range(10_000))

    async def no_read(_: str) -> None:
        await trio.lowlevel.checkpoint()

    orders = VenueOrders(
        OrderParts(
            venue=VENUE, codec=Words(), instruments={A_BTC: instrument(A_BTC)}, wire=wire,
            limiter=RateLimiter(Rules(bucket), clock, venue=VENUE), sink=inbox, clock=clock,
            stamp=lambda: Stamp(wall_ms=0, nonce=str(next(nonces))), read_account=no_read,
        )
    )  # fmt: skip
    edges = Edges()
    dispatch = Dispatch(
        journal=journal, gateways={venue_of(A_BTC): orders}, store=edges, alerts=edges,
        publish=lambda effect: None, halt=lambda reason: None,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.run)
        yield Desk(dispatch, orders, journal, wire, inbox)
        nursery.cancel_scope.cancel()


def submit(*names: str, purpose: Purpose = Purpose.ENTRY) -> Submit:
    return Submit(tuple(order(name, purpose) for name in names))


async def test_both_legs_leave_in_the_same_moment_once_the_disk_has_them(autojump_clock: MockClock) -> None:
    async with open_desk() as desk, trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatch.release)
        desk.dispatch.put(submit("a", "b"), 3)
        await trio.sleep(0.1)
        assert desk.wire.sent == []
        assert desk.orders.unfinished() == (), "what has not left needs no cancel"
        desk.journal.sync(3)
        await trio.sleep(0.1)
        assert sorted(desk.wire.names()) == ["a", "b"]
        assert {at for _, _, at, _ in desk.wire.sent} == {desk.wire.sent[0][2]}
        assert {nonce for _, nonce, _, _ in desk.wire.sent} == {"nonce=0", "nonce=1"}, "as signed while it waited"
        nursery.cancel_scope.cancel()


async def test_an_order_that_waited_long_for_the_disk_is_signed_anew(autojump_clock: MockClock) -> None:
    async with open_desk() as desk, trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatch.release)
        desk.dispatch.put(submit("a"), 3)
        await trio.sleep(0.3)
        desk.journal.sync(3)
        await trio.sleep(0.1)
        assert [nonce for _, nonce, _, _ in desk.wire.sent] == ["nonce=1"]
        nursery.cancel_scope.cancel()


async def test_a_disk_that_fails_under_prepared_orders_lets_none_of_them_go(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        desk.dispatch.put(submit("a", "b"), 3)
        await wait_all_tasks_blocked()
        desk.journal.is_full = True
        desk.journal.sync(3)
        with pytest.raises(JournalFull):
            await desk.dispatch.release()
        assert [one.request.client_order_id for one in desk.dispatch.withdraw()] == ["a", "b"]
        await trio.sleep(60)
        assert desk.wire.sent == []
        assert await desk.orders.sweep(2.0) == ()
        assert desk.wire.sent == [], "there is nothing to cancel either"


async def test_held_orders_keep_neither_tokens_nor_places_from_cancels_and_queries(autojump_clock: MockClock) -> None:
    async with open_desk(Bucket(name="order", capacity=2, window_s=1.0, reserve=0)) as desk:
        for number in range(40):
            desk.dispatch.put(submit(f"held{number}"), 3)
        await trio.sleep(1)
        desk.dispatch.put(Cancel(client_order_id=ClientOrderId("x"), venue_order_id=None, instrument=A_BTC), 4)
        query = Query(client_order_id=ClientOrderId("y"), venue_order_id=None, instrument=A_BTC, not_before_ns=0)
        desk.dispatch.put(query, 4)
        began_s = trio.current_time()
        await trio.sleep(0.5)
        assert sorted(path for path, *_ in desk.wire.sent) == ["/cancel/x", "/query/y"]
        assert {at for _, _, at, _ in desk.wire.sent} == {began_s}


async def test_a_released_order_without_a_token_is_refused_as_before(autojump_clock: MockClock) -> None:
    bucket = Bucket(name="order", capacity=1, window_s=1.0, reserve=0)
    async with open_desk(bucket) as desk, trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatch.release)
        desk.dispatch.put(submit("a", "b"), 1)
        desk.journal.sync(1)
        await trio.sleep(1)
        assert len(desk.wire.names()) == 1
        assert sorted(state.value for state in desk.states().values()) == ["canceled", "rejected"]
        nursery.cancel_scope.cancel()


def held(log: list[str]) -> HeldOrder:
    approved: ApprovedOrder = order("a")
    return HeldOrder(approved, 5, go=lambda word: log.append(f"go {word.seq}"), drop=partial(log.append, "drop"))


def test_a_held_order_takes_nothing_but_the_journals_word_for_its_own_step() -> None:
    log: list[str] = []
    one = held(log)

    with pytest.raises(InvariantBroken, match="on disk up to step 4"):
        one.release(Synced(4))
    assert log == []
    one.release(Synced(7))
    assert log == ["go 7"]


@pytest.mark.parametrize("first", ["release", "withdraw"])
@pytest.mark.parametrize("second", ["release", "withdraw"])
def test_the_fate_of_a_held_order_is_decided_once(first: str, second: str) -> None:
    log: list[str] = []
    one = held(log)

    def decide(how: str) -> None:
        if how == "release":
            one.release(Synced(5))
        else:
            one.withdraw()

    decide(first)
    with pytest.raises(InvariantBroken, match="second time"):
        decide(second)
    assert len(log) == 1


STEPS = st.lists(
    st.sampled_from(["put one", "put two", "sync", "sync all", "rest", "pass", "end", "begin", "fail"]), max_size=25
)


@given(steps=STEPS)
def test_in_any_order_of_things_an_order_leaves_once_after_its_sync_or_never(steps: list[str]) -> None:
    trio.run(_play, steps, clock=MockClock(autojump_threshold=0))


@attrs.define
class _Story:
    """What was put, at which step, and what was taken back."""

    seq: int = 0
    put: dict[str, int] = attrs.field(factory=dict)
    withdrawn: set[str] = attrs.field(factory=set)


async def _play(steps: list[str]) -> None:
    async with open_desk() as desk, trio.open_nursery() as nursery:
        story, scope = _Story(), trio.CancelScope()
        nursery.start_soon(_release, desk, scope)
        for step in steps:
            scope = await _do(step, desk, story, scope, nursery)
        await trio.sleep(1)

        sent = desk.wire.names()
        assert len(sent) == len(set(sent)), "nothing leaves twice"
        assert not story.withdrawn & set(sent), "nothing leaves that was taken back"
        for path, _, _, synced in desk.wire.sent:
            assert story.put[path.rpartition("/")[2]] <= synced, "nothing leaves before its step is on disk"
        if not desk.journal.is_full and not scope.cancel_called:
            due = {name for name, seq in story.put.items() if seq <= desk.journal.synced_seq}
            assert due - story.withdrawn == set(sent), "what is due has left"
        nursery.cancel_scope.cancel()


async def _release(desk: Desk, scope: trio.CancelScope) -> None:
    with scope:
        try:
            await desk.dispatch.release()
        except JournalFull:
            scope.cancel()


async def _do(step: str, desk: Desk, story: _Story, scope: trio.CancelScope, nursery: trio.Nursery) -> trio.CancelScope:
    match step:
        case "put one" | "put two":
            story.seq += 1
            names = [f"o{story.seq}{leg}" for leg in ("a", "b")[: 1 if step == "put one" else 2]]
            story.put |= dict.fromkeys(names, story.seq)
            desk.dispatch.put(submit(*names), story.seq)
        case "sync":
            desk.journal.sync(min(story.seq, desk.journal.synced_seq + 1))
        case "sync all":
            desk.journal.sync(story.seq)
        case "rest":
            await trio.sleep(0.1)
        case "pass":
            await trio.lowlevel.checkpoint()
        case "fail":
            desk.journal.is_full = True
        case "end":
            scope.cancel()
            await trio.lowlevel.checkpoint()
            story.withdrawn |= {one.request.client_order_id for one in desk.dispatch.withdraw()}
        case "begin" if scope.cancel_called:
            scope = trio.CancelScope()
            nursery.start_soon(_release, desk, scope)
    return scope
