"""Orders on the wire: from the decision to the bytes of both legs, and a signed order there and back.

Owns: the measures `order/…`.
Never: reaches a venue; the other end is a process on loopback that refuses every order.
Units: microseconds.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import httpx
import trio

from arb.cli.measures.feed import sending
from arb.cli.measures.machine import CHEAP_A, WALL_NS, A, B, Machine, orders_of, ready_machine, seen
from arb.cli.measures.sender import SenderPlan
from arb.cli.measures.timing import BenchResult, Effort, Measure, against, now_ns, result
from arb.domain.effects import Publish, Record, Submit
from arb.domain.errors import InvariantBroken
from arb.domain.ids import InstrumentId, VenueId, venue_of
from arb.domain.order import ApprovedOrder
from arb.engine import Engine, EngineSnapshot, thaw
from arb.ports import Dialer, Endpoint, OrderGateway, Synced
from arb.storage.journal import SegmentJournal, ThreadWriter
from arb.supervision.clock import AnchoredClock
from arb.supervision.dispatch import Dispatch
from arb.supervision.inbox import Inbox
from arb.telemetry.alerts import LogAlerts
from arb.venues import load_venue
from arb.venues.simulated.listings import listing
from arb.venues.spec import BackOff, Bucket, Credentials, HttpRequest, HttpResponse, OrderCodec, RateReport, Stamp
from arb.venues.wire.dial import SocketDialer
from arb.venues.wire.order_http import OrderHttp, OrderTarget, open_order_http
from arb.venues.wire.order_parts import OrderParts, OrderWaits
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.rate_limit import RateLimiter

ANSWERS = {
    VenueId("upbit"): '{"error":{"name":"insufficient_funds_bid","message":"not enough"}}',
    VenueId("binance_usdm"): '{"code":-2019,"msg":"Margin is insufficient."}',
}
_KEYS = Credentials(key="k" * 40, secret="s" * 40)
_AGELESS_S = 1e12
"""The measured engine keeps a time of its own, by which no order can be too old."""
_SIMULTANEOUS = ("execution.leg_order=simultaneous",)


class FreeRate:
    """`RateRules` without a limit: the budget is not what is measured."""

    def __init__(self, buckets: tuple[Bucket, ...]) -> None:
        self.buckets = tuple(attrs.evolve(each, capacity=10**9) for each in buckets)

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """The other end reports none."""
        return ()

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """Never."""
        return None


class WireStamps(trio.abc.Instrument):
    """Notes when bytes were in their socket: at the end of the task's step that sent them."""

    def __init__(self) -> None:
        self.sent_ns: list[int] = []
        self._sending: set[trio.lowlevel.Task] = set()

    def sending(self) -> None:
        """This task is about to send."""
        self._sending.add(trio.lowlevel.current_task())

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """As Trio calls it."""
        if task in self._sending:
            self._sending.remove(task)
            self.sent_ns.append(now_ns())


class StampedStream(trio.abc.Stream):
    """A stream whose sending is stamped."""

    def __init__(self, inner: trio.abc.Stream, stamps: WireStamps) -> None:
        self._inner = inner
        self._stamps = stamps

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Have it stamped."""
        self._stamps.sending()
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream below."""
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        """As the stream below."""
        await self._inner.aclose()


def stamped_dialer(stamps: WireStamps) -> Dialer:
    """Loopback sockets that tell when they were written to."""
    dial = SocketDialer()

    async def connect(endpoint: Endpoint) -> trio.abc.Stream:
        return StampedStream(await dial(endpoint), stamps)

    return connect


class DeafStore:
    """A `Store` for rows that nobody keeps."""

    def put(self, record: Record, seq: int) -> None:
        """Not kept."""

    async def flush(self) -> None:
        """Nothing waits."""


class SyncStamps:
    """A `Journal` around the real one that notes how long orders wait for the disk."""

    def __init__(self, journal: SegmentJournal) -> None:
        self._journal = journal
        self.waited_us: list[float] = []
        self._asked_ns = 0
        self.append = journal.append
        self.append_effects = journal.append_effects
        self.wants_segment = journal.wants_segment
        self.begin_segment = journal.begin_segment

    @property
    def synced_seq(self) -> int:
        """As the journal."""
        return self._journal.synced_seq

    def sync_soon(self) -> None:
        """From here on orders wait for the disk."""
        self._asked_ns = now_ns()
        self._journal.sync_soon()

    async def synced(self, seq: int) -> Synced:
        """Wait, and note how long."""
        word = await self._journal.synced(seq)
        self.waited_us.append((now_ns() - self._asked_ns) / 1e3)
        return word


