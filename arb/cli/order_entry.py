"""Orders that go to the venues over their own protocols.

Owns: the order task and the account stream of each venue, and what must be so before the first order.
Never: decides whether they go there or are filled here (`local_orders.py`); the lineup does, by mode.
"""

from __future__ import annotations

import logging
from functools import partial

import trio

from arb.cli.assembly import PONG_WITHIN_S, VENUES_WITHIN_S, AccountFault, Assembly, renewal_s
from arb.cli.schema import Mode
from arb.cli.venue_access import VenueAccess
from arb.domain.errors import ConfigError, CredentialsRefused, VenueUnavailable
from arb.domain.events import FeesSeen
from arb.domain.ids import FeedId, VenueId
from arb.engine.accounting import read_from_ms
from arb.venues.spec import Credentials
from arb.venues.wire.account import AccountParts, VenueAccount
from arb.venues.wire.dial import split_url
from arb.venues.wire.order_http import OrderTarget, open_order_http
from arb.venues.wire.order_parts import OrderParts
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.setup import read_fees, set_up
from arb.venues.wire.status import watch_order_lines
from arb.venues.wire.ws import WsHeartbeat

log = logging.getLogger("arb.account")


async def serve_orders(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """One order task and one account stream per venue; started once every account has been read.

    Raises:
        VenueUnavailable: an account could not be read in time.
        ConfigError, CredentialsRefused: an account is not usable, where orders go to no real venue.
    """
    async with trio.open_nursery() as nursery:
        for venue in parts.access:
            await nursery.start(partial(_serve_venue_orders, parts, venue))
        task_status.started()


async def _serve_venue_orders(parts: Assembly, venue: VenueId, *, task_status: trio.TaskStatus[None]) -> None:
    access, clock = parts.access[venue], parts.around.clock
    if access.spec.account is None or access.urls.credentials is None:
        task_status.started()
        return
    credentials = access.urls.credentials
    endpoint, prefix = split_url(access.urls.rest)
    async with open_order_http(
        OrderTarget(venue=venue, endpoint=endpoint, prefix=prefix), dialer=parts.around.dialer
    ) as wire:
        opened: list[VenueAccount] = []
        orders = VenueOrders(
            OrderParts(
                venue=venue,
                codec=access.spec.account.orders(credentials),
                instruments=access.instruments,
                wire=wire,
                limiter=access.limiter,
                sink=parts.sink,
                clock=clock,
                stamp=access.stamp,
                read_account=lambda reason: opened[0].read_again(reason),
            )
        )
        account = _venue_account(parts, access, credentials, orders)
        opened.append(account)
        parts.orders[venue] = parts.gateways[venue] = orders
        if not await _is_prepared(parts, access, account):
            task_status.started()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(orders.run)
            nursery.start_soon(watch_order_lines, parts.boards[venue], wire, parts.around.check_s)
            nursery.start_soon(parts.restarting(f"{venue}/private/0"), account.run_stream)
            task_status.started()


def _venue_account(parts: Assembly, access: VenueAccess, credentials: Credentials, orders: VenueOrders) -> VenueAccount:
    """The private stream of a venue and the readings of its account."""
    venue, instruments, clock = access.spec.venue, tuple(access.instruments.values()), parts.around.clock
    assert access.spec.account is not None
    return VenueAccount(
        AccountParts(
            venue=venue,
            feed=FeedId(f"{venue}/private/0"),
            protocols=partial(access.spec.account.account, credentials, instruments),
            instruments=instruments,
            ws_private_url=access.urls.ws_private,
            dialer=parts.around.dialer,
            http=access.http,
            sink=parts.sink,
            tap=parts.watching.tap,
            clock=clock,
            stamp=access.stamp,
            heard=orders.heard,
            heartbeat=WsHeartbeat(after_s=parts.heartbeat_s(access), within_s=PONG_WITHIN_S, text=None),
            max_connection_s=renewal_s(access),
            bookings_since_ms=read_from_ms(parts.engine.memory, _last_ns(parts)),
            codec=access.spec.account.orders(credentials),
            booked_qty=lambda update: parts.engine.memory.orders.booked_qty(update),
        )
    )


def _last_ns(parts: Assembly) -> int:
    """UTC of the last moment that the books are of: now, where no earlier run left any."""
    return parts.around.clock.wall_ns() if parts.recovered is None else parts.recovered.wall_ns


async def _is_prepared(parts: Assembly, access: VenueAccess, account: VenueAccount) -> bool:
    """Prepare the account, asking again while the venue is away; what a person must mend is noted in live mode."""
    venue = access.spec.venue
    try:
        with trio.fail_after(VENUES_WITHIN_S):
            while True:
                try:
                    await _prepare_account(parts, access, account)
                    return True
                except CredentialsRefused:
                    raise
                except VenueUnavailable as error:
                    log.warning("account_not_ready", extra={"venue": venue, "error": str(error)})
                    await trio.sleep(getattr(error, "retry_after_s", 1.0))
    except trio.TooSlowError as error:
        raise VenueUnavailable(venue, f"the account could not be read within {VENUES_WITHIN_S:g} s") from error
    except CredentialsRefused as error:
        if parts.settings.mode is not Mode.LIVE:
            raise
        parts.account_faults[venue] = AccountFault(True, str(error))
        return False


async def _prepare_account(parts: Assembly, access: VenueAccess, account: VenueAccount) -> None:
    """Fees in force, margin and leverage set and verified, balances read.

    An account that cannot be made as it must be is no reason to leave what is open there alone: in live mode the fault
    keeps the run from being armed, and orders that reduce go on.
    """
    assert access.spec.account is not None
    assert access.urls.credentials is not None
    instruments = tuple(access.instruments.values())
    protocol = access.spec.account.account(access.urls.credentials, instruments)
    try:
        await set_up(protocol, access.http, instruments, parts.settings.risk.leverage, access.stamp)
    except ConfigError as error:
        if parts.settings.mode is not Mode.LIVE:
            raise
        parts.account_faults[access.spec.venue] = AccountFault(False, str(error))
    fees = await read_fees(protocol, access.http, instruments, access.stamp)
    now_ns = parts.around.clock.monotonic_ns()
    for instrument, schedule in zip(access.instruments, fees, strict=True):
        parts.sink.put_account(FeesSeen(at_ns=now_ns, instrument=instrument, fees=schedule))
    await account.read("start")
