"""The state of every component, aggregated.

Owns: the last known state of each component and of the run.
Never: checks anything itself; whoever knows tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attrs

from arb.domain.events import Level
from arb.ports import Clock


class ComponentState(Enum):
    """A component's state; DISABLED by configuration, SKIP when it could not be asked."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    SKIP = "skip"
    DISABLED = "disabled"


_WEIGHT: Final = {
    ComponentState.OK: 0,
    ComponentState.SKIP: 0,
    ComponentState.DISABLED: 0,
    ComponentState.WARN: 1,
    ComponentState.ERROR: 2,
}
_LEVEL_WEIGHT: Final = {Level.OK: 0, Level.WARN: 1, Level.ERROR: 2, Level.CRITICAL: 3}
_STATUS: Final = ("ok", "warn", "error", "critical")


@attrs.frozen(kw_only=True)
class RunFacts:
    """What does not change during a run."""

    mode: str
    env: str
    """A word for where it runs: local, docker, …"""
    data_source: str
    build: str
    run_id: str
    live_enabled: bool
    """Real orders are asked for: the mode is live."""


class HealthBoard:
    """Remembers the last word of each component."""

    def __init__(self, clock: Clock, facts: RunFacts) -> None:
        self._clock = clock
        self._facts = facts
        self._began_ns = clock.monotonic_ns()
        self._components: dict[str, tuple[ComponentState, str]] = {}
        self._level = Level.OK
        self._reasons: tuple[str, ...] = ()
        self._trading: Mapping[str, object] = {"trading_state": "unknown", "causes": ""}
        self._stopping: str | None = None
        self._ready = False
        self._is_armed = False
        self._missing: tuple[str, ...] = ()

    def component(self, name: str, state: ComponentState, detail: str = "") -> None:
        """A component's own word."""
        self._components[name] = (state, detail)

    def watchdog(self, level: Level, reasons: tuple[str, ...]) -> None:
        """The watchdog's verdict."""
        self._level, self._reasons = level, reasons

    def trading(self, values: Mapping[str, object]) -> None:
        """The engine's trading state and its causes."""
        self._trading = values

    def arming(self, *, is_armed: bool, missing: tuple[str, ...]) -> None:
        """Whether real orders may be sent, and by name what keeps them back."""
        self._is_armed, self._missing = is_armed, missing

    def ready(self, is_ready: bool) -> None:
        """Whether the feeds are fresh and the engine may trade."""
        self._ready = is_ready

    def stopping(self, why: str) -> None:
        """From now on the answer is 503."""
        self._stopping = why

    @property
    def is_live(self) -> bool:
        """Whether the process turns and is not on its way out."""
        return self._stopping is None

    @property
    def is_ready(self) -> bool:
        """Whether it may trade."""
        return self._ready and self._stopping is None and self._level in (Level.OK, Level.WARN)

    def status(self) -> str:
        """`ok`, `warn`, `error` or `critical`: the worst of watchdog and components; `stopping` at the end."""
        if self._stopping is not None:
            return "stopping"
        worst = max((_WEIGHT[state] for state, _ in self._components.values()), default=0)
        return _STATUS[max(worst, _LEVEL_WEIGHT[self._level])]

    def report(self) -> dict[str, object]:
        """The body of `GET /health`."""
        facts = self._facts
        body: dict[str, object] = {
            "status": self.status(),
            "mode": facts.mode,
            "env": facts.env,
            "data_source": facts.data_source,
            "uptime_seconds": (self._clock.monotonic_ns() - self._began_ns) / 1e9,
            "live_enabled": facts.live_enabled,
            "live_armed": facts.live_enabled and self._is_armed,
            "arming": {"missing": list(self._missing)},
            "build": facts.build,
            "run_id": facts.run_id,
            "watchdog": {"level": self._level.value, "reasons": list(self._reasons)},
            "trading": self._trading,
            "components": {
                name: {"status": state.value, "detail": detail}
                for name, (state, detail) in sorted(self._components.items())
            },
        }
        if self._stopping is not None:
            body["stopping"] = self._stopping
        return body
