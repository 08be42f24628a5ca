"""Why the engine stops, and with which exit code.

Owns: the first reason to stop, its escalation, and the table of exit codes (contracts.md).
Never: performs the stop.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs
import trio


class Stop(Enum):
    """Causes of an end, mildest first; a worse one replaces a milder one."""

    GRACEFUL = 0
    FAILED = 1
    """Not ready in time, or something unbalanced at the end of a drain."""
    MISCONFIGURED = 2
    """A person must mend something first: a port in use, a venue that does not answer."""
    BUG = 3
    CRITICAL = 4
    UNSAFE = 5

    @property
    def exit_code(self) -> int:
        """What the process returns."""
        return _EXIT_CODES[self]

    @property
    def is_severe(self) -> bool:
        """Whether it allows no drain."""
        return self.value > Stop.FAILED.value


_EXIT_CODES: Final = {
    Stop.GRACEFUL: 0,
    Stop.FAILED: 1,
    Stop.MISCONFIGURED: 2,
    Stop.BUG: 1,
    Stop.CRITICAL: 3,
    Stop.UNSAFE: 4,
}


@attrs.frozen
class Reason:
    """A cause and its words."""

    stop: Stop
    text: str


class StopRequest:
    """Set once by whoever must stop the engine; escalates, never softens."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._count = 0
        self._asked = trio.Event()
        self._critical = trio.Event()

    @property
    def reason(self) -> Reason | None:
        """The worst cause so far."""
        return self._reason

    @property
    def asked_count(self) -> int:
        """How often anybody asked."""
        return self._count

    @property
    def is_asked(self) -> bool:
        """Whether anybody asked."""
        return self._asked.is_set()

    def ask(self, stop: Stop, text: str) -> None:
        """Ask for the end."""
        self._count += 1
        if self._reason is None or stop.value > self._reason.stop.value:
            self._reason = Reason(stop, text)
        self._asked.set()
        if stop.is_severe:
            self._critical.set()

    async def wait_asked(self) -> Reason:
        """Wait for the first request."""
        await self._asked.wait()
        assert self._reason is not None
        return self._reason

    async def wait_severe(self) -> Reason:
        """Wait for a request that allows no drain."""
        await self._critical.wait()
        assert self._reason is not None
        return self._reason
