"""One thing that an engine is started for, and after which it leaves: `arb flatten` and `arb reconcile` on a stopped
engine.

Owns: what such a run is told, when it is done, and what is said about it.
Never: opens anything: a run with an errand begins with a drain, which reduces and ends with the run.
Units: seconds.

1. The run comes up like every other: lock, recovery, `RunStarted`, then a `DRAIN`, the venues, their accounts.
2. When every venue has been read (`is_read`), an errand that needs no trading is given its commands at once, and the
   settling never ends: queries and cancels leave, orders do not, and an unexplained quantity stops nothing.
   One that needs trading waits for the end of the settling, as any run does, and is refused (exit 4) where a run
   would be.
3. From the turn on in which the last command was consumed, `is_done` is asked after every turn; then, or when
   `within_s` has passed since the venues were read, the run stops gracefully.
4. `report` says what came of it and gives the exit code, which counts when the stop was graceful.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from rich.console import Console

from arb.domain.events import Command, CommandKind
from arb.domain.ids import PairId
from arb.engine import Engine


@attrs.frozen(kw_only=True)
class Errand:
    """What to do, when it is done, what to say."""

    name: str
    """For the banner and the reason of the stop: `flatten`, `reconcile`."""
    kinds: tuple[CommandKind, ...]
    """Put into the inbox in this order; empty: reading the venues is all there is to do."""
    operator: str
    """Who asked, for the audit: user@host pid N."""
    needs_trading: bool
    within_s: float
    is_done: Callable[[Engine], bool]
    """Asked after a turn; must not be slow."""
    report: Callable[[Engine, Console, bool], int]
    """Told whether it was done in time; returns the exit code."""
    pair: PairId | None = None
    reason: str = ""

    def commands(self, at_ns: int) -> tuple[Command, ...]:
        """The commands as the core gets them."""
        return tuple(
            Command(at_ns=at_ns, kind=kind, operator=self.operator, pair=self.pair, reason=self.reason)
            for kind in self.kinds
        )
