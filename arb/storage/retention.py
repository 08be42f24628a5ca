"""What becomes of closed segments: compressed, kept for a while, then deleted.

Owns: the files of the journal directory that no run writes to any more.
Never: touches the newest segment of the running run; deletes one that may hold an open position.
Units: wall times UTC nanoseconds.
"""

from __future__ import annotations

import gzip
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Final

import attrs

from arb.storage.segments import read_header, segment_paths

_DAY_NS: Final = 86_400_000_000_000


@attrs.frozen(kw_only=True)
class Upkeep:
    """What one round did."""

    compressed: tuple[str, ...]
    deleted: tuple[str, ...]
    free_bytes: int


def keep_house(
    directory: Path, *, present: Path | None, now_wall_ns: int, retention_days: float, oldest_open_wall_ns: int | None
) -> Upkeep:
    """Compress every closed segment and delete those past their time; blocking.

    Closed is what sorts before `present`, the one that is written to as far as the caller knows: the journal may begin
    another at any moment. A segment is past its time when the one after it began before the retention and before the
    oldest open position.
    """
    paths = segment_paths(directory)
    closed = [path for path in paths if present is not None and path.name < present.name]
    limit_ns = now_wall_ns - int(retention_days * _DAY_NS)
    if oldest_open_wall_ns is not None:
        limit_ns = min(limit_ns, oldest_open_wall_ns)
    deleted = tuple(path.name for path in _expired(paths, limit_ns) if path in closed)
    for name in deleted:
        (directory / name).unlink(missing_ok=True)
    compressed = tuple(path.name for path in closed if path.suffix == ".journal" and path.name not in deleted)
    for name in compressed:
        _compress(directory / name)
    return Upkeep(compressed=compressed, deleted=deleted, free_bytes=shutil.disk_usage(directory).free)


def _expired(paths: tuple[Path, ...], limit_ns: int) -> list[Path]:
    expired: list[Path] = []
    began = {path: header.wall_ns for path in paths if (header := read_header(path)) is not None}
    for path, after in pairwise(paths):
        if began.get(after, limit_ns) < limit_ns:
            expired.append(path)
    return expired


def _compress(path: Path) -> None:
    """On disk before the original goes: a recovery may need it."""
    part = path.with_suffix(".part")
    with path.open("rb") as source, part.open("wb") as file:
        with gzip.open(file, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path.with_suffix(".journal.gz"))
    path.unlink()
