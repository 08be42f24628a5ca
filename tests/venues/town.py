"""The simulated venues on a memory network in virtual time, with the real wire's clients in front of them.

Owns: the network, the world and one HTTP client with its rate budget per venue.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from itertools import count

import attrs
import trio

from arb.domain.ids import FeedId, InstrumentId, VenueId
from arb.domain.instrument import Instrument
from arb.ports import Clock, EventSink
from arb.venues import load_venue
from arb.venues.simulated.listings import listing
from arb.venues.simulated.models import FaultKind, FaultScript
from arb.venues.simulated.world import WorldPlan
from arb.venues.spec import AccountProtocol, Credentials, OrderCodec, Stamp, VenueSpec
from arb.venues.wire.account import AccountParts, VenueAccount
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpClient, HttpTarget, open_http
from arb.venues.wire.memory import MemoryNetwork, open_memory_network
from arb.venues.wire.order_http import OrderTarget, open_order_http
from arb.venues.wire.order_parts import OrderParts
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.simulation import ServedVenue, SimParams, Simulation, serve_in_memory
from arb.venues.wire.ws import WsHeartbeat
from tests.venues.wire.wire_fakes import Inbox, Tap

NAMES = ("upbit:KRW-BTC", "upbit:KRW-USDT", "binance_spot:BTCUSDT", "binance_usdm:BTCUSDT")
START_NS = 1_760_000_000_000_000_000


class VirtualClock:
    """Trio's clock as the clock port."""

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return START_NS + self.monotonic_ns()


def fault(venue: str, kind: FaultKind, at_s: float = 0.0, duration_s: float = 1e6) -> FaultScript:
    """A script line."""
    return FaultScript(at_s=at_s, venue=VenueId(venue), kind=kind, duration_s=duration_s)


@attrs.define(eq=False)
class Town:
    """The venues and a client's means to reach them."""

    clock: Clock
    network: MemoryNetwork
    simulation: Simulation
    served: dict[str, ServedVenue]
    http: dict[str, HttpClient] = attrs.field(factory=dict)
    limiters: dict[str, RateLimiter] = attrs.field(factory=dict)
    nonces: count[int] = attrs.field(factory=lambda: count(1))

    def stamp(self) -> Stamp:
        return Stamp(wall_ms=self.clock.wall_ns() // 1_000_000, nonce=f"nonce-{next(self.nonces)}")

    def spec(self, venue: str) -> VenueSpec:
        return load_venue(venue)

    def keys(self, venue: str) -> Credentials:
        found = self.served[venue].credentials
        assert found is not None
        return found

    def instruments(self, venue: str) -> tuple[Instrument, ...]:
        return tuple(self.simulation.world.exchange(venue).instruments.values())

    def account(self, venue: str) -> AccountProtocol:
        spec = self.spec(venue).account
        assert spec is not None
        return spec.account(self.keys(venue), self.instruments(venue))

    def codec(self, venue: str) -> OrderCodec:
        spec = self.spec(venue).account
        assert spec is not None
        return spec.orders(self.keys(venue))


@asynccontextmanager
async def open_town(*faults: FaultScript) -> AsyncIterator[Town]:
    """All venues and a client of each; wants `autojump_clock`."""
    clock = VirtualClock()
    plan = WorldPlan(
        seed=7,
        start_ns=clock.wall_ns(),
        instruments=tuple(listing(InstrumentId(name)) for name in NAMES),
        faults=faults,
    )
    async with open_memory_network() as network, trio.open_nursery() as nursery, AsyncExitStack() as stack:
        served_by = partial(serve_in_memory, SimParams(world=plan), clock, network)
        simulation, served = await nursery.start(served_by)
        town = Town(clock, network, simulation, served)
        for venue in ("upbit", "binance_spot", "binance_usdm"):
            endpoint, prefix = split_url(served[venue].rest)
            spec = load_venue(venue)
            limiter = town.limiters[venue] = RateLimiter(spec.rate, clock, venue=VenueId(venue))
            target = HttpTarget(
                venue=VenueId(venue), endpoint=endpoint, prefix=prefix, is_key_refused=spec.is_key_refused
            )
            town.http[venue] = await stack.enter_async_context(
                open_http(target, dialer=network, limiter=limiter, clock=clock)
            )
        yield town
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_orders(town: Town, name: str, sink: EventSink) -> AsyncIterator[VenueOrders]:
    """The order task of a venue over real connections; leaving the block is the death of the machine."""
    venue = VenueId(name)
    endpoint, prefix = split_url(town.served[venue].rest)

    async def no_read(_reason: str) -> None:
        await trio.lowlevel.checkpoint()

    target = OrderTarget(venue=venue, endpoint=endpoint, prefix=prefix)
    async with open_order_http(target, dialer=town.network) as wire, trio.open_nursery() as nursery:
        parts = OrderParts(
            venue=venue,
            codec=town.codec(venue),
            instruments={one.id: one for one in town.instruments(venue)},
            wire=wire,
            limiter=town.limiters[venue],
            sink=sink,
            clock=town.clock,
            stamp=town.stamp,
            read_account=no_read,
        )
        orders = VenueOrders(parts)
        nursery.start_soon(orders.run)
        yield orders
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_account(town: Town, venue: str, *, has_stream: bool = True) -> AsyncIterator[tuple[VenueAccount, Inbox]]:
    """An account, with its private stream running where one is wished for."""
    inbox, served = Inbox(), town.served[venue]
    assert served.ws_private is not None
    account = VenueAccount(
        AccountParts(
            venue=VenueId(venue),
            feed=FeedId(f"{venue}/private/0"),
            protocols=lambda: town.account(venue),
            instruments=town.instruments(venue),
            ws_private_url=served.ws_private,
            dialer=town.network,
            http=town.http[venue],
            sink=inbox,
            tap=Tap(),
            clock=town.clock,
            stamp=town.stamp,
            heard=lambda _update: None,
            heartbeat=WsHeartbeat(after_s=20.0, within_s=10.0),
            max_connection_s=None,
            bookings_since_ms=town.clock.wall_ns() // 1_000_000,
            codec=town.codec(venue),
            booked_qty=lambda _update: Decimal(0),
        )
    )
    async with trio.open_nursery() as nursery:
        if has_stream:
            nursery.start_soon(account.run_stream)
            await trio.sleep(2)
        yield account, inbox
        nursery.cancel_scope.cancel()
