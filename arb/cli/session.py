"""One run of the engine, from the lock of its data directory to the reason for its end.

Owns: the recovery of what an earlier run left, the clock that goes on from there, and what a person wants besides the
configuration: limits of the run, or one errand.
Never: decides where orders go; the settling does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Never, TypeVar

import attrs
import trio
from rich.console import Console

from arb.cli.assembly import Assembly
from arb.cli.banner import banner_facts
from arb.cli.build import build_name, next_run_id
from arb.cli.console import banner, show_status
from arb.cli.data_dir import DataDir, claim, locked_data_dir
from arb.cli.ending import ending
from arb.cli.engine_config import engine_config
from arb.cli.errand import Errand
from arb.cli.errand_run import errand_ended
from arb.cli.evaluation import Evaluations, explain
from arb.cli.lineup import foundations, stop_after, trading_tasks
from arb.cli.observers import observers
from arb.cli.recovery import Recovered, recover
from arb.cli.schema import Mode
from arb.cli.settings import Loaded
from arb.cli.surroundings import Surroundings
from arb.storage.journal import ThreadWriter
from arb.storage.worker import thread_runner
from arb.supervision.clock import AnchoredClock
from arb.supervision.deadman import DeadMan, Heartbeat
from arb.supervision.root import Named, NamedFoundation, Plan, supervise, watch_signals
from arb.supervision.stopping import Reason, Stop
from arb.supervision.sys_monitor import sampler
from arb.telemetry.logs import open_logs
from arb.venues.wire.dial import SocketDialer

T = TypeVar("T")
log = logging.getLogger("arb.root")


@attrs.frozen(kw_only=True)
class Wishes:
    """What the person who starts a run asks for besides the configuration."""

    is_once: bool = False
    loops: int | None = None
    max_runtime_s: float | None = None
    errand: Errand | None = None


@attrs.frozen
class Ended:
    """How a run ended, and what was missing where it may go on without sending orders."""

    reason: Reason
    exit_code: int
    missing: tuple[str, ...] = ()


def run_session(
    loaded: Loaded, wishes: Wishes, console: Console, environ: Mapping[str, str], missing: tuple[str, ...] = ()
) -> Ended:
    """Run until something stops it. `missing`: what keeps real orders from this run, for the banner.

    Raises:
        ConfigError: the data directory cannot be used.
        UnsafeToTrade: what an earlier run left cannot be taken up.
    """
    settings = loaded.settings
    secrets = [word for venue in settings.venues.values() for word in (venue.key, venue.secret) if word]
    with locked_data_dir(Path(settings.data_dir.format(mode=settings.mode.value))) as data:
        claim(data, settings.mode.value)
        directory = Path(settings.logging.dir) if settings.logging.dir else data.logs
        with open_logs(
            directory,
            level=settings.logging.level,
            as_json=settings.logging.json,
            secrets=secrets,
            console_level=logging.ERROR,
            faults=data.faults,
        ):
            return trio.run(partial(_main, loaded, wishes, data, console, environ, missing))


def run_errand(loaded: Loaded, errand: Errand, console: Console, environ: Mapping[str, str]) -> int:
    """Start the engine for one thing and leave; the exit code of the errand, or of what kept it from being done.

    Raises:
        ConfigError: the data directory cannot be used.
        UnsafeToTrade: what an earlier run left cannot be taken up.
    """
    return told(run_session(loaded, Wishes(errand=errand), console, environ), errand.name)


def told(ended: Ended, command: str) -> int:
    """Say why it ended unless that was asked for; the exit code."""
    if ended.reason.stop is not Stop.GRACEFUL:
        sys.stderr.write(f"arb {command}: {ended.reason.text}\n")
    return ended.exit_code


async def _main(
    loaded: Loaded,
    wishes: Wishes,
    data: DataDir,
    console: Console,
    environ: Mapping[str, str],
    missing: tuple[str, ...],
) -> Ended:
    parts = _assembled(loaded, data, console, environ, missing, wishes.errand)
    parts.sight.board.arming(is_armed=False, missing=missing)
    heartbeat = Heartbeat()
    dead_man = _dead_man(parts, heartbeat, data)
    banner(console, banner_facts(loaded, parts))
    dead_man.start()
    try:
        reason = await supervise(_plan(parts, wishes, console, heartbeat, dead_man))
    finally:
        dead_man.end()
    if parts.errand is not None:
        return Ended(reason, errand_ended(parts.errand, parts.engine, console, reason))
    if wishes.is_once and reason.stop is Stop.GRACEFUL:
        explain(console, parts.engine)
    goes_on = bool(parts.shadow_because) and reason.stop is Stop.GRACEFUL and parts.stop.asked_count == 1
    if reason.stop is not Stop.MISCONFIGURED and not goes_on:
        console.print(f"stopped: {reason.text}; {parts.sight.summary()}", soft_wrap=True)
    return Ended(reason, reason.stop.exit_code, parts.shadow_because if goes_on else ())


def _plan(parts: Assembly, wishes: Wishes, console: Console, heartbeat: Heartbeat, dead_man: DeadMan) -> Plan:
    def trading() -> Sequence[Named]:
        show = partial(show_status, console, parts.sight.view, parts.sight.uptime_s, lambda: parts.sight.level.value)
        tasks = [Named(name="console", run=show)]
        if wishes.max_runtime_s is not None:
            tasks.append(Named(name="time limit", run=partial(stop_after, parts, wishes.max_runtime_s)))
        return [*tasks, *trading_tasks(parts, _evaluations(parts, wishes), heartbeat, sampler())]

    def on_stop(reason: Reason) -> None:
        dead_man.expect_end()
        parts.sight.stopping(reason)

    beating = NamedFoundation(name="heartbeat", run=heartbeat.run)
    signals = NamedFoundation(name="signals", run=partial(watch_signals, parts.stop, _leave))
    return Plan(
        clock=parts.around.clock,
        inbox=parts.sink,
        stop=parts.stop,
        drain=parts.drain,
        drain_s=parts.settings.execution.drain_s,
        foundations=(beating, signals, *foundations(parts)),
        trading=trading,
        ending=partial(ending, parts),
        on_failure=parts.sight.failed,
        on_stop=on_stop,
        on_step=parts.sight.ended,
    )


def _evaluations(parts: Assembly, wishes: Wishes) -> Evaluations:
    return Evaluations(
        parts.engine,
        parts.drain,
        parts.sight,
        parts.stop,
        parts.around.clock,
        limit=1 if wishes.is_once else wishes.loops,
        must_be_ready=wishes.is_once or wishes.loops is not None,
        ready_within_s=parts.settings.watchdog.startup_grace_s,
        errand=parts.errand,
    )


def _assembled(
    loaded: Loaded,
    data: DataDir,
    console: Console,
    environ: Mapping[str, str],
    missing: tuple[str, ...],
    errand: Errand | None,
) -> Assembly:
    clock, build = AnchoredClock(), build_name()
    recovered = _recovered(loaded, data, clock, build)
    around = Surroundings(
        clock=clock,
        dialer=SocketDialer(),
        writer=ThreadWriter(),
        run_thread=thread_runner(),
        run_last=_abandonable,
        sync=os.fdatasync,
        random=SystemRandom(),
        run_id=next_run_id(data.journal, clock.wall_ns()),
        build=build,
        environ=environ,
        uid=os.getuid(),
    )
    watching = observers(loaded.settings, clock, run_id=around.run_id, build=around.build, console=console)
    return Assembly(
        settings=loaded.settings,
        data=data,
        around=around,
        watching=watching,
        recovered=recovered,
        wanted_errand=errand,
        missing=missing,
    )


def _recovered(loaded: Loaded, data: DataDir, clock: AnchoredClock, build: str) -> Recovered | None:
    """What an earlier run left; simulated venues forget theirs with the process, so mock mode begins anew."""
    if loaded.settings.mode is Mode.MOCK:
        return None
    recovered = recover(data.journal, engine_config(loaded.settings, clock.wall_ns()), build)
    if recovered is not None:
        clock.continue_from(recovered.now_ns, recovered.wall_ns)
    return recovered


async def _abandonable(function: Callable[[], T], /) -> T:
    """The last call of all: when it hangs, the process leaves without it."""
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


def _dead_man(parts: Assembly, heartbeat: Heartbeat, data: DataDir) -> DeadMan:
    token, watchdog = trio.lowlevel.current_trio_token(), parts.settings.watchdog

    def ask() -> None:
        token.run_sync_soon(parts.stop.ask, Stop.CRITICAL, "CRITICAL: the event loop was blocked")

    return DeadMan(
        heartbeat,
        max_stall_s=watchdog.max_stall_ms / 1e3,
        exit_grace_s=watchdog.exit_grace_s,
        stacks=data.logs / "errors.log",
        ask=ask,
    )


def _leave(code: int) -> Never:
    os._exit(code)
