"""A crash between journal and table loses no row."""

from __future__ import annotations

import csv
from pathlib import Path

from arb.domain.effects import Record, Table
from arb.domain.events import Tick
from arb.storage.catchup import catch_up
from arb.storage.csv import CsvStore, StoredRow
from arb.storage.journal import InlineWriter, SegmentJournal


def record(number: int) -> Record:
    return Record(table=Table.FX_RATES, id=f"fx-{number}", rev=1, pair=None, row=(("bid", 1.0), ("time_ns", number)))


def journalled(directory: Path, run_id: str, count: int) -> None:
    directory.mkdir(exist_ok=True)
    journal = SegmentJournal(directory, InlineWriter(), run_id=run_id, build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=1)
    for number in range(1, count + 1):
        journal.append(Tick(at_ns=number, wall_ns=number))
        journal.append_effects((record(number),))
    journal.close()


def store_in(directory: Path, run_id: str) -> CsvStore:
    return CsvStore(directory, run_id=run_id, mode="mock", strategies={})


def ids(store: CsvStore) -> list[str]:
    with store.path(Table.FX_RATES).open(newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def test_rows_after_the_mark_are_applied_once(tmp_path: Path) -> None:
    journalled(tmp_path / "journal", "run-b", 7)
    journalled(tmp_path / "journal", "run-a", 3)
    store = store_in(tmp_path / "csv", "run-b")
    store.prepare()
    store.write([StoredRow(record=record(number), seq=number) for number in range(1, 5)])

    again = store_in(tmp_path / "csv", "run-c")
    count = catch_up(tmp_path / "journal", again.prepare(), lambda run_id: store_in(tmp_path / "csv", run_id))

    assert count == 3
    assert ids(store) == [f"fx-{number}" for number in range(1, 8)]
    assert catch_up(tmp_path / "journal", again.prepare(), lambda run_id: store_in(tmp_path / "csv", run_id)) == 0


def test_without_a_journal_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert catch_up(tmp_path, None, lambda run_id: store_in(tmp_path, run_id)) == 0
