"""Tables as CSV."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from arb.domain.effects import Record, Table
from arb.domain.errors import ConfigError
from arb.domain.ids import PairId
from arb.domain.tables import COMMON
from arb.storage.csv import CsvStore, Mark, StoredRow, header_of


def store(directory: Path, run_id: str = "run-1") -> CsvStore:
    return CsvStore(directory, run_id=run_id, mode="mock", strategies={"BTC": "convergence"})


def row(seq: int, rev: int = 1) -> StoredRow:
    cells = (
        ("fx_pair", "USDT/KRW"),
        ("bid", Decimal("1450.00000001")),
        ("ask", Decimal("1E+3")),
        ("source", "upbit"),
        ("time_ns", 1_700_000_000_123_456_789),
    )
    return StoredRow(
        record=Record(table=Table.FX_RATES, id=f"fx-{seq}", rev=rev, pair=PairId("BTC"), row=cells), seq=seq
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_written_with_their_common_columns(tmp_path: Path) -> None:
    found = store(tmp_path)
    assert found.prepare() is None

    found.write([row(7)])

    (line,) = read(found.path(Table.FX_RATES))
    assert [line[name] for name in COMMON] == ["fx-7", "1", "run-1", "mock", "BTC", "convergence", "7"]
    assert (line["bid"], line["ask"], line["time"]) == ("1450.00000001", "1000", "2023-11-14T22:13:20.123456Z")


def test_preparing_twice_keeps_rows_and_tells_the_last_sequence(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.prepare()
    first.write([row(7), row(9)])

    assert store(tmp_path, "run-2").prepare() == Mark(run_id="run-1", seq=9)
    assert len(read(first.path(Table.FX_RATES))) == 2


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    found = store(tmp_path)
    found.prepare()
    found.write([row(7)])
    with found.path(Table.FX_RATES).open("a") as file:
        file.write("fx-8,1,run-1,mo")

    assert store(tmp_path).prepare() == Mark(run_id="run-1", seq=7)
    assert len(read(found.path(Table.FX_RATES))) == 1


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b\n1,2\n")

    with pytest.raises(ConfigError, match=r"orders\.csv"):
        store(tmp_path).prepare()


def test_every_table_has_a_header_without_doubles(tmp_path: Path) -> None:
    for table in Table:
        header = header_of(table)
        assert len(set(header)) == len(header)
        assert header[: len(COMMON)] == COMMON


def test_a_failing_disk_leaves_no_half_row(tmp_path: Path) -> None:
    found = store(tmp_path)
    found.prepare()
    found.path(Table.FX_RATES).unlink()
    found.path(Table.FX_RATES).symlink_to("/dev/full")

    with pytest.raises(OSError, match=r"No space left|Invalid argument"):
        found.write([row(1)])


def test_midnight_in_korea_is_written_as_such(tmp_path: Path) -> None:
    found = store(tmp_path)
    found.prepare()
    cells = (("wallet", "upbit"), ("asset", "KRW"), ("qty", Decimal("1E+6")), ("time_kst", 20_000 * 86_400 * 10**9))
    record = Record(table=Table.BALANCES_DAILY, id="upbit/KRW-20000", rev=0, pair=None, row=cells)
    found.write([StoredRow(record=record, seq=1)])

    (line,) = read(found.path(Table.BALANCES_DAILY))
    assert (line["qty"], line["time_kst"], line["price"]) == ("1000000", "2024-10-04T00:00:00.000000+09:00", "")
