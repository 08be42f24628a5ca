"""The decision loop: own the engine, consume one event at a time.

Owns: the order in which the engine learns, and the statistics of its turns.
Never: waits for anything but the inbox; performs an effect.
Units: monotonic nanoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Never, Protocol

import attrs

from arb.domain.effects import Effect
from arb.domain.events import DepthSeen, Event
from arb.engine import Engine
from arb.ports import Clock, Journal
from arb.supervision.inbox import Inbox


class EffectSink(Protocol):
    """Takes effects of a step; never waits."""

    def put(self, effect: Effect, seq: int) -> None:
        """Perform it, an order after the journal is synced up to `seq`."""


@attrs.frozen(kw_only=True)
class LoopStatistics:
    """How long turns take, over the last `size` turns."""

    last_ns: int
    mean_ns: float
    max_ns: int
    min_ns: int
    turns_count: int
    last_turn_ns: int
    """When the last turn ended."""
    last_delay_ns: int
    """Book received to turn ended, of the last market event."""


class LoopMeter:
    """Remembers the duration of recent turns."""

    def __init__(self, size: int) -> None:
        self._recent: deque[int] = deque(maxlen=size)
        self._count = 0
        self._last_turn_ns = 0
        self._last_delay_ns = 0

    def turn(self, began_ns: int, ended_ns: int, received_ns: int | None) -> None:
        """Note one turn."""
        self._recent.append(ended_ns - began_ns)
        self._count += 1
        self._last_turn_ns = ended_ns
        if received_ns is not None:
            self._last_delay_ns = ended_ns - received_ns

    @property
    def last_ns(self) -> int:
        """Duration of the last turn; 0 before the first."""
        return self._recent[-1] if self._recent else 0

    def statistics(self) -> LoopStatistics:
        """A snapshot; zeros before the first turn."""
        recent = self._recent or (0,)
        return LoopStatistics(
            last_ns=recent[-1],
            mean_ns=sum(recent) / len(recent),
            max_ns=max(recent),
            min_ns=min(recent),
            turns_count=self._count,
            last_turn_ns=self._last_turn_ns,
            last_delay_ns=self._last_delay_ns,
        )


async def decide(
    engine: Engine,
    inbox: Inbox,
    journal: Journal,
    sink: EffectSink,
    clock: Clock,
    meter: LoopMeter,
    *,
    freeze: Callable[[Engine], bytes],
    after_turn: Callable[[Event], None],
) -> Never:
    """Consume events until cancelled; a segment of the journal begins with the engine's state."""
    while True:
        event = await inbox.receive()
        began_ns = clock.monotonic_ns()
        if journal.wants_segment(began_ns):
            journal.begin_segment(freeze(engine), wall_ns=clock.wall_ns(), monotonic_ns=began_ns)
        journal.append(event)
        effects = engine.step(event)
        seq = journal.append_effects(effects)
        for effect in effects:
            sink.put(effect, seq)
        received_ns = event.depth.received_ns if isinstance(event, DepthSeen) else None
        meter.turn(began_ns, clock.monotonic_ns(), received_ns)
        after_turn(event)


def decide_rest(engine: Engine, events: Iterable[Event], journal: Journal, sink: EffectSink) -> None:
    """Consume what is left after the loop has gone, in a plain loop: the same steps, the same journal."""
    for event in events:
        journal.append(event)
        effects = engine.step(event)
        seq = journal.append_effects(effects)
        for effect in effects:
            sink.put(effect, seq)
