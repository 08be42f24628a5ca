"""`arb run CONFIG`: the engine.

Owns: the arguments, and the step from a live run that may send nothing to a shadow run.
Never: trades; it starts a session and returns its exit code.
"""

from __future__ import annotations

import argparse
import os

from rich.console import Console

from arb.cli.arguments import add_config
from arb.cli.schema import Mode
from arb.cli.session import Wishes, run_session, told
from arb.cli.settings import load_settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb run config/live.toml --max-runtime 60"
    add_config(parser, mode="mock, paper, shadow or live")
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


def run(args: argparse.Namespace) -> int:
    """Run until something stops it; the exit code says what.

    A live run in which something is missing and nothing real is open sends nothing: it goes on as a shadow run, with a
    journal, ledger and namespace of its own.
    """
    flags = {"mode": args.mode, "data_source": args.data_source, "interval": args.interval}
    console = Console(highlight=False)
    wishes = Wishes(is_once=args.once, loops=args.loops, max_runtime_s=args.max_runtime)
    loaded = load_settings(args.config, overrides=args.overrides, flags=flags, environ=os.environ)
    ended = run_session(loaded, wishes, console, os.environ)
    if ended.missing:
        flags |= {"mode": Mode.SHADOW.value, "data_dir": shadow_dir(loaded.settings.data_dir)}
        loaded = load_settings(args.config, overrides=args.overrides, flags=flags, environ=os.environ)
        ended = run_session(loaded, wishes, console, os.environ, ended.missing)
    return told(ended, "run")


def shadow_dir(data_dir: str) -> str:
    """Where the shadow run of a live configuration keeps its things: never where the real ones are."""
    return data_dir if "{mode}" in data_dir else f"{data_dir}/shadow"
