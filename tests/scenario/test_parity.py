"""I1: a plain loop over the journal gives the effects of the run that wrote it, byte for byte."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest

from arb.domain.effects import Submit
from arb.domain.events import Command, CommandKind
from arb.engine import Engine, EngineSnapshot, thaw
from arb.storage.codec import Step, decode_value, encode_effects, encode_value
from arb.storage.segments import Segment
from tests.scenario.whole import config_of, run_whole

FAULTS = (
    (20.0, "upbit", "silence", 6.0),
    (31.0, "binance_usdm", "tcp_reset", 0.0),
    (40.0, "upbit", "partial_fill", 20.0),
)


@cache
def recorded() -> tuple[Segment, ...]:
    """A live-shaped session of a minute and a half with trades and trouble, in segments of twenty seconds."""
    with TemporaryDirectory() as directory:
        whole = run_whole(Path(directory), seconds=80.0, faults=FAULTS, segment_s=20.0)
        return tuple(whole.segments())


def all_steps() -> list[Step]:
    return [step for segment in recorded() for step in segment.steps]


def first_difference(engine: Engine, steps: list[Step]) -> str:
    """Step the engine through recorded events; empty: every effect is as recorded."""
    for step in steps:
        effects = encode_effects(engine.step(step.event))
        if effects != step.effects:
            return f"step {step.seq}, {step.event!r}: {effects} instead of {step.effects}"
    return ""


def test_a_plain_loop_over_the_journal_gives_the_same_effects() -> None:
    steps = all_steps()

    assert sum(tag == Submit.__name__ for step in steps for tag, _ in step.effects) >= 8
    assert first_difference(Engine(config_of(steps)), steps) == ""


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_replay_may_begin_at_any_segment_with_the_snapshot_in_its_header(index: int) -> None:
    config = config_of(all_steps())
    segment = recorded()[index]
    snapshot = decode_value(segment.header.snapshot, EngineSnapshot)

    assert first_difference(thaw(config, snapshot), list(segment.steps)) == ""


def test_a_snapshot_is_the_same_bytes_after_it_was_read_back() -> None:
    for segment in recorded()[1:]:
        snapshot = decode_value(segment.header.snapshot, EngineSnapshot)

        assert encode_value(snapshot) == segment.header.snapshot


def test_sequences_are_without_a_gap_across_segments() -> None:
    steps = all_steps()

    assert [step.seq for step in steps] == list(range(1, len(steps) + 1))
    *before, sealed = recorded()
    assert [segment.header.first_seq for segment in before] == [segment.steps[0].seq for segment in before]
    assert (sealed.header.first_seq, sealed.steps) == (len(steps) + 1, ())


def test_the_comparison_notices_an_event_that_was_not_consumed() -> None:
    steps = all_steps()
    pause = Command(at_ns=0, kind=CommandKind.PAUSE, operator="test", reason="to differ")
    tampered = [steps[0], attrs.evolve(steps[1], event=pause), *steps[2:]]

    assert first_difference(Engine(config_of(steps)), tampered) != ""
