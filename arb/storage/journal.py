"""The append-only record of what the engine consumed and answered.

Owns: the segment files of one run, their headers, and the thread that writes and syncs them (group commit).
Never: blocks the event loop; loses a step that was reported synced.
Units: a record is `length u32 | crc32 u32 | payload`; the first record of a segment is its header; sequences count
from 1.
A step is in the journal when its effects are: an event whose step failed stands at the tail as kind `E` and is never
replayed.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
import trio

from arb.domain.effects import Effect
from arb.domain.errors import JournalFull, ProtocolError
from arb.domain.events import Event
from arb.ports import Synced
from arb.storage.codec import SCHEMA, encode_step
from arb.storage.segments import SegmentHeader, framed

SEGMENT_BYTES: Final = 256 * 1024 * 1024
SEGMENT_NS: Final = 600_000_000_000
"""A start after a crash replays at most so much."""
BUFFER_BYTES: Final = 64 * 1024 * 1024
"""Bytes waiting for the disk; beyond it the journal is full."""


class Writer(Protocol):
    """Where encoded records go; a thread in production, inline in simulations."""

    def open_segment(self, path: Path) -> None:
        """Everything put from now on belongs to this file."""

    def put(self, record: bytes, seq: int) -> None:
        """Take a framed record. Raises JournalFull."""

    def sync_soon(self) -> None:
        """Begin to write now what waits."""

    async def synced(self, seq: int) -> None:
        """Wait until `seq` is on disk. Raises JournalFull."""

    @property
    def synced_seq(self) -> int:
        """Highest sequence on disk."""

    def close(self) -> None:
        """Write and sync what is left; blocking, bounded by the disk."""


class SegmentJournal:
    """Implements `ports.Journal` over segment files."""

    def __init__(
        self,
        directory: Path,
        writer: Writer,
        *,
        run_id: str,
        build: str,
        segment_bytes: int = SEGMENT_BYTES,
        segment_ns: int = SEGMENT_NS,
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._run_id = run_id
        self._build = build
        self._segment_bytes = segment_bytes
        self._segment_ns = segment_ns
        self._seq = 0
        self._index = 0
        self._size = 0
        self._began_ns = 0
        self._pending: Event | None = None
        self.path: Path | None = None
        """The segment that is being written; None before the first."""

    @property
    def seq(self) -> int:
        """Sequence of the last closed step."""
        return self._seq

    @property
    def synced_seq(self) -> int:
        """Highest sequence known to be on disk."""
        return self._writer.synced_seq

    @property
    def is_step_open(self) -> bool:
        """Whether the last event was taken and its step never ended: it failed."""
        return self._pending is not None

    def wants_segment(self, now_ns: int) -> bool:
        """Whether the present segment is full or ten minutes old."""
        return self._size >= self._segment_bytes or now_ns - self._began_ns >= self._segment_ns

    def begin_segment(self, snapshot: bytes, *, wall_ns: int, monotonic_ns: int) -> Path:
        """Start a new file with the engine's state before the next step."""
        self._index += 1
        path = self._directory / f"{self._run_id}-{self._index:06d}.journal"
        header = SegmentHeader(
            schema=SCHEMA,
            build=self._build,
            run_id=self._run_id,
            index=self._index,
            first_seq=self._seq + 1,
            wall_ns=wall_ns,
            monotonic_ns=monotonic_ns,
            snapshot=snapshot,
        )
        self._writer.open_segment(path)
        self.path = path
        record = framed(b"H" + msgspec.msgpack.encode(header))
        self._writer.put(record, self._seq)
        self._size, self._began_ns = len(record), monotonic_ns
        return path

    def append(self, event: Event) -> None:
        """Take a consumed event; its step is closed by `append_effects`."""
        self._pending = event

    def append_effects(self, effects: tuple[Effect, ...]) -> int:
        """Close the step and hand it to the writer.

        Raises:
            JournalFull: buffer or disk cannot take it.
        """
        if self._pending is None:
            raise ProtocolError("journal", "effects without an event")
        self._seq += 1
        record = framed(b"S" + encode_step(self._seq, self._pending, effects))
        self._pending = None
        self._size += len(record)
        self._writer.put(record, self._seq)
        return self._seq

    def sync_soon(self) -> None:
        """Begin to write what waits."""
        self._writer.sync_soon()

    async def synced(self, seq: int) -> Synced:
        """Wait until everything up to `seq` is on disk."""
        await self._writer.synced(seq)
        return Synced(seq)

    def close(self) -> None:
        """Write what is left. An event whose step failed is kept for the post-mortem as kind `E`."""
        if self._pending is not None:
            self._writer.put(framed(b"E" + encode_step(self._seq + 1, self._pending, ())), self._seq)
            self._pending = None
        self._writer.close()


class InlineWriter:
    """Writes at once and calls that synced: for simulations, which have no threads and survive no crash."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._seq = 0
        self._parts: list[bytes] = []

    @property
    def synced_seq(self) -> int:
        """Everything put is synced."""
        return self._seq

    def open_segment(self, path: Path) -> None:
        """Write the previous file out and begin another."""
        self.close()
        self._path = path

    def put(self, record: bytes, seq: int) -> None:
        """Keep the record; it is written when the segment ends."""
        self._parts.append(record)
        self._seq = seq

    def sync_soon(self) -> None:
        """Nothing to begin."""

    async def synced(self, seq: int) -> None:
        """Nothing to wait for."""
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Write the segment."""
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(b"".join(self._parts))
        self._parts.clear()


