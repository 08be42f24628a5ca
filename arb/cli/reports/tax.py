"""The facts of one Korean tax year, per asset and by two methods, and by name whatever is missing for them.

Owns: which movements belong to the year, openings that a person states, the year-end snapshot, and the list of gaps.
Never: computes a tax, or fills a gap; an asset whose cost is unknown has no cost and no gain.
Units: KRW exact; a year is a calendar year in Seoul.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import attrs

from arb.cli.reports.averages import Change, Costed, Movement, Stock, moving_average, shortage, total_average
from arb.cli.reports.executions import KRW, ZERO, Execution, execution_of, funding_of
from arb.cli.reports.sheets import KST, Row, Sheets, kst_day, kst_text, moment, number
from arb.cli.reports.tax_facts import (
    ContractLine,
    TransferLine,
    contract_lines,
    contract_movements,
    spot_movements,
    transfer_movements,
    transfer_of,
)
from arb.domain.effects import Table
from arb.domain.errors import ConfigError
from arb.domain.instrument import InstrumentKind
from arb.domain.money import EXACT, exact_sum
from arb.engine.watching import UNTOLD

NOT_ADVICE: Final = (
    "This is arithmetic over the engine's own records, not tax advice: it knows no tax rate, allowance or election, "
    "and nothing of what you trade elsewhere. Have it checked. "
    "세무 자문이 아니며, 신고 전에 반드시 전문가의 확인을 받으십시오."
)
SPOT: Final = InstrumentKind.SPOT.value
LATE_S: Final = 60.0
"""A snapshot taken longer after midnight than this is said to be late."""
OPENING_COLUMNS: Final = ("asset", "quantity", "cost_krw")


@attrs.frozen(kw_only=True)
class CostLine:
    """A movement of the year with its cost by both methods; None: unknown, or it has none."""

    movement: Movement
    moving_krw: Decimal | None
    total_krw: Decimal | None

    @property
    def moving_gain_krw(self) -> Decimal | None:
        """Proceeds less fees less cost, by moving average."""
        return gain(self.movement, self.moving_krw)

    @property
    def total_gain_krw(self) -> Decimal | None:
        """Proceeds less fees less cost, by total average."""
        return gain(self.movement, self.total_krw)


@attrs.frozen(kw_only=True)
class AssetLine:
    """One asset in the year."""

    asset: str
    opening_moving: Stock
    opening_total: Stock
    acquired_qty: Decimal
    acquired_krw: Decimal | None
    disposed_qty: Decimal
    proceeds_krw: Decimal | None
    fees_krw: Decimal | None
    cost_moving_krw: Decimal | None
    gain_moving_krw: Decimal | None
    cost_total_krw: Decimal | None
    gain_total_krw: Decimal | None
    spent_qty: Decimal
    closing_moving: Stock
    closing_total: Stock


@attrs.frozen(kw_only=True)
class HeldLine:
    """What a wallet held at the end of the year."""

    wallet: str
    asset: str
    kind: str
    qty: Decimal | None
    price: Decimal | None
    price_currency: str
    fx_mid: Decimal | None
    krw_value: Decimal | None
    taken: datetime | None
    """When it was really read."""


@attrs.frozen(kw_only=True)
class TaxYear:
    """Everything the year's page shows."""

    year: int
    mode: str
    folder: str
    first: datetime | None
    """The oldest fill; what was held before it is unknown."""
    newest: datetime | None
    assets: tuple[AssetLine, ...]
    lines: tuple[CostLine, ...]
    contracts: tuple[ContractLine, ...]
    transfers: tuple[TransferLine, ...]
    held: tuple[HeldLine, ...]
    missing: tuple[str, ...]


