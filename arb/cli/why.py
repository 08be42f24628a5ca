"""`arb why CONFIG`: why there was no trade, from the refusals that the engine recorded minute by minute.

Owns: reading `refusals.csv` (highest revision of a row) and its summary by pair, direction and reason.
Never: needs a running engine.
Units: bps; minutes are UTC in the table and in `--json`, KST (UTC+9) for people.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import msgspec
from rich.console import Console
from rich.table import Table as Grid

from arb.cli.settings import load_settings
from arb.domain.errors import ConfigError


@attrs.frozen(kw_only=True)
class RefusalSummary:
    """One line of the answer."""

    pair: str
    direction: str
    reason: str
    count: int
    minutes: int
    best_net_bps: float | None
    """Best net edge seen while this was the reason."""
    missed_bps: float | None
    """By how much it missed, at best."""
    last_minute: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb why config/live.toml --last 60"
    parser.add_argument("config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--mode", help="look at the data of this mode")
    parser.add_argument("--pair", help="only this pair")
    parser.add_argument("--last", type=int, metavar="MINUTES", help="only the last so many minutes that were recorded")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a key; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    """Print the summary; without any recorded refusal say so."""
    settings = load_settings(
        args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ
    ).settings
    path = Path(settings.data_dir.format(mode=settings.mode.value)) / "csv" / "refusals.csv"
    rows = summarise(_newest(path), args.pair, args.last)
    if args.json:
        sys.stdout.write(msgspec.json.encode([attrs.asdict(row) for row in rows]).decode() + "\n")
    elif not rows:
        sys.stdout.write(f"no refusals are recorded in {path}\n")
    else:
        Console().print(grid(rows))
    return 0


def _newest(path: Path) -> list[dict[str, str]]:
    """Rows of the table at their highest revision."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file; run the engine in this mode first")
    newest: dict[str, dict[str, str]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["id"] not in newest or int(row["rev"]) >= int(newest[row["id"]]["rev"]):
                newest[row["id"]] = row
    return list(newest.values())


def summarise(rows: Iterable[dict[str, str]], pair: str | None, last: int | None) -> list[RefusalSummary]:
    """Group by pair, direction and reason; most frequent first."""
    kept = [row for row in rows if pair is None or row["pair"] == pair]
    minutes = sorted({row["minute"] for row in kept})
    since = minutes[-last] if last and len(minutes) >= last else ""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in kept:
        if row["minute"] >= since:
            groups.setdefault((row["pair"], row["direction"], row["reason"]), []).append(row)
    found = [_summary(key, group) for key, group in groups.items()]
    return sorted(found, key=lambda row: (row.pair, -row.count, row.reason))


def _summary(key: tuple[str, str, str], group: list[dict[str, str]]) -> RefusalSummary:
    edges = [float(row["best_net_bps"]) for row in group if row["best_net_bps"] not in ("", "-inf", "inf", "nan")]
    missed = [float(row["missed_bps"]) for row in group if row["missed_bps"] not in ("", "-inf", "inf", "nan")]
    return RefusalSummary(
        pair=key[0],
        direction=key[1],
        reason=key[2],
        count=sum(int(row["count"]) for row in group),
        minutes=len({row["minute"] for row in group}),
        best_net_bps=max(edges, default=None),
        missed_bps=min(missed, default=None),
        last_minute=max(row["minute"] for row in group),
    )


def grid(rows: list[RefusalSummary]) -> Grid:
    """The answer as a table that fits 80 columns; only long reasons go on below."""
    table = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name in ("pair", "direction"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for name in ("count", "minutes", "best\nbps", "missed\nbps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last seen\nKST", no_wrap=True)
    for row in rows:
        numbers = (f"{row.count:,}", f"{row.minutes:,}", _bps(row.best_net_bps), _bps(row.missed_bps))
        table.add_row(row.pair, row.direction, row.reason, *numbers, kst_minute(row.last_minute))
    return table


def kst_minute(minute: str) -> str:
    """A minute of the table, as the clock on a wall in Seoul shows it."""
    return (datetime.fromisoformat(minute) + timedelta(hours=9)).strftime("%m-%d %H:%M")


def _bps(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
