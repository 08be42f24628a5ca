"""The whole engine on a virtual clock: the composition root's own parts over simulated venues in memory.

Owns: a run from its first service to its last shutdown step, without sockets, threads, HTTP or a dead-man, and what is
left of it: the journal, the tables, the simulators' own ledgers.
Never: replaces a part by a double; what differs from `arb run` is injected through `Surroundings`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import attrs
import trio
from rich.console import Console
from trio.testing import MockClock

from arb.cli.assembly import Assembly
from arb.cli.data_dir import DataDir, locked_data_dir
from arb.cli.ending import ending
from arb.cli.evaluation import Evaluations
from arb.cli.lineup import foundations, stop_after, trading_tasks
from arb.cli.observers import observers
from arb.cli.settings import load_settings
from arb.cli.surroundings import Surroundings
from arb.domain.events import RunStarted
from arb.domain.ids import RunId
from arb.engine import Engine, EngineConfig
from arb.ports import Clock
from arb.storage.codec import Step, decode_value
from arb.storage.journal import InlineWriter, Writer
from arb.storage.segments import Segment, read_records, read_segment, segment_paths
from arb.supervision.clock import AnchoredClock
from arb.supervision.root import Named, Plan, supervise
from arb.supervision.shutdown import StepReport
from arb.supervision.stopping import Reason
from arb.venues.simulated.ledger import ledger_of
from arb.venues.simulated.market import MarketPlan
from arb.venues.wire.memory import MemoryNetwork, open_memory_network
from arb.venues.wire.simulation import ServedVenue, SimParams, Simulation, serve_in_memory

T = TypeVar("T")

CONFIG = Path(__file__).parents[2] / "config" / "live.toml"
START_NS = 1_793_664_000_000_000_000
"""2026-11-03 00:00 UTC, when the virtual wall clock starts."""
QUIET = ("monitoring.enabled=false", "fx.bank=static", "fx.bank_rate=1443")
Fault = tuple[float, str, str, float]
"""When (s), where, what, for how long (s)."""


@attrs.frozen(kw_only=True)
class Extra:
    """What a scenario adds to a run."""

    tasks: Callable[[Assembly], Sequence[Named]] = lambda _: ()
    """More trading tasks."""
    change: Callable[[Assembly], None] = lambda _: None
    """Called once the parts are made, before anything runs."""
    writer: Callable[[], Writer] = InlineWriter


@attrs.define(kw_only=True)
class Whole:
    """A run that has ended."""

    data: DataDir
    parts: Assembly
    simulation: Simulation
    reason: Reason
    reports: list[StepReport]
    stop_asked_s: float
    """Virtual time of the end of trading."""
    ended_s: float
    console: str

    @property
    def engine(self) -> Engine:
        """As the run left it."""
        return self.parts.engine

    def segments(self) -> list[Segment]:
        """The journal, read back."""
        found = [read_segment(path) for path in segment_paths(self.data.journal)]
        return [segment for segment in found if segment is not None]

    def steps(self) -> list[Step]:
        """All steps in order."""
        return [step for segment in self.segments() for step in segment.steps]

    def journal_bytes(self) -> bytes:
        """All records of all segments, whatever their compression."""
        paths = segment_paths(self.data.journal)
        return b"".join(payload or b"torn" for path in paths for payload in read_records(path))

    def rows(self, table: str) -> list[dict[str, str]]:
        """The newest revision of every row of a table, in order of first appearance."""
        newest: dict[str, dict[str, str]] = {}
        for row in csv.DictReader(io.StringIO((self.data.csv / f"{table}.csv").read_text(encoding="utf-8"))):
            if row["id"] not in newest or int(row["rev"]) >= int(newest[row["id"]]["rev"]):
                newest[row["id"]] = row
        return list(newest.values())

    def ledgers(self) -> dict[str, Any]:
        """The simulators' own truth: the one account of each venue."""
        bodies = {venue: ledger_of(line.desk)["accounts"] for venue, line in self.simulation.lines.items()}
        return {venue: body["main"] for venue, body in bodies.items() if isinstance(body, dict)}


def config_of(steps: Sequence[Step]) -> EngineConfig:
    """The configuration that a run wrote into its first event."""
    started = next(step.event for step in steps if isinstance(step.event, RunStarted))
    config: EngineConfig = decode_value(started.parameters, EngineConfig)
    return config


def effects_named(steps: Sequence[Step], name: str) -> list[tuple[int, bytes]]:
    """Encoded effects of a kind with the sequence of their step."""
    return [(step.seq, body) for step in steps for tag, body in step.effects if tag == name]


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Trio's switch for scheduling that depends on its generator alone, and that generator seeded."""
    run: Any = trio._core._run  # private: guarded by test_day.py
    before, state = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = before
        run._r.setstate(state)


