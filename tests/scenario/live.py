"""Live runs on a virtual clock over simulated venues that outlive them, killed at chosen moments and started again.

Owns: the world of a test: one network, one simulation, one data directory, and the runs of the engine in it.
Never: replaces a part of the engine by a double: what differs from `arb run` is injected through `Surroundings`.
Everything depends on the seed alone.
"""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import attrs
import trio
from rich.console import Console
from trio.testing import MockClock

from arb.cli.arming import ENVIRONMENT_NAME
from arb.cli.assembly import Assembly
from arb.cli.data_dir import DataDir, locked_data_dir
from arb.cli.engine_config import engine_config
from arb.cli.errand import Errand
from arb.cli.observers import observers
from arb.cli.permission import Permission, write_permission
from arb.cli.recovery import recover
from arb.cli.settings import Loaded, load_settings
from arb.cli.sim import listed_everywhere, sim_params
from arb.cli.surroundings import Surroundings
from arb.domain.events import Command, CommandKind
from arb.domain.ids import PairId, RunId
from arb.engine import Engine
from arb.supervision.clock import AnchoredClock
from arb.supervision.control_view import is_read_since
from arb.supervision.root import Named, supervise
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Ask
from arb.venues.simulated.ledger import ledger_of
from arb.venues.simulated.market import MarketPlan
from arb.venues.simulated.models import FaultKind
from arb.venues.wire.memory import MemoryNetwork, open_memory_network
from arb.venues.wire.simulation import ServedVenue, Simulation
from tests.scenario.dying import Keep, Life, Moment, never
from tests.scenario.whole import CONFIG, START_NS, MemoryVenues, deterministic, limited, plan_of
from tools.soak_truth import (
    Stories,
    fill_differences,
    holding_differences,
    order_differences,
    position_differences,
    profit_differences,
)

T = TypeVar("T")

BUILD = "live"
VENUES = ("upbit", "binance_usdm")
TRADED = ("upbit", "binance_usdm", "binance_spot")
MARKET = MarketPlan(cadence_ms=400, trade_probability=0.05)
TIMERS = (
    "strategy.convergence.fair_bps=0",
    "strategy.convergence.min_hold_s=0",
    "strategy.convergence.cooldown_s=0",
    "strategy.convergence.confirm_ms=100",
    "strategy.convergence.expected_hold_s=60",
    "risk.max_incidents_per_hour=1000",
    "risk.max_consecutive_losses=1000",
    "risk.daily_loss_krw=10_000_000",
    "risk.max_drawdown_krw=10_000_000",
    "execution.position_check_s=5",
)
"""What minutes of a generated market need; no threshold of a price."""
LONGEST_S = 300.0
"""No run of a test lasts so long."""
QUIET = ("monitoring.enabled=false", "fx.bank=static", "fx.bank_rate=1443")


