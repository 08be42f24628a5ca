"""The data directory: its parts, and the lock that keeps a second engine out.

Owns: the layout `journal/ csv/ spool/ snapshot/ logs/ lock` and an exclusive flock on `lock`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from arb.domain.errors import ConfigError


@attrs.frozen
class DataDir:
    """Where a run keeps its things."""

    root: Path

    @property
    def journal(self) -> Path:
        """Segments."""
        return self.root / "journal"

    @property
    def csv(self) -> Path:
        """Tables."""
        return self.root / "csv"

    @property
    def faults(self) -> Path:
        """Frames that could not be understood, bounded."""
        return self.root / "faults"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.root / "logs"


@contextmanager
def locked_data_dir(root: Path) -> Iterator[DataDir]:
    """Make the directory and hold its lock.

    Raises:
        ConfigError: it cannot be written, or another engine holds it (its pid is named).
    """
    directory = DataDir(root)
    try:
        for part in (root, directory.journal, directory.csv, directory.faults, directory.logs):
            part.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"data_dir: {error.filename or root} cannot be written: {error.strerror}; choose another data_dir"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
            raise ConfigError(
                f"data_dir: {root} is in use by the engine with pid {holder}; stop it or choose another data_dir"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield directory
    finally:
        os.close(handle)
