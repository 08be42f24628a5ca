"""The parts of one run, put together service by service: the composition root.

Owns: which implementation stands behind each port, and the order in which the parts come up.
Never: knows a venue's fields, decides a trade, or outlives its run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from arb.cli.arming import KeyFacts
from arb.cli.beginning import beginning
from arb.cli.data_dir import DataDir
from arb.cli.engine_config import engine_config, pair_strategies
from arb.cli.errand import Errand
from arb.cli.errand_run import ErrandRun
from arb.cli.observers import Observers
from arb.cli.recovery import Recovered
from arb.cli.schema import DataSource, Settings, VenueSection
from arb.cli.sight import ObservedInbox, Sight
from arb.cli.surroundings import Surroundings
from arb.cli.venue_access import VenueAccess, VenueUrls, open_venues, real_urls, wanted_instruments
from arb.domain.effects import Cell, QueryAccount, Record, Table
from arb.domain.events import Command, CommandKind, StorageSeen
from arb.domain.ids import VenueId
from arb.domain.instrument import Instrument
from arb.engine import Engine
from arb.ports import OrderGateway
from arb.storage.csv import CsvStore
from arb.storage.journal import SegmentJournal
from arb.storage.worker import StoreWorker
from arb.supervision.control import Control
from arb.supervision.control_view import control_view, is_read_since
from arb.supervision.dispatch import Dispatch
from arb.supervision.inbox import Inbox
from arb.supervision.restart import Backoff, BudgetSpent, RestartBudget, restart
from arb.supervision.root import Drain, Named
from arb.supervision.stopping import Stop, StopRequest
from arb.telemetry.alerts import LogAlerts
from arb.venues.spec import StreamPlan
from arb.venues.wire.local_fills import LocalFills
from arb.venues.wire.orders import VenueOrders
from arb.venues.wire.reads import StatusPoll, poll_status
from arb.venues.wire.source import SourceParts, SourceSettings, run_source
from arb.venues.wire.status import VenueStatusBoard

REST_BOOK_EVERY_S = 0.5
PONG_WITHIN_S = 5.0
VENUES_WITHIN_S = 30.0
RENEW_BEFORE_S = 300.0
BANK = VenueId("dunamu")


@attrs.frozen
class AccountFault:
    """Why a venue's account cannot be traded with."""

    is_refused: bool
    """The venue does not accept our key; otherwise the account could not be made as it must be."""
    words: str