@attrs.define(eq=False)
class LiveWorld:
    """The venues, the data directory and the wall clock of one test."""

    root: Path
    network: MemoryNetwork
    simulation: Simulation
    clock: AnchoredClock
    start_ns: int
    served: Mapping[str, ServedVenue]
    seed: int
    overrides: tuple[str, ...]
    environ: dict[str, str]
    lives: list[Life] = attrs.field(factory=list)

    @property
    def data(self) -> DataDir:
        """Of all runs."""
        return DataDir(self.root / "data")

    @property
    def permission_file(self) -> Path:
        """The operator's permission."""
        return self.root / "ok"

    def permit(self, *, valid_s: float = 86_400.0) -> None:
        """As `arb arm` does."""
        write_permission(
            self.permission_file,
            Permission(
                valid_until_ns=self.clock.wall_ns() + int(valid_s * 1e9),
                venues=VENUES,
                max_total_notional_krw=Decimal(8_000_000),
                upbit_no_withdrawal=True,
            ),
        )

    def loaded(self, *more: str) -> Loaded:
        """The configuration of a run."""
        words = [f"data_dir={self.data.root}", f"arm.file={self.permission_file}", f"sim.seed={self.seed}"]
        everything = ["mode=live", *QUIET, *TIMERS, *words, *self.overrides, *more]
        return load_settings(self.root / "live.toml", overrides=everything, environ=self.environ)

    async def run(
        self,
        *,
        seconds: float | None = None,
        fatal: Callable[[Moment, Assembly], bool] = never,
        keep: Keep = Keep.NONE,
        tasks: Callable[[Life], Sequence[Named]] = lambda _: (),
        beside: Callable[[Life], Awaitable[None]] | None = None,
        overrides: Sequence[str] = (),
        errand: Errand | None = None,
    ) -> Life:
        """Start the engine; it ends after `seconds` of trading, for a reason of its own, or where a moment is fatal.

        `beside` runs from the first moment on, `tasks` while it trades.

        Raises:
            UnsafeToTrade: what an earlier run left cannot be taken up.
            trio.TooSlowError: it does not end.
        """
        loaded = self.loaded(*overrides)
        with locked_data_dir(self.data.root) as data:
            clock = _clock_from(self.start_ns)
            recovered = recover(data.journal, engine_config(loaded.settings, clock.wall_ns()), BUILD)
            if recovered is not None:
                clock.continue_from(recovered.now_ns, recovered.wall_ns)
            life = Life(self.network, fatal, keep)
            self.lives.append(life)
            around = self._around(life, clock)
            console = Console(file=io.StringIO(), width=200)
            watching = observers(loaded.settings, clock, run_id=around.run_id, build=BUILD, console=console)
            life.parts = Assembly(
                settings=loaded.settings,
                data=data,
                around=around,
                watching=watching,
                recovered=recovered,
                wanted_errand=errand,
            )
            with trio.fail_after(LONGEST_S):
                await self._live(life, seconds, tasks, beside)
            life.ended_s = trio.current_time()
            if life.is_dead:
                _leave_socket(data.control)
        self.simulation.advance(self.clock.wall_ns())
        return life

    def _around(self, life: Life, clock: AnchoredClock) -> Surroundings:
        number = len(self.lives)
        return Surroundings(
            clock=clock,
            dialer=life.dial,
            writer=life.disk,
            run_thread=life.thread,
            run_last=life.thread,
            sync=lambda _handle: None,
            random=Random(self.seed + number),
            run_id=RunId(f"r{number:013d}"),
            build=BUILD,
            environ=self.environ,
            uid=os.getuid(),
        )

    async def _live(
        self,
        life: Life,
        seconds: float | None,
        tasks: Callable[[Life], Sequence[Named]],
        beside: Callable[[Life], Awaitable[None]] | None,
    ) -> None:
        parts = life.parts

        def trading() -> Sequence[Named]:
            life.began_trading_s = trio.current_time()
            return [*([] if seconds is None else [limited(parts, seconds)]), *tasks(life)]

        plan = plan_of(parts, trading, on_stop=parts.sight.stopping, on_step=parts.sight.ended)
        with life.scope:
            async with trio.open_nursery() as nursery:
                if beside is not None:
                    nursery.start_soon(beside, life)
                reason = await supervise(plan)
                if not life.is_dead:
                    life.reason = reason
                nursery.cancel_scope.cancel()

    # --- the venues ---------------------------------------------------------------------------------------------------

    def desk(self, venue: str) -> Desk:
        """Behind the counter of a venue."""
        return self.simulation.lines[venue].desk

    def strike(self, venue: str, kind: FaultKind, for_s: float = 0.0) -> None:
        """A fault from now on."""
        self._ask(venue, "faults", {"kind": kind.value, "for": for_s})

    def deposit(self, venue: str, asset: str, amount: str) -> None:
        """Money arrives, or leaves when negative."""
        self._ask(venue, "deposit", {"asset": asset, "amount": amount})

    def _ask(self, venue: str, what: str, body: dict[str, object]) -> None:
        front, now_ns = self.simulation.fronts[venue], self.clock.wall_ns()
        self.simulation.advance(now_ns)
        ask = Ask(method="POST", path=f"/sim/{what}", query="", headers={}, body=json.dumps(body).encode())
        answer = front.control(ask, now_ns)
        assert answer is not None
        assert answer.status == 200, answer.body
        self.simulation.stir()

    def ledgers(self) -> dict[str, Any]:
        """The simulators' own truth."""
        self.simulation.advance(self.clock.wall_ns())
        bodies = {venue: ledger_of(self.desk(venue))["accounts"] for venue in VENUES}
        return {venue: body["main"] for venue, body in bodies.items() if isinstance(body, dict)}

    # --- the verdict --------------------------------------------------------------------------------------------------

    def recovered(self) -> Engine:
        """What the journal says now."""
        config = engine_config(self.loaded().settings, self.clock.wall_ns())
        found = recover(self.data.journal, config, BUILD)
        assert found is not None
        return Engine(config, found.memory)

    def differences(self) -> list[str]:
        """Where ledgers, recovered books and tables disagree after a run that ended gracefully."""
        stories = Stories(
            ledgers={venue: _with_margin(one) for venue, one in self.ledgers().items()},
            tables=self.data.csv,
            engine=self.recovered(),
            report={},
        )
        return [
            *order_differences(stories),
            *fill_differences(stories),
            *holding_differences(stories),
            *position_differences(stories),
            *profit_differences(stories),
        ]


