"""A statement as one page of HTML that needs nothing else: no network, no script, light and dark.

Owns: the page, its style and which plots stand on it.
Never: shows a number that the tables beside the plots do not give.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Final

from arb.cli.reports.plots import histogram, scatter, stacked_bars, step_plot
from arb.cli.reports.results import COMPONENTS, PairResult
from arb.cli.reports.screen import ACTIVITY, HEADINGS, activity, amount, cost, plain_number, remarks, shown_price
from arb.cli.reports.sheets import KST, kst_text
from arb.cli.reports.statement import PnlLine, Statement
from arb.domain.money import EXACT

SHOWN: Final = 500
"""So many closed positions are listed, the newest; the plots and the sums have all."""

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#6a737d;--paper:#fff;--card:#f6f8fa;--rule:#d8dee4;--won:#1a7f4b;
--lost:#c2382f;--c0:#3b6fd4;--c1:#8a63d2;--c2:#d9822b;--c3:#1f9e8f;--c4:#c2477f;--c5:#8b949e}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#8d96a0;--paper:#0d1117;--card:#161b22;--rule:#30363d;
--won:#3fb972;--lost:#f0695e;--c0:#6c9bf5;--c1:#b08cf0;--c2:#eda552;--c3:#4fc3b4;--c4:#e679a8;--c5:#8b949e}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:28px 20px 60px;background:var(--paper);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans KR",sans-serif}
h1{font-size:22px;margin:0 0 2px}h2{font-size:15px;margin:30px 0 8px}.sub{color:var(--dim);margin:0 0 18px;
overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:10px}
@media (max-width:640px){.tiles{grid-template-columns:1fr 1fr}}
.tile,figure{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 14px;margin:0}
.tile b{display:block;font-size:19px;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.tile span,figcaption,th{color:var(--dim);font-weight:500}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:14px}
figcaption{margin-bottom:6px}svg{width:100%;height:auto;display:block}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}
th.n,td.n{text-align:right}tr.sum td{font-weight:600;border-top:2px solid var(--rule)}
td.won{color:var(--won)}td.lost{color:var(--lost)}.none,.remark{color:var(--dim)}
.bad{border-left:4px solid var(--lost);padding:6px 12px;margin:6px 0;background:var(--card)}
.note{border-left:4px solid var(--c2);padding:6px 12px;margin:6px 0;background:var(--card)}
.key{display:inline-block;margin-right:14px}.key i{display:inline-block;width:10px;height:10px;border-radius:2px;
margin-right:5px}
.grid{stroke:var(--rule);stroke-width:1}.zero{stroke:var(--dim);stroke-width:1}.tick,.unit{fill:var(--dim);font-size:13px}
.last{fill:var(--ink);font-size:14px;font-weight:600}.line{fill:none;stroke:var(--c0);stroke-width:2}
.area{fill:var(--c0);opacity:.14}.sum{stroke:var(--ink);stroke-width:2}
rect.won,circle.won{fill:var(--won)}rect.lost,circle.lost{fill:var(--lost)}circle{opacity:.75}
.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}
"""


def page(statement: Statement) -> str:
    """The whole page."""
    until = f", newest row {kst_text(statement.until)} KST" if statement.until is not None else ""
    blocks = [
        f"<h1>arb report · {escape(statement.mode)}</h1>",
        f'<p class="sub">{escape(statement.period)}{until} · {escape(statement.folder)}</p>',
        "".join(f'<p class="bad">ERROR: {escape(fault)}</p>' for fault in statement.faults),
        "".join(f'<p class="note">{escape(note)}</p>' for note in statement.notes),
        tiles(statement),
        "".join(f'<p class="remark">{escape(remark)}</p>' for remark in remarks(statement)),
        plots(statement),
        *(_pnl(statement, currency) for currency in ("KRW", "USDT")),
        _activity(statement),
        _opened(statement),
        _incidents(statement),
        _refusals(statement),
        _account(statement),
        _positions(statement.results),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>arb report · {escape(statement.mode)} · {escape(statement.period)}</title>"
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(block for block in blocks if block) + "\n</body></html>\n"
    )


def tiles(statement: Statement) -> str:
    """The numbers that are looked for first."""
    total = statement.total
    closed, won, rate, held, turnover, _ = activity(total)
    shown = (
        ("PnL, KRW", amount(total.krw.total, 0)), ("PnL, USDT", amount(total.usdt.total, 2)),
        ("closed · won", f"{closed} · {won}"), ("win rate", rate), ("average held", held),
        ("turnover, KRW", turnover), ("open now", str(len(statement.opened))),
        ("incidents", f"{len(statement.incidents)}"),
    )  # fmt: skip
    cells = "".join(f'<div class="tile"><span>{name}</span><b>{escape(text)}</b></div>' for name, text in shown)
    return f'<div class="tiles">{cells}</div>'


def plots(statement: Statement) -> str:
    """Four plots of the period."""
    trades = [result for result in statement.results if result.is_trade]
    days = sorted({line.day for line in statement.lines})
    series = {
        heading: [_sum_of(statement.lines, day, name) for day in days]
        for heading, name in zip(HEADINGS, COMPONENTS, strict=False)
    }
    keys = "".join(
        f'<span class="key"><i class="k{number}" style="background:var(--c{number})"></i>{name}</span>'
        for number, name in enumerate(series)
    )
    figures = (
        ("PnL so far, KRW", _cumulative(statement.results)),
        (f"PnL by component and day, KRW; the bar across is the total<br>{keys}", stacked_bars(days, series, "KRW")),
        ("Result of each trade, bps", histogram([r.bps for r in trades if r.bps is not None], "bps")),
        ("Spread at entry and at exit, bps", _spreads(trades)),
    )
    return (
        '<h2>Plots</h2><div class="plots">'
        + "".join(f"<figure><figcaption>{name}</figcaption>{plot}</figure>" for name, plot in figures)
        + "</div>"
    )


def _cumulative(results: Sequence[PairResult]) -> str:
    times, values, total = [], [], Decimal(0)
    for result in results:
        total = EXACT.add(total, result.krw.total)
        times.append(result.closed.timestamp())
        values.append(float(total))
    is_one_day = len({result.day for result in results}) == 1
    form = "%H:%M" if is_one_day else "%m-%d %H:%M"
    return step_plot(times, values, lambda at: f"{datetime.fromtimestamp(at, UTC).astimezone(KST):{form}}", "KRW")


def _spreads(trades: Sequence[PairResult]) -> str:
    points = [
        (
            r.entry_spread_bps,
            r.exit_spread_bps,
            f"{r.pair} {kst_text(r.closed)}: {amount(r.krw.total, 0)} KRW",
            r.krw.total > 0,
        )
        for r in trades
        if r.entry_spread_bps is not None and r.exit_spread_bps is not None
    ]
    return scatter(points, "at entry, bps", "at exit, bps")


def _sum_of(lines: Iterable[PnlLine], day: str, name: str) -> float:
    return float(sum(getattr(line.krw, name) for line in lines if line.day == day))


def _pnl(statement: Statement, currency: str) -> str:
    decimals, name = (0, "krw") if currency == "KRW" else (2, "usdt")
    rows: list[tuple[str, Sequence[str]]] = []
    blocks = [statement.lines, statement.pairs if len(statement.pairs) > 1 else ()]
    for line in (*blocks[0], *blocks[1], statement.total):
        parts = getattr(line, name)
        cells = [amount(getattr(parts, part), decimals) for part in (*COMPONENTS, "total")]
        rows.append(("sum" if not line.day else "", (line.day or "all", line.pair or "all", *cells)))
    return _table(f"PnL by day and pair, {currency}", ("day KST", "pair"), HEADINGS, rows)


