"""Alerts for people: deduplicated and rate-limited.

Owns: when each key was told last, and how often it came since.
Never: waits; forgets to say how many repetitions it swallowed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from arb.ports import Clock

REPEAT_NS: Final = 60_000_000_000
"""The same key is told again after this long at the earliest."""
KEYS: Final = 4_096
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

log = logging.getLogger("arb.alerts")


class LogAlerts:
    """Implements `ports.AlertSink` on the log: ERROR wakes someone, WARNING is read tomorrow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, int] = {}
        self._swallowed: dict[str, int] = {}

    def alert(self, key: str, severity: str, text: str, fields: Mapping[str, object]) -> None:
        """Tell, unless the key was told within the last minute."""
        now_ns = self._clock.monotonic_ns()
        last_ns = self._told.get(key)
        if last_ns is not None and now_ns - last_ns < REPEAT_NS:
            self._swallowed[key] = self._swallowed.get(key, 0) + 1
            return
        while len(self._told) >= KEYS:
            self._told.pop(next(iter(self._told)))
        self._told[key] = now_ns
        repeated = self._swallowed.pop(key, 0)
        log.log(_LEVELS[severity], text, extra={"key": key, **({"repeated": repeated} if repeated else {}), **fields})
