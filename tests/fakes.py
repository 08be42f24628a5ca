"""In-memory ports that several rooms' tests share."""

from __future__ import annotations

import trio


class TrioClock:
    """Trio's own time for both readings; virtual under a mock clock."""

    def monotonic_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return self.monotonic_ns()
