"""The one clock with two readings, and the task that ticks.

Owns: the anchor that ties monotonic time to UTC, its comparison with the system's wall clock, and `Tick` events.
Never: lets anybody else read a clock.
Units: nanoseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Never

import trio

from arb.domain.events import ClockJumped, Tick
from arb.ports import EventSink

MAX_DRIFT_NS: Final = 250_000_000
"""A larger difference between the anchor and the system's wall clock is a jump."""
CHECK_S: Final = 1.0


class AnchoredClock:
    """Implements `ports.Clock`: Trio's time for ages, the anchored wall time for records and signatures."""

    def __init__(self, system_wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._system_wall_ns = system_wall_ns
        self._shift_ns = 0
        self._offset_ns = system_wall_ns() - self.monotonic_ns()

    def continue_from(self, monotonic_ns: int, wall_ns: int) -> None:
        """Go on where an earlier process ended: monotonic time then, and as much more as wall time says has passed.

        Ages and timers of a recovered engine hold over restarts and reboots; time never runs backwards. To be called
        before anybody has read the clock.
        """
        gone_ns = max(self.wall_ns() - wall_ns, 0)
        shift_ns = monotonic_ns + gone_ns - self.monotonic_ns()
        self._shift_ns += shift_ns
        self._offset_ns -= shift_ns

    def monotonic_ns(self) -> int:
        """Trio's clock, virtual under a mock clock, from where the last process ended."""
        return int(trio.current_time() * 1e9) + self._shift_ns

    def wall_ns(self) -> int:
        """UTC by the last anchor."""
        return self.monotonic_ns() + self._offset_ns

    def reanchor(self) -> int:
        """Compare with the system; after a jump take its time over and return the jump, else 0."""
        jump = self._system_wall_ns() - self.wall_ns()
        if abs(jump) <= MAX_DRIFT_NS:
            return 0
        self._offset_ns += jump
        return jump


async def tick(
    clock: AnchoredClock,
    sink: EventSink,
    interval_s: float,
    on_loop: Callable[[], None],
    on_jump: Callable[[], None],
    *,
    check_s: float = CHECK_S,
) -> Never:
    """Emit a `Tick` every `check_s` and one with `is_loop` every `interval_s`; report wall-clock jumps.

    `on_jump` is called after each jump so that the venues' offsets are measured again.
    """
    next_loop = trio.current_time() + interval_s
    next_check = trio.current_time() + check_s
    while True:
        await trio.sleep_until(min(next_loop, next_check))
        now = trio.current_time()
        is_loop = now >= next_loop
        if now >= next_check:
            next_check = now + check_s
            if jump := clock.reanchor():
                sink.put_account(ClockJumped(at_ns=clock.monotonic_ns(), wall_ns=clock.wall_ns(), jump_ns=jump))
                on_jump()
        if is_loop:
            next_loop = max(next_loop + interval_s, now)
            on_loop()
        event = Tick(at_ns=clock.monotonic_ns(), wall_ns=clock.wall_ns(), is_loop=is_loop)
        if is_loop:
            sink.put_account(event)
        else:
            sink.put_latest("tick", event)
