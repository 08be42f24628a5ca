"""One clock, two readings; jumps of the system's wall clock are noticed, drift is not; ticks come at their pace."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from arb.domain.events import ClockJumped, Event, Tick
from arb.supervision.clock import MAX_DRIFT_NS, AnchoredClock, tick
from arb.supervision.inbox import Inbox

START_NS = 1_793_664_000_000_000_000


class Wall:
    """A system clock that can be set."""

    def __init__(self) -> None:
        self.offset_ns = 0

    def __call__(self) -> int:
        return START_NS + int(trio.current_time() * 1e9) + self.offset_ns


def drained(inbox: Inbox) -> list[Event]:
    """Everything that waits."""
    found = []
    while (event := inbox.receive_nowait()) is not None:
        found.append(event)
    return found


async def test_a_jump_is_taken_over_and_returned_while_drift_is_left_alone(autojump_clock: MockClock) -> None:
    wall = Wall()
    clock = AnchoredClock(wall)
    await trio.sleep(5.0)

    assert clock.wall_ns() == START_NS + 5_000_000_000
    wall.offset_ns = MAX_DRIFT_NS
    assert clock.reanchor() == 0
    wall.offset_ns = -3_600_000_000_000
    assert clock.reanchor() == -3_600_000_000_000
    assert clock.wall_ns() == START_NS + 5_000_000_000 - 3_600_000_000_000
    assert clock.monotonic_ns() == 5_000_000_000


async def test_ticks_come_every_second_and_evaluations_at_their_interval(autojump_clock: MockClock) -> None:
    inbox, loops, seen = Inbox(), [0.0], []
    clock = AnchoredClock(Wall())

    async def consume() -> None:
        while True:
            seen.append(await inbox.receive())

    with trio.move_on_after(10.1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            await tick(clock, inbox, 2.5, lambda: loops.append(trio.current_time()), lambda: None)

    ticks = [event for event in seen if isinstance(event, Tick)]
    assert loops == [0.0, 2.5, 5.0, 7.5, 10.0]
    assert [one.at_ns // 1_000_000 for one in ticks if one.is_loop] == [2_500, 5_000, 7_500, 10_000]
    assert {one.at_ns // 1_000_000 for one in ticks} >= {1_000 * second for second in range(1, 11)}


async def test_a_jump_of_the_wall_clock_is_told_once_and_offsets_are_measured_again(autojump_clock: MockClock) -> None:
    inbox, wall, measured = Inbox(), Wall(), [0]
    clock = AnchoredClock(wall)

    def again() -> None:
        measured[0] += 1

    with trio.move_on_after(5.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, clock, inbox, 60.0, lambda: None, again)
            await trio.sleep(2.5)
            wall.offset_ns = 7_000_000_000

    jumps = [event for event in drained(inbox) if isinstance(event, ClockJumped)]
    assert [jump.jump_ns for jump in jumps] == [7_000_000_000]
    assert measured == [1]


async def test_time_goes_on_where_the_last_process_ended_and_never_backwards(autojump_clock: MockClock) -> None:
    wall = Wall()
    ended_ns, slept_ns = 900_000_000_000, 45_000_000_000
    clock = AnchoredClock(wall)
    clock.continue_from(ended_ns, START_NS - slept_ns)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (ended_ns + slept_ns, START_NS)
    await trio.sleep(2.0)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (ended_ns + slept_ns + 2_000_000_000, START_NS + 2_000_000_000)

    set_back = AnchoredClock(wall)
    set_back.continue_from(ended_ns, START_NS + 3_600_000_000_000)
    assert set_back.monotonic_ns() == ended_ns
