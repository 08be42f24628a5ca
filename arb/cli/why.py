"""`arb why CONFIG`: why there was no trade, from the refusals that the engine recorded minute by minute.

Owns: the summary of `refusals.csv` by pair, direction and reason, and the entry that came closest.
Never: needs a running engine.
Units: bps; minutes are UTC in the table and in `--json`, KST (UTC+9) for people.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs
import msgspec
from rich.console import Console
from rich.table import Table as Grid

from arb.cli.arguments import add_config
from arb.cli.reports.sheets import Row, elsewhere, measure, sheets_of
from arb.cli.settings import load_settings
from arb.domain.effects import Table


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
    best_minute: str = ""
    """When the best net edge was seen; empty without one."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb why config/live.toml --last 60"
    add_config(parser, mode="look at the data of this mode", json="one JSON document")
    parser.add_argument("--pair", help="only this pair")
    parser.add_argument("--last", type=int, metavar="MINUTES", help="only the last so many minutes that were recorded")


def run(args: argparse.Namespace) -> int:
    """Print the summary; without any recorded refusal say so."""
    settings = load_settings(
        args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ
    ).settings
    sheets = sheets_of(settings)
    rows = summarise(sheets.rows(Table.REFUSALS), args.pair, args.last)
    if args.json:
        sys.stdout.write(msgspec.json.encode([attrs.asdict(row) for row in rows]).decode() + "\n")
    elif not rows:
        sys.stdout.write(f"no refusals are recorded in {sheets.folder}{elsewhere(settings)}\n")
    else:
        console = Console()
        console.print(grid(rows))
        console.print(closest(rows), soft_wrap=True, highlight=False)
    return 0


def summarise(rows: Iterable[Row], pair: str | None, last: int | None) -> list[RefusalSummary]:
    """Group by pair, direction and reason; most frequent first."""
    kept = [row for row in rows if pair is None or row["pair"] == pair]
    minutes = sorted({row["minute"] for row in kept})
    since = minutes[-last] if last and len(minutes) >= last else ""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in kept:
        if row["minute"] >= since:
            groups.setdefault((row["pair"], row["direction"], row["reason"]), []).append(row)
    found = [_summary(key, group) for key, group in groups.items()]
    return sorted(found, key=lambda row: (row.pair, -row.count, row.reason))


def closest(rows: Iterable[RefusalSummary]) -> str:
    """The refused entry that came nearest to its threshold, in a sentence."""
    near = [row for row in rows if row.missed_bps]
    if not near:
        return "no refused edge was below its threshold: what stood in the way is the reason itself"
    best = min(near, key=lambda row: row.missed_bps or 0.0)
    return (
        f"closest: {best.pair} {best.direction} {_bps(best.best_net_bps)} bps at {kst_minute(best.best_minute)} KST, "
        f"{best.missed_bps:.2f} bps short ({best.reason})"
    )


def _summary(key: tuple[str, str, str], group: list[Row]) -> RefusalSummary:
    edges = [(edge, row["minute"]) for row in group if (edge := measure(row, "best_net_bps")) is not None]
    missed = [gap for row in group if (gap := measure(row, "missed_bps")) is not None]
    best = max(edges, default=None)
    return RefusalSummary(
        pair=key[0],
        direction=key[1],
        reason=key[2],
        count=sum(int(row["count"]) for row in group),
        minutes=len({row["minute"] for row in group}),
        best_net_bps=best[0] if best is not None else None,
        missed_bps=min(missed, default=None),
        last_minute=max(row["minute"] for row in group),
        best_minute=best[1] if best is not None else "",
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
