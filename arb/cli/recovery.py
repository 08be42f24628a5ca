"""What an engine knew when it last ran: the newest snapshot of the journal, and the steps after it done again.

Owns: which segment counts, under which configuration it is replayed, and when a replay is not to be believed.
Never: sends an effect, or goes on with books that may not be the ones that orders were sent from.
Units: `_ns` as the recovered engine counts them: monotonic time goes on over restarts.

The snapshot at the head of the newest segment is the truth before it. Each whole step after it was decided once and is
decided again; its orders and cancels must come out as they were recorded, because those are what venues were sent.
Where another build decides otherwise, it takes that step and all that follow as they were recorded, and decides nothing
(`Engine.fold`). A step that the crash cut off sent nothing: orders leave only when their step is on disk.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import msgspec

from arb.domain.effects import Cancel, Effect, Submit
from arb.domain.errors import ArbError, ProtocolError, UnsafeToTrade
from arb.domain.events import RunStarted
from arb.domain.ids import RunId
from arb.domain.order import OrderRequest
from arb.engine import Engine, EngineConfig, EngineSnapshot, Memory
from arb.ports import Clock
from arb.storage.codec import Step, decode_step, decode_value, encode_effects, encode_value
from arb.storage.segments import SegmentHeader, SegmentReader, segment_paths

log = logging.getLogger("arb.recovery")
OLD_BUILD: Final = (
    "start the build that wrote it once, with the configuration of then, and stop it gracefully: a graceful end leaves "
    "nothing to be replayed; where that build cannot run, close by hand what is open, move the journal directory away "
    "and compare with `arb reconcile`"
)
UNREADABLE: Final = (
    "start the build that wrote it and flatten; or, with nothing open that this engine should know of, move the "
    "journal directory away and compare with `arb reconcile`"
)


@attrs.frozen(kw_only=True)
class Recovered:
    """What an earlier run left, ready for `Engine(config, memory)`."""

    memory: Memory
    run_id: RunId
    """Of the run that left it."""
    seq: int
    """Its last whole step; the engine counts from 0 again."""
    now_ns: int
    """When it was last heard of, as are `wall_ns`: `AnchoredClock.continue_from`."""
    wall_ns: int
    steps: int
    """How many were replayed after the snapshot."""
    dropped: str
    """What stood behind the last whole step and is not believed; empty: nothing."""


class SnapshotJournal(Protocol):
    """The journal as a snapshot needs it."""

    def begin_segment(self, snapshot: bytes, *, wall_ns: int, monotonic_ns: int) -> Path:
        """Start a segment with the engine's state before the next step."""


def frozen(engine: Engine) -> bytes:
    """The engine's whole memory, as a segment carries it."""
    return encode_value(EngineSnapshot(engine.memory))


def seal(journal: SnapshotJournal, engine: Engine, clock: Clock) -> None:
    """Put the engine's state where the next start looks first: it replays nothing after this."""
    journal.begin_segment(frozen(engine), wall_ns=clock.wall_ns(), monotonic_ns=clock.monotonic_ns())


def recover(directory: Path, config: EngineConfig, build: str) -> Recovered | None:
    """What the newest run in a journal directory knew at its end; None when there is no journal. Blocking.

    Raises:
        UnsafeToTrade: the journal cannot be read, a replay sends something else than was sent, or a pair with
            something open is not in `config` any more.
    """
    reader, dropped = _newest(directory)
    if reader is None or reader.header is None:
        return None
    header = reader.header
    done = _replayed(reader, header, config, is_same_build=header.build == build)
    if done.otherwise:
        log.warning("journal_folded", extra={"file": reader.path.name, "seq": done.seq, "what": done.otherwise})
        reader = SegmentReader(reader.path)
        done = _replayed(reader, header, config, is_same_build=False, fold_from=done.seq)
    steps, seq = done.steps, done.seq
    dropped = "; ".join(filter(None, (dropped, _tail(reader))))
    if dropped:
        log.warning("journal_tail_dropped", extra={"file": reader.path.name, "seq": seq, "what": dropped})
    memory = Engine(config, done.memory).memory
    now_ns = max(memory.now_ns, header.monotonic_ns)
    wall_ns = header.wall_ns + now_ns - header.monotonic_ns
    if steps:
        wall_ns = memory.market.wall_ns(now_ns)
    memory.seq = 0
    return Recovered(
        memory=memory, run_id=RunId(header.run_id), seq=seq, now_ns=now_ns, wall_ns=wall_ns, steps=steps,
        dropped=dropped,
    )  # fmt: skip


def _newest(directory: Path) -> tuple[SegmentReader | None, str]:
    """The newest segment whose header is whole, and what was passed over to find it.

    Raises:
        UnsafeToTrade: a file that is not a segment, or of a newer schema.
    """
    passed: list[str] = []
    for path in reversed(segment_paths(directory)):
        try:
            reader = SegmentReader(path)
        except (ProtocolError, OSError, EOFError, zlib.error) as error:
            raise UnsafeToTrade(f"{path} cannot be read ({error}): {UNREADABLE}") from error
        if reader.header is not None:
            return reader, "; ".join(passed)
        passed.append(f"{path.name} was torn before its header")
    return None, ""


