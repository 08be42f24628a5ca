"""`arb bench`: the project's own benchmarks on this machine, medians and p99, one document.

Owns: the choice of measures, the machine's description, and how results are shown.
Never: judges; targets and what others reach are compared by `tools/bench.py`.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import ssl
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from arb import __version__
from arb.cli.measures import decode, engine, feed, orders, process
from arb.cli.measures.timing import BenchResult, Effort, Measure
from arb.domain.errors import ConfigError

ROW_WIDTH: Final = 130
"""Rows are not cut where the terminal is narrower."""
LIBRARIES: Final = ("trio", "msgspec", "attrs", "httpx", "h11", "wsproto")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb bench --only decode --json"
    parser.add_argument("--json", action="store_true", help="one JSON document: the machine and the results")
    parser.add_argument("--only", metavar="PREFIX", default="", help="only names that begin so: feed/latency")
    parser.add_argument("--quick", action="store_true", help="fewer samples: some 20 s in all, not 3 minutes")
    parser.add_argument("--list", action="store_true", help="the names, and nothing measured")
    parser.add_argument(
        "--config", type=Path, default=Path("config/live.toml"), metavar="FILE",
        help="the configuration that engine and process are measured with (config/live.toml)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure one after the other; progress on stderr."""
    chosen = [
        measure for measure in all_measures(args.config) if any(name.startswith(args.only) for name in measure.names)
    ]
    if not chosen:
        known = sorted({name.partition("/")[0] for measure in all_measures(args.config) for name in measure.names})
        raise ConfigError(f"--only {args.only}: no measure begins so; they begin with {', '.join(known)}")
    if args.list:
        sys.stdout.write(
            "".join(f"{name}\n" for measure in chosen for name in measure.names if name.startswith(args.only))
        )
        return 0
    results = [found for found in _measured(chosen, Effort(is_quick=args.quick)) if found.name.startswith(args.only)]
    if args.json:
        document = {"machine": machine(), "results": [found.as_row() for found in results]}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        Console().print(_grid(results), crop=False, width=ROW_WIDTH)
    return 0


def all_measures(config: Path) -> list[Measure]:
    """Everything that can be measured, in the order in which it is."""
    return [
        *decode.measures(), *engine.measures(config), *feed.measures(config), *orders.measures(config),
        *process.measures(config),
    ]  # fmt: skip


def _measured(chosen: list[Measure], effort: Effort) -> list[BenchResult]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results: list[BenchResult] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        for measure in chosen:
            progress.update(task, description=measure.names[0])
            gc.collect()
            results += measure.run(effort)
            progress.advance(task)
    return results


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "load_1m": round(os.getloadavg()[0], 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": ssl.OPENSSL_VERSION,
        "arb": __version__,
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(named, platform.processor())


def _grid(results: Iterable[BenchResult]) -> Grid:
    grid = Grid("name", "median", "p99", "unit", "n", "ratio", "of", box=None)
    for column in grid.columns:
        column.no_wrap = column.header != "of"
        column.min_width = None if column.header == "of" else len(str(column.header))
        column.justify = "right" if column.header in ("median", "p99", "n", "ratio") else "left"
    for found in results:
        ratio = f"{found.ratio:.2f}" if found.reference else ""
        grid.add_row(
            found.name, _short(found.median), _short(found.p99), found.unit, str(found.n), ratio, found.reference
        )
    return grid


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
