"""Old segments are compressed, then deleted; an open position keeps its own."""

from __future__ import annotations

from pathlib import Path

from arb.domain.events import Tick
from arb.storage.journal import InlineWriter, SegmentJournal
from arb.storage.retention import keep_house
from arb.storage.segments import read_segment, segment_paths

DAY = 86_400_000_000_000


def segments(directory: Path, days: int) -> list[Path]:
    journal = SegmentJournal(directory, InlineWriter(), run_id="run", build="b")
    paths = []
    for day in range(days):
        paths.append(journal.begin_segment(b"", wall_ns=day * DAY, monotonic_ns=day))
        journal.append(Tick(at_ns=day, wall_ns=day))
        journal.append_effects(())
    journal.close()
    return paths


def test_closed_segments_are_compressed_and_read_as_before(tmp_path: Path) -> None:
    paths = segments(tmp_path, 3)

    upkeep = keep_house(tmp_path, present=paths[-1], now_wall_ns=3 * DAY, retention_days=7, oldest_open_wall_ns=None)

    assert upkeep.compressed == tuple(path.name for path in paths[:2])
    assert upkeep.free_bytes > 0
    names = [path.name for path in segment_paths(tmp_path)]
    assert names == ["run-000001.journal.gz", "run-000002.journal.gz", "run-000003.journal"]
    found = [read_segment(path) for path in segment_paths(tmp_path)]
    assert [step.seq for segment in found if segment for step in segment.steps] == [1, 2, 3]


def test_what_is_past_its_time_is_deleted(tmp_path: Path) -> None:
    paths = segments(tmp_path, 10)

    upkeep = keep_house(tmp_path, present=paths[-1], now_wall_ns=10 * DAY, retention_days=7, oldest_open_wall_ns=None)

    assert upkeep.deleted == ("run-000001.journal", "run-000002.journal")


def test_a_segment_that_holds_an_open_position_is_never_deleted(tmp_path: Path) -> None:
    paths = segments(tmp_path, 10)

    upkeep = keep_house(
        tmp_path, present=paths[-1], now_wall_ns=100 * DAY, retention_days=7, oldest_open_wall_ns=4 * DAY + 1
    )

    assert upkeep.deleted == ("run-000001.journal", "run-000002.journal", "run-000003.journal", "run-000004.journal")


def test_doing_it_twice_changes_nothing(tmp_path: Path) -> None:
    paths = segments(tmp_path, 3)
    words = {"present": paths[-1], "now_wall_ns": 3 * DAY, "retention_days": 7.0, "oldest_open_wall_ns": None}
    keep_house(tmp_path, **words)  # type: ignore[arg-type]  # the keywords of keep_house

    upkeep = keep_house(tmp_path, **words)  # type: ignore[arg-type]  # the keywords of keep_house

    assert (upkeep.compressed, upkeep.deleted) == ((), ())


def test_a_segment_that_the_journal_began_meanwhile_is_left_alone(tmp_path: Path) -> None:
    paths = segments(tmp_path, 4)

    upkeep = keep_house(tmp_path, present=paths[2], now_wall_ns=3 * DAY, retention_days=7, oldest_open_wall_ns=None)

    assert upkeep.compressed == ("run-000001.journal", "run-000002.journal")
    assert paths[2].exists()
    assert paths[3].exists()
