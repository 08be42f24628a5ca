"""One step of the engine, and many: what a decision costs.

Owns: the measures `engine/…` and `scale/…`.
"""

from __future__ import annotations

import tracemalloc
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import attrs

from arb.cli.engine_config import engine_config
from arb.cli.measures.exchange import Playground, market_events
from arb.cli.measures.frames import STAMP, upbit_book
from arb.cli.measures.machine import (
    CHEAP_A,
    FAIR_A,
    FX,
    FX_MID,
    START_NS,
    WALL_NS,
    A,
    all_books,
    beginnings,
    bench_settings,
    orders_of,
    ready_machine,
    seen,
)
from arb.cli.measures.timing import BenchResult, Effort, Measure, cpu_ns, now_ns, result
from arb.domain.errors import InvariantBroken
from arb.domain.events import DepthSeen
from arb.domain.ids import FeedId, InstrumentId, PairId
from arb.engine import Engine, EngineConfig, PairConfig, thaw
from arb.venues.upbit.protocol import UpbitStream

SIMULTANEOUS: Final = ("execution.leg_order=simultaneous",)
COUNTS: Final = (1, 10, 100)
_STEP_NS: Final = 1_000_000


def _market(config: Path, effort: Effort) -> list[BenchResult]:
    """Books of A that move and stay below the bar; now and then the fair level takes its sample."""
    machine = ready_machine(config)
    random, samples = Random(5), []
    for _ in range(effort.of(100, 10)):
        machine.pass_time(0.1)
        mids = [FAIR_A * (1 + random.uniform(-5e-4, 5e-4)) for _ in range(300)]
        events = [seen(A, mid, machine.now_ns + i * _STEP_NS) for i, mid in enumerate(mids, 1)]
        machine.now_ns = events[-1].at_ns
        step = machine.engine.step
        for event in events:
            began_ns = now_ns()
            step(event)
            samples.append((now_ns() - began_ns) / 1e3)
    return [result("engine/step/market", "us", samples)]


def _intent(config: Path, effort: Effort) -> list[BenchResult]:
    """The event on which both legs are approved."""
    machine = ready_machine(config, SIMULTANEOUS)
    snapshot = machine.engine.freeze()
    samples = []
    for _ in range(effort.of(300, 30)):
        engine = thaw(machine.engine.config, snapshot)
        at_ns = machine.now_ns + _STEP_NS
        event = seen(A, CHEAP_A, at_ns)
        began_ns = now_ns()
        effects = engine.step(event)
        samples.append((now_ns() - began_ns) / 1e3)
        if orders_of(effects) != 2:
            raise InvariantBroken(f"the step was to yield two orders and yielded {effects}")
    return [result("engine/step/intent", "us", samples)]


def _events_per_second(config: Path, effort: Effort) -> list[BenchResult]:
    """Generated books through the whole engine, orders filled by the simulated exchange, all in one loop."""
    settings = bench_settings(config)
    events = market_events(settings, steps=effort.of(4_000, 600))
    samples, trades = [], 0
    for _ in range(effort.of(3, 1)):
        playground = Playground(settings)
        began_ns = cpu_ns()
        count = playground.run(events)
        samples.append(count / ((cpu_ns() - began_ns) / 1e9))
        trades = playground.fills
    return [result("engine/events_per_second", "1/s CPU", samples, events=float(len(events)), fills=float(trades))]


# --- scale ------------------------------------------------------------------------------------------------------------


def _many(config: EngineConfig, count: int) -> EngineConfig:
    """The BTC pair so many times, under coins' names of their own."""
    own = next(item for item in config.pairs if item.pair.a == A)
    pairs = []
    for i in range(count):
        a, b = InstrumentId(f"upbit:KRW-C{i}"), InstrumentId(f"binance_usdm:C{i}USDT")
        pairs.append(PairConfig(attrs.evolve(own.pair, id=PairId(f"C{i}"), a=a, b=b), own.params))
    return attrs.evolve(config, pairs=tuple(pairs))


class Scaled:
    """Protocol and engine for `count` instruments on one connection, and the messages of one round of all of them."""

    def __init__(self, config: EngineConfig, count: int) -> None:
        self.engine = Engine(_many(config, count))
        for event in beginnings(self.engine.config, START_NS, WALL_NS):
            self.engine.step(event)
        self.engine.step(seen(FX, FX_MID, START_NS))
        pairs = [item.pair for item in self.engine.config.pairs]
        for pair in pairs:
            depth = attrs.evolve(all_books(FAIR_A, START_NS)[1].depth, instrument=pair.b)
            self.engine.step(DepthSeen(at_ns=START_NS, depth=depth))
        self.instruments = [pair.a for pair in pairs]
        symbols = tuple(f"KRW-C{i}" for i in range(count))
        self.stream = UpbitStream(FeedId("upbit/public/0"), symbols)
        random = Random(6)
        self.frames = [upbit_book(symbol, 15, STAMP + i, random) for i, symbol in enumerate(symbols)]

    def round(self, at_ns: int) -> None:
        """One message of each: decoded, flattened, decided on."""
        stream, step = self.stream, self.engine.step
        for frame, instrument in zip(self.frames, self.instruments, strict=True):
            stream.receive(frame, at_ns)
            depth = stream.depth(instrument, 15)
            assert depth is not None
            step(DepthSeen(at_ns=at_ns, depth=depth))


def _scale(config: Path, effort: Effort) -> list[BenchResult]:
    engine = engine_config(bench_settings(config), WALL_NS)
    held = {count: _memory_kb(engine, count) for count in COUNTS}
    worlds = {count: Scaled(engine, count) for count in COUNTS}
    for world in worlds.values():
        world.round(START_NS)  # the first look at each pair is a whole one
    samples: dict[int, list[float]] = {count: [] for count in COUNTS}
    for number in range(effort.of(60, 8)):
        for count, world in worlds.items():
            rounds = 100 // count
            began_ns = cpu_ns()
            for turn in range(rounds):
                world.round(START_NS + number * _STEP_NS + turn)
            samples[count].append((cpu_ns() - began_ns) / 1e3 / (rounds * count))
    found = [
        result(f"scale/instruments/{count}", "us CPU/message", samples[count], memory_kb=held[count])
        for count in COUNTS
    ]
    further = (held[100] - held[10]) / 90
    return [*found, result("scale/instruments/memory", "KiB/instrument", [further])]


def _memory_kb(config: EngineConfig, count: int) -> float:
    tracemalloc.start()
    try:
        world = Scaled(config, count)
        world.frames, kept = [], world.frames
        before = tracemalloc.get_traced_memory()[0] - sum(len(frame) for frame in kept)
        world.frames = kept
        world.round(START_NS)
        return max(before, tracemalloc.get_traced_memory()[0] - sum(len(frame) for frame in kept)) / 1024
    finally:
        tracemalloc.stop()


def measures(config: Path) -> list[Measure]:
    """Everything here."""
    scale = (*(f"scale/instruments/{count}" for count in COUNTS), "scale/instruments/memory")
    return [
        Measure(("engine/step/market",), partial(_market, config)),
        Measure(("engine/step/intent",), partial(_intent, config)),
        Measure(("engine/events_per_second",), partial(_events_per_second, config)),
        Measure(scale, partial(_scale, config)),
    ]
