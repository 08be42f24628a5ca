"""The data directory: its parts, and the lock that keeps a second engine out.

Owns: the layout `journal/ csv/ faults/ logs/ lock control.sock` and an exclusive flock on `lock`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from arb.domain.errors import ConfigError
from arb.supervision.control import SOCKET_NAME


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

    @property
    def control(self) -> Path:
        """The socket on which a running engine takes commands."""
        return self.root / SOCKET_NAME


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
            raise ConfigError(
                f"data_dir: {root} is in use by the engine with pid {_pid_in(handle)}; "
                "stop it or choose another data_dir"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield directory
    finally:
        os.close(handle)


def lock_holder(root: Path) -> str | None:
    """The pid of the engine that holds the directory; None: nobody does. Nothing is made or changed.

    Raises:
        ConfigError: the directory is somebody else's.
    """
    try:
        handle = os.open(root / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"data_dir: {root}/lock: {error.strerror}; run this as the engine's user") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(handle)
    finally:
        os.close(handle)
    return None


def _pid_in(handle: int) -> str:
    return os.pread(handle, 32, 0).decode().strip() or "unknown"


def claim(data: DataDir, mode: str) -> None:
    """Take the directory for runs of one mode, or see that it is taken for it: what a modelled run leaves open is
    nothing that a real one may find. The lock must be held.

    Raises:
        ConfigError: the directory belongs to another mode.
    """
    mark = data.root / "mode"
    try:
        owner = mark.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        owner = mode
        mark.write_text(f"{mode}\n", encoding="utf-8")
    if owner != mode:
        raise ConfigError(
            f"data_dir: {data.root} keeps the journal of {owner} runs, and this one is {mode}; write {{mode}} into "
            "data_dir, or choose another"
        )