def tax_year(sheets: Sheets, year: int, *, mode: str, opening: Mapping[str, Stock]) -> TaxYear:
    """Read the tables and put the year together; `opening` is what was held before the oldest row.

    Raises:
        ConfigError: a table cannot be read.
    """
    fills = sorted((execution_of(row) for row in sheets.rows(Table.FILLS)), key=lambda fill: fill.at)
    perpetual = [fill for fill in fills if not fill.is_spot]
    contracts = contract_lines(perpetual, [funding_of(row) for row in sheets.rows(Table.FUNDING)])
    transfers = [transfer_of(row) for row in sheets.rows(Table.TRANSFERS)]
    found = [movement for fill in fills if fill.is_spot for movement in spot_movements(fill)]
    found += [*contract_movements(perpetual, contracts), *transfer_movements(transfers)]
    by_asset: dict[str, list[Movement]] = {asset: [] for asset in sorted(opening)}
    for movement in sorted(found, key=lambda item: item.at):
        by_asset.setdefault(movement.asset, []).append(movement)
    assets, lines = [], []
    for asset, movements in sorted(by_asset.items()):
        stock = opening.get(asset, Stock())
        moving, total = moving_average(stock, movements), total_average(stock, movements)
        costed = [
            CostLine(movement=movement, moving_krw=one, total_krw=other)
            for movement, one, other in zip(movements, moving.costs, total.costs, strict=True)
            if kst_day(movement.at).year == year
        ]
        assets.append(_asset_line(asset, year, stock, costed, moving, total))
        lines += costed
    balances = sheets.rows(Table.BALANCES_DAILY)
    held = [_held(row) for row in balances if _balance_day(row) == date(year + 1, 1, 1)]
    lines.sort(key=lambda line: line.movement.at)
    return TaxYear(
        year=year, mode=mode, folder=str(sheets.folder), first=fills[0].at if fills else None,
        newest=fills[-1].at if fills else None, assets=tuple(assets), lines=tuple(lines),
        contracts=tuple(line for line in contracts if kst_day(line.at).year == year),
        transfers=tuple(line for line in transfers if line.at is None or kst_day(line.at).year == year),
        held=tuple(held),
        missing=(
            *_unknown_openings(by_asset, opening, balances), *_assumed(fills, year), *_unvalued(found, contracts, year),
            *_transfer_gaps(transfers, opening), *_snapshot_gaps(held, balances, year),
        ),
    )  # fmt: skip


def read_opening(path: Path | None) -> dict[str, Stock]:
    """What a person states to have held before the oldest row: CSV with the columns asset, quantity, cost_krw.

    Raises:
        ConfigError: it cannot be read, or a line is not what it should be.
    """
    if path is None:
        return {}
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    found: dict[str, Stock] = {}
    for line, row in enumerate(rows, start=2):
        cells = [(row.get(name) or "").strip() for name in OPENING_COLUMNS]
        try:
            qty, cost = Decimal(cells[1]), Decimal(cells[2])
        except InvalidOperation as error:
            raise ConfigError(f"{path}, line {line}: wants {','.join(OPENING_COLUMNS)} with two numbers") from error
        if not cells[0] or cells[0] in found or not (qty.is_finite() and cost.is_finite()) or qty < 0 or cost < 0:
            raise ConfigError(f"{path}, line {line}: wants one line per asset and numbers that are not negative")
        found[cells[0]] = Stock(qty, cost)
    if not found:
        raise ConfigError(f"{path}: has no line; its first one must be {','.join(OPENING_COLUMNS)}")
    return found


def gain(movement: Movement, cost_krw: Decimal | None) -> Decimal | None:
    """Proceeds less fees less cost; None: not a disposal, or something is unknown."""
    if movement.change is not Change.DISPOSED:
        return None
    if movement.krw is None or movement.fee_krw is None or cost_krw is None:
        return None
    return EXACT.subtract(EXACT.subtract(movement.krw, movement.fee_krw), cost_krw)


