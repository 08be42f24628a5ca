"""Rows reach the store in order, in batches, off the loop, whatever the disk does for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from arb.domain.effects import Record, Table
from arb.storage.csv import StoredRow
from arb.storage.journal import InlineWriter, SegmentJournal
from arb.storage.worker import BATCH_ROWS, StoreWorker, thread_runner

T = TypeVar("T")


class ListStore:
    """Keeps rows; fails while told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.is_failing = False

    def write(self, rows: Sequence[StoredRow]) -> None:
        if self.is_failing:
            raise OSError(28, "No space left on device", "orders.csv")
        self.batches.append([row.seq for row in rows])


async def inline(function: Callable[[], T], /) -> T:
    await trio.lowlevel.checkpoint()
    return function()


def record() -> Record:
    return Record(table=Table.SPREADS, id="x", rev=1, pair=None, row=())


def worker(store: ListStore, told: list[str], tmp_path: object, capacity: int = 1_000_000) -> StoreWorker:
    assert isinstance(tmp_path, Path)
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id="r", build="b")
    return StoreWorker(
        store, journal, inline, on_failure=told.append, on_full=lambda: told.append("full"), capacity=capacity
    )


async def test_flush_waits_for_everything_queued(tmp_path: object, autojump_clock: MockClock) -> None:
    store = ListStore()
    told: list[str] = []
    found = worker(store, told, tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        for seq in range(BATCH_ROWS + 10):
            found.put(record(), seq)
        await found.flush()
        assert [len(batch) for batch in store.batches] == [BATCH_ROWS, 10]
        found.put(record(), 1)
        await found.flush()
        assert len(store.batches) == 3
        nursery.cancel_scope.cancel()
    assert found.statistics().waiting_count == 0
    assert not told


async def test_a_failing_disk_is_told_once_and_every_row_is_kept(tmp_path: object, autojump_clock: MockClock) -> None:
    store = ListStore()
    told: list[str] = []
    found = worker(store, told, tmp_path, capacity=50)
    store.is_failing = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        for seq in range(100):
            found.put(record(), seq)
        await trio.sleep(10)
        assert told == ["full", "No space left on device: orders.csv"]
        store.is_failing = False
        with trio.fail_after(5):
            await found.flush()
        nursery.cancel_scope.cancel()
    assert [seq for batch in store.batches for seq in batch] == list(range(100))
    assert found.statistics().failure is None


async def test_the_real_thread_writes_too(tmp_path: object) -> None:
    store = ListStore()
    assert isinstance(tmp_path, Path)
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id="r", build="b")
    found = StoreWorker(store, journal, thread_runner(), on_failure=pytest.fail, on_full=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        found.put(record(), 3)
        with trio.fail_after(5):
            await found.flush()
        nursery.cancel_scope.cancel()
    assert store.batches == [[3]]
