"""The end of a run, step by step: what CRITICAL may still do, the sweep, the flush.

Owns: the order of the steps and their limits; together they fit into `watchdog.exit_grace_s`.
Never: trusts a state that is itself the cause of the end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial

import trio

from arb.cli.assembly import Assembly
from arb.cli.recovery import seal
from arb.domain.events import Event, HealthSeen, Level, OrderUpdated, RunEnding
from arb.domain.order import OrderState, OrderUpdate
from arb.supervision.decision import decide_rest
from arb.supervision.shutdown import ShutdownStep
from arb.supervision.stopping import Reason, Stop
from arb.venues.wire.orders import VenueOrders

log = logging.getLogger("arb.root")
EMERGENCY_S = 1.0
FLUSH_S = 2.0
CLOSE_S = 1.0


def ending(parts: Assembly, reason: Reason) -> Sequence[ShutdownStep]:
    """The steps for a reason: a graceful end has nothing to do in an emergency."""
    sweep_s = parts.settings.execution.sweep_s
    steps = [
        ShutdownStep(name="send nothing more", limit_s=CLOSE_S, run=partial(_send_nothing_more, parts)),
        ShutdownStep(name="sweep", limit_s=2 * sweep_s + 0.5, run=partial(_sweep, parts, sweep_s)),
        ShutdownStep(name="decide the rest", limit_s=CLOSE_S, run=partial(_decide_rest, parts)),
        ShutdownStep(name="write tables", limit_s=FLUSH_S, run=partial(_flush, parts)),
        ShutdownStep(name="close journal", limit_s=CLOSE_S, run=partial(_close_journal, parts)),
    ]
    if reason.stop is Stop.CRITICAL:
        steps.insert(
            0, ShutdownStep(name="emergency orders", limit_s=EMERGENCY_S, run=partial(_emergency, parts, reason))
        )
    return steps


async def _emergency(parts: Assembly, reason: Reason) -> None:
    """Let the core answer CRITICAL: at most one bounded reduce-only order per unbalanced pair, then wait for its
    fate."""
    event = HealthSeen(at_ns=parts.around.clock.monotonic_ns(), level=Level.CRITICAL, reasons=(reason.text,))
    never_sent = _withdrawn(parts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts.dispatch.release)
        _decide(parts, [*_left(parts), event, *never_sent])
        with trio.move_on_after(EMERGENCY_S * 0.9):
            while parts.engine.open_orders():
                _decide(parts, [await parts.inbox.receive()])
        nursery.cancel_scope.cancel()


async def _send_nothing_more(parts: Assembly) -> None:
    """Orders that have not left never will, and the core makes no more of them, whatever it still learns."""
    await trio.lowlevel.checkpoint()
    _decide(parts, [RunEnding(at_ns=parts.around.clock.monotonic_ns()), *_withdrawn(parts)])


async def _sweep(parts: Assembly, limit_s: float) -> None:
    """Ask every venue for the answers still out, cancel by client id what is not known to have ended, and journal
    what they say."""
    swept: list[Event] = []

    async def one(orders: VenueOrders) -> None:
        swept.extend(await orders.sweep(limit_s))

    async with trio.open_nursery() as nursery:
        for orders in parts.orders.values():
            if orders.needs_sweep:
                nursery.start_soon(one, orders)
    _decide(parts, swept)


async def _decide_rest(parts: Assembly) -> None:
    """Consume what arrived meanwhile, then say what stays open and whether anything is unbalanced."""
    await trio.lowlevel.checkpoint()
    _decide(parts, _left(parts))
    for position in parts.engine.open_positions():
        log.warning(
            "position_stays_open",
            extra={"pair": position.pair, "direction": position.direction.value, "position": position.id},
        )
    unbalanced = parts.engine.unbalanced()
    unknown = [line for line in parts.engine.open_orders() if line.state in (OrderState.UNKNOWN, OrderState.SUBMITTED)]
    if unbalanced or unknown:
        orders = (
            f"order {line.request.client_order_id} on {line.request.instrument} is {line.state.value}"
            for line in unknown
        )
        words = "; ".join((*(f"pair {pair}" for pair in unbalanced), *orders))
        parts.stop.ask(Stop.FAILED, f"not everything is balanced: {words}")
        log.error("unbalanced_at_the_end", extra={"what": words})


def _decide(parts: Assembly, events: Iterable[Event]) -> None:
    """Let the core learn, unless its last step failed half-way: then its memory is not to be believed, and what it
    would have learnt the next start asks for."""
    if not parts.journal.is_step_open:
        decide_rest(parts.engine, events, parts.journal, parts.dispatch)


def _withdrawn(parts: Assembly) -> list[Event]:
    """Orders that still waited for the journal when trading ended: they must not leave now, and the core is told so."""
    now_ns = parts.around.clock.monotonic_ns()
    return [
        OrderUpdated(
            at_ns=now_ns,
            update=OrderUpdate(
                client_order_id=order.request.client_order_id,
                instrument=order.request.instrument,
                state=OrderState.REJECTED,
                filled_qty=Decimal(0),
                reason="not_sent: trading ended before it left",
                received_ns=now_ns,
            ),
        )
        for order in parts.dispatch.withdraw()
    ]


def _left(parts: Assembly) -> Iterator[Event]:
    while (event := parts.inbox.receive_nowait()) is not None:
        yield event


async def _flush(parts: Assembly) -> None:
    """Every row to its table, then the mark that says so."""
    await parts.store.flush()
    await parts.around.run_thread(partial(parts.csv.mark, parts.journal.seq))


async def _close_journal(parts: Assembly) -> None:
    """Seal it with what the engine knows now, write, sync and join its thread; inside the step's limit even when the
    disk hangs. After a step that failed half-way there is nothing to seal: the next start does the whole steps again.
    """
    if not parts.journal.is_step_open:
        seal(parts.journal, parts.engine, parts.around.clock)
    await parts.around.run_last(parts.journal.close)