def _clock_from(start_ns: int) -> AnchoredClock:
    return AnchoredClock(lambda: start_ns + int(trio.current_time() * 1e9))


def _with_margin(ledger: dict[str, Any]) -> dict[str, Any]:
    """What positions have taken out of the wallet is still the account's."""
    margin = sum((Decimal(row["margin"]) for row in ledger["positions"]), Decimal(0))
    if not margin:
        return ledger
    usdt = ledger["balances"]["USDT"]
    usdt = usdt | {"locked": f"{Decimal(usdt['locked']) + margin:f}"}
    return ledger | {"balances": ledger["balances"] | {"USDT": usdt}}


def deciding(kind: CommandKind) -> Errand:
    """What `arb reconcile --adopt` or `--ignore` asks of a stopped engine."""

    def is_read(engine: Engine) -> bool:
        return is_read_since(engine, 0 if engine.memory.accepted_ns is None else engine.memory.accepted_ns + 1)

    return Errand(
        name="reconcile", kinds=(kind,), operator="test", needs_trading=False, within_s=30.0, is_done=is_read,
        report=lambda engine, _console, is_done: 0 if is_done and not engine.differences() else 1,
    )  # fmt: skip


def commanded(parts: Assembly, kind: CommandKind, pair: PairId | None = None) -> None:
    """An operator says so to the running engine, of one pair or of all."""
    now_ns = parts.around.clock.monotonic_ns()
    parts.sink.put_account(Command(at_ns=now_ns, kind=kind, pair=pair, operator="test", reason="a test"))


def in_live_world(
    root: Path,
    scenario: Callable[[LiveWorld], Awaitable[T]],
    *,
    seed: int = 7,
    market: MarketPlan = MARKET,
    overrides: Sequence[str] = (),
    day_s: float = 0.0,
) -> T:
    """Play a scenario on a virtual clock, so long after midnight UTC; the venues run from its beginning to its end."""
    with deterministic(seed):
        return trio.run(
            partial(_played, root, scenario, seed, market, tuple(overrides), START_NS + int(day_s * 1e9)),
            clock=MockClock(autojump_threshold=0),
        )


async def _played(
    root: Path,
    scenario: Callable[[LiveWorld], Awaitable[T]],
    seed: int,
    market: MarketPlan,
    overrides: tuple[str, ...],
    start_ns: int,
) -> T:
    clock = _clock_from(start_ns)
    mock = load_settings(CONFIG, overrides=[f"sim.seed={seed}", *QUIET, *overrides], environ={}).settings
    async with open_memory_network() as network, trio.open_nursery() as nursery:
        venues = MemoryVenues(network, market)
        served = await nursery.start(partial(venues, sim_params(mock, listed_everywhere(mock), clock), clock))
        assert venues.simulation is not None
        world = LiveWorld(
            root=root,
            network=network,
            simulation=venues.simulation,
            clock=clock,
            start_ns=start_ns,
            served=served,
            seed=seed,
            overrides=overrides,
            environ={ENVIRONMENT_NAME: "1", **_keys(served)},
        )
        (root / "live.toml").write_text(CONFIG.read_text(encoding="utf-8") + _venue_sections(served), encoding="utf-8")
        world.permit()
        found = await scenario(world)
        nursery.cancel_scope.cancel()
    return found


def _venue_sections(served: Mapping[str, ServedVenue]) -> str:
    """Where the venues are; their keys by name of the environment."""
    lines = []
    for venue in TRADED:
        row, name = served[venue].as_row(), venue.upper()
        lines.append(f"[venues.{venue}]")
        lines += [f'{key}_url = "{row[key]}"' for key in ("rest", "ws", "ws_private")]
        lines += [f'key = "${{{name}_KEY}}"', f'secret = "${{{name}_SECRET}}"']
    return "\n".join(("", *lines, ""))


def _keys(served: Mapping[str, ServedVenue]) -> dict[str, str]:
    rows = {venue.upper(): served[venue].as_row() for venue in TRADED}
    return {f"{venue}_{word.upper()}": row[word] for venue, row in rows.items() for word in ("key", "secret")}


def _leave_socket(path: Path) -> None:
    """A killed process leaves its socket behind."""
    with suppress(FileNotFoundError):
        path.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
