"""The tables on disk, as a report reads them.

Owns: the newest revision of every row, cells as exact values, and the Korean day of a moment.
Never: writes; takes a half-written last line for a row.
Units: moments are UTC in the files; a day is a calendar day in Seoul (KST, UTC+9).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import attrs

from arb.cli.data_dir import DataDir
from arb.cli.schema import Mode, Settings
from arb.domain.effects import Table
from arb.domain.errors import ConfigError
from arb.storage.csv import header_of

KST: Final = timezone(timedelta(hours=9))
Row = Mapping[str, str]


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
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        lines = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        if not {"id", "rev"} <= set(lines.fieldnames or ("id", "rev")):
            raise ConfigError(f"{path}: has no columns id and rev, so it is no table of this program; restore it")
        later = dict.fromkeys(header_of(table), "")
        newest: dict[str, Row] = {}
        for row in lines:
            if row["id"] not in newest or int(row["rev"]) >= int(newest[row["id"]]["rev"]):
                newest[row["id"]] = later | row
        return list(newest.values())


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
