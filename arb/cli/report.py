"""`arb report CONFIG`: what was earned and where it came from, read from the tables of a running or stopped engine.

Owns: the options, where the answer goes, and the exit code: 1 when something does not add.
Never: needs a running engine; writes into its folders.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

from rich.console import Console

from arb.cli.arguments import add_config
from arb.cli.reports.document import document, encoded, lines_as_csv
from arb.cli.reports.page import page
from arb.cli.reports.screen import show
from arb.cli.reports.sheets import Period, Sheets, elsewhere, sheets_of
from arb.cli.reports.statement import Statement, statement_of
from arb.cli.reports.tax import read_opening, tax_year
from arb.cli.reports.tax_document import show_year, year_csv, year_document
from arb.cli.schema import Settings
from arb.cli.settings import load_settings
from arb.domain.errors import ConfigError

DOES_NOT_ADD = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb report config/live.toml --since 2026-11-01 --html report.html"
    add_config(parser, mode="report the data of this mode", json="one JSON document")
    parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="first day, KST, like 2026-11-01")
    parser.add_argument("--until", type=date.fromisoformat, metavar="DATE", help="last day, KST, included")
    parser.add_argument("--pair", help="only this pair")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows to this file")
    parser.add_argument(
        "--tax", type=int, metavar="YEAR", help="facts for a Korean tax return instead: disposals by two methods"
    )
    parser.add_argument(
        "--opening", type=Path, metavar="FILE", help="with --tax: CSV asset,quantity,cost_krw held before the engine"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write one page with plots to this file")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 when its numbers do not add."""
    settings = load_settings(
        args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ
    ).settings
    if args.since is not None and args.until is not None and args.since > args.until:
        raise ConfigError(f"--since {args.since} is after --until {args.until}; exchange them")
    sheets = sheets_of(settings)
    if args.tax is None:
        if args.opening is not None:
            raise ConfigError("--opening: belongs to --tax YEAR; leave it out or add the year")
        return _pnl(args, settings, sheets)
    return _tax(args, settings, sheets)


def _tax(args: argparse.Namespace, settings: Settings, sheets: Sheets) -> int:
    for name in ("since", "until", "pair", "html"):
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name}: --tax is about a whole year and every pair, on screen, --csv or --json")
    opening = read_opening(args.opening)
    with Console(stderr=True).status("reading the tables"):
        found = tax_year(sheets, args.tax, mode=settings.mode.value, opening=opening)
    if args.csv is not None:
        written(args.csv, year_csv(found))
    if args.json:
        sys.stdout.write(encoded(year_document(found)))
    elif found.first is None:
        sys.stdout.write(f"no trades yet in {sheets.folder}{elsewhere(settings)}\n")
    else:
        show_year(_console(), found)
    return 0


def _pnl(args: argparse.Namespace, settings: Settings, sheets: Sheets) -> int:
    period = Period(args.since, args.until)
    with Console(stderr=True).status("reading the tables"):
        statement = statement_of(sheets, mode=settings.mode.value, period=period, pair=args.pair)
    if args.csv is not None:
        written(args.csv, lines_as_csv(statement))
    if args.html is not None:
        written(args.html, page(statement))
    if args.json:
        sys.stdout.write(encoded(document(statement)))
    elif not (statement.total.turnover_krw or statement.results or statement.opened or statement.faults):
        sys.stdout.write(f"no trades yet in {sheets.folder}, {statement.period}{_hint(settings, sheets)}\n")
    else:
        show(_console(), statement)
    return _code(statement)


def _hint(settings: Settings, sheets: Sheets) -> str:
    return elsewhere(settings) if sheets.is_empty else "; arb why tells what stood in the way"


def _code(statement: Statement) -> int:
    return DOES_NOT_ADD if statement.faults else 0


def _console() -> Console:
    """As wide as the terminal; whole lines for a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def written(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; name another file") from error
