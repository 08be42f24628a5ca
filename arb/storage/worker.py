"""One worker for blocking stores: rows are queued on the loop and written in a thread, in order and in batches.

Owns: the queue of rows not yet written and the limiter of the one storage thread.
Never: blocks the event loop; drops a row; abandons a thread that writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, Never, Protocol, TypeVar

import attrs
import trio

from arb.domain.effects import Record
from arb.ports import Journal, ThreadRunner
from arb.storage.csv import StoredRow

T = TypeVar("T")

BATCH_ROWS: Final = 500
CAPACITY_ROWS: Final = 200_000
RETRY_S: Final = 1.0
LINGER_S: Final = 0.05
"""Rows are collected so long before a batch leaves."""


class RowStore(Protocol):
    """A blocking store."""

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Write all, synced. Raises OSError."""


@attrs.frozen(kw_only=True)
class StoreStatistics:
    """How far behind the store is."""

    waiting_count: int
    written_count: int
    failure: str | None
    """The last failure while it lasts."""


def thread_runner() -> ThreadRunner:
    """Run in a thread of its own limiter: one storage call at a time."""
    limiter = trio.CapacityLimiter(1)

    async def run(function: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(function, limiter=limiter)

    return run


class StoreWorker:
    """Implements `ports.Store` over a blocking `RowStore`."""

    def __init__(
        self,
        store: RowStore,
        journal: Journal,
        run: ThreadRunner,
        *,
        on_failure: Callable[[str], None],
        on_full: Callable[[], None],
        capacity: int = CAPACITY_ROWS,
    ) -> None:
        self._store = store
        self._journal = journal
        self._run = run
        self._on_failure = on_failure
        self._on_full = on_full
        self._capacity = capacity
        self._rows: deque[StoredRow] = deque()
        self._changed = trio.Event()
        self._idle = trio.Event()
        self._written = 0
        self._failure: str | None = None
        self._is_full = False

    def put(self, record: Record, seq: int) -> None:
        """Queue a row; beyond the capacity `on_full` is called once per fullness and rows are still kept."""
        self._rows.append(StoredRow(record=record, seq=seq))
        self._idle = trio.Event() if self._idle.is_set() else self._idle
        self._changed.set()
        if len(self._rows) > self._capacity and not self._is_full:
            self._is_full = True
            self._on_full()

    async def flush(self) -> None:
        """Wait until everything queued is written. The caller sets the deadline."""
        if self._rows:
            await self._idle.wait()
        else:
            await trio.lowlevel.checkpoint()

    def statistics(self) -> StoreStatistics:
        """A snapshot."""
        return StoreStatistics(waiting_count=len(self._rows), written_count=self._written, failure=self._failure)

    async def run(self) -> Never:
        """Write batches until cancelled; a failing disk is told once and tried again every second, keeping every
        row."""
        while True:
            await self._changed.wait()
            await trio.sleep(LINGER_S)
            while self._rows:
                await self._write_batch()
            self._changed = trio.Event()
            self._idle.set()

    async def _write_batch(self) -> None:
        batch = list(islice(self._rows, BATCH_ROWS))
        await self._journal.synced(batch[-1].seq)
        try:
            await self._run(partial(self._store.write, batch))
        except OSError as error:
            if self._failure is None:
                self._on_failure(f"{error.strerror}: {error.filename or 'csv'}")
            self._failure = str(error)
            await trio.sleep(RETRY_S)
            return
        self._failure = None
        for _ in batch:
            self._rows.popleft()
        self._written += len(batch)
        self._is_full = self._is_full and len(self._rows) > self._capacity // 2
