"""The tables on disk, as a report reads them.

Owns: the newest revision of every row, cells as exact values, and the Korean day of a moment.
Never: writes; takes a half-written last line for a row.
Units: moments are UTC in the files; a day is a calendar day in Seoul (KST, UTC+9).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import attrs

from arb.cli.data_dir import DataDir
from arb.cli.schema import Mode, Settings
from arb.domain.effects import Table
from arb.domain.errors import ConfigError
from arb.domain.tables import COMMON

KST: Final = timezone(timedelta(hours=9))
REPEATED: Final = frozenset({*COMMON, "minute", "direction", "reason", "symbol"} - {"id", "seq"})
"""Columns whose cells are kept once, however many rows have them: months of refusals must fit into memory."""


@attrs.frozen
class Row:
    """One row: its cells, and where each column stands in the file it came from."""

    places: Mapping[str, int]
    cells: Sequence[str]

    def __getitem__(self, name: str) -> str:
        place = self.places.get(name)
        return self.cells[place] if place is not None else ""


@attrs.frozen
class Sheets:
    """The folder that holds one file per table."""

    folder: Path

    @property
    def is_empty(self) -> bool:
        """Whether nothing ever wrote a table here."""
        return not any((self.folder / f"{table.value}.csv").exists() for table in Table)

    def rows(self, table: Table) -> list[Row]:
        """Rows at their highest revision, in order of first appearance; none without a file. A column that came after
        the file was made is empty.

        Raises:
            ConfigError: the file is no table, or cannot be read.
        """
        path = self.folder / f"{table.value}.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return _newest(path, file)
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error


def sheets_of(settings: Settings) -> Sheets:
    """The tables of a mode."""
    return Sheets(DataDir(Path(settings.data_dir.format(mode=settings.mode.value))).csv)


def elsewhere(settings: Settings) -> str:
    """Words for the modes that have tables where this one has none; empty: no other has."""
    others = [mode for mode in Mode if mode is not settings.mode and "{mode}" in settings.data_dir]
    found = [mode.value for mode in others if not sheets_of(attrs.evolve(settings, mode=mode)).is_empty]
    return f"; there are tables of {' and '.join(found)}: choose with --mode" if found else ""


def number(row: Row, name: str) -> Decimal | None:
    """An exact cell; None: empty.

    Raises:
        ConfigError: it is not a number.
    """
    text = row[name]
    try:
        return Decimal(text) if text else None
    except InvalidOperation as error:
        raise ConfigError(f"row {row['id']}: {name} is {text!r}, which is no number; restore the table") from error


def measure(row: Row, name: str) -> float | None:
    """A cell that is only compared or drawn; None: empty or without bounds."""
    text = row[name]
    return float(text) if text not in ("", "inf", "-inf", "nan") else None


def moment(row: Row, name: str) -> datetime | None:
    """A moment in UTC; None: empty.

    Raises:
        ConfigError: it is not a moment.
    """
    text = row[name]
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError as error:
        raise ConfigError(f"row {row['id']}: {name} is {text!r}, which is no moment; restore the table") from error


def kst_day(at: datetime) -> date:
    """The calendar day in Seoul."""
    return at.astimezone(KST).date()


def kst_text(at: datetime) -> str:
    """Date and time of day in Seoul, to the second."""
    return f"{at.astimezone(KST):%Y-%m-%d %H:%M:%S}"


@attrs.frozen
class Period:
    """Days in Seoul, both ends included; None: open."""

    since: date | None
    until: date | None

    def holds(self, at: datetime | None) -> bool:
        """Whether a moment lies in it; what has no moment lies only in a period without ends."""
        if at is None:
            return self.since is None and self.until is None
        day = kst_day(at)
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)

    @property
    def text(self) -> str:
        """For a heading."""
        if self.since is None and self.until is None:
            return "all days"
        return f"{self.since or '…'} to {self.until or '…'}"


def _newest(path: Path, file: Iterable[str]) -> list[Row]:
    """Rows at their highest revision; a last line without its end is still being written."""
    lines = csv.reader(line for line in file if line.endswith("\n"))
    places = {name: place for place, name in enumerate(next(lines, ("id", "rev")))}
    if not {"id", "rev"} <= places.keys():
        raise ConfigError(f"{path}: has no columns id and rev, so it is no table of this program; restore it")
    repeated = [place for name, place in places.items() if name in REPEATED]
    known: dict[str, str] = {}
    newest: dict[str, Row] = {}
    id_at, rev_at = places["id"], places["rev"]
    for cells in lines:
        if len(cells) != len(places) or not cells[rev_at].isdecimal():
            raise ConfigError(f"{path}, line {lines.line_num}: is no row of this table; restore it")
        before = newest.get(cells[id_at])
        if before is None or int(cells[rev_at]) >= int(before.cells[rev_at]):
            for place in repeated:
                cells[place] = known.setdefault(cells[place], cells[place])
            newest[cells[id_at]] = Row(places, tuple(cells))
    return list(newest.values())
