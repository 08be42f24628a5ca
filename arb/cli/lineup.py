"""Which services and which trading tasks a run has, by mode.

Owns: the two lists of the root; the order of the first is the order of readiness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import trio

from arb.cli.assembly import BANK, Assembly
from arb.cli.evaluation import Evaluations
from arb.cli.local_orders import serve_local_fills
from arb.cli.order_entry import serve_orders
from arb.cli.probes import Probes
from arb.cli.recovery import frozen
from arb.cli.schema import BankChoice, Mode
from arb.cli.settling import keep_armed, settle
from arb.cli.sim import sim_params, traded
from arb.cli.upkeep import keep_journal, make_tables
from arb.cli.venue_access import VenueUrls
from arb.cli.venue_status import status_tasks
from arb.domain.events import DepthSeen, Event, FundingRateSeen
from arb.domain.ids import VenueId
from arb.supervision.clock import tick
from arb.supervision.deadman import Heartbeat
from arb.supervision.decision import decide
from arb.supervision.root import Named, NamedFoundation
from arb.supervision.stopping import Stop
from arb.supervision.sys_monitor import ProcessSample, monitor
from arb.supervision.watchdog import Watchdog, watch
from arb.telemetry.http import listen, make_app, serve_http
from arb.venues import load_venue
from arb.venues.wire.dial import split_url
from arb.venues.wire.http import HttpTarget, open_http
from arb.venues.wire.local_fills import LocalFills
from arb.venues.wire.rate_limit import RateLimiter
from arb.venues.wire.reads import StatusPoll, poll_status
from arb.venues.wire.simulation import ServedVenue


def foundations(parts: Assembly) -> list[NamedFoundation]:
    """In the order in which they come up; whatever can refuse to start without a connection comes first."""
    found = [
        NamedFoundation(name="tables", run=partial(make_tables, parts)),
        NamedFoundation(name="store", run=parts.serve_store),
    ]
    if parts.settings.monitoring.enabled:
        found.append(NamedFoundation(name="http", run=partial(_serve_http, parts)))
    if parts.settings.mode is Mode.MOCK:
        found.append(NamedFoundation(name="simulated venues", run=partial(_serve_mock, parts)))
    found.append(NamedFoundation(name="venues", run=parts.serve_venues))
    fills = serve_orders if parts.settings.mode in (Mode.MOCK, Mode.LIVE) else serve_local_fills
    found.append(NamedFoundation(name="orders", run=partial(fills, parts)))
    found.append(NamedFoundation(name="control socket", run=partial(parts.control.serve, parts.data.control)))
    if parts.settings.mode is Mode.LIVE:
        found.append(NamedFoundation(name="settling", run=partial(settle, parts)))
    return found


def trading_tasks(
    parts: Assembly, evaluations: Evaluations, heartbeat: Heartbeat | None, sample: Callable[[], ProcessSample] | None
) -> Sequence[Named]:
    """Everything that a stop cancels; the decision loop last. Simulations have neither heartbeat nor samples."""
    tasks = [*parts.sources(), *status_tasks(parts), *_bank(parts)]
    tasks.append(Named(name="tick", run=partial(_tick, parts)))
    tasks.append(Named(name="orders to the venues", run=parts.dispatch.release))
    if parts.settings.mode is Mode.LIVE:
        tasks.append(Named(name="permission", run=partial(keep_armed, parts)))
    tasks.append(Named(name="journal upkeep", run=partial(keep_journal, parts)))
    if sample is not None:
        interval_s = parts.settings.sys_monitor.sample_interval_sec
        tasks.append(Named(name="system monitor", run=partial(monitor, sample, interval_s, parts.sight.sampled)))
    tasks.append(Named(name="watchdog", run=partial(_watch, parts, heartbeat)))
    tasks.append(Named(name="decision", run=partial(_decide, parts, evaluations)))
    return tasks


async def _serve_http(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """`/health` and `/metrics`; a port lost later is taken again, and given up once its budget is spent."""
    monitoring = parts.settings.monitoring
    app = make_app(parts.sight.board, parts.watching.metrics, monitoring.metrics_format.value)
    listener = listen(monitoring.host, monitoring.metrics_port)
    port = listener.getsockname()[1]
    parts.sight.bound(f"http://{monitoring.host}:{port}")
    waiting = [listener]
    task_status.started()
    await parts.restarting("http")(lambda: serve_http(app, waiting.pop() if waiting else listen(monitoring.host, port)))


async def _serve_mock(parts: Assembly, *, task_status: trio.TaskStatus[None]) -> None:
    """The simulated venues; from now on they are what the run knows as its venues."""
    params = sim_params(parts.settings, traded(parts.settings), parts.around.clock)
    async with trio.open_nursery() as nursery:
        take_in(parts, await nursery.start(partial(parts.around.simulate, params, parts.around.clock)))
        task_status.started()


def take_in(parts: Assembly, served: Mapping[str, ServedVenue]) -> None:
    """Use simulated venues in place of the real ones."""
    for venue, one in served.items():
        parts.urls[VenueId(venue)] = VenueUrls(
            rest=one.rest, ws=one.ws or "", ws_private=one.ws_private or "", credentials=one.credentials
        )


def _bank(parts: Assembly) -> list[Named]:
    if parts.settings.fx.bank is not BankChoice.DUNAMU:
        return []
    return [Named(name="bank rate", run=partial(_poll_bank, parts))]


async def _poll_bank(parts: Assembly) -> None:
    spec, around = load_venue(BANK), parts.around
    assert spec.market is not None
    url = parts.urls[BANK].rest if BANK in parts.urls else parts.settings.fx.bank_url or spec.market.rest_url
    endpoint, prefix = split_url(url)
    limiter = RateLimiter(spec.rate, around.clock, venue=VenueId(BANK))
    target = HttpTarget(venue=BANK, endpoint=endpoint, prefix=prefix)
    async with open_http(target, dialer=around.dialer, limiter=limiter, clock=around.clock) as http:
        poll = StatusPoll(
            market=spec.market, symbols=(), instruments=(), interval_s=around.status_every_s, latest_key="bank"
        )
        await poll_status(poll, http, around.clock, parts.sink, parts.sight.bank_answered)


def _tell_fills(fills: LocalFills, event: Event) -> None:
    match event:
        case DepthSeen():
            fills.on_depth(event.depth)
        case FundingRateSeen():
            fills.on_funding(event)


async def _tick(parts: Assembly) -> None:
    def jumped() -> None:
        for access in parts.access.values():
            access.offset.measure_again()

    await tick(
        parts.around.clock,
        parts.sink,
        parts.settings.interval,
        parts.sight.loop_due,
        jumped,
        check_s=parts.around.check_s,
    )


async def _watch(parts: Assembly, heartbeat: Heartbeat | None) -> None:
    settings, sight = parts.settings.watchdog, parts.sight
    probes = Probes(
        limits=settings,
        process=parts.settings.sys_monitor,
        venues=tuple(parts.access),
        ages=sight.ages,
        meter=parts.watching.meter,
        waiting_ms=sight.loop_waiting_ms,
        heartbeat=heartbeat,
        safety=sight.safety_count,
        errors=sight.venue_errors,
        sample=lambda: sight.sample,
    ).all()
    await watch(
        Watchdog(settings.consecutive_errors),
        probes,
        interval_s=settings.interval_s,
        startup_grace_s=settings.startup_grace_s,
        clock=parts.around.clock,
        sink=parts.sink,
        stop=parts.stop,
        on_verdict=sight.verdict,
    )


async def _decide(parts: Assembly, evaluations: Evaluations) -> None:
    def after_turn(event: Event) -> None:
        if parts.fills is not None:
            _tell_fills(parts.fills, event)
        evaluations.after_turn(event)
        parts.control.applied(event, parts.journal.seq)
        parts.watching.metrics.decision.observe(parts.watching.meter.last_ns / 1e9)

    await decide(
        parts.engine,
        parts.inbox,
        parts.journal,
        parts.dispatch,
        parts.around.clock,
        parts.watching.meter,
        freeze=frozen,
        after_turn=after_turn,
    )


async def stop_after(parts: Assembly, seconds: float) -> None:
    """`--max-runtime`."""
    await trio.sleep(seconds)
    parts.stop.ask(Stop.GRACEFUL, f"{seconds:g} s are over")
