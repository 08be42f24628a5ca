"""A statement on a terminal: no digit is lost, however narrow it is."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from arb.cli.reports.screen import amount, cost, duration, plain_number, show, shown_price
from arb.cli.reports.sheets import Period
from arb.cli.reports.statement import statement_of
from arb.domain.effects import Table
from tests.cli.reports.written import closed, write

D = Decimal


@pytest.mark.parametrize("width", [200, 80, 40])
def test_a_narrow_terminal_costs_no_digit(tmp_path: Path, width: int) -> None:
    row = closed("p1", spread_krw="123456789.4", pnl_krw="123456789.4", spread_usdt="88183.42", pnl_usdt="88183.42")
    sheets = write(tmp_path, Table.POSITIONS, [row, closed("p2", status="open", mark_price_a="148860500.123")])
    file = io.StringIO()

    show(Console(file=file, width=width), statement_of(sheets, mode="mock", period=Period(None, None), pair=None))

    said = file.getvalue()
    for text in ("+123,456,789", "+88,183.42", "148,860,500", "ERROR: p1: fills and funding give"):
        assert text in said
    assert "…" not in said


def test_numbers_are_for_the_eye() -> None:
    assert amount(D("-0.4"), 0) == "0"
    assert amount(D("1234.5"), 2) == "+1,234.50"
    assert amount(D("-1234.5"), 2, sign="") == "-1,234.50"
    assert amount(None, 0) == "–"
    assert cost(D("-649")) == "−649"
    assert plain_number(D("0.01300000")) == "0.013"
    assert shown_price(D("102931.44533828")) == D("102931.445")
    assert duration(3661.4) == "1:01:01"
    assert duration(None) == "–"
