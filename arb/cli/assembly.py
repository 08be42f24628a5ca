"""The parts of one run, put together service by service: the composition root.

Owns: which implementation stands behind each port, and the order in which the parts come up.
Never: knows a venue's fields, decides a trade, or outlives its run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Protocol

import attrs
import trio

from arb.cli.data_dir import DataDir
from arb.cli.engine_config import engine_config, pair_strategies
from arb.cli.observers import Observers
from arb.cli.schema import BankChoice, DataSource, Settings
from arb.cli.sight import ObservedInbox, Sight
from arb.cli.venue_access import VenueAccess, VenueUrls, open_venues, real_urls, wanted_instruments
from arb.domain.events import ArmingSeen, FeesSeen, FxSeen, InstrumentSeen, RunStarted, StorageSeen
from arb.domain.ids import FeedId, RunId, VenueId
from arb.engine import Engine
from arb.ports import Clock, Dialer, OrderGateway, ThreadRunner
from arb.storage.codec import encode_value
from arb.storage.csv import CsvStore
from arb.storage.journal import SEGMENT_NS, SegmentJournal, Writer
from arb.storage.worker import StoreWorker
from arb.supervision.clock import CHECK_S, AnchoredClock
from arb.supervision.dispatch import Dispatch
from arb.supervision.inbox import Inbox
from arb.supervision.restart import Backoff, BudgetSpent, RestartBudget, restart
from arb.supervision.root import Drain, Named
from arb.supervision.stopping import Stop, StopRequest
from arb.telemetry.alerts import LogAlerts
from arb.venues.spec import StreamPlan
from arb.venues.wire.account import AccountParts, VenueAccount
from arb.venues.wire.dial import split_url
from arb.venues.wire.local_fills import LocalFills, LocalVenue
from arb.venues.wire.order_http import OrderTarget, open_order_http
from arb.venues.wire.orders import OrderParts, VenueOrders
from arb.venues.wire.reads import StatusPoll, poll_status
from arb.venues.wire.setup import read_fees, set_up
from arb.venues.wire.simulation import ServedVenue, SimParams, serve_simulation
from arb.venues.wire.source import SourceParts, SourceSettings, run_source
from arb.venues.wire.ws import WsHeartbeat

STATUS_EVERY_S = 60.0
BANK_EVERY_S = 60.0
REST_BOOK_EVERY_S = 0.5
PONG_WITHIN_S = 5.0
VENUES_WITHIN_S = 30.0
RENEW_BEFORE_S = 300.0
BANK = VenueId("dunamu")


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
    random: Random
    run_id: RunId
    build: str
    simulate: Simulate = serve_simulation
    """Serves the simulated venues of mock mode."""
    check_s: float = CHECK_S
    """How often the core is told the time between two evaluations."""
    status_every_s: float = STATUS_EVERY_S
    """Between two polls of what a venue says about its instruments over REST alone."""
    segment_ns: int = SEGMENT_NS
    """Age at which a segment of the journal is closed."""


@attrs.define(eq=False)
class Assembly:
    """The growing whole: each service adds its part and says when it serves."""

    settings: Settings
    data: DataDir
    around: Surroundings
    watching: Observers
    inbox: Inbox = attrs.field(factory=Inbox)
    stop: StopRequest = attrs.field(factory=StopRequest)
    urls: dict[VenueId, VenueUrls] = attrs.field(factory=dict)
    """Where each venue is; the simulation fills it in mock mode."""
    access: dict[VenueId, VenueAccess] = attrs.field(factory=dict)
    gateways: dict[VenueId, OrderGateway] = attrs.field(factory=dict)
    orders: dict[VenueId, VenueOrders] = attrs.field(factory=dict)
    fills: LocalFills | None = None
    """Told every book and funding rate that the core has seen: what it fills orders against."""
    engine: Engine = attrs.field(init=False)
    drain: Drain = attrs.field(init=False)
    journal: SegmentJournal = attrs.field(init=False)
    store: StoreWorker = attrs.field(init=False)
    csv: CsvStore = attrs.field(init=False)
    dispatch: Dispatch = attrs.field(init=False)
    sink: ObservedInbox = attrs.field(init=False)

    @property
    def sight(self) -> Sight:
        """The observers' centre."""
        return self.watching.sight

    def __attrs_post_init__(self) -> None:
        self.sink = ObservedInbox(self.inbox, self.sight)
        self.engine = Engine(engine_config(self.settings, self.around.clock.wall_ns()))
        self.drain = Drain(self.engine)
        self.journal = SegmentJournal(
            self.data.journal,
            self.around.writer,
            run_id=self.around.run_id,
            build=self.around.build,
            segment_ns=self.around.segment_ns,
        )
        self.csv = CsvStore(
            self.data.csv,
            run_id=self.around.run_id,
            mode=self.settings.mode.value,
            strategies=pair_strategies(self.settings),
        )
        self.store = StoreWorker(
            self.csv, self.journal, self.around.run_thread, on_failure=self._store_failed, on_full=self._store_full
        )

        self.dispatch = Dispatch(
            journal=self.journal,
            gateways=self.gateways,
            store=self.store,
            alerts=LogAlerts(self.around.clock),
            publish=self.sight.publish,
            halt=partial(self.stop.ask, Stop.CRITICAL),
        )

    # --- services, in the order in which they come up ----------------------------------------------------------------

    async def serve_venues(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Reach every venue and learn its rules; started once all of them have answered."""
        wanted = wanted_instruments(self.settings)
        for venue in wanted:
            self.urls.setdefault(venue, real_urls(self.settings, venue))
        async with open_venues(
            wanted, self.urls, clock=self.around.clock, dialer=self.around.dialer, within_s=VENUES_WITHIN_S
        ) as access:
            self.access.update(access)
            self._tell_beginning()
            task_status.started()
            await trio.sleep_forever()

    async def serve_store(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Write rows until cancelled."""
        task_status.started()
        await self.store.run()

    async def serve_orders(self, *, task_status: trio.TaskStatus[None]) -> None:
        """One order task and one account stream per venue; started once every account has been read."""
        async with trio.open_nursery() as nursery:
            for venue in self.access:
                await nursery.start(partial(self._serve_venue_orders, venue))
            task_status.started()

    async def serve_local_fills(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Orders are filled here, against the live books."""
        paper = self.settings.paper
        venues = [
            LocalVenue(
                venue=venue,
                instruments=tuple(access.instruments.values()),
                order_ms=paper.upbit_order_ms if venue == "upbit" else paper.binance_order_ms,
                fees=self.engine.config.fees[venue],
            )
            for venue, access in self.access.items()
        ]
        local = LocalFills(
            venues,
            clock=self.around.clock,
            sink=self.sink,
            seed=self.around.random.getrandbits(63),
            miss_probability=paper.miss_probability,
            depth_fraction=self.settings.execution.depth_fraction,
            start_krw=paper.start_krw,
            start_usdt=paper.start_usdt,
            leverage=self.settings.risk.leverage,
        )
        self.fills = local
        self.gateways.update({venue: local.gateway(venue) for venue in self.access})
        await local.run(task_status=task_status)

    async def _serve_venue_orders(self, venue: VenueId, *, task_status: trio.TaskStatus[None]) -> None:
        access, clock = self.access[venue], self.around.clock
        if access.spec.account is None or access.urls.credentials is None:
            task_status.started()
            return
        credentials, instruments = access.urls.credentials, tuple(access.instruments.values())
        endpoint, prefix = split_url(access.urls.rest)
        async with open_order_http(
            OrderTarget(venue=venue, endpoint=endpoint, prefix=prefix), dialer=self.around.dialer
        ) as wire:
            parts: list[VenueAccount] = []
            orders = VenueOrders(
                OrderParts(
                    venue=venue,
                    codec=access.spec.account.orders(credentials),
                    instruments=access.instruments,
                    wire=wire,
                    limiter=access.limiter,
                    sink=self.sink,
                    clock=clock,
                    stamp=access.stamp,
                    read_account=lambda reason: parts[0].read(reason),
                )
            )
            account = VenueAccount(
                AccountParts(
                    venue=venue,
                    feed=FeedId(f"{venue}/private/0"),
                    protocols=partial(access.spec.account.account, credentials, instruments),
                    instruments=instruments,
                    ws_private_url=access.urls.ws_private,
                    dialer=self.around.dialer,
                    http=access.http,
                    sink=self.sink,
                    tap=self.watching.tap,
                    clock=clock,
                    stamp=access.stamp,
                    heard=orders.heard,
                    heartbeat=self._heartbeat(access),
                    max_connection_s=_renewal(access),
                    funding_since_ms=clock.wall_ns() // 1_000_000,
                )
            )
            parts.append(account)
            self.orders[venue] = self.gateways[venue] = orders
            await self._prepare_account(access, account)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(orders.run)
                nursery.start_soon(self.restarting(f"{venue}/private/0"), account.run_stream)
                task_status.started()

    async def _prepare_account(self, access: VenueAccess, account: VenueAccount) -> None:
        """Fees in force, margin and leverage set and verified, balances read."""
        assert access.spec.account is not None
        assert access.urls.credentials is not None
        instruments = tuple(access.instruments.values())
        protocol = access.spec.account.account(access.urls.credentials, instruments)
        await set_up(protocol, access.http, instruments, self.settings.risk.leverage, access.stamp)
        fees = await read_fees(protocol, access.http, instruments, access.stamp)
        now_ns = self.around.clock.monotonic_ns()
        for instrument, schedule in zip(access.instruments, fees, strict=True):
            self.sink.put_account(FeesSeen(at_ns=now_ns, instrument=instrument, fees=schedule))
        await account.read("start")

    # --- trading tasks ------------------------------------------------------------------------------------------------

    def sources(self) -> list[Named]:
        """One source per connection, the offset keeper and the status poll of each venue, the bank rate."""
        tasks: list[Named] = []
        for venue, access in self.access.items():
            tasks.extend(self._venue_sources(access))
            tasks.append(
                Named(
                    name=f"{venue} clock offset",
                    run=partial(access.offset.keep, access.market, access.http, self.around.clock),
                )
            )
            if access.market.status_requests(access.symbols):
                tasks.append(Named(name=f"{venue} status", run=partial(self._poll_status, access)))
        return tasks

    def _venue_sources(self, access: VenueAccess) -> list[Named]:
        instruments = tuple(access.instruments.values())
        venue = access.spec.venue
        parts = SourceParts(
            venue=venue,
            market=access.market,
            instruments=access.instruments,
            ws_url=access.urls.ws,
            dialer=self.around.dialer,
            http=access.http,
            clock=self.around.clock,
            sink=self.sink,
            tap=self.watching.tap,
            settings=self._source_settings(access),
        )
        tasks = []
        for index, plan in enumerate(access.market.streams(instruments, venue)):
            fresh: Callable[[], StreamPlan] = partial(_plan_at, access, instruments, index)
            run = partial(run_source, fresh, parts, restarting=self.restarting(plan.feed))
            tasks.append(Named(name=plan.feed, run=run))
        return tasks

    def _source_settings(self, access: VenueAccess) -> SourceSettings:
        section = self.settings.venues.get(access.spec.venue)
        return SourceSettings(
            levels=self.settings.journal.depth_levels,
            is_rest_only=self.settings.data_source is DataSource.REST,
            silent_after_ms=self.settings.ws.silent_after_ms,
            heartbeat_s=access.spec.client_ping_s if section is None else section.heartbeat_interval,
            pong_within_s=PONG_WITHIN_S,
            rest_interval_s=REST_BOOK_EVERY_S,
            max_connection_s=_renewal(access),
        )

    def _heartbeat(self, access: VenueAccess) -> WsHeartbeat:
        return WsHeartbeat(after_s=access.spec.client_ping_s, within_s=PONG_WITHIN_S, text=None)

    async def _poll_status(self, access: VenueAccess) -> None:
        poll = StatusPoll(
            market=access.market,
            symbols=access.symbols,
            instruments=tuple(access.instruments.values()),
            interval_s=self.around.status_every_s,
            latest_key=f"status/{access.spec.venue}",
        )
        await poll_status(
            poll,
            access.http,
            self.around.clock,
            self.sink,
            lambda is_ok: None if is_ok else self.sight.venue_errors[access.spec.venue].add(),
        )

    def restarting(self, name: str) -> Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]:
        """The restart wrapper of a task, with the configured backoff and budget; a spent budget ends it quietly: the
        source says so."""
        ws = self.settings.ws
        backoff = Backoff(
            initial_s=ws.reconnect_backoff.initial,
            max_s=ws.reconnect_backoff.max,
            multiplier=ws.reconnect_backoff.multiplier,
        )
        budget = RestartBudget(restarts=ws.restart_budget.restarts, window_s=ws.restart_budget.window_s)

        async def run(task: Callable[[], Awaitable[None]]) -> None:
            try:
                await restart(
                    task,
                    name=name,
                    backoff=backoff,
                    budget=budget,
                    random=self.around.random,
                    clock=self.around.clock,
                    on_restart=self.sight.restarted,
                )
            except BudgetSpent as error:
                self.sight.given_up(name, error)

        return run

    # --- what the core is told at the beginning -----------------------------------------------------------------------

    def _tell_beginning(self) -> None:
        clock, put = self.around.clock, self.sink.put_account
        now_ns = clock.monotonic_ns()
        parameters = encode_value(self.engine.config).decode()
        put(
            RunStarted(
                at_ns=now_ns,
                wall_ns=clock.wall_ns(),
                run_id=self.around.run_id,
                build=self.around.build,
                parameters=parameters,
            )
        )
        put(ArmingSeen(at_ns=now_ns, is_armed=True))
        for access in self.access.values():
            for instrument in access.instruments.values():
                put(InstrumentSeen(at_ns=now_ns, instrument=instrument))
        if self.settings.fx.bank is BankChoice.STATIC and self.settings.fx.bank_rate is not None:
            put(
                FxSeen(
                    at_ns=now_ns,
                    rate=self.settings.fx.bank_rate,
                    source="static",
                    published_ms=clock.wall_ns() // 1_000_000,
                )
            )

    # --- the store's trouble ------------------------------------------------------------------------------------------

    def _store_failed(self, detail: str) -> None:
        self.sight.store_failed(detail)

    def _store_full(self) -> None:
        self.sink.put_account(
            StorageSeen(
                at_ns=self.around.clock.monotonic_ns(), is_low=True, is_full=True, detail="the store's buffer is full"
            )
        )


def _plan_at(access: VenueAccess, instruments: tuple[object, ...], index: int) -> StreamPlan:
    return access.market.streams(instruments, access.spec.venue)[index]  # type: ignore[arg-type]  # the tuple that `streams` took before


def _renewal(access: VenueAccess) -> float | None:
    age_s = access.spec.max_connection_s
    return None if age_s is None else age_s - RENEW_BEFORE_S
