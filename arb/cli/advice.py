"""`arb advice CONFIG`: which balances have drifted, and what a person would move where, as the engine last saw them.

Owns: the words on the screen.
Never: moves anything, needs a running engine, or disturbs one: the journal is read and left alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import msgspec
import trio

from arb.cli.arguments import add_config
from arb.cli.build import build_name
from arb.cli.engine_config import engine_config
from arb.cli.recovery import Recovered, recover
from arb.cli.settings import Loaded, load_settings
from arb.domain.errors import ConfigError
from arb.engine import EngineConfig
from arb.engine.advising import Advice, advice_of, spoken
from arb.supervision.clock import AnchoredClock


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb advice config/live.toml"
    add_config(parser, mode="look at the data of this mode", json="one JSON document")
    parser.add_argument("--pair", help="only this pair")


def run(args: argparse.Namespace) -> int:
    """Print the advice; where no balance has drifted say so."""
    loaded = load_settings(args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ)
    config, recovered = trio.run(_last_seen, loaded)
    found = tuple(item for item in advice_of(recovered.memory, config) if args.pair in (None, item.pair))
    if args.json:
        body = {"as_of_ns": recovered.wall_ns, "advice": [attrs.asdict(item) for item in found]}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        return 0
    as_of = datetime.fromtimestamp(recovered.wall_ns / 1e9, UTC) + timedelta(hours=9)
    sys.stdout.write(f"balances as of {as_of:%Y-%m-%d %H:%M:%S} KST\n")
    for line in lines(found) or ["no balance has drifted: nothing to move"]:
        sys.stdout.write(f"{line}\n")
    return 0


def lines(found: tuple[Advice, ...]) -> list[str]:
    """A sentence for each movement, and under it what to look at first."""
    told: list[str] = []
    for item in found:
        told += (f"{item.pair}: {spoken(item)}", *(f"  - {note}" for note in item.notes))
    return told


async def _last_seen(loaded: Loaded) -> tuple[EngineConfig, Recovered]:
    """What the newest run knew.

    Raises:
        ConfigError: nothing has run here yet.
        UnsafeToTrade: the journal cannot be believed.
    """
    settings = loaded.settings
    journal = Path(settings.data_dir.format(mode=settings.mode.value)) / "journal"
    config = engine_config(settings, AnchoredClock().wall_ns())
    recovered = recover(journal, config, build_name())
    if recovered is None:
        raise ConfigError(f"{journal}: there is no journal; run the engine in this mode first")
    return config, recovered
