"""The journal: what is synced survives, what is torn is dropped, what is read is what was written."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.effects import Alert, Effect, Record, Severity, Table
from arb.domain.errors import JournalFull, ProtocolError
from arb.domain.events import Tick
from arb.ports import Synced
from arb.storage.codec import SCHEMA, encode_effects
from arb.storage.journal import InlineWriter, SegmentJournal, ThreadWriter
from arb.storage.segments import SegmentHeader, framed, read_segment, segment_paths

ROW: tuple[Effect, ...] = (
    Record(table=Table.SPREADS, id="x", rev=1, pair=None, row=(("gross_bps", 1.5), ("fx_mid", Decimal("1450.5")))),
    Alert(key="k", severity=Severity.INFO, text="t"),
)


def tick(number: int) -> Tick:
    return Tick(at_ns=number, wall_ns=number * 10)


def written(directory: Path, count: int) -> Path:
    journal = SegmentJournal(directory, InlineWriter(), run_id="run", build="b")
    path = journal.begin_segment(b"snapshot", wall_ns=1, monotonic_ns=2)
    for number in range(count):
        journal.append(tick(number))
        journal.append_effects(ROW if number % 2 else ())
    journal.close()
    return path


def test_steps_come_back_as_they_were(tmp_path: Path) -> None:
    segment = read_segment(written(tmp_path, 10))

    assert segment is not None
    assert not segment.is_truncated
    assert (segment.header.run_id, segment.header.first_seq, segment.header.snapshot) == ("run", 1, b"snapshot")
    assert [step.seq for step in segment.steps] == list(range(1, 11))
    assert [step.event for step in segment.steps] == [tick(number) for number in range(10)]
    assert segment.steps[1].effects == encode_effects(ROW)


@given(cut=st.integers(1, 400), flip=st.booleans())
def test_a_torn_tail_loses_only_itself(tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool) -> None:
    path = written(tmp_path_factory.mktemp("journal"), 12)
    data = bytearray(path.read_bytes())
    if flip:
        data[-cut] ^= 0xFF
    else:
        del data[-cut:]
    path.write_bytes(bytes(data))

    segment = read_segment(path)

    if segment is not None:
        assert [step.event for step in segment.steps] == [tick(number) for number in range(len(segment.steps))]
        assert len(segment.steps) <= 12


def test_an_event_whose_step_failed_is_kept_and_never_replayed(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id="run", build="b")
    path = journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    journal.append(tick(1))
    journal.append_effects(())
    journal.append(tick(2))
    journal.close()

    segment = read_segment(path)

    assert segment is not None
    assert [step.event for step in segment.steps] == [tick(1)]
    assert segment.failed_event is not None


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    header = SegmentHeader(
        schema=SCHEMA + 1, build="b", run_id="r", index=1, first_seq=1, wall_ns=0, monotonic_ns=0, snapshot=b""
    )
    path = tmp_path / "r-000001.journal"
    path.write_bytes(framed(b"H" + msgspec.msgpack.encode(header)))

    with pytest.raises(ProtocolError, match="newer"):
        read_segment(path)


async def test_synced_means_on_disk(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b")
    path = journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    for number in range(100):
        journal.append(tick(number))
        seq = journal.append_effects(ROW)
        if number % 10 == 9:
            with trio.fail_after(5):
                await journal.synced(seq)
            segment = read_segment(path)
            assert segment is not None
            assert segment.steps[-1].seq == seq
            assert journal.synced_seq >= seq
    journal.close()


async def test_one_sync_serves_all_that_wait(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for number in range(50):
                journal.append(tick(number))
                nursery.start_soon(journal.synced, journal.append_effects(()))
    assert journal.synced_seq == 50
    journal.close()


async def test_segments_follow_one_another(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b", segment_bytes=500)
    for number in range(60):
        if number == 0 or journal.wants_segment(number):
            journal.begin_segment(b"", wall_ns=1, monotonic_ns=number)
        journal.append(tick(number))
        journal.append_effects(())
    journal.close()

    segments = [read_segment(path) for path in segment_paths(tmp_path, "run")]

    assert len(segments) > 3
    assert [step.seq for segment in segments if segment for step in segment.steps] == list(range(1, 61))
    for before, after in pairwise(segments):
        assert before is not None
        assert after is not None
        assert after.header.first_seq == before.steps[-1].seq + 1


async def test_a_full_disk_is_journal_full_for_those_who_wait_and_those_who_write(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b")
    (tmp_path / "run-000001.journal").symlink_to("/dev/full")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    journal.append(tick(1))
    seq = journal.append_effects(())

    with trio.fail_after(5), pytest.raises(JournalFull, match="No space left"):
        await journal.synced(seq)
    journal.append(tick(2))
    with pytest.raises(JournalFull):
        journal.append_effects(())
    journal.close()


async def test_a_disk_too_far_behind_is_journal_full(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(buffer_bytes=2_000), run_id="run", build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)

    def fill() -> None:
        for number in range(10_000):
            journal.append(tick(number))
            journal.append_effects(ROW)

    with pytest.raises(JournalFull, match="wait for the disk"):
        fill()
    journal.close()


async def test_whoever_waits_is_told_though_another_who_waited_gave_up(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    for number in range(30):
        journal.append(tick(number))
        seq = journal.append_effects(ROW)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                first = trio.CancelScope()
                nursery.start_soon(_wait_in, first, journal, seq)
                await trio.lowlevel.checkpoint()
                nursery.start_soon(journal.synced, seq)
                for _ in range(number % 5):
                    await trio.lowlevel.checkpoint()
                first.cancel()
        assert journal.synced_seq == seq
    journal.close()


async def _wait_in(scope: trio.CancelScope, journal: SegmentJournal, seq: int) -> None:
    with scope:
        await journal.synced(seq)


async def test_the_journals_word_names_the_step_that_was_asked_for(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(), run_id="run", build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    journal.append(tick(1))
    first = journal.append_effects(())
    journal.append(tick(2))
    journal.append_effects(())

    with trio.fail_after(5):
        assert await journal.synced(first) == Synced(first)
    journal.close()


async def test_a_ring_that_nobody_waits_for_writes_at_once(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, ThreadWriter(lazy_sync_s=3600.0), run_id="run", build="b")
    journal.begin_segment(b"", wall_ns=1, monotonic_ns=2)
    journal.append(tick(1))
    seq = journal.append_effects(())
    journal.sync_soon()

    for _ in range(1_000):
        await trio.sleep(0.001)
        if journal.synced_seq == seq:
            break
    assert journal.synced_seq == seq
    journal.close()
