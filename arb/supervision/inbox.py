"""The engine's door: two lanes, one event at a time.

Owns: what waits to be decided on. Market lane: the latest of each instrument or key. Account lane: everything,
bounded, first.
Never: drops an account event; lets a burst of old books be worked through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio

from arb.domain.errors import InvariantBroken
from arb.domain.events import DepthSeen, Event
from arb.domain.ids import InstrumentId

ACCOUNT_CAPACITY: Final = 65_536
TURNS_PER_CHECKPOINT: Final = 16
"""After so many events without waiting, everybody else gets a turn."""

Take = Callable[[], DepthSeen | None]


@attrs.frozen(kw_only=True)
class InboxStatistics:
    """What the lanes hold and have carried."""

    account_waiting: int
    market_waiting: int
    conflated_count: int
    received_count: int


class Inbox:
    """Implements `ports.EventSink` for the edges and `receive` for the decision loop."""

    def __init__(self, account_capacity: int = ACCOUNT_CAPACITY) -> None:
        self._account: deque[Event] = deque()
        self._account_capacity = account_capacity
        self._latest: dict[str, Event] = {}
        self._depths: dict[InstrumentId, Take] = {}
        self._parked: trio.lowlevel.Task | None = None
        self._turns = 0
        self._conflated = 0
        self._received = 0

    def put_depth(self, instrument: InstrumentId, take: Take) -> None:
        """Note that a newer book is there; it is frozen only when its turn comes."""
        if instrument in self._depths:
            self._conflated += 1
        self._depths[instrument] = take
        self._wake()

    def put_latest(self, key: str, event: Event) -> None:
        """Replace what waits under `key`."""
        if key in self._latest:
            self._conflated += 1
        self._latest[key] = event
        self._wake()

    def put_account(self, event: Event) -> None:
        """Queue losslessly.

        Raises:
            InvariantBroken: the lane is full: the engine cannot keep up with its own account.
        """
        if len(self._account) >= self._account_capacity:
            raise InvariantBroken(f"inbox: {self._account_capacity} account events wait; the engine no longer keeps up")
        self._account.append(event)
        self._wake()

    async def receive(self) -> Event:
        """The next event: account first, then small market events, then books. Yields to others at a bounded rate."""
        self._turns += 1
        if self._turns >= TURNS_PER_CHECKPOINT:
            self._turns = 0
            await trio.lowlevel.checkpoint()
        while (event := self._next()) is None:
            self._turns = 0
            self._parked = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        self._received += 1
        return event

    def receive_nowait(self) -> Event | None:
        """The next event if there is one: for plain loops and the final drain."""
        return self._next()

    def statistics(self) -> InboxStatistics:
        """A snapshot."""
        return InboxStatistics(
            account_waiting=len(self._account),
            market_waiting=len(self._latest) + len(self._depths),
            conflated_count=self._conflated,
            received_count=self._received,
        )

    def _next(self) -> Event | None:
        if self._account:
            return self._account.popleft()
        if self._latest:
            key = next(iter(self._latest))
            return self._latest.pop(key)
        while self._depths:
            instrument = next(iter(self._depths))
            if (event := self._depths.pop(instrument)()) is not None:
                return event
        return None

    def _wake(self) -> None:
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED
