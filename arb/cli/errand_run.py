"""The course of an errand within a run: told when the venues have been read, watched until done, then the end.

Owns: which turn an errand is at; its line in the audit, and that it reports whatever else went wrong once it is done.
Never: decides what an errand is (`errand.py`) or when a run ends for another reason.
Units: monotonic nanoseconds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from rich.console import Console

from arb.cli.errand import Errand
from arb.domain.events import Command, Event
from arb.engine import Engine
from arb.ports import Clock
from arb.supervision.stopping import Reason, Stop, StopRequest

safety = logging.getLogger("arb.safety")


class ErrandRun:
    """Told of every turn of the decision loop."""

    def __init__(
        self, errand: Errand, engine: Engine, put: Callable[[Event], None], stop: StopRequest, clock: Clock
    ) -> None:
        self.errand = errand
        self.is_done = False
        """Whether it was done in time."""
        self._engine = engine
        self._put = put
        self._stop = stop
        self._clock = clock
        self._commands: tuple[Command, ...] = ()
        self._deadline_ns: int | None = None
        self._is_told = False

    def after_turn(self, event: Event) -> None:
        """Tell the core once it may be told, then look whether all is done or the time is over."""
        if self._deadline_ns is None:
            if self._may_begin():
                self._begin()
            return
        if not self._is_told:
            self._is_told = event is self._commands[-1]
        if self._is_told and self.errand.is_done(self._engine):
            self.is_done = True
            self._stop.ask(Stop.GRACEFUL, f"{self.errand.name} is done")
        elif self._clock.monotonic_ns() >= self._deadline_ns:
            self._stop.ask(Stop.GRACEFUL, f"{self.errand.name} was not done within {self.errand.within_s:g} s")

    def _may_begin(self) -> bool:
        if self.errand.needs_trading:
            return not self._engine.memory.is_settling
        return self._engine.is_reconciled()

    def _begin(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._deadline_ns = now_ns + round(self.errand.within_s * 1e9)
        self._commands = self.errand.commands(now_ns)
        for command in self._commands:
            self._put(command)
        self._is_told = not self._commands


def errand_ended(run: ErrandRun, engine: Engine, console: Console, reason: Reason) -> int:
    """Its line in the audit, as a running engine writes one; its report, unless the run broke off; the exit code."""
    errand, memory = run.errand, engine.memory
    is_done = run.is_done and reason.stop in (Stop.GRACEFUL, Stop.FAILED)
    code = errand.report(engine, console, run.is_done) if is_done or reason.stop is Stop.GRACEFUL else 0
    safety.warning(
        "operator_command",
        extra={
            "command": " ".join((errand.name, *(kind.value for kind in errand.kinds if kind.value != errand.name))),
            "pair": errand.pair or "",
            "operator": errand.operator,
            "uid": os.geteuid(),
            "reason": errand.reason,
            "result": "applied" if is_done else "refused",
            "seq": memory.seq,
            "trading_state": memory.causes.state.name,
            "words": reason.text,
        },
    )
    return code if reason.stop is Stop.GRACEFUL else reason.stop.exit_code
