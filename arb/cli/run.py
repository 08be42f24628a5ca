"""`arb run CONFIG`: the engine.

Owns: the arguments, the banner, signals, and the way from a reason to an exit code.
Never: trades; it puts the parts together and lets them run.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Never, TypeVar

import trio
from rich.console import Console

from arb.cli.assembly import Assembly
from arb.cli.banner import banner_facts
from arb.cli.build import build_name, new_run_id
from arb.cli.console import banner, show_status
from arb.cli.data_dir import DataDir, locked_data_dir
from arb.cli.ending import ending
from arb.cli.evaluation import Evaluations, explain
from arb.cli.lineup import foundations, stop_after, trading_tasks
from arb.cli.observers import observers
from arb.cli.settings import Loaded, load_settings
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


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb run config/live.toml --max-runtime 60"
    parser.add_argument("config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--mode", help="mock or paper")
    parser.add_argument(
        "--once",
        action="store_true",
        help="wait until the feeds are ready, evaluate once, say what was decided and why, stop",
    )
    parser.add_argument(
        "--loops", type=int, metavar="N", help="stop after so many evaluations at the tick of the interval"
    )
    parser.add_argument("--interval", type=float, metavar="S", help="seconds between two evaluations")
    parser.add_argument("--max-runtime", type=float, metavar="S", help="stop after so many seconds")
    parser.add_argument("--data-source", choices=("ws", "rest"), help="how books are filled")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a key; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Run until something stops it; the exit code says what."""
    flags = {"mode": args.mode, "data_source": args.data_source, "interval": args.interval}
    loaded = load_settings(args.config, overrides=args.overrides, flags=flags, environ=os.environ)
    settings = loaded.settings
    console = Console(highlight=False)
    secrets = [word for venue in settings.venues.values() for word in (venue.key, venue.secret) if word]
    with locked_data_dir(Path(settings.data_dir.format(mode=settings.mode.value))) as data:
        directory = Path(settings.logging.dir) if settings.logging.dir else data.logs
        with open_logs(
            directory,
            level=settings.logging.level,
            as_json=settings.logging.json,
            secrets=secrets,
            console_level=logging.ERROR,
            faults=data.faults,
        ):
            reason = trio.run(_main, loaded, args, data, console)
    if reason.stop is not Stop.GRACEFUL:
        sys.stderr.write(f"arb run: {reason.text}\n")
    return reason.stop.exit_code


async def _main(loaded: Loaded, args: argparse.Namespace, data: DataDir, console: Console) -> Reason:
    """Put the parts together and run them."""
    parts = _assembled(loaded, data, console)
    heartbeat = Heartbeat()
    dead_man = _dead_man(parts, heartbeat, data)
    banner(console, banner_facts(loaded, parts))
    dead_man.start()
    try:
        reason = await supervise(_plan(parts, args, console, heartbeat, dead_man))
    finally:
        dead_man.end()
    if args.once and reason.stop is Stop.GRACEFUL:
        explain(console, parts.engine)
    if reason.stop is not Stop.MISCONFIGURED:
        console.print(f"stopped: {reason.text}; {parts.sight.summary()}", soft_wrap=True)
    return reason


def _plan(parts: Assembly, args: argparse.Namespace, console: Console, heartbeat: Heartbeat, dead_man: DeadMan) -> Plan:
    def trading() -> Sequence[Named]:
        show = partial(show_status, console, parts.sight.view, parts.sight.uptime_s, lambda: parts.sight.level.value)
        tasks = [Named(name="console", run=show)]
        if args.max_runtime is not None:
            tasks.append(Named(name="time limit", run=partial(stop_after, parts, args.max_runtime)))
        return [*tasks, *trading_tasks(parts, _evaluations(parts, args), heartbeat, sampler())]

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


def _evaluations(parts: Assembly, args: argparse.Namespace) -> Evaluations:
    return Evaluations(
        parts.engine,
        parts.drain,
        parts.sight,
        parts.stop,
        parts.around.clock,
        limit=1 if args.once else args.loops,
        must_be_ready=args.once or args.loops is not None,
        ready_within_s=parts.settings.watchdog.startup_grace_s,
    )


def _assembled(loaded: Loaded, data: DataDir, console: Console) -> Assembly:
    clock = AnchoredClock()
    around = Surroundings(
        clock=clock,
        dialer=SocketDialer(),
        writer=ThreadWriter(trio.lowlevel.current_trio_token().run_sync_soon),
        run_thread=thread_runner(),
        run_last=_abandonable,
        sync=os.fdatasync,
        random=SystemRandom(),
        run_id=new_run_id(clock.wall_ns()),
        build=build_name(),
    )
    watching = observers(loaded.settings, clock, run_id=around.run_id, build=around.build, console=console)
    return Assembly(settings=loaded.settings, data=data, around=around, watching=watching)


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
