"""Tables before the first row, and the journal's files while it runs.

Owns: catching up after a crash, the first segment, which carries what the engine knows at its start, the hourly round
over closed segments, and the watch over free disk space.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Final, Never

import trio

from arb.cli.assembly import Assembly
from arb.cli.data_dir import DataDir
from arb.cli.engine_config import pair_strategies
from arb.cli.recovery import seal
from arb.cli.schema import Settings
from arb.domain.events import StorageSeen
from arb.storage.catchup import catch_up
from arb.storage.csv import CsvStore
from arb.storage.retention import keep_house
from arb.telemetry.health import ComponentState

DISK_EVERY_CHECKS: Final = 10
"""The disk is looked at once in so many looks at the clock."""
ROUNDS_PER_UPKEEP: Final = 360


async def make_tables(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """Prepare the tables, apply what a crash kept from them, begin the first segment; then done."""
    count = await parts.around.run_thread(partial(_prepare, parts))
    parts.sight.board.component(
        "CSV", ComponentState.OK, f"{parts.data.csv}" + (f", {count} rows caught up" if count else "")
    )
    clock = parts.around.clock
    seal(parts.journal, parts.engine, clock)
    parts.sight.board.component("JOURNAL", ComponentState.OK, f"{parts.data.journal}")
    task_status.started()


def _prepare(parts: Assembly) -> int:
    return prepare_tables(parts.csv, parts.settings, parts.data)


def prepare_tables(csv: CsvStore, settings: Settings, data: DataDir) -> int:
    """Make the tables and apply what a crash kept from them; return how many rows that was. Blocking.

    Raises:
        ConfigError: a file's columns are another version's.
    """
    mode, strategies = settings.mode.value, pair_strategies(settings)

    def store_of(run_id: str) -> CsvStore:
        return CsvStore(data.csv, run_id=run_id, mode=mode, strategies=strategies)

    return catch_up(data.journal, csv.prepare(), store_of)


async def keep_journal(parts: Assembly) -> Never:
    """Look at the disk every ten seconds, at old segments at once and every hour."""
    was_low = False
    rounds = 0
    while True:
        if rounds % ROUNDS_PER_UPKEEP == 0:
            await _keep_house(parts)
        rounds += 1
        free = shutil.disk_usage(parts.data.root).free
        is_low = free < parts.settings.journal.min_free_mb * 2**20
        if is_low != was_low:
            detail = f"{free // 2**20} MiB free, journal.min_free_mb is {parts.settings.journal.min_free_mb}"
            parts.sink.put_account(
                StorageSeen(at_ns=parts.around.clock.monotonic_ns(), is_low=is_low, is_full=False, detail=detail)
            )
            parts.sight.board.component("JOURNAL", ComponentState.WARN if is_low else ComponentState.OK, detail)
            was_low = is_low
        await trio.sleep(DISK_EVERY_CHECKS * parts.around.check_s)


async def _keep_house(parts: Assembly) -> None:
    opened = [position.opened_wall_ns for position in parts.engine.open_positions()]
    present: Path | None = parts.journal.path
    upkeep = await parts.around.run_thread(
        partial(
            keep_house,
            parts.data.journal,
            present=present,
            now_wall_ns=parts.around.clock.wall_ns(),
            retention_days=parts.settings.journal.retention_days,
            oldest_open_wall_ns=min(opened, default=None),
        )
    )
    parts.sight.kept_house(upkeep.compressed, upkeep.deleted)
