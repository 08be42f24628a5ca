"""An operator's command while no engine runs: written into the journal, in force from the next start on.

Owns: the shortest run there is: recover, `RunStarted`, the command, the end.
Never: connects to anything, sends an effect, or touches a directory that somebody else holds.

1. The directory is locked for as long as it takes, so that no engine starts in between.
2. What a crash kept from the tables is applied first: only the newest run may be behind (`catchup.py`).
3. The run has its own id and journal. Its last segment carries the state after the command, so that the next start
   replays nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from arb.cli.build import build_name, next_run_id
from arb.cli.data_dir import DataDir, claim, locked_data_dir
from arb.cli.engine_config import engine_config, pair_strategies
from arb.cli.recovery import recover, seal
from arb.cli.settings import Loaded
from arb.cli.upkeep import prepare_tables
from arb.domain.events import Event, RunStarted
from arb.engine import Engine
from arb.storage.codec import encode_value
from arb.storage.csv import CsvStore
from arb.storage.journal import SegmentJournal, ThreadWriter
from arb.supervision.clock import AnchoredClock
from arb.supervision.control import Peer, audit, command_answer, command_of, would_be
from arb.supervision.control_view import ControlView, control_view
from arb.supervision.control_words import ControlAnswer, ControlRequest
from arb.telemetry.logs import open_logs


async def tell_next_start(loaded: Loaded, root: Path, request: ControlRequest) -> ControlAnswer:
    """Leave the command where the next start finds it; what came of it.

    Raises:
        ConfigError: the directory is held or cannot be written.
        UnsafeToTrade: the journal cannot be believed.
        JournalFull: the disk failed.
    """
    logging = loaded.settings.logging
    with locked_data_dir(root) as data:
        claim(data, loaded.settings.mode.value)
        directory = Path(logging.dir) if logging.dir else data.logs
        with open_logs(directory, level=logging.level, as_json=logging.json, secrets=(), console_level=None):
            answer = await _written(loaded, data, request)
            audit(request, _self(), answer)
            return answer


async def last_view(loaded: Loaded, root: Path) -> ControlView:
    """The engine as it was when it last ran, its books as it last saw them.

    Raises:
        ConfigError: the directory is held.
        UnsafeToTrade: the journal cannot be believed.
    """
    clock = AnchoredClock()
    if not DataDir(root).journal.exists():
        return control_view(Engine(engine_config(loaded.settings, clock.wall_ns())))
    with locked_data_dir(root) as data:
        return control_view(_recovered(loaded, data, clock))


def _recovered(loaded: Loaded, data: DataDir, clock: AnchoredClock) -> Engine:
    config = engine_config(loaded.settings, clock.wall_ns())
    recovered = recover(data.journal, config, build_name())
    if recovered is None:
        return Engine(config)
    clock.continue_from(recovered.now_ns, recovered.wall_ns)
    return Engine(config, recovered.memory)


async def _written(loaded: Loaded, data: DataDir, request: ControlRequest) -> ControlAnswer:
    """Two steps between two snapshots; a dry run steps too, and writes neither."""
    clock = AnchoredClock()
    engine = _recovered(loaded, data, clock)
    settings, run_id, build = loaded.settings, next_run_id(data.journal, clock.wall_ns()), build_name()
    started = RunStarted(
        at_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
        run_id=run_id,
        build=build,
        parameters=encode_value(engine.config).decode(),
    )
    if request.dry_run:
        engine.step(started)
        return would_be(request, control_view(engine))
    strategies = pair_strategies(settings)
    prepare_tables(CsvStore(data.csv, run_id=run_id, mode=settings.mode.value, strategies=strategies), settings, data)
    writer = ThreadWriter()
    journal = SegmentJournal(data.journal, writer, run_id=run_id, build=build)
    try:
        seal(journal, engine, clock)
        _consumed(engine, journal, started)
        before = control_view(engine)
        seq = _consumed(engine, journal, command_of(request, _self(), clock.monotonic_ns()))
        seal(journal, engine, clock)
        await journal.synced(seq)
    finally:
        journal.close()
    return command_answer(request, before, control_view(engine), seq)


def _consumed(engine: Engine, journal: SegmentJournal, event: Event) -> int:
    """One step, written as the decision loop writes it; its sequence."""
    journal.append(event)
    return journal.append_effects(engine.step(event))


def _self() -> Peer:
    """This process, which is the operator's own."""
    return Peer(os.getpid(), os.geteuid())
