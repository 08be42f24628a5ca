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
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import attrs
import msgspec
import trio

from arb.domain.effects import Effect
from arb.domain.errors import JournalFull, ProtocolError
from arb.domain.events import Event
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

    async def synced(self, seq: int) -> None:
        """Wait until everything up to `seq` is on disk."""
        await self._writer.synced(seq)

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

    async def synced(self, seq: int) -> None:
        """Nothing to wait for."""
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Write the segment."""
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(b"".join(self._parts))
        self._parts.clear()


@attrs.define
class _Batch:
    """What waits for the thread."""

    records: list[bytes]
    seq: int
    open_path: Path | None


class ThreadWriter:
    """Writes and syncs in its own thread; one sync serves everybody who waits (group commit)."""

    def __init__(
        self, wake: Callable[[Callable[[], None]], None], *, lazy_sync_s: float = 0.2, buffer_bytes: int = BUFFER_BYTES
    ) -> None:
        self._wake = wake
        """Runs a function in the event loop's thread soon: `TrioToken.run_sync_soon`."""
        self._lazy_sync_s = lazy_sync_s
        self._buffer_bytes = buffer_bytes
        self._condition = threading.Condition()
        self._queue: list[_Batch] = []
        self._queued_bytes = 0
        self._urgent = False
        self._closing = False
        self._failure: str | None = None
        self._synced_seq = 0
        self._waiters: list[tuple[int, trio.Event]] = []
        self._thread = threading.Thread(target=self._run, name="arb-journal", daemon=True)
        self._thread.start()

    @property
    def synced_seq(self) -> int:
        """Highest sequence known to be on disk."""
        return self._synced_seq

    def open_segment(self, path: Path) -> None:
        """What follows belongs to another file."""
        with self._condition:
            self._queue.append(_Batch([], self._synced_seq, path))

    def put(self, record: bytes, seq: int) -> None:
        """Queue a record.

        Raises:
            JournalFull: the disk has failed or is too far behind.
        """
        if self._failure is not None:
            raise JournalFull(self._failure)
        with self._condition:
            self._queued_bytes += len(record)
            if self._queued_bytes > self._buffer_bytes:
                raise JournalFull(
                    f"journal: {self._queued_bytes} bytes wait for the disk, at most {self._buffer_bytes} may"
                )
            self._queue[-1].records.append(record) if self._queue else self._queue.append(_Batch([record], seq, None))
            self._queue[-1].seq = seq

    async def synced(self, seq: int) -> None:
        """Wait for the sync that covers `seq`.

        Raises:
            JournalFull: the disk has failed.
        """
        if self._synced_seq >= seq or self._failure is not None:
            await trio.lowlevel.checkpoint()
        else:
            event = trio.Event()
            self._waiters.append((seq, event))
            with self._condition:
                self._urgent = True
                self._condition.notify()
            await event.wait()
        if self._failure is not None and self._synced_seq < seq:
            raise JournalFull(self._failure)

    def close(self) -> None:
        """Write, sync and join."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        file = None
        try:
            while True:
                batches, closing = self._next()
                for batch in batches:
                    if batch.open_path is not None:
                        if file is not None:
                            _sync(file)
                            os.close(file)
                        file = os.open(batch.open_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                        _sync_directory(batch.open_path.parent)
                    if file is not None and batch.records:
                        _write_all(file, b"".join(batch.records))
                if file is not None and batches:
                    _sync(file)
                    self._wake_up(batches[-1].seq)
                if closing:
                    break
        except OSError as error:
            self._fail(f"journal: the disk failed: {error.strerror} ({error.filename or 'segment'})")
        finally:
            if file is not None:
                os.close(file)

    def _next(self) -> tuple[list[_Batch], bool]:
        with self._condition:
            if not self._urgent and not self._closing:
                self._condition.wait(self._lazy_sync_s)
            batches, self._queue = self._queue, []
            self._queued_bytes = 0
            self._urgent = False
            return batches, self._closing

    def _wake_up(self, seq: int) -> None:
        self._synced_seq = max(self._synced_seq, seq)
        self._notify()

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._notify()

    def _notify(self) -> None:
        try:
            self._wake(self._release)
        except trio.RunFinishedError:
            return

    def _release(self) -> None:
        still = []
        for seq, event in self._waiters:
            if self._synced_seq >= seq or self._failure is not None:
                event.set()
            else:
                still.append((seq, event))
        self._waiters = still


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync(file: int) -> None:
    os.fdatasync(file)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