def _thawed(path: Path, header: SegmentHeader) -> Memory | None:
    """The memory at the head of a segment; None: nothing was known.

    Raises:
        UnsafeToTrade: it cannot be decoded.
    """
    if not header.snapshot:
        return None
    try:
        snapshot: EngineSnapshot = decode_value(header.snapshot, EngineSnapshot)
    except ProtocolError as error:
        raise UnsafeToTrade(
            f"the snapshot in {path}, written by {header.build}, cannot be read ({error.detail}): {UNREADABLE}"
        ) from error
    return snapshot.memory


@attrs.frozen(kw_only=True)
class Replay:
    """How far a replay came."""

    memory: Memory | None
    steps: int
    seq: int
    """Of the last whole step, or of the one that came out otherwise."""
    otherwise: str = ""
    """What was sent and what would have been; empty: all came out as recorded."""


def _replayed(
    reader: SegmentReader,
    header: SegmentHeader,
    config: EngineConfig,
    *,
    is_same_build: bool,
    fold_from: int | None = None,
) -> Replay:
    """What the engine knows after the last whole step; from step `fold_from` on it takes what is recorded.

    Raises:
        UnsafeToTrade: a step cannot be read or done again, or comes out otherwise under the build that wrote it.
    """
    path, memory = reader.path, _thawed(reader.path, header)
    engine: Engine | None = None
    count, seq = 0, header.first_seq - 1
    try:
        for step in reader.steps():
            if engine is None:
                engine = Engine(_config_of(path, step, memory, config), memory)
            if fold_from is not None and step.seq >= fold_from:
                engine.fold(step.event, _requests(step))
            elif otherwise := _otherwise(step, engine.step(step.event), is_same_build=is_same_build):
                if is_same_build:
                    words = f"{path}, step {step.seq} ({type(step.event).__name__}): replayed it sends other orders"
                    raise UnsafeToTrade(
                        f"{words} than were recorded, so nobody knows what was sent. {otherwise}. {UNREADABLE}"
                    )
                return Replay(memory=None, steps=count, seq=step.seq, otherwise=otherwise)
            count, seq = count + 1, step.seq
    except UnsafeToTrade:
        raise
    except ProtocolError as error:
        raise UnsafeToTrade(f"{path}, behind step {seq}: {error.detail}: {UNREADABLE}") from error
    except (ArbError, LookupError, ValueError, ArithmeticError, TypeError, StopIteration) as error:
        raise UnsafeToTrade(
            f"{path}: the step behind {seq} cannot be done again ({type(error).__name__}: {error}): {OLD_BUILD}"
        ) from error
    return Replay(memory=engine.memory if engine is not None else memory, steps=count, seq=seq)


def _requests(step: Step) -> tuple[OrderRequest, ...]:
    """The orders that left in a step.

    Raises:
        ValueError: one of them cannot be read.
    """
    orders = [one for item in step.effects if item[0] == Submit.__name__ for one in _plain(item)["orders"]]
    return tuple(msgspec.convert(one["request"], OrderRequest, strict=False) for one in orders)


def _config_of(path: Path, first: Step, memory: Memory | None, config: EngineConfig) -> EngineConfig:
    """What the run was started with: from its own beginning, or kept in the snapshot."""
    text = first.event.parameters if isinstance(first.event, RunStarted) else memory.parameters if memory else ""
    if not text:
        return config
    try:
        found: EngineConfig = decode_value(text, EngineConfig)
    except ProtocolError as error:
        raise UnsafeToTrade(
            f"{path}: the configuration of that run cannot be read ({error.detail}): {OLD_BUILD}"
        ) from error
    return found


def _otherwise(step: Step, effects: tuple[Effect, ...], *, is_same_build: bool) -> str:
    """What was sent then and what would be sent now, where that differs; another build may word it with further fields,
    and what it cancels is of no account: a cancel that did not leave changes no order."""
    kinds = (Submit, Cancel) if is_same_build else (Submit,)
    recorded = tuple(item for item in step.effects if item[0] in [kind.__name__ for kind in kinds])
    replayed = encode_effects(tuple(item for item in effects if isinstance(item, kinds)))
    if recorded == replayed:
        return ""
    if not is_same_build:
        was, now = ([_plain(item) for item in side] for side in (recorded, replayed))
        if len(was) == len(now) and all(_is_within(old, new) for old, new in zip(was, now, strict=True)):
            return ""
    return f"Recorded: {_words(recorded)}. Replayed: {_words(replayed)}"


def _plain(item: tuple[str, bytes]) -> Any:
    return msgspec.msgpack.decode(item[1])


def _is_within(old: Any, new: Any) -> bool:
    """Whether `new` says all that `old` says, and perhaps more."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _is_within(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_is_within(a, b) for a, b in zip(old, new, strict=True))
    return bool(old == new)


def _words(items: tuple[tuple[str, bytes], ...]) -> str:
    return ", ".join(f"{item[0]} {_plain(item)}" for item in items) or "nothing"


def _tail(reader: SegmentReader) -> str:
    """What stands behind the last whole step."""
    found = []
    if reader.failed_event is not None:
        try:
            name = type(decode_step(reader.failed_event).event).__name__
        except ProtocolError:
            name = "event"
        found.append(f"{reader.path.name}: the last {name} made the engine fail and was not taken")
    if reader.is_truncated:
        found.append(f"{reader.path.name}: its tail is torn")
    return "; ".join(found)
