"""A venue's socket to the book, and to the decision: the very source, inbox and decision loop of a run, over loopback.

Owns: the measures `feed/…`.
Never: measures the sender, which is a process of its own.
Units: microseconds; CPU of this process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import msgspec
import trio

from arb.cli.assembly import PONG_WITHIN_S, REST_BOOK_EVERY_S
from arb.cli.engine_config import engine_config
from arb.cli.measures.machine import FAIR_A, FX, FX_MID, MID_B, WALL_NS, A, B, beginnings, bench_settings, ladder
from arb.cli.measures.process import environment
from arb.cli.measures.sender import SenderPlan, client_context
from arb.cli.measures.timing import BenchResult, Effort, Measure, cpu_ns, now_ns, quantile, result
from arb.domain.effects import Effect
from arb.domain.events import DepthSeen, Event, Tick
from arb.domain.ids import FeedId, InstrumentId, VenueId
from arb.engine import Engine, EngineConfig
from arb.ports import Trade
from arb.storage.journal import SegmentJournal, ThreadWriter
from arb.supervision.clock import AnchoredClock
from arb.supervision.decision import LoopMeter, decide
from arb.supervision.inbox import Inbox
from arb.venues import load_venue
from arb.venues.simulated.listings import listing
from arb.venues.wire.dial import SocketDialer, split_url
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.source import SourceParts, SourceSettings, run_source
from arb.venues.wire.status import VenueStatusBoard

UPBIT = VenueId("upbit")
LEVELS = 15
_OTHER_BOOKS_S = 0.1
_WARM_UP = 500


@contextmanager
def sending(plan: SenderPlan) -> Iterator[int]:
    """A sender's port, for as long as the block lasts."""
    line = [sys.executable, "-m", "arb.cli.measures.sender", msgspec.json.encode(plan).decode()]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class DeafTap:
    """A `MarketTap` that nobody looks at."""

    def trade(self, trade: Trade) -> None:
        """Not looked at."""

    def frame(self, feed: FeedId, received_ns: int, venue_ns: int | None) -> None:
        """Not looked at."""

    def fault(self, feed: FeedId, raw: bytes, detail: str) -> None:
        """A measurement over faulty frames would be none."""
        raise AssertionError(f"{feed}: {detail}: {raw[:80]!r}")


async def feed_inbox(port: int, clock: AnchoredClock, inbox: Inbox, *, is_tls: bool) -> None:
    """Upbit's source from the sender into the inbox, until cancelled."""
    scheme = "wss" if is_tls else "ws"
    spec = load_venue(UPBIT)
    assert spec.market is not None
    market, instruments = spec.market, (listing(A),)
    dialer = SocketDialer(client_context()) if is_tls else SocketDialer()
    limiter = RateLimiter(spec.rate, clock, venue=UPBIT)
    endpoint, prefix = split_url(f"http://127.0.0.1:{port}")
    settings = SourceSettings(
        levels=LEVELS, is_rest_only=False, silent_after_ms=10_000, heartbeat_s=spec.client_ping_s,
        pong_within_s=PONG_WITHIN_S, rest_interval_s=REST_BOOK_EVERY_S, max_connection_s=None,
    )  # fmt: skip
    async with open_http(
        HttpTarget(venue=UPBIT, endpoint=endpoint, prefix=prefix), dialer=dialer, limiter=limiter, clock=clock
    ) as http:
        parts = SourceParts(
            venue=UPBIT, market=market, instruments={A: instruments[0]}, ws_url=f"{scheme}://127.0.0.1:{port}",
            dialer=dialer, http=http, clock=clock, sink=inbox, tap=DeafTap(),
            board=VenueStatusBoard(UPBIT, clock, inbox), settings=settings,
        )  # fmt: skip
        await run_source(lambda: market.streams(instruments, UPBIT)[0], parts, restarting=_once)


async def _once(task: Callable[[], Awaitable[None]]) -> None:
    await task()


# --- saturated: CPU per message ---------------------------------------------------------------------------------------


def saturated(is_tls: bool, effort: Effort) -> list[BenchResult]:
    """CPU per message while the socket is never empty: frame to book, the newest image frozen when its turn comes."""
    with sending(SenderPlan(kind="saturated", is_tls=is_tls)) as port:
        samples, taken = trio.run(_saturated, port, is_tls, effort.of(60, 8))
    name = f"feed/saturated/{'tls' if is_tls else 'plain'}"
    return [result(name, "us CPU/message", samples, taken_of_100=taken)]


