"""Tables as CSV files, one per table: append-only revisions of rows.

Owns: the files under `csv/`, their header, their translation from records, and the mark: up to which step all is
written.
Never: runs on the event loop; rewrites a row (readers take the highest `rev` of an `id`).
Units: cells ending in `_ns` are UTC nanoseconds in records and ISO 8601 with microseconds in files, under the name
without the ending.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import msgspec

from arb.domain.effects import Cell, Record, Table
from arb.domain.errors import ConfigError
from arb.domain.tables import COLUMNS, COMMON

_MARK: Final = "written.json"
_TAIL_BYTES: Final = 1 << 16


@attrs.frozen(kw_only=True)
class StoredRow:
    """A record with the sequence of the step that made it."""

    record: Record
    seq: int


@attrs.frozen(kw_only=True)
class Mark:
    """Every row of this run up to this step is in its table."""

    run_id: str
    seq: int


def outward(name: str) -> str:
    """A column's name in the file."""
    return name[:-3] if name.endswith("_ns") else name


def header_of(table: Table) -> tuple[str, ...]:
    """Column names of a table's file."""
    return (*COMMON, *(outward(name) for name in COLUMNS[table]))


class CsvStore:
    """Appends rows; every method blocks and belongs in a worker thread."""

    def __init__(
        self,
        directory: Path,
        *,
        run_id: str,
        mode: str,
        strategies: Mapping[str, str],
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._directory = directory
        self._run_id = run_id
        self._mode = mode
        self._strategies = strategies
        """Strategy by pair."""
        self._sync = sync
        """Puts a file's data on the disk; simulations survive no crash and need none."""

    def prepare(self) -> Mark | None:
        """Make missing files, cut off torn last lines, and tell up to where everything is written; None: nothing ever
        was.

        Raises:
            ConfigError: a file has other columns than this program writes.
            OSError: the directory cannot be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for table in COLUMNS:
            self._prepare_table(table)
        path = self._directory / _MARK
        return msgspec.json.decode(path.read_bytes(), type=Mark) if path.exists() else None

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Append rows, table by table, and sync them.

        Raises:
            OSError: the disk refused; no table holds half a row, and rows already there are harmless to repeat.
        """
        by_table: dict[Table, list[StoredRow]] = {}
        for row in rows:
            by_table.setdefault(row.record.table, []).append(row)
        for table, group in by_table.items():
            self._append(table, (self._cells(row) for row in group))
        self.mark(rows[-1].seq)

    def mark(self, seq: int) -> None:
        """Note that every row up to step `seq` of this run is written."""
        path = self._directory / _MARK
        part = path.with_suffix(".part")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, msgspec.json.encode(Mark(run_id=self._run_id, seq=seq)))
            self._sync(handle)
        finally:
            os.close(handle)
        os.replace(part, path)

    def path(self, table: Table) -> Path:
        """The file of a table."""
        return self._directory / f"{table.value}.csv"

    def _prepare_table(self, table: Table) -> None:
        path, header = self.path(table), header_of(table)
        if not path.exists() or path.stat().st_size == 0:
            self._append(table, [header])
            return
        _cut_torn_line(path)
        with path.open(newline="", encoding="utf-8") as file:
            found = tuple(next(csv.reader(file), ()))
        if found != header:
            raise ConfigError(
                f"{path}: its columns are not those of this version; "
                "move the file away or run the version that wrote it"
            )

    def _append(self, table: Table, lines: Iterable[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        path = self.path(table)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(handle).st_size
        try:
            view = memoryview(text.getvalue().encode())
            while view:
                view = view[os.write(handle, view) :]
            self._sync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
        finally:
            os.close(handle)

    def _cells(self, row: StoredRow) -> tuple[str, ...]:
        record = row.record
        values = dict(record.row)
        common = (
            record.id,
            str(record.rev),
            self._run_id,
            self._mode,
            record.pair or "",
            self._strategies.get(record.pair or "", ""),
            str(row.seq),
        )
        return (*common, *(_text(name, values.get(name)) for name in COLUMNS[record.table]))


def _text(name: str, cell: Cell) -> str:
    if cell is None:
        return ""
    if name.endswith("_ns") and isinstance(cell, int):
        return _moment(cell) + "Z"
    if name == "time_kst" and isinstance(cell, int):
        return _moment(cell) + "+09:00"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return str(cell)


def _moment(clock_ns: int) -> str:
    """Nanoseconds of a clock as it shows them: the cell of `time_kst` comes already moved to Korean time."""
    seconds, rest = divmod(clock_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}"


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            step = min(_TAIL_BYTES, position)
            position = file.seek(position - step)
            newline = file.read(step).rfind(b"\n")
            if newline >= 0:
                if position + newline + 1 < end:
                    file.truncate(position + newline + 1)
                return
        file.truncate(0)
