"""The simulated venues as servers: one world, one front per venue, on loopback sockets or in memory.

Owns: the task that moves the world on, the order in which requests and market meet in it, and the listeners.
Never: reads a clock but the one it is given; draws nothing: chance comes from the world's seed.
Units: `_ns` UTC nanoseconds by the given clock.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping
from functools import partial

import attrs
import trio

from arb.domain.ids import VenueId
from arb.ports import Clock
from arb.venues.simulated.chance import Chance, stream
from arb.venues.simulated.control import SimControl
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Dialect
from arb.venues.simulated.dialect_binance_spot import BinanceSpotDialect
from arb.venues.simulated.dialect_binance_usdm import BinanceUsdmDialect
from arb.venues.simulated.dialect_dunamu import DunamuDialect
from arb.venues.simulated.dialect_upbit import UpbitDialect
from arb.venues.simulated.facts import Fact
from arb.venues.simulated.market import MarketSource
from arb.venues.simulated.matching import Exchange
from arb.venues.simulated.weather import Weather
from arb.venues.simulated.world import World, WorldPlan
from arb.venues.spec import Credentials
from arb.venues.wire.memory import MemoryNetwork
from arb.venues.wire.serve import KEEP_ALIVE_S, VenueFront, serve_venue

ACCOUNT = "main"
LATE_NS = 5_000_000_000
"""A world that is further behind is moved in pieces, so that other tasks run in between."""
TURN_S = 0.001
"""The world is moved at most so often by its own clock."""
SUFFIXES = {
    "upbit": ("/websocket/v1", "/websocket/v1/private"),
    "binance_spot": ("", "/ws-api/v3"),
    "binance_usdm": ("", ""),
}
"""What stands behind the host in the base URLs of public and private streams."""


@attrs.frozen(kw_only=True)
class SimParams:
    """What is served and where."""

    world: WorldPlan
    market: MarketSource | None = None
    """Another source than the generated market."""
    host: str = "127.0.0.1"
    ports: Mapping[str, int] = attrs.field(factory=dict)
    """By venue; a venue that is not named takes any free port."""
    tls: ssl.SSLContext | None = None
    keep_alive_s: float = KEEP_ALIVE_S
    """A connection that asks for nothing for so long is closed."""
    paced_every_s: float = 1.0
    """Between two frames of streams that come by the clock (Binance marks, tickers)."""


@attrs.frozen(kw_only=True)
class ServedVenue:
    """Where one simulated venue is, and the key of its account."""

    rest: str
    ws: str | None = None
    ws_private: str | None = None
    credentials: Credentials | None = None

    def as_row(self) -> dict[str, str]:
        """For `arb sim --json`."""
        row = {"rest": self.rest}
        if self.ws is not None and self.ws_private is not None:
            row |= {"ws": self.ws, "ws_private": self.ws_private}
        if self.credentials is not None:
            row |= {"key": self.credentials.key, "secret": self.credentials.secret}
        return row


@attrs.define(eq=False)
class VenueLine:
    """Facts of one exchange on their way to its public side."""

    exchange: Exchange
    desk: Desk
    chance: Chance
    batches: deque[tuple[int, tuple[Fact, ...]]] = attrs.field(factory=deque)

    def collect(self, at_ns: int) -> None:
        """Take what happened; it is seen after the feed's latency, in order."""
        facts = self.exchange.take()
        if facts:
            seen_ns = at_ns + self.exchange.model.feed.draw_ns(self.chance)
            self.batches.append((max(seen_ns, self.batches[-1][0] if self.batches else 0), facts))

    def seen(self, now_ns: int) -> tuple[Fact, ...]:
        """Facts that have arrived."""
        found: list[Fact] = []
        while self.batches and self.batches[0][0] <= now_ns:
            found.extend(self.batches.popleft()[1])
        return tuple(found)


@attrs.define(eq=False)
class Simulation:
    """A world and its fronts."""

    world: World
    clock: Clock
    lines: dict[str, VenueLine] = attrs.field(factory=dict)
    fronts: dict[str, VenueFront] = attrs.field(factory=dict)
    stirred: trio.Event = attrs.field(factory=trio.Event)

    def advance(self, now_ns: int) -> None:
        """Move the world, let requests arrive in their turn, and tell the sessions."""
        while (due_ns := self._inner_due_ns()) <= now_ns:
            self.world.advance_to(due_ns)
            for line in self.lines.values():
                line.desk.advance(due_ns)
                line.collect(due_ns)
        self.world.advance_to(now_ns)
        for venue, front in self.fronts.items():
            facts = self.lines[venue].seen(now_ns) if venue in self.lines else ()
            front.dialect.advance(facts, now_ns)
            front.flush()

    def stir(self) -> None:
        """A client did something: catch up, and let the pump look at its deadline again."""
        self.advance(self.clock.wall_ns())
        self.stirred.set()

    def due_ns(self) -> int:
        """When `advance` is wanted next."""
        queued = [line.batches[0][0] for line in self.lines.values() if line.batches]
        fronts = [at for front in self.fronts.values() if (at := front.dialect.due_ns()) is not None]
        return min([self._inner_due_ns(), *queued, *fronts])

    def _inner_due_ns(self) -> int:
        arrivals = [at for line in self.lines.values() if (at := line.desk.due_ns()) is not None]
        return min([self.world.next_due_ns(), *arrivals])


