"""Before the first order: the books agree with the venues, and it is decided where orders go.

Owns: the phase of a live run between the first reading of its accounts and its first order, and the watch over its
permission afterwards.
Never: sends an order; the core sends none before it is told of arming.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from arb.cli.arming import (
    ENVIRONMENT_NAME,
    ArmingFacts,
    ArmingWatch,
    KeyFacts,
    Start,
    StartVerdict,
    arming_conditions,
    decide_start,
    has_failed_credentials,
    key_facts,
    watch_arming,
)
from arb.cli.assembly import Assembly
from arb.cli.permission import NoPermission, Permission, read_permission_file
from arb.cli.recovery import frozen
from arb.cli.venue_access import VenueAccess
from arb.cli.venue_status import open_teller
from arb.domain.errors import CredentialsRefused, ProtocolError, UnsafeToTrade, VenueUnavailable
from arb.domain.events import ArmingSeen, Event
from arb.risk.trading_state import OPERATOR, Cause
from arb.supervision.clock import tick
from arb.supervision.decision import decide
from arb.supervision.stopping import Stop
from arb.venues.spec import KeyPermissions
from arb.venues.wire.setup import read_fees, read_permission

log = logging.getLogger("arb.root")
safety = logging.getLogger("arb.safety")


TICK_S: Final = 0.5
KEY_TRIES: Final = 2


async def settle(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """Let the core learn what the venues say until it agrees with them, then decide where orders go.

    An errand that needs no trading never gets beyond, nor does a run that may send nothing: both have asked for the
    end, which cancels this.

    Raises:
        UnsafeToTrade: a quantity that nothing explains, or keys that fail while something real is open.
    """
    await _learn(parts)
    if parts.errand is not None and not parts.errand.errand.needs_trading:
        if not parts.stop.is_asked:
            parts.stop.ask(Stop.GRACEFUL, f"{parts.errand.errand.name}: the venues could not be read in time")
        await trio.sleep_forever()
    keys = await read_keys(parts)
    missing = arming_conditions(facts_of(parts, read_file(parts), keys))
    engine = parts.engine
    verdict = decide_start(
        missing,
        has_open=engine.has_open(),
        has_unexplained=bool(engine.differences()),
        credentials_failed=has_failed_credentials(missing),
    )
    safety.info("start_decided", extra={"start": verdict.start.value, "missing": "; ".join(verdict.words)})
    _act(parts, verdict)
    parts.keys, parts.missing = keys, missing
    if verdict.start is Start.SHADOW:
        await trio.sleep_forever()
    now_ns = parts.around.clock.monotonic_ns()
    parts.sink.put_account(ArmingSeen(at_ns=now_ns, is_armed=verdict.start is Start.ARMED, missing=missing))
    parts.sight.armed(missing)
    task_status.started()


def _act(parts: Assembly, verdict: StartVerdict) -> None:
    match verdict.start:
        case Start.REFUSED:
            raise UnsafeToTrade(refusal_words(parts, verdict))
        case Start.SHADOW:
            parts.shadow_because = verdict.words
            parts.stop.ask(Stop.GRACEFUL, "nothing real is open and orders may not be sent: going on as shadow")
        case Start.UNARMED | Start.ARMED:
            pass


def refusal_words(parts: Assembly, verdict: StartVerdict) -> str:
    """Why nothing is started, with every difference, and what to do."""
    engine = parts.engine
    found = [f"  {one.words}" for one in engine.differences()]
    found += [f"  {fault.words}" for fault in parts.account_faults.values()]
    found += [f"  open: {position.direction.value} {position.pair}" for position in engine.open_positions()]
    found += [
        f"  open: order {line.request.client_order_id} on {line.request.instrument} ({line.state.value})"
        for line in engine.open_orders()
    ]
    return "\n".join(
        (
            f"refused for safety before the first order: {', '.join(verdict.words)}",
            *found,
            "look at the venues, then run arb reconcile with --adopt or --ignore, or mend the keys",
        )
    )


async def _learn(parts: Assembly) -> None:
    """Turn the decision loop, without market data, until every venue agrees and no order's fate is unknown; an errand
    that needs no trading is run here and asks for the end itself."""
    settled, errand = trio.Event(), parts.errand
    within_s = parts.settings.watchdog.startup_grace_s
    if errand is not None and not errand.errand.needs_trading:
        within_s += errand.errand.within_s

    def after_turn(event: Event) -> None:
        parts.control.applied(event, parts.journal.seq)
        if errand is not None and not errand.errand.needs_trading:
            errand.after_turn(event)
            if parts.stop.is_asked:
                settled.set()
        elif parts.engine.is_reconciled():
            settled.set()

    with trio.move_on_after(within_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(tick, parts.around.clock, parts.sink, TICK_S, _nothing, _nothing, check_s=parts.around.check_s)
            )
            nursery.start_soon(
                partial(
                    decide,
                    parts.engine,
                    parts.inbox,
                    parts.journal,
                    parts.dispatch,
                    parts.around.clock,
                    parts.watching.meter,
                    freeze=frozen,
                    after_turn=after_turn,
                )
            )
            await settled.wait()
            nursery.cancel_scope.cancel()


def _nothing() -> None:
    """Before the feeds run nobody waits for an evaluation or an offset."""


def read_file(parts: Assembly) -> Permission | NoPermission:
    """The permission file as it stands now."""
    around = parts.around
    return read_permission_file(Path(parts.settings.arm.file), around.clock.wall_ns(), around.uid)


def facts_of(parts: Assembly, permission: Permission | NoPermission, keys: tuple[KeyFacts, ...]) -> ArmingFacts:
    """Everything the conditions look at, as it is now."""
    engine = parts.engine
    return ArmingFacts(
        mode=parts.settings.mode,
        live_trading=parts.around.environ.get(ENVIRONMENT_NAME),
        permission=permission,
        limits=parts.settings.risk,
        keys=keys,
        unverified_modes=tuple(venue for venue, fault in parts.account_faults.items() if not fault.is_refused),
        is_reconciled=engine.is_reconciled(),
        has_unexplained=bool(engine.differences()),
        is_disarmed=engine.memory.causes.has(Cause.UNARMED, OPERATOR),
    )


async def read_keys(parts: Assembly) -> tuple[KeyFacts, ...]:
    """What each traded venue says of our key."""
    return tuple([await _key(parts, access) for access in parts.access.values() if access.spec.account is not None])


async def _key(parts: Assembly, access: VenueAccess) -> KeyFacts:
    """What is known of a key; a question that grew too old before it could leave is asked once more."""
    venue, is_configured = access.spec.venue, access.urls.credentials is not None
    fault = parts.account_faults.get(venue)
    if fault is not None and fault.is_refused:
        return KeyFacts(venue=venue, is_configured=is_configured, is_accepted=False)
    for _ in range(KEY_TRIES if is_configured else 0):
        try:
            return key_facts(venue, await _told_of(parts, access), is_accepted=True)
        except CredentialsRefused:
            return KeyFacts(venue=venue, is_configured=True, is_accepted=False)
        except (VenueUnavailable, ProtocolError) as error:
            log.warning("key_not_read", extra={"venue": venue, "error": str(error)})
    return KeyFacts(venue=venue, is_configured=is_configured)


async def _told_of(parts: Assembly, access: VenueAccess) -> KeyPermissions | None:
    """What the key may do. Where another venue tells it, the one that takes the orders has to accept the key too.

    Raises:
        CredentialsRefused: one of them does not accept it.
        VenueUnavailable: no answer.
        ProtocolError: an answer cannot be understood.
    """
    credentials, account = access.urls.credentials, access.spec.account
    assert credentials is not None
    assert account is not None
    protocol = account.account(credentials, tuple(access.instruments.values()))
    async with open_teller(parts, access) as http:
        told = await read_permission(protocol, http, access.stamp)
    if access.spec.wallets_at is not None:
        await read_fees(protocol, access.http, tuple(access.instruments.values())[:1], access.stamp)
    return told


async def keep_armed(parts: Assembly) -> None:
    """Watch the permission for as long as the run lasts. A clean reconciliation counts from then on: an order in flight
    is no reason to disarm, and quantities that differ are looked at anew each time."""
    has_reconciled = "not_reconciled" not in parts.missing

    def facts(permission: Permission | NoPermission, keys: tuple[KeyFacts, ...]) -> ArmingFacts:
        nonlocal has_reconciled
        found = facts_of(parts, permission, keys)
        has_reconciled = has_reconciled or found.is_reconciled
        return attrs.evolve(found, is_reconciled=has_reconciled)

    def changed(missing: tuple[str, ...]) -> None:
        parts.missing = missing
        parts.sight.armed(missing)

    watch = ArmingWatch(
        permission=partial(read_file, parts),
        keys=partial(read_keys, parts),
        facts=facts,
        on_change=changed,
    )
    await watch_arming(watch, parts.around.clock, parts.sink, keys=parts.keys, missing=parts.missing)
