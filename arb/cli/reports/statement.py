"""One statement of a period: results by day and pair, what is open, incidents, refusals, and whether all of it adds.

Owns: the grouping, and totals that are sums of the rows shown.
Never: shows a total that its rows do not give.
Units: KRW and USDT as named; days in Seoul; turnover in KRW, each fill at its own FX mid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import attrs

from arb.cli.reports.executions import ZERO, Execution, execution_of, funding_of
from arb.cli.reports.open_positions import (
    AccountLine,
    OpenLine,
    account_faults,
    account_lines,
    account_notes,
    open_line,
)
from arb.cli.reports.results import (
    NOTHING,
    LeftOver,
    PairResult,
    Remainders,
    added,
    by_position,
    faults_of,
    funding_by_position,
    result_of,
    retained,
)
from arb.cli.reports.sheets import Period, Row, Sheets, kst_day, moment, number
from arb.cli.why import RefusalSummary, summarise
from arb.domain.effects import Table
from arb.domain.money import EXACT, exact_sum
from arb.state.attribution import Attribution


@attrs.frozen(kw_only=True)
class PnlLine:
    """What one day of one pair (or a pair, or all) brought."""

    day: str
    pair: str
    trades: int = 0
    """Positions closed."""
    wins: int = 0
    held_s: float = 0.0
    """Sum of the durations of closed positions."""
    turnover_krw: Decimal = ZERO
    captured_krw: Decimal = ZERO
    """What trades of inventory caught when they were made; realised when their loop is closed."""
    krw: Attribution = NOTHING
    usdt: Attribution = NOTHING

    @property
    def win_rate(self) -> float | None:
        """Winning share of closed positions; None without any."""
        return self.wins / self.trades if self.trades else None

    @property
    def avg_held_s(self) -> float | None:
        """Mean duration of closed positions; None without any."""
        return self.held_s / self.trades if self.trades else None


Key = tuple[str, str]
"""Day and pair; empty: all of them."""


@attrs.frozen
class Dated:
    """An amount with what it is grouped by."""

    day: str
    pair: str
    krw: Decimal


@attrs.frozen
class Amounts:
    """What is summed beside the results."""

    turnover: tuple[Dated, ...]
    captured: tuple[Dated, ...]


@attrs.frozen(kw_only=True)
class IncidentLine:
    """One incident; its cost is part of the results above."""

    pair: str
    kind: str
    opened: datetime | None
    closed: datetime | None
    resolution: str
    cost_krw: Decimal | None


@attrs.frozen(kw_only=True)
class Statement:
    """Everything a report shows."""

    mode: str
    folder: str
    period: str
    until: datetime | None
    """The newest moment in the tables that were read."""
    lines: tuple[PnlLine, ...]
    """By day and pair."""
    pairs: tuple[PnlLine, ...]
    total: PnlLine
    results: tuple[PairResult, ...]
    opened: tuple[OpenLine, ...]
    account: tuple[AccountLine, ...]
    incidents: tuple[IncidentLine, ...]
    incident_cost_krw: Decimal
    refusals: tuple[RefusalSummary, ...]
    left_over: tuple[LeftOver, ...]
    remarks: tuple[str, ...]
    """What a reader should know of how it was put together."""
    notes: tuple[str, ...]
    """What is missing or unexplained, by name."""
    faults: tuple[str, ...]
    """What does not add; any of them makes the report fail."""


def statement_of(sheets: Sheets, *, mode: str, period: Period, pair: str | None) -> Statement:
    """Read the tables and put the period together.

    Raises:
        ConfigError: a table cannot be read.
    """
    positions = _of_pair(sheets.rows(Table.POSITIONS), pair)
    executions = [execution_of(row) for row in _of_pair(sheets.rows(Table.FILLS), pair)]
    receipts = [funding_of(row) for row in _of_pair(sheets.rows(Table.FUNDING), pair)]
    trades = _of_pair(sheets.rows(Table.TRADES), pair)
    grown = frozenset(row["position"] for row in trades if row["kind"] == "OPEN")
    fills, funding = by_position(executions), funding_by_position(receipts)
    closed = [result_of(row) for row in positions if row["status"] == "closed"]
    faults, left = faults_of(closed, fills, funding, grown)
    others = [retained(receipt) for receipt in funding.get("", ())]
    everything = [*closed, *(result for result in others if result is not None)]
    results = sorted((item for item in everything if period.holds(item.closed)), key=lambda item: item.closed)
    traded = [fill for fill in executions if period.holds(fill.at)]
    amounts = Amounts(
        turnover=tuple(Dated(kst_day(fill.at).isoformat(), fill.pair, fill.value_krw or ZERO) for fill in traded),
        captured=tuple(_captured(trades, period)),
    )
    lines = _grouped(results, amounts, lambda day, name: (day, name))
    pairs = _grouped(results, amounts, lambda _, name: ("", name))
    total = next(iter(_grouped(results, amounts, lambda _day, _name: ("", ""))), PnlLine(day="", pair=""))
    opened = tuple(open_line(row) for row in positions if row["status"] == "open")
    for line in opened:
        if line.position in grown:
            left.take_along(line.pair, line.direction)
    account = account_lines(sheets.rows(Table.ACCOUNT), period)
    incidents = _incidents(_of_pair(sheets.rows(Table.INCIDENTS), pair), period)
    refused = [row for row in sheets.rows(Table.REFUSALS) if period.holds(moment(row, "minute"))]
    return Statement(
        mode=mode, folder=str(sheets.folder), period=period.text, lines=tuple(lines), pairs=tuple(pairs), total=total,
        until=max([fill.at for fill in executions] + [item.closed for item in everything], default=None),
        results=tuple(results), opened=opened, account=account, incidents=incidents,
        incident_cost_krw=exact_sum(item.cost_krw or ZERO for item in incidents),
        refusals=tuple(summarise(refused, pair, None)), left_over=tuple(left.held.values()),
        remarks=tuple(_remarks(results, left)), notes=(*_notes(traded, others, opened), *account_notes(account)),
        faults=(*faults, *_open_faults(opened), *account_faults(account), *_sum_faults(lines, pairs, total)),
    )  # fmt: skip


def _remarks(results: Sequence[PairResult], left: Remainders) -> list[str]:
    found = []
    if income := sum(not item.is_trade for item in results):
        found.append(f"{income} funding payments came when no position was open: they are in the totals, under funding")
    krw, usdt = left.gained.krw, left.gained.usdt
    if krw or usdt:
        made = f"{krw:,.2f} KRW and {usdt:,.2f} USDT"
        found.append(f"left-over coins that met their opposites made {made}, outside every position")
    return found


def _of_pair(rows: Sequence[Row], pair: str | None) -> list[Row]:
    return [row for row in rows if pair is None or row["pair"] == pair]


def _captured(trades: Iterable[Row], period: Period) -> Iterator[Dated]:
    for row in trades:
        at, krw = moment(row, "time"), number(row, "captured_krw")
        if at is not None and krw is not None and period.holds(at):
            yield Dated(kst_day(at).isoformat(), row["pair"], krw)


def _grouped(results: Iterable[PairResult], amounts: Amounts, key: Callable[[str, str], Key]) -> list[PnlLine]:
    ended: dict[Key, list[PairResult]] = {}
    for result in results:
        ended.setdefault(key(result.day.isoformat(), result.pair), []).append(result)
    turnover, captured = _by_key(amounts.turnover, key), _by_key(amounts.captured, key)
    return [
        _line(name, ended.get(name, []), turnover.get(name, ZERO), captured.get(name, ZERO))
        for name in sorted({*ended, *turnover, *captured})
    ]


def _by_key(amounts: Iterable[Dated], key: Callable[[str, str], Key]) -> dict[Key, Decimal]:
    found: dict[Key, Decimal] = {}
    for item in amounts:
        name = key(item.day, item.pair)
        found[name] = EXACT.add(found.get(name, ZERO), item.krw)
    return found


def _line(name: Key, results: Sequence[PairResult], turnover: Decimal, captured: Decimal) -> PnlLine:
    trades = [result for result in results if result.is_trade]
    return PnlLine(
        day=name[0], pair=name[1], trades=len(trades), wins=sum(result.krw.total > 0 for result in trades),
        held_s=sum(result.held_s for result in trades), turnover_krw=turnover, captured_krw=captured,
        krw=added(result.krw for result in results), usdt=added(result.usdt for result in results),
    )  # fmt: skip


def _sum_faults(lines: Sequence[PnlLine], pairs: Sequence[PnlLine], total: PnlLine) -> list[str]:
    """Sentences for sums of rows that differ from the totals shown."""
    faults = []
    for name, rows in (("days", lines), ("pairs", pairs)):
        for currency, shown, parts in (
            ("KRW", total.krw, added(row.krw for row in rows)),
            ("USDT", total.usdt, added(row.usdt for row in rows)),
        ):
            if shown != parts or shown.unexplained:
                faults.append(f"total: the {name} add to {parts.total} {currency}, the total says {shown.total}")
        for what, whole, sums in (
            ("turnover", total.turnover_krw, exact_sum(row.turnover_krw for row in rows)),
            ("captured", total.captured_krw, exact_sum(row.captured_krw for row in rows)),
        ):
            if whole != sums:
                faults.append(f"total: the {what} of the {name} is {sums} KRW, the total says {whole}")
    return faults


def _open_faults(opened: Sequence[OpenLine]) -> list[str]:
    return [
        f"{line.position}: the parts of its mark miss the whole by {parts.unexplained} {name}"
        for line in opened
        for name, parts in (("KRW", line.krw), ("USDT", line.usdt))
        if parts is not None and parts.unexplained
    ]


def _incidents(rows: Iterable[Row], period: Period) -> tuple[IncidentLine, ...]:
    return tuple(
        IncidentLine(
            pair=row["pair"], kind=row["kind"], opened=moment(row, "opened"), closed=moment(row, "closed"),
            resolution=row["resolution"] or "open", cost_krw=number(row, "cost_krw"),
        )
        for row in rows
        if period.holds(moment(row, "opened"))
    )  # fmt: skip


def _notes(
    traded: Sequence[Execution], others: Sequence[PairResult | None], opened: Sequence[OpenLine]
) -> tuple[str, ...]:
    found = []
    if unpriced := sum(fill.value_krw is None for fill in traded):
        found.append(f"{unpriced} fills have no FX mid: their turnover in KRW is missing")
    if unvalued := sum(item is None for item in others):
        found.append(f"{unvalued} funding payments outside a position have no FX mid: they are in no total")
    found += [f"{line.position}: open, and not marked yet" for line in opened if line.krw is None]
    return tuple(found)
