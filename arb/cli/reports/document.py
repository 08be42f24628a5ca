"""A statement as one JSON document, and its lines as CSV: the same numbers for programs.

Owns: outward names. Exact values are strings, as everywhere outside; measures are numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

import attrs
import msgspec

from arb.cli.reports.results import COMPONENTS, PairResult
from arb.cli.reports.statement import PnlLine, Statement
from arb.state.attribution import Attribution

Outward = str | int | float | bool | None | list["Outward"] | dict[str, "Outward"]
COLUMNS_OF_PARTS = (*COMPONENTS, "total")


def document(statement: Statement) -> Outward:
    """The whole statement."""
    return {
        "mode": statement.mode, "folder": statement.folder, "period": statement.period,
        "until": plain(statement.until), "faults": list(statement.faults), "notes": list(statement.notes),
        "remarks": list(statement.remarks),
        "total": line_of(statement.total), "pairs": [line_of(line) for line in statement.pairs],
        "days": [line_of(line) for line in statement.lines],
        "positions": [_result(result) for result in statement.results],
        "open": [_fields(line) for line in statement.opened],
        "account": [_fields(line) for line in statement.account[-1:]],
        "incidents": {"cost_krw": plain(statement.incident_cost_krw),
                      "rows": [_fields(line) for line in statement.incidents]},
        "refusals": [_fields(line) for line in statement.refusals],
        "left_over": [_fields(line) for line in statement.left_over],
    }  # fmt: skip


def encoded(found: Outward) -> str:
    """One JSON document and a line end."""
    return msgspec.json.encode(found).decode() + "\n"


def lines_as_csv(statement: Statement) -> str:
    """Day by pair, with the components in both numeraires."""
    rows = [flat(line) for line in statement.lines]
    return as_csv(tuple(flat(statement.total)), rows)


def as_csv(header: tuple[str, ...], rows: Iterable[dict[str, str]]) -> str:
    """Rows under a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(line: PnlLine) -> dict[str, str]:
    """A line as cells."""
    cells = {
        "day": line.day, "pair": line.pair, "trades": str(line.trades), "wins": str(line.wins),
        "held_s": f"{line.held_s:.6f}", "turnover_krw": digits(line.turnover_krw),
        "captured_krw": digits(line.captured_krw),
    }  # fmt: skip
    for name, parts in (("krw", line.krw), ("usdt", line.usdt)):
        cells |= {f"{component}_{name}": digits(getattr(parts, component)) for component in COLUMNS_OF_PARTS}
    return cells


def line_of(line: PnlLine) -> Outward:
    """A line for JSON."""
    return {
        "day": line.day or None, "pair": line.pair or None, "trades": line.trades, "wins": line.wins,
        "win_rate": line.win_rate, "avg_held_s": line.avg_held_s, "turnover_krw": plain(line.turnover_krw),
        "captured_krw": plain(line.captured_krw),
        "krw": _parts(line.krw), "usdt": _parts(line.usdt),
    }  # fmt: skip


def plain(value: object) -> Outward:
    """A cell for JSON: exact values and moments as text."""
    match value:
        case Decimal():
            return digits(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case str() | int() | float() | None:
            return value
    raise TypeError(f"{type(value).__name__} has no place in a document")


def digits(value: Decimal) -> str:
    """Every digit that counts, never an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _parts(parts: Attribution) -> Outward:
    return {name: plain(getattr(parts, name)) for name in COLUMNS_OF_PARTS}


def _result(result: PairResult) -> Outward:
    return {"day": plain(result.day), "held_s": result.held_s, **_fields(result)}


def _fields(value: attrs.AttrsInstance) -> dict[str, Outward]:
    return {field.name: _cell(getattr(value, field.name)) for field in attrs.fields(type(value))}


def _cell(value: object) -> Outward:
    if isinstance(value, Attribution):
        return _parts(value)
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else plain(value)
