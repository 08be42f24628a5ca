"""Effects go to the edges.

Owns: which edge performs which effect, and the orders that wait for the journal.
Never: answers the core; waits inside `put`.

Orders are made ready at their gateways while the journal writes, so that after the sync only bytes have to move.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Never, assert_never

import trio

from arb.domain.effects import Alert, Cancel, Effect, Halt, Publish, Query, QueryAccount, Record, Submit
from arb.domain.ids import VenueId, venue_of
from arb.domain.order import ApprovedOrder
from arb.ports import AlertSink, HeldOrder, Journal, OrderGateway, Store


class Dispatch:
    """Implements `decision.EffectSink`; `release` is the task that lets synced orders go."""

    def __init__(
        self,
        *,
        journal: Journal,
        gateways: Mapping[VenueId, OrderGateway],
        store: Store,
        alerts: AlertSink,
        publish: Callable[[Publish], None],
        halt: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._gateways = gateways
        self._store = store
        self._alerts = alerts
        self._publish = publish
        self._halt = halt
        self._waiting: deque[tuple[tuple[HeldOrder, ...], int]] = deque()
        self._arrived = trio.Event()

    def put(self, effect: Effect, seq: int) -> None:
        """Perform an effect; orders are made ready, and held until `seq` is on disk."""
        match effect:
            case Submit():
                self._journal.sync_soon()
                held = tuple(self._gateways[order.request.venue].prepare(order, seq) for order in effect.orders)
                self._waiting.append((held, seq))
                self._arrived.set()
            case Record():
                self._store.put(effect, seq)
            case Publish():
                self._publish(effect)
            case Cancel():
                self._gateways[venue_of(effect.instrument)].cancel_nowait(effect)
            case Query():
                self._gateways[venue_of(effect.instrument)].query_nowait(effect)
            case QueryAccount():
                self._gateways[effect.venue].query_account_nowait(effect)
            case Alert():
                self._alerts.alert(effect.key, effect.severity.value, effect.text, dict(effect.fields))
            case Halt():
                self._halt(effect.reason)
            case _:
                assert_never(effect)

    def withdraw(self) -> tuple[ApprovedOrder, ...]:
        """Take back every order that has not left, once `release` no longer runs; none of them ever will."""
        orders = tuple(order.withdraw() for held, _ in self._waiting for order in held)
        self._waiting.clear()
        return orders

    async def release(self) -> Never:
        """Let each batch of orders go once its step is synced, in order; both legs of a batch together.

        Raises:
            JournalFull: the disk failed; nothing leaves.
        """
        while True:
            await self._arrived.wait()
            while self._waiting:
                held, seq = self._waiting[0]
                word = await self._journal.synced(seq)
                self._waiting.popleft()
                for order in held:
                    order.release(word)
            self._arrived = trio.Event()
