"""What a run takes from outside: clock, network, disk, threads, chance, its name.

Owns: the seam at which a simulation puts its own in place of the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

import attrs
import trio

from arb.domain.ids import RunId
from arb.ports import Clock, Dialer, ThreadRunner
from arb.storage.journal import SEGMENT_NS, Writer
from arb.supervision.clock import CHECK_S, AnchoredClock
from arb.venues.wire.simulation import ServedVenue, SimParams, serve_simulation

STATUS_EVERY_S = 60.0


class Simulate(Protocol):
    """Serves simulated venues and says where they are: on loopback sockets, or in memory."""

    async def __call__(
        self, params: SimParams, clock: Clock, *, task_status: trio.TaskStatus[dict[str, ServedVenue]]
    ) -> None:
        """Run until cancelled."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a run takes from outside; simulations inject their own."""

    clock: AnchoredClock
    dialer: Dialer
    writer: Writer
    run_thread: ThreadRunner
    run_last: ThreadRunner
    """For the last call of all: may be abandoned when it hangs."""
    sync: Callable[[int], None]
    """Puts a file's data on the disk."""
    random: Random
    run_id: RunId
    build: str
    environ: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """The environment of the process: the first of the two steps that arm."""
    uid: int = -1
    """Whose permission file counts."""
    simulate: Simulate = serve_simulation
    """Serves the simulated venues of mock mode."""
    check_s: float = CHECK_S
    """How often the core is told the time between two evaluations."""
    status_every_s: float = STATUS_EVERY_S
    """Between two polls of what a venue says about its instruments over REST alone."""
    segment_ns: int = SEGMENT_NS
    """Age at which a segment of the journal is closed."""