def credentials_of(venue: str, seed: int) -> Credentials:
    """The key of the simulated account, a function of seed and company: one Binance key serves spot and futures."""
    words = stream(seed, f"credentials {venue.partition('_')[0]}")
    texts = ["".join(f"{words.word():016x}" for _ in range(4)) for _ in range(2)]
    return Credentials(key=texts[0], secret=texts[1])


def open_simulation(params: SimParams, clock: Clock) -> Simulation:
    """A world with a front for each of its venues."""
    plan = params.world
    simulation = Simulation(World(plan, params.market), clock)
    for venue, exchange in simulation.world.exchanges.items():
        key = credentials_of(venue, plan.seed)
        weather = _weather_of(plan, venue)
        exchange.open_account(ACCOUNT, plan.start_ns)
        desk = Desk(exchange, ACCOUNT, key.key, key.secret, weather.is_on, stream(plan.seed, f"requests {venue}"))
        simulation.lines[venue] = VenueLine(exchange, desk, stream(plan.seed, f"feed {venue}"))
        dialect = _dialect_of(venue, desk, weather, int(params.paced_every_s * 1e9))
        control = SimControl(simulation.world, weather, venue, desk)
        simulation.fronts[venue] = VenueFront(
            dialect, clock, simulation.stir, control.ask, keep_alive_s=params.keep_alive_s
        )
    weather = _weather_of(plan, VenueId("dunamu"))
    bank = DunamuDialect(simulation.world.bank_rate, weather)
    control = SimControl(simulation.world, weather, "dunamu")
    simulation.fronts["dunamu"] = VenueFront(bank, clock, simulation.stir, control.ask)
    simulation.advance(clock.wall_ns())
    return simulation


def _weather_of(plan: WorldPlan, venue: VenueId) -> Weather:
    return Weather(venue, tuple(one for one in plan.faults if one.venue == venue), plan.start_ns)


def _dialect_of(venue: str, desk: Desk, weather: Weather, paced_ns: int) -> Dialect:
    if venue == "upbit":
        return UpbitDialect(desk, weather)
    if venue == "binance_spot":
        return BinanceSpotDialect(desk, weather, paced_ns)
    return BinanceUsdmDialect(desk, weather, paced_ns)


async def run_world(simulation: Simulation) -> None:
    """Move the world on as its clock goes, until cancelled."""
    while True:
        now_ns = simulation.clock.wall_ns()
        reachable_ns = max(simulation.world.now_ns, min(simulation.due_ns(), now_ns)) + LATE_NS
        simulation.advance(min(now_ns, reachable_ns))
        simulation.stirred = trio.Event()
        wait_ns = simulation.due_ns() - simulation.clock.wall_ns()
        with trio.move_on_after(max(TURN_S, wait_ns / 1e9)):
            await simulation.stirred.wait()


async def serve_simulation(
    params: SimParams, clock: Clock, *, task_status: trio.TaskStatus[dict[str, ServedVenue]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve all venues of a world on sockets of `params.host` until cancelled; reports where they are.

    Raises:
        OSError: a port is in use.
    """
    simulation = open_simulation(params, clock)
    async with trio.open_nursery() as nursery:
        served: dict[str, ServedVenue] = {}
        for venue, front in simulation.fronts.items():
            port = await nursery.start(
                partial(_serve_sockets, front, params.host, params.ports.get(venue, 0), params.tls)
            )
            served[venue] = _served(venue, f"{params.host}:{port}", params.world.seed, is_tls=params.tls is not None)
        nursery.start_soon(run_world, simulation)
        task_status.started(served)


async def serve_in_memory(
    params: SimParams,
    clock: Clock,
    network: MemoryNetwork,
    *,
    task_status: trio.TaskStatus[tuple[Simulation, dict[str, ServedVenue]]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve all venues of a world on a memory network, each at `VENUE.sim:80`, until cancelled."""
    simulation = open_simulation(params, clock)
    for venue, front in simulation.fronts.items():
        network.listen(f"{venue}.sim", 80, partial(serve_venue, front))
    try:
        task_status.started(
            (
                simulation,
                {
                    venue: _served(venue, f"{venue}.sim:80", params.world.seed, is_tls=False)
                    for venue in simulation.fronts
                },
            )
        )
        await run_world(simulation)
    finally:
        for venue in simulation.fronts:
            network.ignore(f"{venue}.sim", 80)


def _served(venue: str, address: str, seed: int, *, is_tls: bool) -> ServedVenue:
    http, ws = ("https", "wss") if is_tls else ("http", "ws")
    if venue not in SUFFIXES:
        return ServedVenue(rest=f"{http}://{address}")
    public, private = SUFFIXES[venue]
    return ServedVenue(
        rest=f"{http}://{address}",
        ws=f"{ws}://{address}{public}",
        ws_private=f"{ws}://{address}{private}",
        credentials=credentials_of(venue, seed),
    )


async def _serve_sockets(
    front: VenueFront,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    plain = await trio.open_tcp_listeners(port, host=host)
    bound = int(plain[0].socket.getsockname()[1])
    listeners: list[trio.abc.Listener[trio.abc.Stream]] = (
        [*plain] if tls is None else [trio.SSLListener(one, tls, https_compatible=True) for one in plain]
    )
    task_status.started(bound)
    await trio.serve_listeners(partial(serve_venue, front), listeners)