@attrs.define(eq=False)
class Assembly:
    """The growing whole: each service adds its part and says when it serves."""

    settings: Settings
    data: DataDir
    around: Surroundings
    watching: Observers
    recovered: Recovered | None = None
    """What an earlier run left; None: the books begin empty."""
    wanted_errand: Errand | None = None
    missing: tuple[str, ...] = ()
    """What keeps real orders from this run."""
    shadow_because: tuple[str, ...] = ()
    """Set when this run ends so that a shadow run may follow: what was missing."""
    account_faults: dict[VenueId, AccountFault] = attrs.field(factory=dict)
    """Venues that do not accept our key, or whose account could not be made as it must be."""
    keys: tuple[KeyFacts, ...] = ()
    """What the start found of the keys."""
    inbox: Inbox = attrs.field(factory=Inbox)
    stop: StopRequest = attrs.field(factory=StopRequest)
    urls: dict[VenueId, VenueUrls] = attrs.field(factory=dict)
    """Where each venue is; the simulation fills it in mock mode."""
    access: dict[VenueId, VenueAccess] = attrs.field(factory=dict)
    boards: dict[VenueId, VenueStatusBoard] = attrs.field(factory=dict)
    gateways: dict[VenueId, OrderGateway] = attrs.field(factory=dict)
    orders: dict[VenueId, VenueOrders] = attrs.field(factory=dict)
    fills: LocalFills | None = None
    """Told every book and funding rate that the core has seen: what it fills orders against."""
    engine: Engine = attrs.field(init=False)
    errand: ErrandRun | None = attrs.field(init=False, default=None)
    drain: Drain = attrs.field(init=False)
    journal: SegmentJournal = attrs.field(init=False)
    store: StoreWorker = attrs.field(init=False)
    csv: CsvStore = attrs.field(init=False)
    dispatch: Dispatch = attrs.field(init=False)
    control: Control = attrs.field(init=False)
    """Takes operator commands; told of every turn."""
    sink: ObservedInbox = attrs.field(init=False)
    _errors: int = attrs.field(init=False, default=0)

    @property
    def sight(self) -> Sight:
        """The observers' centre."""
        return self.watching.sight

    def __attrs_post_init__(self) -> None:
        self.sight.on_error = self._note_error
        self.sink = ObservedInbox(self.inbox, self.sight)
        config = engine_config(self.settings, self.around.clock.wall_ns())
        self.engine = Engine(config, None if self.recovered is None else self.recovered.memory)
        self.drain = Drain(self.engine)
        if self.wanted_errand is not None:
            put = self.sink.put_account
            self.errand = ErrandRun(self.wanted_errand, self.engine, put, self.stop, self.around.clock)
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
            sync=self.around.sync,
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
        self.control = Control(
            put=self.sink.put_account,
            clock=self.around.clock,
            view=partial(control_view, self.engine),
            reread=self._reread,
            is_read_since=partial(is_read_since, self.engine),
            synced=self.journal.synced,
        )

    def _reread(self) -> None:
        for venue, gateway in self.gateways.items():
            gateway.query_account_nowait(QueryAccount(venue=venue, reason="an operator asked"))

    # --- services, in the order in which they come up ----------------------------------------------------------------

    async def serve_venues(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Reach every venue and learn its rules; started once all of them have answered."""
        wanted = wanted_instruments(self.settings)
        for venue in wanted:
            self.urls.setdefault(venue, real_urls(self.settings, venue))
        sections = self.settings.venues.items()
        limits = {VenueId(name): section.rate_limit for name, section in sections if section.rate_limit is not None}
        async with open_venues(
            wanted,
            self.urls,
            clock=self.around.clock,
            dialer=self.around.dialer,
            within_s=VENUES_WITHIN_S,
            limits=limits,
        ) as access:
            self.access.update(access)
            self.boards.update({venue: VenueStatusBoard(venue, self.around.clock, self.sink) for venue in access})
            for event in beginning(self.settings, self.around, self.engine.config, access.values()):
                self.sink.put_account(event)
            if self.wanted_errand is not None:
                self.sink.put_account(self._drained_for(self.wanted_errand))
            task_status.started()
            await trio.sleep_forever()

    def _drained_for(self, errand: Errand) -> Command:
        """A run with an errand opens nothing."""
        now_ns = self.around.clock.monotonic_ns()
        return Command(at_ns=now_ns, kind=CommandKind.DRAIN, operator=errand.operator, reason=errand.name)

    async def serve_store(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Write rows until cancelled."""
        task_status.started()
        await self.store.run()

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
            board=self.boards[venue],
            settings=self._source_settings(access),
        )
        tasks = []
        for index, plan in enumerate(access.market.streams(instruments, venue)):
            fresh: Callable[[], StreamPlan] = partial(_plan_at, access, instruments, index)
            run = partial(run_source, fresh, parts, restarting=self.restarting(plan.feed))
            tasks.append(Named(name=plan.feed, run=run))
        return tasks

    def heartbeat_s(self, access: VenueAccess) -> float:
        """How long a connection of the venue may be idle before it is pinged."""
        section = self.settings.venues.get(access.spec.venue)
        return access.spec.client_ping_s if section is None else section.heartbeat_interval

    def _source_settings(self, access: VenueAccess) -> SourceSettings:
        section = self.settings.venues.get(access.spec.venue, VenueSection())
        return SourceSettings(
            levels=min(self.settings.journal.depth_levels, section.max_depth),
            is_rest_only=self.settings.data_source is DataSource.REST,
            silent_after_ms=self.settings.ws.silent_after_ms,
            heartbeat_s=self.heartbeat_s(access),
            pong_within_s=PONG_WITHIN_S,
            rest_interval_s=REST_BOOK_EVERY_S,
            max_connection_s=renewal_s(access),
        )

    async def _poll_status(self, access: VenueAccess) -> None:
        poll = StatusPoll(
            market=access.market,
            symbols=access.symbols,
            instruments=tuple(access.instruments.values()),
            interval_s=self.around.status_every_s,
            latest_key=f"status/{access.spec.venue}",
            board=self.boards[access.spec.venue],
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

    # --- the store's trouble ------------------------------------------------------------------------------------------

    def _note_error(self, component: str, class_name: str, message: str, context: str) -> None:
        """A row of the table of errors: the shell's own, so it stands at the step that was last closed."""
        self._errors += 1
        row: tuple[tuple[str, Cell], ...] = (
            ("component", component),
            ("class_name", class_name),
            ("message", message),
            ("context", context),
            ("time_ns", self.around.clock.wall_ns()),
        )
        name = f"error-{self.around.run_id}-{self._errors}"
        self.store.put(Record(table=Table.ERRORS, id=name, rev=0, pair=None, row=row), self.journal.seq)

    def _store_failed(self, detail: str) -> None:
        self.sight.store_failed(detail)

    def _store_full(self) -> None:
        self.sink.put_account(
            StorageSeen(
                at_ns=self.around.clock.monotonic_ns(), is_low=True, is_full=True, detail="the store's buffer is full"
            )
        )


def _plan_at(access: VenueAccess, instruments: tuple[Instrument, ...], index: int) -> StreamPlan:
    return access.market.streams(instruments, access.spec.venue)[index]


def renewal_s(access: VenueAccess) -> float | None:
    age_s = access.spec.max_connection_s
    return None if age_s is None else age_s - RENEW_BEFORE_S