def _activity(statement: Statement) -> str:
    rows = [
        ("sum" if not line.day else "", (line.day or "all", line.pair or "all", *activity(line)))
        for line in (*statement.lines, statement.total)
    ]
    return _table("Trades", ("day KST", "pair"), ACTIVITY, rows)


def _opened(statement: Statement) -> str:
    rows = []
    for line in statement.opened:
        numbers = (line.qty_a, *map(shown_price, (line.entry_price_a, line.mark_price_a)),
                   *map(shown_price, (line.entry_price_b, line.mark_price_b)))  # fmt: skip
        marked = amount(line.krw.total, 0) if line.krw is not None else "–"
        times = (kst_text(at) if at is not None else "–" for at in (line.opened, line.marked))
        words = (line.pair, line.direction, *times)
        rows.append(("", (*words, *map(plain_number, numbers), marked)))
    numbers_of = ("qty", "entry A", "mark A", "entry B", "mark B", "marked KRW")
    return _table("Open, at mids and mark prices", ("pair", "direction", "since KST", "marked KST"), numbers_of, rows)


def _incidents(statement: Statement) -> str:
    rows = [
        ("", (kst_text(line.opened) if line.opened is not None else "–", line.pair, line.kind, line.resolution,
              cost(line.cost_krw)))
        for line in statement.incidents
    ]  # fmt: skip
    if rows:
        rows.append(("sum", (f"all {len(statement.incidents)}", "", "", "", cost(statement.incident_cost_krw))))
    words = ("opened KST", "pair", "kind", "end")
    return _table("Incidents (their cost is part of the PnL)", words, ("cost KRW",), rows)


def _refusals(statement: Statement) -> str:
    rows = [
        ("", (row.pair, row.direction, row.reason, f"{row.count:,}",
              *("–" if bps is None else f"{bps:.2f}" for bps in (row.best_net_bps, row.missed_bps))))
        for row in statement.refusals
    ]  # fmt: skip
    return _table("Refusals", ("pair", "direction", "reason"), ("count", "best bps", "missed bps"), rows)


def _account(statement: Statement) -> str:
    rows = [
        (
            "sum" if part == "equity" else "",
            (part.replace("_", " "), amount(krw, 0, sign=""), amount(line.usdt[part], 2, sign="")),
        )
        for line in statement.account[-1:]
        for part, krw in line.krw.items()
    ]
    return _table("Account, newest reading", ("part",), ("KRW", "USDT"), rows)


def _positions(results: Sequence[PairResult]) -> str:
    rows = []
    for result in list(reversed(results))[:SHOWN]:
        bps = "–" if result.bps is None else f"{result.bps:+.2f}"
        words = (kst_text(result.closed), result.pair, result.direction, result.reason)
        numbers = (plain_number(result.qty) if result.is_trade else "–", bps, amount(result.krw.total, 0))
        rows.append(("", (*words, *numbers, amount(result.usdt.total, 2))))
    title = f"Closed positions, newest first{f' ({SHOWN} of {len(results)})' if len(results) > SHOWN else ''}"
    return _table(title, ("closed KST", "pair", "direction", "reason"), ("qty", "bps", "KRW", "USDT"), rows)


def _table(title: str, words: Sequence[str], numbers: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table with its numbers to the right; empty: no rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in words) + "".join(f'<th class="n">{name}</th>' for name in numbers)
    lines = []
    for style, cells in rows:
        found = [f"<td>{escape(cell)}</td>" for cell in cells[: len(words)]]
        found += [f'<td class="{_number_style(cell)}">{escape(cell)}</td>' for cell in cells[len(words) :]]
        lines.append(f'<tr class="{style}">' + "".join(found) + "</tr>")
    return (
        f'<h2>{escape(title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _number_style(cell: str) -> str:
    return {"+": "n won", "-": "n lost"}.get(cell[:1], "n")
