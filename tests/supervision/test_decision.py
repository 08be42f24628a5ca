"""The decision loop: one event, one journalled step, effects to the sink; a segment begins with the state."""

from __future__ import annotations

from pathlib import Path

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from arb.cli.engine_config import engine_config
from arb.cli.settings import load_settings
from arb.domain.effects import Effect
from arb.domain.events import Event, Tick
from arb.engine import Engine
from arb.storage.journal import InlineWriter, SegmentJournal
from arb.storage.segments import read_segment, segment_paths
from arb.supervision.clock import AnchoredClock
from arb.supervision.decision import LoopMeter, decide, decide_rest
from arb.supervision.inbox import Inbox

CONFIG = Path(__file__).parents[2] / "config" / "live.toml"
SECOND_NS = 1_000_000_000


class Sink:
    """Remembers effects with their step."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, Effect]] = []

    def put(self, effect: Effect, seq: int) -> None:
        """As `decision.EffectSink`."""
        self.taken.append((seq, effect))


def a_tick(second: int) -> Tick:
    """An evaluation."""
    return Tick(at_ns=second * SECOND_NS, wall_ns=second * SECOND_NS, is_loop=True)


def an_engine() -> Engine:
    """With the values of the shipped configuration."""
    return Engine(engine_config(load_settings(CONFIG, environ={}).settings, 0))


async def test_every_event_becomes_one_step_with_its_effects_in_order(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    inbox, sink, turned, frozen = Inbox(), Sink(), list[Event](), [0]
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id="r1", build="b", segment_ns=10 * SECOND_NS)
    journal.begin_segment(b"", wall_ns=0, monotonic_ns=0)

    def freeze(_engine: Engine) -> bytes:
        frozen[0] += 1
        return b"state"

    async def loop() -> None:
        await decide(
            an_engine(),
            inbox,
            journal,
            sink,
            AnchoredClock(),
            LoopMeter(10),
            freeze=freeze,
            after_turn=lambda event: turned.append(event),
        )

    nursery.start_soon(loop)
    for second in (1, 2, 3):
        inbox.put_account(a_tick(second))
    await wait_all_tasks_blocked()
    await trio.sleep(11.0)
    inbox.put_account(a_tick(11))
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    journal.close()

    assert turned == [a_tick(1), a_tick(2), a_tick(3), a_tick(11)]
    first, later = (read_segment(path) for path in segment_paths(tmp_path))
    assert first is not None
    assert later is not None
    assert [step.event for step in first.steps] == [a_tick(1), a_tick(2), a_tick(3)]
    assert [step.event for step in later.steps] == [a_tick(11)]
    assert (later.header.snapshot, later.header.first_seq, frozen) == (b"state", 4, [1])
    tags = [(step.seq, tag) for segment in (first, later) for step in segment.steps for tag, _ in step.effects]
    assert tags
    assert [(seq, type(effect).__name__) for seq, effect in sink.taken] == tags


def test_what_is_left_is_decided_in_a_plain_loop_with_the_same_journal(tmp_path: Path) -> None:
    sink = Sink()
    journal = SegmentJournal(tmp_path, InlineWriter(), run_id="r1", build="b")
    journal.begin_segment(b"", wall_ns=0, monotonic_ns=0)

    decide_rest(an_engine(), [a_tick(1), a_tick(2)], journal, sink)
    journal.close()

    segment = read_segment(segment_paths(tmp_path)[0])
    assert segment is not None
    assert [step.event for step in segment.steps] == [a_tick(1), a_tick(2)]
    assert {seq for seq, _ in sink.taken} <= {1, 2}
    assert sink.taken
