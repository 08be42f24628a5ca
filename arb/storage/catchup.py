"""Rows that a crash kept from their tables come back from the journal.

Owns: finding the steps after the store's mark and applying their records again.
Never: decides again: effects are read as they were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from arb.domain.effects import Record, Table
from arb.domain.ids import PairId
from arb.storage.codec import decode_record
from arb.storage.csv import Mark, StoredRow
from arb.storage.segments import read_segment, segment_paths
from arb.storage.worker import RowStore

_BATCH: Final = 500


def catch_up(directory: Path, mark: Mark | None, store_of: Callable[[str], RowStore]) -> int:
    """Apply what the last run journalled and did not store; return how many rows that was. Blocking.

    Every start does this, so only the run that ended last can be behind.
    """
    paths = segment_paths(directory)
    if not paths:
        return 0
    run_id = paths[-1].name.rpartition("-")[0]
    after = mark.seq if mark is not None and mark.run_id == run_id else 0
    rows = list(_rows(directory, run_id, after))
    store = store_of(run_id)
    for start in range(0, len(rows), _BATCH):
        store.write(rows[start : start + _BATCH])
    return len(rows)


def _rows(directory: Path, run_id: str, after: int) -> Iterator[StoredRow]:
    for path in segment_paths(directory, run_id):
        segment = read_segment(path)
        for step in segment.steps if segment is not None else ():
            if step.seq > after:
                yield from (
                    StoredRow(record=_record(body), seq=step.seq)
                    for tag, body in step.effects
                    if tag == Record.__name__
                )


def _record(body: bytes) -> Record:
    values = decode_record(body)
    pair = values["pair"]
    return Record(
        table=Table(values["table"]),
        id=values["id"],
        rev=values["rev"],
        pair=None if pair is None else PairId(pair),
        row=tuple((name, cell) for name, cell in values["row"]),
    )
