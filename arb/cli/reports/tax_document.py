"""A tax year on a terminal, as one JSON document and as CSV rows.

Owns: headings, outward names and the order of the sections.
Never: prints a number for something unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs
from rich.console import Console
from rich.table import Table as Grid

from arb.cli.reports.averages import Change, Stock
from arb.cli.reports.document import Outward, as_csv, digits, plain
from arb.cli.reports.screen import amount, grid_of, plain_number, put
from arb.cli.reports.sheets import kst_text
from arb.cli.reports.tax import NOT_ADVICE, CostLine, TaxYear, known_sum
from arb.cli.reports.tax_facts import ContractLine

UNKNOWN = "unknown"
CSV_COLUMNS = (
    "section", "time_kst", "asset", "venue", "symbol", "trade_id", "kind", "qty", "price", "krw", "fee_krw",
    "cost_moving_average_krw", "gain_moving_average_krw", "cost_total_average_krw", "gain_total_average_krw",
    "amount_usdt", "fee_usdt", "fx_mid",
)  # fmt: skip


def show_year(console: Console, found: TaxYear) -> None:
    """Print the year, what is missing first."""
    since = f", records since {kst_text(found.first)} KST" if found.first is not None else ""
    console.print(f"{found.year}, {found.mode}{since}", highlight=False, soft_wrap=True)
    console.print(f"{NOT_ADVICE}\n", highlight=False, soft_wrap=True)
    for text in found.missing:
        console.print(f"missing: {text}", highlight=False, soft_wrap=True, markup=False, style="yellow")
    for grid in (_assets(found), _contracts(found), _transfers(found), _held(found)):
        if grid.row_count:
            console.print()
            put(console, grid)
    console.print(
        f"\n{sum(line.movement.change is Change.DISPOSED for line in found.lines)} disposals in all; "
        "--csv FILE or --json lists each",
        highlight=False,
    )


def year_document(found: TaxYear) -> Outward:
    """The year for programs."""
    return {
        "year": found.year, "mode": found.mode, "folder": found.folder, "statement": NOT_ADVICE,
        "first": plain(found.first), "newest": plain(found.newest), "missing": list(found.missing),
        "assets": [_fields(line) for line in found.assets],
        "movements": [_movement(line) for line in found.lines],
        "perpetuals": {
            "realised_krw": plain(known_sum(line.realised_krw for line in found.contracts if line.kind != "funding")),
            "funding_krw": plain(known_sum(line.realised_krw for line in found.contracts if line.kind == "funding")),
            "fees_krw": plain(known_sum(line.fee_krw for line in found.contracts)),
            "rows": [_contract(line) for line in found.contracts],
        },
        "transfers": [_fields(line) for line in found.transfers],
        "year_end": [_fields(line) for line in found.held],
    }  # fmt: skip


def year_csv(found: TaxYear) -> str:
    """Every row of every section."""
    rows = [_movement_cells(line) for line in found.lines]
    rows += [_contract_cells(line) for line in found.contracts]
    rows += [
        {"section": "transfer (no disposal)", "time_kst": kst_text(line.at) if line.at is not None else "",
         "asset": line.asset, "venue": line.venue, "kind": line.direction, "qty": digits(line.qty),
         "symbol": line.network}
        for line in found.transfers
    ]  # fmt: skip
    rows += [
        {"section": "year end", "time_kst": f"{found.year}-12-31 24:00:00", "asset": line.asset, "venue": line.wallet,
         "kind": line.kind, "qty": _cell(line.qty), "price": _cell(line.price), "symbol": line.price_currency,
         "krw": _cell(line.krw_value), "fx_mid": _cell(line.fx_mid)}
        for line in found.held
    ]  # fmt: skip
    rows += [{"section": "missing", "kind": text} for text in found.missing]
    rows.append({"section": "statement", "kind": NOT_ADVICE})
    return as_csv(CSV_COLUMNS, rows)


def _assets(found: TaxYear) -> Grid:
    numbers = ("disposed", "proceeds", "fees", "cost, moving", "gain, moving", "cost, total avg", "gain, total avg")
    grid = grid_of(f"Disposals of coins in {found.year}, KRW, by both methods", ("asset",), (*numbers, "held at end"))
    for line in found.assets:
        cells = (
            line.proceeds_krw, line.fees_krw, line.cost_moving_krw, line.gain_moving_krw, line.cost_total_krw,
            line.gain_total_krw,
        )  # fmt: skip
        shown = [UNKNOWN if cell is None else amount(cell, 0, sign="") for cell in cells]
        grid.add_row(line.asset, plain_number(line.disposed_qty), *shown, _held_text(line.closing_moving))
    return grid


def _held_text(stock: Stock) -> str:
    return UNKNOWN if stock.cost_krw is None else plain_number(stock.qty)


def _contracts(found: TaxYear) -> Grid:
    grid = grid_of(
        "Perpetuals and funding: income of their own, no disposal of a coin", ("venue", "symbol"),
        ("executions", "realised USDT", "fees USDT", "funding USDT", "together KRW"),
    )  # fmt: skip
    keys = sorted({(line.venue, _symbol(line)) for line in found.contracts})
    for venue, symbol in keys:
        mine = [line for line in found.contracts if (line.venue, _symbol(line)) == (venue, symbol)]
        grid.add_row(venue, symbol, *_contract_sums(mine))
    if len(keys) > 1:
        grid.add_section()
        grid.add_row("all", "", *_contract_sums(found.contracts))
    return grid


def _contract_sums(lines: Iterable[ContractLine]) -> tuple[str, ...]:
    found = list(lines)
    trades = [line for line in found if line.kind != "funding"]
    realised = known_sum(line.realised_usdt for line in trades)
    funding = known_sum(line.realised_usdt for line in found if line.kind == "funding")
    krw = known_sum(line.realised_krw for line in found)
    fees_krw = known_sum(line.fee_krw for line in found)
    both = UNKNOWN if krw is None or fees_krw is None else amount(krw - fees_krw, 0)
    fees = known_sum(line.fee_usdt for line in found)
    return str(len(trades)), amount(realised, 2), amount(fees, 2, sign=""), amount(funding, 2), both


def _transfers(found: TaxYear) -> Grid:
    grid = grid_of("Transfers: no disposals", ("time KST", "venue", "asset", "direction", "network"), ("qty", "fee"))
    for line in found.transfers:
        at = kst_text(line.at) if line.at is not None else "–"
        grid.add_row(
            at,
            line.venue,
            line.asset,
            line.direction,
            line.network or "–",
            plain_number(line.qty),
            plain_number(line.fee),
        )
    return grid


def _held(found: TaxYear) -> Grid:
    title = f"Held at 24:00 KST of 31 December {found.year}"
    grid = grid_of(title, ("wallet", "asset", "kind"), ("qty", "price", "FX mid", "KRW value"))
    for line in found.held:
        price = f"{plain_number(line.price)} {line.price_currency}".strip()
        value = UNKNOWN if line.krw_value is None else amount(line.krw_value, 0, sign="")
        grid.add_row(
            line.wallet, line.asset, line.kind, plain_number(line.qty), price, plain_number(line.fx_mid), value
        )
    return grid


def _symbol(line: ContractLine) -> str:
    return line.symbol.rpartition(":")[2]


def _movement_cells(line: CostLine) -> dict[str, str]:
    movement = line.movement
    is_disposal = movement.change is Change.DISPOSED
    return {
        "section": "disposal" if is_disposal else "acquisition" if movement.change is Change.ACQUIRED else "spent",
        "time_kst": kst_text(movement.at), "asset": movement.asset, "venue": movement.venue,
        "symbol": movement.symbol, "trade_id": movement.trade_id, "kind": movement.reason,
        "qty": digits(movement.qty), "krw": "" if movement.change is Change.SPENT else _cell(movement.krw),
        "fee_krw": _cell(movement.fee_krw), "cost_moving_average_krw": _cell(line.moving_krw),
        "gain_moving_average_krw": _cell(line.moving_gain_krw) if is_disposal else "",
        "cost_total_average_krw": _cell(line.total_krw),
        "gain_total_average_krw": _cell(line.total_gain_krw) if is_disposal else "",
    }  # fmt: skip


def _contract_cells(line: ContractLine) -> dict[str, str]:
    return {
        "section": "funding (apart)" if line.kind == "funding" else "perpetual (apart)", "time_kst": kst_text(line.at),
        "venue": line.venue, "symbol": _symbol(line), "trade_id": line.trade_id, "kind": line.kind,
        "qty": "" if line.qty is None else digits(line.qty), "price": "" if line.price is None else digits(line.price),
        "krw": _cell(line.realised_krw), "fee_krw": _cell(line.fee_krw), "amount_usdt": digits(line.realised_usdt),
        "fee_usdt": digits(line.fee_usdt), "fx_mid": _cell(line.fx_mid),
    }  # fmt: skip


def _movement(line: CostLine) -> Outward:
    return {**_movement_cells(line), "time": plain(line.movement.at)}


def _contract(line: ContractLine) -> Outward:
    return {**_contract_cells(line), "time": plain(line.at)}


def _fields(value: attrs.AttrsInstance) -> dict[str, Outward]:
    found: dict[str, Outward] = {}
    for field in attrs.fields(type(value)):
        cell = getattr(value, field.name)
        if isinstance(cell, Stock):
            found[field.name] = {"qty": plain(cell.qty), "cost_krw": plain(cell.cost_krw)}
        else:
            found[field.name] = plain(cell)
    return found


def _cell(value: Decimal | None) -> str:
    return UNKNOWN if value is None else digits(value)
