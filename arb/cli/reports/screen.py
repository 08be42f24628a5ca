"""A statement on a terminal.

Owns: how numbers look to a person: KRW in whole won, USDT in cents, thousands apart, right under each other.
Never: rounds what it adds; every sum was made of exact values before.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

from rich.console import Console
from rich.table import Table as Grid

from arb.cli.reports.results import COMPONENTS
from arb.cli.reports.sheets import kst_text
from arb.cli.reports.statement import PnlLine, Statement
from arb.state.attribution import Attribution

HEADINGS = ("spread", "slippage", "fees", "funding", "fx", "rounding", "total")
ACTIVITY = ("closed", "won", "win rate", "avg held", "turnover KRW", "captured KRW")
NINE_DIGITS = Context(prec=9)
NEWEST = 12
"""So many incidents are shown; the page and `--json` have all."""
WORST = 8
"""So many refusals are shown; `arb why` has all."""


def show(console: Console, statement: Statement) -> None:
    """Print everything, most wanted first."""
    until = f", newest row {kst_text(statement.until)} KST" if statement.until is not None else ""
    console.print(f"{statement.mode}, {statement.period}{until}", highlight=False, soft_wrap=True)
    console.print(f"{statement.folder}\n", highlight=False, soft_wrap=True, style="dim")
    for name, parts_name in (("KRW", "krw"), ("USDT", "usdt")):
        put(console, pnl_grid(statement, name, parts_name))
        console.print()
    put(console, activity_grid(statement))
    for grid in (opened_grid(statement), incidents_grid(statement), refusals_grid(statement), account_grid(statement)):
        if grid.row_count:
            console.print()
            put(console, grid)
    for remark in remarks(statement):
        console.print(remark, highlight=False, soft_wrap=True, markup=False)
    for note in statement.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True, markup=False)
    for fault in statement.faults:
        console.print(f"ERROR: {fault}", highlight=False, soft_wrap=True, markup=False, style="bold red")


def put(console: Console, grid: Grid) -> None:
    """Print a table closer together where it does not fit, and beyond the edge rather than without a digit."""
    edge, everything = console.width, console.options.update(max_width=10_000)
    if console.measure(grid, options=everything).maximum > edge:
        grid.padding = (0, 1, 0, 0)
    console.width = max(console.measure(grid, options=everything).maximum, edge)
    console.print(grid, crop=False, overflow="ignore")
    console.width = edge


def remarks(statement: Statement) -> list[str]:
    """What a reader should know besides: coins that no position holds, and how the numbers were put together."""
    left = [
        f"left over on {item.pair}/{item.leg}: {plain_number(item.qty)} at a cost of {item.cost:,.2f} "
        f"{'KRW' if item.leg == 'a' else 'USDT'}"
        for item in statement.left_over
    ]
    return [*left, *statement.remarks]


def pnl_grid(statement: Statement, currency: str, name: str) -> Grid:
    """PnL by day and pair, then by pair, then in all."""
    grid = grid_of(f"PnL, {currency}", ("day KST", "pair"), HEADINGS)
    decimals = 0 if currency == "KRW" else 2
    blocks = [statement.lines, statement.pairs if len(statement.pairs) > 1 else (), (statement.total,)]
    for block in (block for block in blocks if block):
        for line in block:
            parts: Attribution = getattr(line, name)
            cells = [amount(getattr(parts, part), decimals) for part in (*COMPONENTS, "total")]
            grid.add_row(line.day or "all", line.pair or "all", *cells)
        grid.add_section()
    return grid


def activity_grid(statement: Statement) -> Grid:
    """How often, how well, how long, how much."""
    grid = grid_of("Trades", ("day KST", "pair"), ACTIVITY)
    for line in (*statement.lines, statement.total):
        grid.add_row(line.day or "all", line.pair or "all", *activity(line))
    return grid


def activity(line: PnlLine) -> tuple[str, ...]:
    """Counts of a line as text."""
    rate = f"{line.win_rate:.1%}" if line.win_rate is not None else "–"
    caught = amount(line.captured_krw, 0) if line.captured_krw else "–"
    turnover = amount(line.turnover_krw, 0, sign="")
    return str(line.trades), str(line.wins), rate, duration(line.avg_held_s), turnover, caught


def opened_grid(statement: Statement) -> Grid:
    """Open positions at their marks, one line per leg."""
    words = ("pair", "direction", "leg", "since KST", "marked")
    grid = grid_of("Open, at mids and mark prices", words, ("qty", "entry", "mark", "marked KRW"))
    for line in statement.opened:
        since = kst_text(line.opened)[5:16] if line.opened is not None else "–"
        at = kst_text(line.marked)[11:] if line.marked is not None else "–"
        marked = amount(line.krw.total, 0) if line.krw is not None else "–"
        first = (line.qty_a, shown_price(line.entry_price_a), shown_price(line.mark_price_a))
        second = (line.qty_b, shown_price(line.entry_price_b), shown_price(line.mark_price_b))
        grid.add_row(line.pair, line.direction, "A", since, at, *map(plain_number, first), marked)
        grid.add_row("", "", "B", "", "", *map(plain_number, second), "")
    return grid


def incidents_grid(statement: Statement) -> Grid:
    """The newest incidents, and what all of them cost."""
    grid = grid_of("Incidents (their cost is part of the PnL)", ("opened KST", "pair", "kind", "end"), ("cost KRW",))
    for line in statement.incidents[-NEWEST:]:
        opened = kst_text(line.opened) if line.opened is not None else "–"
        grid.add_row(opened, line.pair, line.kind, line.resolution, cost(line.cost_krw))
    if statement.incidents:
        grid.add_section()
        grid.add_row(f"all {len(statement.incidents)}", "", "", "", cost(statement.incident_cost_krw))
    return grid


def refusals_grid(statement: Statement) -> Grid:
    """The most frequent refusals."""
    grid = grid_of("Refusals (arb why has all)", ("pair", "reason"), ("count", "best bps", "missed bps"))
    for row in sorted(statement.refusals, key=lambda item: -item.count)[:WORST]:
        grid.add_row(row.pair, row.reason, f"{row.count:,}", _bps(row.best_net_bps), _bps(row.missed_bps))
    return grid


def account_grid(statement: Statement) -> Grid:
    """The newest reading of the whole account."""
    grid = grid_of("Account, newest reading", ("part",), ("KRW", "USDT"))
    for line in statement.account[-1:]:
        for part, krw in line.krw.items():
            grid.add_row(part.replace("_", " "), amount(krw, 0, sign=""), amount(line.usdt[part], 2, sign=""))
    return grid


def grid_of(title: str, words: Iterable[str], numbers: Iterable[str]) -> Grid:
    """An empty table: words to the left, numbers to the right."""
    grid = Grid(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False,
        header_style="dim",
    )  # fmt: skip
    for word in words:
        grid.add_column(word, no_wrap=True)
    for name in numbers:
        grid.add_column(name, justify="right", no_wrap=True)
    return grid


def amount(value: Decimal | None, decimals: int, *, sign: str = "+") -> str:
    """An amount rounded for the eye, thousands apart; zero without a sign."""
    if value is None:
        return "–"
    shown = f"{value:,.{decimals}f}"
    if not shown.strip("-0.,"):
        return shown.lstrip("-")
    return f"{value:{sign},.{decimals}f}"


def plain_number(value: Decimal | None) -> str:
    """Every digit that counts."""
    if value is None:
        return "–"
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cost(krw: Decimal | None) -> str:
    """A cost in whole won: what an incident brought stands with a minus, and is no loss."""
    return amount(krw, 0, sign="").replace("-", "−")


def shown_price(value: Decimal | None) -> Decimal | None:
    """A price or an average of prices, to nine digits."""
    return NINE_DIGITS.plus(value) if value is not None else None


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _bps(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