@attrs.define
class OrderDesk:
    """Everything between a decision and the wire."""

    journal: SyncStamps
    dispatch: Dispatch
    inbox: Inbox
    sent_ns: list[int]


@asynccontextmanager
async def _desk(directory: Path, ports: dict[VenueId, int]) -> AsyncIterator[OrderDesk]:
    clock, inbox = AnchoredClock(), Inbox()
    writer = ThreadWriter()
    journal = SyncStamps(SegmentJournal(directory, writer, run_id="bench", build="bench"))
    journal.begin_segment(b"", wall_ns=clock.wall_ns(), monotonic_ns=clock.monotonic_ns())
    stamps = WireStamps()
    trio.lowlevel.add_instrument(stamps)
    gateways: dict[VenueId, OrderGateway] = {}
    dispatch = Dispatch(
        journal=journal, gateways=gateways, store=DeafStore(), alerts=LogAlerts(clock), publish=_unheard, halt=_halted
    )
    try:
        async with AsyncExitStack() as stack:
            nursery = await stack.enter_async_context(trio.open_nursery())
            for instrument in (A, B):
                venue = venue_of(instrument)
                target = OrderTarget(venue=venue, endpoint=Endpoint(host="127.0.0.1", port=ports[venue], is_tls=False))
                wire = await stack.enter_async_context(open_order_http(target, dialer=stamped_dialer(stamps)))
                orders = _orders(instrument, wire, inbox, clock)
                gateways[venue] = orders
                nursery.start_soon(orders.run)
            nursery.start_soon(dispatch.release)
            await trio.sleep(0.3)  # both warm connections of each venue
            yield OrderDesk(journal, dispatch, inbox, stamps.sent_ns)
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(stamps)
        writer.close()