async def _saturated(port: int, is_tls: bool, rounds: int) -> tuple[list[float], float]:
    clock, inbox = AnchoredClock(), Inbox()
    samples: list[float] = []
    marks: list[tuple[int, int, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(feed_inbox, port, clock, inbox, is_tls=is_tls))
        count, last = 0, 0
        while len(marks) < rounds + 3:
            event = await inbox.receive()
            if isinstance(event, DepthSeen):
                count, last = count + 1, event.depth.sequence
                if not marks or last - marks[-1][0] >= 2_000:
                    marks.append((last, cpu_ns(), count))
        nursery.cancel_scope.cancel()
    warm = marks[2:]
    for (seq, cpu, _), (next_seq, next_cpu, _) in pairwise(warm):
        samples.append((next_cpu - cpu) / 1e3 / (next_seq - seq))
    taken = (warm[-1][2] - warm[0][2]) / (warm[-1][0] - warm[0][0]) * 100
    return samples, taken


# --- latency: frame to decision ---------------------------------------------------------------------------------------


class DecisionStamps:
    """A `Journal` around the real one that notes when each book's step ended."""

    def __init__(self, journal: SegmentJournal, wall_offset_ns: int) -> None:
        self._journal = journal
        self._offset_ns = wall_offset_ns
        self._event: Event | None = None
        self.delays_us: list[float] = []
        self.append_effects = self._append_effects
        self.synced = journal.synced
        self.sync_soon = journal.sync_soon
        self.wants_segment = journal.wants_segment
        self.begin_segment = journal.begin_segment

    @property
    def synced_seq(self) -> int:
        """As the journal."""
        return self._journal.synced_seq

    def append(self, event: Event) -> None:
        """Before the step."""
        self._event = event
        self._journal.append(event)

    def _append_effects(self, effects: tuple[Effect, ...]) -> int:
        ended_ns = now_ns()
        event = self._event
        if isinstance(event, DepthSeen) and event.depth.venue_ns and event.depth.instrument == A:
            self.delays_us.append((ended_ns + self._offset_ns - event.depth.venue_ns) / 1e3)
        return self._journal.append_effects(effects)


class DeafSink:
    """An `EffectSink`; below the threshold there is little to perform."""

    def put(self, effect: Effect, seq: int) -> None:
        """Not performed."""


def latency(config: Path, rate: int, is_tls: bool, effort: Effort) -> list[BenchResult]:
    """Send stamp in the frame to the end of the engine's step, at an exchange's rate."""
    settings = bench_settings(config)
    engine = engine_config(settings, WALL_NS)
    offset_ns = WALL_NS - now_ns()
    plan = SenderPlan(kind="paced", is_tls=is_tls, rate=float(rate), offset_ns=offset_ns, mid=round(FAIR_A))
    rounds: list[list[float]] = []
    with sending(plan) as port:
        for _ in range(effort.of(3, 1)):
            with TemporaryDirectory(prefix="arb-bench-") as directory:
                latencies = partial(
                    _latencies, engine, Path(directory), offset_ns, count=_WARM_UP + effort.of(rate * 3, rate)
                )
                rounds.append(trio.run(partial(latencies, port, is_tls=is_tls)))
    samples = [sample for each in rounds for sample in each]
    best = min(quantile(each, 0.99) for each in rounds)
    found = result(
        f"feed/latency/{rate}/{'tls' if is_tls else 'plain'}",
        "us",
        samples,
        best_median=min(quantile(each, 0.5) for each in rounds),
    )
    return [attrs.evolve(found, p99=best)]


async def _latencies(
    config: EngineConfig, directory: Path, offset_ns: int, port: int, *, is_tls: bool, count: int
) -> list[float]:
    clock, inbox, engine = AnchoredClock(lambda: now_ns() + offset_ns), Inbox(), Engine(config)
    writer = ThreadWriter()
    stamps = DecisionStamps(SegmentJournal(directory, writer, run_id="bench", build="bench"), offset_ns)
    stamps.begin_segment(b"", wall_ns=clock.wall_ns(), monotonic_ns=clock.monotonic_ns())
    for event in beginnings(config, clock.monotonic_ns(), clock.wall_ns()):
        inbox.put_account(event)
    with closing(writer):
        async with trio.open_nursery() as nursery:

            def after_turn(_: Event) -> None:
                if len(stamps.delays_us) >= count:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(_other_books, clock, inbox)
            nursery.start_soon(partial(feed_inbox, port, clock, inbox, is_tls=is_tls))
            loop = partial(decide, engine, inbox, stamps, DeafSink(), clock, LoopMeter(300))
            nursery.start_soon(partial(loop, freeze=lambda _: b"", after_turn=after_turn))
    return stamps.delays_us[_WARM_UP:]


async def _other_books(clock: AnchoredClock, inbox: Inbox) -> None:
    """The books that the measured connection does not carry, ten times a second, and a tick for the wall clock."""
    while True:
        for instrument, mid in ((FX, FX_MID), (B, MID_B)):
            inbox.put_depth(instrument, partial(_book, clock, instrument, mid))
        inbox.put_latest("tick", Tick(at_ns=clock.monotonic_ns(), wall_ns=clock.wall_ns(), is_loop=False))
        await trio.sleep(_OTHER_BOOKS_S)


def _book(clock: AnchoredClock, instrument: InstrumentId, mid: float) -> DepthSeen:
    at_ns = clock.monotonic_ns()
    return DepthSeen(at_ns=at_ns, depth=attrs.evolve(ladder(instrument, mid, at_ns), venue_ns=clock.wall_ns()))


def measures(config: Path) -> list[Measure]:
    """Everything here."""
    found = []
    for is_tls in (False, True):
        found.append(Measure((f"feed/saturated/{'tls' if is_tls else 'plain'}",), partial(saturated, is_tls)))
    for rate in (1_000, 5_000):
        for is_tls in (False, True):
            name = f"feed/latency/{rate}/{'tls' if is_tls else 'plain'}"
            found.append(Measure((name,), partial(latency, config, rate, is_tls)))
    return found