def run_whole(
    directory: Path,
    overrides: Sequence[str] = (),
    *,
    seconds: float,
    seed: int = 7,
    market: MarketPlan | None = None,
    faults: Sequence[Fault] = (),
    check_s: float = 1.0,
    status_every_s: float = 60.0,
    segment_s: float = 3_600.0,
    extra: Extra | None = None,
    config: Path = CONFIG,
) -> Whole:
    """Run the engine in mock mode for `seconds` of virtual time and let it end gracefully."""
    scripts = ",".join(
        f'{{at={at},venue="{venue}",kind="{kind}",for={duration}}}' for at, venue, kind, duration in faults
    )
    words = [f"data_dir={directory}", f"sim.seed={seed}", *QUIET, f"sim.faults=[{scripts}]", *overrides]
    loaded = load_settings(config, overrides=words, environ={})
    with locked_data_dir(directory) as data, deterministic(seed):
        return trio.run(
            partial(
                _run,
                loaded.settings,
                data,
                seconds=seconds,
                market=market or MarketPlan(),
                check_s=check_s,
                status_every_s=status_every_s,
                segment_s=segment_s,
                extra=extra or Extra(),
            ),
            clock=MockClock(autojump_threshold=0),
        )


@attrs.define
class MemoryVenues:
    """Serves simulated venues on a memory network and remembers the world."""

    network: MemoryNetwork
    market: MarketPlan
    simulation: Simulation | None = None

    async def __call__(
        self, params: SimParams, clock: Clock, *, task_status: trio.TaskStatus[dict[str, ServedVenue]]
    ) -> None:
        """As `assembly.Simulate`."""
        world = attrs.evolve(params.world, market=self.market)
        paced_s = max(1.0, self.market.mark_every_ms / 1e3)
        params = attrs.evolve(params, world=world, paced_every_s=paced_s, keep_alive_s=120.0 * paced_s)
        async with trio.open_nursery() as nursery:
            found: tuple[Simulation, dict[str, ServedVenue]] = await nursery.start(
                partial(serve_in_memory, params, clock, self.network)
            )
            self.simulation = found[0]
            task_status.started(found[1])


async def inline(function: Callable[[], T], /) -> T:
    """Threads are forbidden on a virtual clock: run where we stand."""
    await trio.lowlevel.checkpoint()
    return function()


def limited(parts: Assembly, seconds: float) -> Named:
    """The end of trading after so long."""
    return Named(name="time limit", run=partial(stop_after, parts, seconds))


def plan_of(
    parts: Assembly,
    more: Callable[[], Sequence[Named]],
    *,
    on_stop: Callable[[Reason], None],
    on_step: Callable[[StepReport], None],
) -> Plan:
    """What the root runs: everything `arb run` has but console, signals, heartbeat and dead-man."""
    evaluations = Evaluations(
        parts.engine,
        parts.drain,
        parts.sight,
        parts.stop,
        parts.around.clock,
        limit=None,
        must_be_ready=False,
        ready_within_s=parts.settings.watchdog.startup_grace_s,
        errand=parts.errand,
    )
    return Plan(
        clock=parts.around.clock,
        inbox=parts.sink,
        stop=parts.stop,
        drain=parts.drain,
        drain_s=parts.settings.execution.drain_s,
        foundations=foundations(parts),
        trading=lambda: [*more(), *trading_tasks(parts, evaluations, None, None)],
        ending=partial(ending, parts),
        on_failure=parts.sight.failed,
        on_stop=on_stop,
        on_step=on_step,
    )


async def _run(
    settings: Any,
    data: DataDir,
    *,
    seconds: float,
    market: MarketPlan,
    check_s: float,
    status_every_s: float,
    segment_s: float,
    extra: Extra,
) -> Whole:
    clock = AnchoredClock(lambda: START_NS + int(trio.current_time() * 1e9))
    output = io.StringIO()
    console = Console(file=output, width=200)
    async with open_memory_network() as network:
        memory = MemoryVenues(network, market)
        around = Surroundings(
            clock=clock,
            dialer=network,
            writer=extra.writer(),
            run_thread=inline,
            run_last=inline,
            sync=lambda _handle: None,
            random=Random(settings.sim.seed),
            run_id=RunId("r0000000000001"),
            build="whole",
            simulate=memory,
            check_s=check_s,
            status_every_s=status_every_s,
            segment_ns=int(segment_s * 1e9),
        )
        watching = observers(settings, clock, run_id=around.run_id, build=around.build, console=console)
        parts = Assembly(settings=settings, data=data, around=around, watching=watching)
        extra.change(parts)
        stopped: list[float] = []
        reports: list[StepReport] = []

        def more() -> Sequence[Named]:
            return [limited(parts, seconds), *extra.tasks(parts)]

        def on_stop(reason: Reason) -> None:
            stopped.append(trio.current_time())
            parts.sight.stopping(reason)

        reason = await supervise(plan_of(parts, more, on_stop=on_stop, on_step=reports.append))
        assert memory.simulation is not None
        memory.simulation.advance(clock.wall_ns())
        return Whole(
            data=data,
            parts=parts,
            simulation=memory.simulation,
            reason=reason,
            reports=reports,
            stop_asked_s=stopped[0],
            ended_s=trio.current_time(),
            console=output.getvalue(),
        )