class ThreadWriter:
    """Writes and syncs in its own thread; one sync serves everybody who waits (group commit).

    The way there and back is as short as two threads allow: a lock rings the thread, an eventfd wakes the event loop,
    and the queue between them is a deque, whose ends need no lock.
    """

    def __init__(self, *, lazy_sync_s: float = 0.2, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._lazy_sync_s = lazy_sync_s
        self._buffer_bytes = buffer_bytes
        self._queue: deque[tuple[bytes, int] | Path] = deque()
        """Records with their sequence; a path: what follows goes to that file. Bounded by `buffer_bytes`."""
        self._put_bytes = 0
        """Written by the event loop only."""
        self._taken_bytes = 0
        """Written by the thread only."""
        self._bell = threading.Lock()
        """Locked while nobody has rung."""
        self._bell.acquire()
        self._closing = False
        self._failure: str | None = None
        self._synced_seq = 0
        self._done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable: the thread has synced, or failed."""
        self._is_watched = False
        self._looked = trio.Event()
        """Set when whoever watched `_done` has looked at it."""
        self._thread = threading.Thread(target=self._run, name="arb-journal", daemon=True)
        self._thread.start()

    @property
    def synced_seq(self) -> int:
        """Highest sequence known to be on disk."""
        return self._synced_seq

    def open_segment(self, path: Path) -> None:
        """What follows belongs to another file."""
        self._queue.append(path)

    def put(self, record: bytes, seq: int) -> None:
        """Queue a record.

        Raises:
            JournalFull: the disk has failed or is too far behind.
        """
        if self._failure is not None:
            raise JournalFull(self._failure)
        waiting = self._put_bytes - self._taken_bytes + len(record)
        if waiting > self._buffer_bytes:
            raise JournalFull(f"journal: {waiting} bytes wait for the disk, at most {self._buffer_bytes} may")
        self._put_bytes += len(record)
        self._queue.append((record, seq))

    def sync_soon(self) -> None:
        """Ring the thread."""
        with suppress(RuntimeError):  # rung already
            self._bell.release()

    async def synced(self, seq: int) -> None:
        """Wait for the sync that covers `seq`.

        Raises:
            JournalFull: the disk has failed.
        """
        if self._synced_seq >= seq or self._failure is not None:
            await trio.lowlevel.checkpoint()
        else:
            self.sync_soon()
        while self._synced_seq < seq and self._failure is None:
            await self._turn()
        if self._failure is not None and self._synced_seq < seq:
            raise JournalFull(self._failure)

    def close(self) -> None:
        """Write, sync and join."""
        self._closing = True
        self.sync_soon()
        self._thread.join()
        if not self._is_watched and self._done >= 0:
            os.close(self._done)
            self._done = -1

    async def _turn(self) -> None:
        """Wait until the thread has told something new: one task watches, the others wait for it."""
        if self._is_watched:
            await self._looked.wait()
            return
        self._is_watched = True
        try:
            await trio.lowlevel.wait_readable(self._done)
            with suppress(BlockingIOError):
                os.eventfd_read(self._done)
        finally:
            self._is_watched = False
            self._looked.set()
            self._looked = trio.Event()

    # --- the thread ---

    def _run(self) -> None:
        file = _File()
        try:
            while True:
                is_last = self._closing
                self._write(file, self._take())
                if is_last:
                    break
                self._bell.acquire(timeout=self._lazy_sync_s)
        except OSError as error:
            self._failure = f"journal: the disk failed: {error.strerror} ({error.filename or 'segment'})"
            os.eventfd_write(self._done, 1)
        finally:
            file.close()

    def _take(self) -> list[tuple[bytes, int] | Path]:
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        return taken

    def _write(self, file: _File, taken: list[tuple[bytes, int] | Path]) -> None:
        """Write and sync all of it, then tell."""
        records: list[bytes] = []
        seq = 0
        for each in taken:
            if isinstance(each, Path):
                file.write(records)
                records = []
                file.open(each)
            else:
                record, seq = each
                self._taken_bytes += len(record)
                records.append(record)
        file.write(records)
        if file.sync():
            self._synced_seq = max(self._synced_seq, seq)
            os.eventfd_write(self._done, 1)


class _File:
    """The segment that is being written, inside the writer's thread."""

    def __init__(self) -> None:
        self._handle: int | None = None
        self._is_dirty = False

    def open(self, path: Path) -> None:
        """Close the one before, whole, and begin another."""
        self.sync()
        self.close()
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        _sync_directory(path.parent)

    def write(self, records: list[bytes]) -> None:
        """Append."""
        if self._handle is not None and records:
            _write_all(self._handle, records[0] if len(records) == 1 else b"".join(records))
            self._is_dirty = True

    def sync(self) -> bool:
        """Bring to disk what was written; whether there was anything."""
        if self._handle is None or not self._is_dirty:
            return False
        os.fdatasync(self._handle)
        self._is_dirty = False
        return True

    def close(self) -> None:
        """Close it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
