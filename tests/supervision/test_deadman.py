"""The dead-man fires when the loop is blocked, and leaves when the end does not come; real time, real threads."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from arb.supervision.deadman import DeadMan, Heartbeat


def dead_man(heartbeat: Heartbeat, path: Path, asked: threading.Event, left: list[int]) -> DeadMan:
    """One with short patience: a stall of 0.25 s fires, 0.3 s of grace."""
    return DeadMan(heartbeat, max_stall_s=0.05, exit_grace_s=0.3, stacks=path, ask=asked.set, leave=left.append)


def test_a_loop_that_stops_turning_is_asked_to_end_and_then_left(tmp_path: Path) -> None:
    heartbeat, asked, left = Heartbeat(), threading.Event(), [0]
    watching = dead_man(heartbeat, tmp_path / "errors.log", asked, left)
    watching.start()

    assert asked.wait(5.0)
    limit = time.monotonic() + 5.0
    while left == [0] and time.monotonic() < limit:
        time.sleep(0.02)
    watching.end()

    assert left == [0, 3]
    text = (tmp_path / "errors.log").read_text()
    assert "the event loop has not turned" in text
    assert "test_a_loop_that_stops_turning" in text


def test_a_loop_that_beats_is_left_alone_and_its_longest_stall_is_known(tmp_path: Path) -> None:
    heartbeat, asked, left = Heartbeat(), threading.Event(), [0]
    watching = dead_man(heartbeat, tmp_path / "errors.log", asked, left)
    watching.start()
    for _ in range(12):
        time.sleep(0.05)
        heartbeat.beat()
    watching.end()

    assert not asked.is_set()
    assert left == [0]
    heartbeat.last_s -= 0.6
    heartbeat.beat()
    assert 0.5 <= heartbeat.take_longest_s() < 5.0
    assert heartbeat.take_longest_s() == 0.0


def test_an_end_that_takes_too_long_is_left_even_while_the_loop_turns(tmp_path: Path) -> None:
    heartbeat, asked, left = Heartbeat(), threading.Event(), [0]
    watching = dead_man(heartbeat, tmp_path / "errors.log", asked, left)
    watching.start()
    watching.expect_end()
    limit = time.monotonic() + 5.0
    while left == [0] and time.monotonic() < limit:
        heartbeat.beat()
        time.sleep(0.02)
    watching.end()

    assert left == [0, 3]
    assert not asked.is_set()
    assert "leaving with 3" in (tmp_path / "errors.log").read_text()