def _orders(instrument: InstrumentId, wire: OrderHttp, inbox: Inbox, clock: AnchoredClock) -> VenueOrders:
    venue = venue_of(instrument)
    return VenueOrders(
        OrderParts(
            venue=venue, codec=codec_of(venue), instruments={instrument: listing(instrument)}, wire=wire,
            limiter=RateLimiter(FreeRate(load_venue(venue).rate.buckets), clock, venue=venue), sink=inbox, clock=clock,
            stamp=lambda: Stamp(wall_ms=clock.wall_ns() // 1_000_000, nonce=str(uuid.uuid4())),
            read_account=_no_account, waits=OrderWaits(entry_age_s=_AGELESS_S),
        )
    )  # fmt: skip


def codec_of(venue: VenueId) -> OrderCodec:
    """The venue's order codec, with made-up keys."""
    spec = load_venue(venue)
    assert spec.account is not None
    return spec.account.orders(_KEYS)


def _unheard(_: Publish) -> None:
    """Nobody listens."""


def _halted(reason: str) -> None:
    raise InvariantBroken(f"the measured engine halted: {reason}")


async def _no_account(_: str) -> None:
    await trio.lowlevel.checkpoint()


# --- order/wire -------------------------------------------------------------------------------------------------------


def _wire(config: Path, effort: Effort) -> list[BenchResult]:
    """Two approved orders of one step, released by one sync, to the later leg's bytes in its socket."""
    machine = ready_machine(config, _SIMULTANEOUS)
    with TemporaryDirectory(prefix="arb-bench-", dir=Path.cwd()) as directory:
        with sending(SenderPlan(kind="http", answer=ANSWERS[venue_of(A)])) as port_a:
            with sending(SenderPlan(kind="http", answer=ANSWERS[venue_of(B)])) as port_b:
                ports = {venue_of(A): port_a, venue_of(B): port_b}
                totals, waits = trio.run(_wire_samples, machine, Path(directory), ports, effort.of(200, 25))
        disk = [_synced_us(Path(directory)) for _ in range(effort.of(100, 20))]
    own = [max(total - wait, 0.0) for total, wait in zip(totals, waits, strict=True)]
    return [
        result("order/wire", "us", own, counted="decision to the later leg's bytes, less the wait for the journal"),
        result(
            "order/wire/journal_wait",
            "us",
            waits,
            counted="hand-over to its thread, write, sync, hand-over back",
        ),
        result("order/wire/disk_sync", "us", disk, counted="write and sync of 4 KiB, alone"),
        result("order/wire/total", "us", totals),
    ]


async def _wire_samples(
    machine: Machine, directory: Path, ports: dict[VenueId, int], count: int
) -> tuple[list[float], list[float]]:
    snapshot, config = machine.engine.freeze(), machine.engine.config
    totals: list[float] = []
    async with _desk(directory, ports) as desk:
        for number in range(count + 5):
            machine.now_ns += 1_000_000
            totals.append(await _one(desk, _renamed(thaw(config, snapshot), number, snapshot), machine.now_ns))
        return totals[5:], desk.journal.waited_us[5:]


def _renamed(engine: Engine, number: int, snapshot: EngineSnapshot) -> Engine:
    """Every sample is another step of the run, so that no client order id comes twice."""
    engine.memory.seq = snapshot.memory.seq + 1 + number
    return engine


async def _one(desk: OrderDesk, engine: Engine, at_ns: int) -> float:
    event = seen(A, CHEAP_A, at_ns)
    desk.sent_ns.clear()
    desk.journal.append(event)
    effects = engine.step(event)
    decided_ns = now_ns()
    seq = desk.journal.append_effects(effects)
    for effect in effects:
        desk.dispatch.put(effect, seq)
    if orders_of(effects) != 2:
        raise InvariantBroken(f"the step was to yield two orders and yielded {effects}")
    for _ in range(2):
        await desk.inbox.receive()
    return (max(desk.sent_ns) - decided_ns) / 1e3


def _synced_us(directory: Path) -> float:
    file = os.open(directory / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began_ns = now_ns()
        os.write(file, b"\0" * 4096)
        os.fdatasync(file)
        return (now_ns() - began_ns) / 1e3
    finally:
        os.close(file)


# --- order/roundtrip --------------------------------------------------------------------------------------------------


def _roundtrip(config: Path, effort: Effort) -> list[BenchResult]:
    """Sign, send, read the answer, on a kept connection; beside httpx with the same signing."""
    machine = ready_machine(config, _SIMULTANEOUS)
    effects = machine.engine.step(seen(A, CHEAP_A, machine.now_ns + 1_000_000))
    order = next(
        order
        for effect in effects
        if isinstance(effect, Submit)
        for order in effect.orders
        if order.request.instrument == B
    )
    with sending(SenderPlan(kind="http", answer=ANSWERS[venue_of(B)])) as port:
        ours, theirs = trio.run(_roundtrips, order, port, effort.of(1_500, 150))
    return [against(result("order/roundtrip", "us", ours), "httpx.AsyncClient", theirs)]


async def _roundtrips(order: ApprovedOrder, port: int, count: int) -> tuple[list[float], list[float]]:
    venue, instrument = venue_of(B), listing(B)
    codec, ours, theirs = codec_of(venue), [], []

    def signed() -> HttpRequest:
        return codec.submit(order, instrument, Stamp(wall_ms=WALL_NS // 1_000_000, nonce="0"))

    target = OrderTarget(venue=venue, endpoint=Endpoint(host="127.0.0.1", port=port, is_tls=False))
    async with open_order_http(target, dialer=SocketDialer()) as wire, httpx.AsyncClient(trust_env=False) as client:
        await trio.sleep(0.2)
        for _ in range(count + 20):
            began_ns = now_ns()
            await wire.send(wire.written(signed()), order.request.client_order_id)
            ours.append((now_ns() - began_ns) / 1e3)
            began_ns = now_ns()
            request = signed()
            await client.request(
                request.method,
                f"http://127.0.0.1:{port}{request.target}",
                headers=list(request.headers),
                content=request.body or None,
            )
            theirs.append((now_ns() - began_ns) / 1e3)
    return ours[20:], theirs[20:]


def measures(config: Path) -> list[Measure]:
    """Everything here."""
    wire = ("order/wire", "order/wire/journal_wait", "order/wire/disk_sync", "order/wire/total")
    return [Measure(wire, partial(_wire, config)), Measure(("order/roundtrip",), partial(_roundtrip, config))]
