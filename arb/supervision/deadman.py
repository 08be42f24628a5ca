"""The thread outside Trio that fires when the event loop is blocked.

Owns: the heartbeat, the stall it measures, and the last resort: dump all stacks, ask for the end, then leave with 3.
Never: touches anything of the loop but `run_sync_soon`.
Units: seconds of the system's monotonic clock, which a mock clock does not turn; simulations run without a dead-man.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Never

import trio

BEAT_S: Final = 0.1
EXIT_CODE: Final = 3
STALLS_TO_FIRE: Final = 5
"""So many times the longest tolerated stall without a beat, and the dead-man fires."""


class Heartbeat:
    """Beats from inside the loop; knows the longest stall since it was last asked."""

    def __init__(self) -> None:
        self.last_s = time.monotonic()
        self._longest_s = 0.0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> Never:
        """Beat until cancelled: a service, for the loop must turn before trading begins and after it has ended."""
        self.last_s = time.monotonic()
        task_status.started()
        while True:
            await trio.sleep(BEAT_S)
            self.beat()

    def beat(self) -> None:
        """Note that the loop turns."""
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self.last_s - BEAT_S)
        self.last_s = now

    def take_longest_s(self) -> float:
        """The longest stall since the last call, at least 0."""
        longest, self._longest_s = self._longest_s, 0.0
        return max(0.0, longest)


class DeadMan:
    """Watches a heartbeat from its own thread."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        *,
        max_stall_s: float,
        exit_grace_s: float,
        stacks: Path,
        ask: Callable[[], None],
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._heartbeat = heartbeat
        self._limit_s = max_stall_s * STALLS_TO_FIRE
        self._exit_grace_s = exit_grace_s
        self._stacks = stacks
        self._ask = ask
        """Called in the dead-man's thread: schedules the end inside the loop."""
        self._leave = leave
        self._ended = threading.Event()
        self._stopping_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="arb-deadman", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._heartbeat.last_s = time.monotonic()
        self._thread.start()

    def expect_end(self) -> None:
        """A stop was asked for: from now on the process has `exit_grace_s` to leave."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        fired_at: float | None = None
        while not self._ended.wait(BEAT_S):
            now = time.monotonic()
            began = fired_at if fired_at is not None else self._stopping_since
            if began is not None and now - began >= self._exit_grace_s:
                self._dump(f"not gone {self._exit_grace_s:g} s after the end was asked for: leaving with {EXIT_CODE}")
                self._leave(EXIT_CODE)
                return
            if fired_at is None and now - self._heartbeat.last_s >= self._limit_s:
                fired_at = now
                self._dump(
                    f"the event loop has not turned for {now - self._heartbeat.last_s:.1f} s: asking for the end"
                )
                self._ask()

    def _dump(self, why: str) -> None:
        with self._stacks.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [ERROR   ] [arb.deadman] {why}\n")
            file.flush()
            faulthandler.dump_traceback(file, all_threads=True)
