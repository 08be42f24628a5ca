"""An engine as `arb run` would have it in mock, told all it needs: rules, balances, funding, fresh books.

Owns: the events that lead an engine to where a measurement begins.
Never: opens a socket or waits.
Units: monotonic and UTC nanoseconds; prices KRW on A, USDT on B.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs

from arb.cli.engine_config import engine_config
from arb.cli.schema import Settings
from arb.cli.settings import load_settings
from arb.domain.depth import Depth
from arb.domain.effects import Effect, Submit
from arb.domain.errors import ConfigError
from arb.domain.events import (
    ArmingSeen,
    BalanceSeen,
    DepthSeen,
    Event,
    FeedSeen,
    FundingRateSeen,
    InstrumentSeen,
    RunStarted,
    Tick,
)
from arb.domain.ids import AssetId, FeedId, InstrumentId, PairId, RunId, venue_of
from arb.domain.money import decimal_of
from arb.domain.order import Balance
from arb.engine import Engine, EngineConfig
from arb.strategy.convergence.memory import ConvergenceMemory
from arb.venues.simulated.listings import listing, reference_usdt

A: Final = InstrumentId("upbit:KRW-BTC")
B: Final = InstrumentId("binance_usdm:BTCUSDT")
FX: Final = InstrumentId("upbit:KRW-USDT")
FX_MID: Final = 1_450.5
MID_B: Final = 103_000.0
FAIR_A: Final = MID_B * FX_MID
"""A's mid at which nothing is to be gained."""
CHEAP_A: Final = FAIR_A * (1 - 75e-4)
"""A's mid at which an entry pays."""
START_NS: Final = 1_000_000_000_000
WALL_NS: Final = 1_787_727_947_000_000_000
_MS: Final = 1_000_000
_BOOKS: Final = ((A, 1_000.0, 0.2), (B, 0.1, 2.0), (FX, 1.0, 20_000.0))
"""Instrument, tick, size of a level."""


def bench_settings(path: Path, overrides: tuple[str, ...] = ()) -> Settings:
    """The configuration in mock mode, which must trade BTC between Upbit and the perpetual as the shipped one does."""
    settings = load_settings(path, overrides=overrides, flags={"mode": "mock"}, environ={}).settings
    if not any((pair.a, pair.b) == (A, B) for pair in settings.pairs):
        raise ConfigError(f"{path}: measurements need the pair {A} with {B}; use config/live.toml")
    return settings


def ladder(instrument: InstrumentId, mid: float, received_ns: int, levels: int = 15) -> Depth:
    """A book of equal levels, one tick apart, around `mid`."""
    tick, size = next((tick, size) for name, tick, size in _BOOKS if name == instrument)
    best = round((mid - tick / 2) / tick) * tick
    bids = tuple(value for i in range(levels) for value in (best - i * tick, size))
    asks = tuple(value for i in range(levels) for value in (best + (i + 1) * tick, size))
    return Depth(
        instrument=instrument, feed=FeedId(f"{venue_of(instrument)}/public/0"), bids=bids, asks=asks,
        received_ns=received_ns, venue_ns=WALL_NS + received_ns - START_NS, sequence=received_ns,
    )  # fmt: skip


def seen(instrument: InstrumentId, mid: float, at_ns: int) -> DepthSeen:
    """A market event of this moment."""
    return DepthSeen(at_ns=at_ns, depth=ladder(instrument, mid, at_ns))


def beginnings(config: EngineConfig, at_ns: int, wall_ns: int) -> Iterator[Event]:
    """What a run is told before its first book."""
    yield RunStarted(at_ns=at_ns, wall_ns=wall_ns, run_id=RunId("bench"), build="bench", parameters="{}")
    yield ArmingSeen(at_ns=at_ns, is_armed=True)
    traded = dict.fromkeys([FX, *(side for item in config.pairs for side in (item.pair.a, item.pair.b))])
    for instrument in traded:
        yield InstrumentSeen(at_ns=at_ns, instrument=listing(instrument))
        if venue_of(instrument) == "binance_usdm":
            mark_price = decimal_of(reference_usdt(listing(instrument).base))
            yield funding(instrument, mark_price, at_ns, wall_ns)
    for venue, asset, amount in (("upbit", "KRW", 20_000_000), ("binance_usdm", "USDT", 15_000)):
        held = Balance(AssetId(asset), Decimal(amount), Decimal(0))
        yield BalanceSeen(at_ns=at_ns, venue=venue_of(InstrumentId(f"{venue}:")), balances=(held,), is_full=True)


def funding(instrument: InstrumentId, mark_price: Decimal, at_ns: int, wall_ns: int) -> FundingRateSeen:
    """A mark, and a rate far from its settlement."""
    return FundingRateSeen(
        at_ns=at_ns, instrument=instrument, rate=Decimal("0.0001"), interval_s=28_800,
        next_settlement_ms=wall_ns // _MS + 14_400_000, mark_price=mark_price, index_price=None,
    )  # fmt: skip


@attrs.define
class Machine:
    """An engine and the time it has been told."""

    settings: Settings
    engine: Engine
    now_ns: int = START_NS

    def tell_all(self, mid_a: float) -> None:
        """Fresh books of the pair and of FX, and a tick."""
        for event in all_books(mid_a, self.now_ns):
            self.engine.step(event)
        wall_ns = WALL_NS + self.now_ns - START_NS
        self.engine.step(Tick(at_ns=self.now_ns, wall_ns=wall_ns, is_loop=True))

    def pass_time(self, seconds: float, mid_a: float = FAIR_A) -> None:
        """Live for so long, with books every 100 ms."""
        for _ in range(round(seconds * 10)):
            self.now_ns += 100 * _MS
            self.tell_all(mid_a)


def all_books(mid_a: float, at_ns: int) -> tuple[DepthSeen, ...]:
    """The three books of one moment."""
    return seen(FX, FX_MID, at_ns), seen(B, MID_B, at_ns), seen(A, mid_a, at_ns)


def ready_machine(path: Path, overrides: tuple[str, ...] = ()) -> Machine:
    """An engine that would trade if there were an edge.

    Raises:
        ConfigError: with this configuration it would not.
    """
    settings = bench_settings(path, overrides)
    machine = Machine(settings, Engine(engine_config(settings, WALL_NS)))
    for event in beginnings(machine.engine.config, START_NS, WALL_NS):
        machine.engine.step(event)
    for venue in ("upbit", "binance_usdm"):
        feed = FeedId(f"{venue}/public/0")
        machine.engine.step(FeedSeen(at_ns=START_NS, feed=feed, last_frame_ns=START_NS, latency_ns=0))
    machine.pass_time(3.0)
    pair = next(item.pair.id for item in machine.engine.config.pairs if item.pair.a == A)
    own = machine.engine.memory.lanes[pair].own
    is_fair_known = isinstance(own, ConvergenceMemory) and own.fair_level_bps is not None
    if not is_fair_known or any(pair in line for line in machine.engine.missing()):
        raise ConfigError(
            f"{path}: the engine cannot be made ready to trade {PairId(pair)}: {machine.engine.missing()}"
        )
    return machine


def orders_of(effects: tuple[Effect, ...]) -> int:
    """How many orders a step submits."""
    return sum(len(effect.orders) for effect in effects if isinstance(effect, Submit))
