"""Orders leave only after the journal is synced up to their step, in order; other effects wait for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from arb.domain.effects import Alert, Cancel, Halt, Publish, Query, QueryAccount, Record, Severity, Submit, Table
from arb.domain.errors import JournalFull
from arb.domain.events import Event
from arb.domain.ids import ClientOrderId, InstrumentId, PairId, VenueId
from arb.domain.order import ApprovedOrder, OrderRequest, OrderType, Purpose, Side, TimeInForce
from arb.ports import HeldOrder, Synced
from arb.supervision.dispatch import Dispatch

UPBIT = VenueId("upbit")
BTC = InstrumentId("upbit:KRW-BTC")


class SlowJournal:
    """Synced when told."""

    def __init__(self) -> None:
        self.synced_seq = 0
        self.is_full = False
        self.rings = 0
        self._changed = trio.Event()

    def sync(self, seq: int) -> None:
        """The disk has it."""
        self.synced_seq = seq
        self._changed.set()
        self._changed = trio.Event()

    def sync_soon(self) -> None:
        """As `ports.Journal`."""
        self.rings += 1

    async def synced(self, seq: int) -> Synced:
        """As `ports.Journal`."""
        while self.synced_seq < seq:
            await self._changed.wait()
        if self.is_full:
            raise JournalFull("full")
        return Synced(seq)

    def append(self, event: Event) -> None:
        """As `ports.Journal`."""
        raise AssertionError(event)

    def append_effects(self, effects: tuple[object, ...]) -> int:
        """As `ports.Journal`."""
        raise AssertionError(effects)

    def wants_segment(self, now_ns: int) -> bool:
        """As `ports.Journal`."""
        raise AssertionError(now_ns)

    def begin_segment(self, snapshot: bytes, *, wall_ns: int, monotonic_ns: int) -> object:
        """As `ports.Journal`."""
        raise AssertionError(snapshot, wall_ns, monotonic_ns)


class Edges:
    """Gateway, store and alerts in one, noting what reaches them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def prepare(self, order: ApprovedOrder, seq: int) -> HeldOrder:
        """As `ports.OrderGateway`."""
        name = order.request.client_order_id
        self.log.append(f"prepare {name}")
        go, drop = (partial(self.log.append, f"{word} {name}") for word in ("submit", "drop"))
        return HeldOrder(order, seq, go=lambda _: go(), drop=drop)

    def cancel_nowait(self, cancel: Cancel) -> None:
        """As `ports.OrderGateway`."""
        self.log.append(f"cancel {cancel.client_order_id}")

    def query_nowait(self, query: Query) -> None:
        """As `ports.OrderGateway`."""
        self.log.append(f"query {query.client_order_id}")

    def query_account_nowait(self, query: QueryAccount) -> None:
        """As `ports.OrderGateway`."""
        self.log.append(f"account {query.venue}")

    def put(self, record: Record, seq: int) -> None:
        """As `ports.Store`."""
        self.log.append(f"row {record.id} {seq}")

    async def flush(self) -> None:
        """As `ports.Store`."""
        await trio.lowlevel.checkpoint()

    def alert(self, key: str, severity: str, text: str, fields: Mapping[str, object]) -> None:
        """As `ports.AlertSink`."""
        self.log.append(f"alert {key} {severity} {text} {dict(fields)}")


def order(name: str) -> ApprovedOrder:
    """An approved order; the gate is not under test here."""
    request = OrderRequest(
        client_order_id=ClientOrderId(name),
        instrument=BTC,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=Decimal("0.01"),
        price=Decimal(148_000_000),
        time_in_force=TimeInForce.IOC,
        reduce_only=False,
        purpose=Purpose.ENTRY,
        pair=PairId("BTC"),
        leg="a",
        expected_price=Decimal(148_000_000),
    )
    return ApprovedOrder(request, 0)


def wired(journal: SlowJournal, edges: Edges) -> Dispatch:
    """A dispatch over them."""
    return Dispatch(
        journal=journal,
        gateways={UPBIT: edges},
        store=edges,
        alerts=edges,
        publish=lambda effect: edges.log.append(f"publish {effect.topic}"),
        halt=lambda reason: edges.log.append(f"halt {reason}"),
    )


async def test_effects_that_move_no_money_reach_their_edge_at_once(autojump_clock: MockClock) -> None:
    edges = Edges()
    dispatch = wired(SlowJournal(), edges)
    name = ClientOrderId("arb1")

    for effect in (
        Record(table=Table.TRADES, id="t1", rev=0, pair=None, row=()),
        Publish(topic="state", values=()),
        Cancel(client_order_id=name, venue_order_id=None, instrument=BTC),
        Query(client_order_id=name, venue_order_id=None, instrument=BTC, not_before_ns=0),
        QueryAccount(venue=UPBIT, reason="test"),
        Alert(key="k", severity=Severity.ERROR, text="look", fields=(("a", 1),)),
        Halt("lost trust"),
    ):
        dispatch.put(effect, 7)

    assert edges.log == [
        "row t1 7",
        "publish state",
        "cancel arb1",
        "query arb1",
        "account upbit",
        "alert k error look {'a': 1}",
        "halt lost trust",
    ]


async def test_orders_wait_for_the_sync_of_their_step_and_keep_their_order(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    journal, edges = SlowJournal(), Edges()
    dispatch = wired(journal, edges)
    nursery.start_soon(dispatch.release)

    dispatch.put(Submit((order("arb1"), order("arb2"))), 5)
    dispatch.put(Submit((order("arb3"),)), 9)
    await wait_all_tasks_blocked()
    assert edges.log == ["prepare arb1", "prepare arb2", "prepare arb3"]
    assert journal.rings == 2, "the disk begins when an order is known"
    journal.sync(5)
    await wait_all_tasks_blocked()
    assert edges.log[3:] == ["submit arb1", "submit arb2"]
    journal.sync(9)
    await wait_all_tasks_blocked()
    assert edges.log[3:] == ["submit arb1", "submit arb2", "submit arb3"]


async def test_a_disk_that_has_failed_lets_nothing_go(autojump_clock: MockClock) -> None:
    journal, edges = SlowJournal(), Edges()
    journal.is_full = True
    journal.sync(5)
    dispatch = wired(journal, edges)
    dispatch.put(Submit((order("arb1"),)), 5)

    with pytest.raises(JournalFull):
        await dispatch.release()
    assert edges.log == ["prepare arb1"]

    assert [one.request.client_order_id for one in dispatch.withdraw()] == ["arb1"]
    assert edges.log == ["prepare arb1", "drop arb1"]


async def test_what_waited_when_trading_ended_is_taken_back_and_never_leaves(autojump_clock: MockClock) -> None:
    journal, edges = SlowJournal(), Edges()
    dispatch = wired(journal, edges)
    dispatch.put(Submit((order("arb1"), order("arb2"))), 5)
    with trio.move_on_after(1):
        await dispatch.release()

    taken_back = dispatch.withdraw()
    dispatch.put(Submit((order("arb3"),)), 9)
    journal.sync(9)
    with trio.move_on_after(1):
        await dispatch.release()

    assert [one.request.client_order_id for one in taken_back] == ["arb1", "arb2"]
    assert edges.log == ["prepare arb1", "prepare arb2", "drop arb1", "drop arb2", "prepare arb3", "submit arb3"]
