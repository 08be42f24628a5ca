"""Where orders go: to the venues over their own protocols, or to fills modelled here.

Owns: the order task and the account stream of each venue, and what must be so before the first order.
Never: decides which of the two; the lineup does, by mode.
"""

from __future__ import annotations

from functools import partial

import trio

from arb.cli.assembly import PONG_WITHIN_S, Assembly, renewal_s
from arb.cli.venue_access import VenueAccess
from arb.domain.events import FeesSeen
from arb.domain.ids import FeedId, VenueId
from arb.venues.wire.account import AccountParts, VenueAccount
from arb.venues.wire.dial import split_url
from arb.venues.wire.local_fills import LocalFills, LocalVenue
from arb.venues.wire.order_http import OrderTarget, open_order_http
from arb.venues.wire.orders import OrderParts, VenueOrders
from arb.venues.wire.setup import read_fees, set_up
from arb.venues.wire.ws import WsHeartbeat


async def serve_orders(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """One order task and one account stream per venue; started once every account has been read."""
    async with trio.open_nursery() as nursery:
        for venue in parts.access:
            await nursery.start(partial(_serve_venue_orders, parts, venue))
        task_status.started()


async def serve_local_fills(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """Orders are filled here, against the live books."""
    paper = parts.settings.paper
    venues = [
        LocalVenue(
            venue=venue,
            instruments=tuple(access.instruments.values()),
            order_ms=paper.upbit_order_ms if venue == "upbit" else paper.binance_order_ms,
            fees=parts.engine.config.fees[venue],
        )
        for venue, access in parts.access.items()
    ]
    local = LocalFills(
        venues,
        clock=parts.around.clock,
        sink=parts.sink,
        seed=parts.around.random.getrandbits(63),
        miss_probability=paper.miss_probability,
        depth_fraction=parts.settings.execution.depth_fraction,
        start_krw=paper.start_krw,
        start_usdt=paper.start_usdt,
        leverage=parts.settings.risk.leverage,
    )
    parts.fills = local
    parts.gateways.update({venue: local.gateway(venue) for venue in parts.access})
    await local.run(task_status=task_status)


async def _serve_venue_orders(parts: Assembly, venue: VenueId, *, task_status: trio.TaskStatus[None]) -> None:
    access, clock = parts.access[venue], parts.around.clock
    if access.spec.account is None or access.urls.credentials is None:
        task_status.started()
        return
    credentials, instruments = access.urls.credentials, tuple(access.instruments.values())
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
                read_account=lambda reason: opened[0].read(reason),
            )
        )
        account = VenueAccount(
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
                funding_since_ms=clock.wall_ns() // 1_000_000,
            )
        )
        opened.append(account)
        parts.orders[venue] = parts.gateways[venue] = orders
        await _prepare_account(parts, access, account)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(orders.run)
            nursery.start_soon(parts.restarting(f"{venue}/private/0"), account.run_stream)
            task_status.started()


async def _prepare_account(parts: Assembly, access: VenueAccess, account: VenueAccount) -> None:
    """Fees in force, margin and leverage set and verified, balances read."""
    assert access.spec.account is not None
    assert access.urls.credentials is not None
    instruments = tuple(access.instruments.values())
    protocol = access.spec.account.account(access.urls.credentials, instruments)
    await set_up(protocol, access.http, instruments, parts.settings.risk.leverage, access.stamp)
    fees = await read_fees(protocol, access.http, instruments, access.stamp)
    now_ns = parts.around.clock.monotonic_ns()
    for instrument, schedule in zip(access.instruments, fees, strict=True):
        parts.sink.put_account(FeesSeen(at_ns=now_ns, instrument=instrument, fees=schedule))
    await account.read("start")