def known_sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None: one of them is unknown."""
    found = list(amounts)
    known = [amount for amount in found if amount is not None]
    return exact_sum(known) if len(known) == len(found) else None


def _asset_line(
    asset: str, year: int, opening: Stock, lines: Sequence[CostLine], moving: Costed, total: Costed
) -> AssetLine:
    by_change = {change: [line for line in lines if line.movement.change is change] for change in Change}
    disposed, acquired = by_change[Change.DISPOSED], by_change[Change.ACQUIRED]
    return AssetLine(
        asset=asset, opening_moving=_stock_at(year - 1, opening, moving),
        opening_total=_stock_at(year - 1, opening, total), closing_moving=_stock_at(year, opening, moving),
        closing_total=_stock_at(year, opening, total), acquired_qty=_qty(acquired), disposed_qty=_qty(disposed),
        acquired_krw=known_sum(line.movement.krw for line in acquired),
        proceeds_krw=known_sum(line.movement.krw for line in disposed),
        fees_krw=known_sum(line.movement.fee_krw for line in disposed),
        cost_moving_krw=known_sum(line.moving_krw for line in disposed),
        gain_moving_krw=known_sum(line.moving_gain_krw for line in disposed),
        cost_total_krw=known_sum(line.total_krw for line in disposed),
        gain_total_krw=known_sum(line.total_gain_krw for line in disposed), spent_qty=_qty(by_change[Change.SPENT]),
    )  # fmt: skip


def _stock_at(year: int, opening: Stock, costed: Costed) -> Stock:
    """What was held at the end of a year."""
    return next((costed.closing[known] for known in sorted(costed.closing, reverse=True) if known <= year), opening)


def _qty(lines: Sequence[CostLine]) -> Decimal:
    return exact_sum(line.movement.qty for line in lines)


def _balance_day(row: Row) -> date | None:
    return datetime.fromisoformat(row["time_kst"]).astimezone(KST).date() if row["time_kst"] else None


def _held(row: Row) -> HeldLine:
    return HeldLine(
        wallet=row["wallet"], asset=row["asset"], kind=row["kind"], qty=number(row, "qty"), price=number(row, "price"),
        price_currency=row["price_currency"], fx_mid=number(row, "fx_mid"), krw_value=number(row, "krw_value"),
        taken=moment(row, "time"),
    )  # fmt: skip


def _unknown_openings(
    by_asset: Mapping[str, Sequence[Movement]], opening: Mapping[str, Stock], balances: Sequence[Row]
) -> list[str]:
    """Coins whose cost nobody told."""
    found = []
    remedy = "state quantity and cost with --opening FILE"
    for asset, movements in sorted(by_asset.items()):
        lacking = shortage(opening.get(asset, Stock()), movements)
        if lacking is not None:
            qty, at = lacking
            found.append(
                f"{asset}: {qty:f} more left than is known to have been there (first at {kst_text(at)} KST), so that "
                f"cost and gain are unknown; {remedy}"
            )
        elif asset not in opening and (held := _held_before(asset, movements, balances)) is not None:
            found.append(f"{asset}: {held[0]:f} were held on {held[1]} that no row explains; {remedy}")
        elif asset not in opening and not balances and movements:
            found.append(
                f"{asset}: no balance is recorded; taken as none before the oldest row; {remedy} if any was held"
            )
    return found


def _held_before(asset: str, movements: Sequence[Movement], balances: Sequence[Row]) -> tuple[Decimal, date] | None:
    """How much of the first recorded balance no movement explains, and of which day; None: all is explained."""
    mine = [row for row in balances if row["asset"] == asset and row["kind"] == SPOT and row["time_kst"]]
    if not mine:
        return None
    first = min(row["time_kst"] for row in mine)
    at = datetime.fromisoformat(first)
    seen = exact_sum(number(row, "qty") or ZERO for row in mine if row["time_kst"] == first)
    known = exact_sum(
        movement.qty if movement.change is Change.ACQUIRED else -movement.qty
        for movement in movements
        if movement.at < at
    )
    return (EXACT.subtract(seen, known), kst_day(at)) if seen > known else None


def _assumed(fills: Sequence[Execution], year: int) -> list[str]:
    """Executions that no venue told: their price is a mark."""
    return [
        f"{fill.symbol}: {fill.qty:f} at {kst_text(fill.at)} KST ({fill.venue}) is assumed at the mark, no execution "
        "was told; take its price and fee from the venue's statement"
        for fill in fills
        if fill.trade_id.startswith(UNTOLD) and kst_day(fill.at).year == year
    ]


def _unvalued(movements: Sequence[Movement], contracts: Sequence[ContractLine], year: int) -> list[str]:
    found = [
        f"{item.asset}: {item.reason} at {kst_text(item.at)} KST ({item.venue} {item.trade_id}) has no value in KRW"
        for item in movements
        if item.change is not Change.SPENT and (item.krw is None or item.fee_krw is None)
    ]
    found += [
        f"{line.symbol}: {line.kind} at {kst_text(line.at)} KST has no FX mid"
        for line in contracts
        if line.fx_mid is None and kst_day(line.at).year == year
    ]
    return found


def _transfer_gaps(transfers: Sequence[TransferLine], opening: Mapping[str, Stock]) -> list[str]:
    """Coins that came in from outside: what they had cost is not known here."""
    found = []
    for asset in sorted({line.asset for line in transfers} - {KRW}):
        mine = [line for line in transfers if line.asset == asset]
        came = exact_sum(line.qty for line in mine if line.direction == "in")
        went = exact_sum(EXACT.subtract(line.qty, line.fee or ZERO) for line in mine if line.direction == "out")
        if came > went and asset not in opening:
            found.append(
                f"{asset}: {came - went:f} came in that had not gone out from a wallet here; their cost is unknown: "
                "add them to --opening FILE"
            )
        if unpriced := sum(line.fee is None for line in mine if line.direction == "out"):
            found.append(f"{asset}: {unpriced} withdrawals have no fee recorded")
    return found


def _snapshot_gaps(held: Sequence[HeldLine], balances: Sequence[Row], year: int) -> list[str]:
    moment_text = f"24:00 KST of 31 December {year}"
    if not held:
        days = sorted({str(day) for row in balances if (day := _balance_day(row)) is not None})
        known = f"; recorded are {days[0]} to {days[-1]}" if days else "; none is recorded at all"
        return [
            f"year-end: no balances of {moment_text}{known}; take quantities and prices from the venues' statements"
        ]
    midnight = datetime(year + 1, 1, 1, tzinfo=KST)
    late = [line.taken for line in held if line.taken and (line.taken - midnight).total_seconds() > LATE_S]
    found = [f"year-end: balances were read at {kst_text(max(late))} KST, not at midnight"] if late else []
    return found + [
        f"year-end: {line.wallet} {line.asset} has no price at {moment_text}"
        for line in held
        if line.krw_value is None and line.kind == SPOT
    ]
