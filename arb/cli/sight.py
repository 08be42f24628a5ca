"""Everything that watches a run: metrics, health, logs, console; told by the parts, never asked by them.

Owns: which observer hears of what.
Never: changes what it sees.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from rich.console import Console

from arb.cli.arming import arming_words
from arb.cli.console import StatusView, trade_line
from arb.cli.probes import FeedAges, MinuteCount
from arb.domain.effects import Publish
from arb.domain.events import DepthSeen, Event, FeedDown, FeedSeen, FeedUp, Level, RunStarted, Tick
from arb.domain.ids import FeedId, InstrumentId, VenueId, venue_of
from arb.ports import Clock
from arb.supervision.inbox import Inbox
from arb.supervision.restart import Restart
from arb.supervision.shutdown import StepReport
from arb.supervision.stopping import Reason, Stop
from arb.supervision.sys_monitor import ProcessSample
from arb.supervision.watchdog import Verdict
from arb.telemetry.health import ComponentState, HealthBoard
from arb.telemetry.metrics import Metrics
from arb.telemetry.tap import venue_of_feed

decisions: Final = logging.getLogger("arb.live_loop")
safety: Final = logging.getLogger("arb.safety")
sources: Final = logging.getLogger("arb.source")
watchdog: Final = logging.getLogger("arb.watchdog")
process: Final = logging.getLogger("arb.sys_monitor")
health: Final = logging.getLogger("arb.health")
root: Final = logging.getLogger("arb.root")


class Sight:
    """The observers of one run."""

    def __init__(
        self, *, clock: Clock, console: Console, metrics: Metrics, board: HealthBoard, venues: tuple[VenueId, ...]
    ) -> None:
        self.view = StatusView()
        self.ages = FeedAges(clock)
        self.safety_count = MinuteCount(clock)
        self.venue_errors = {venue: MinuteCount(clock) for venue in venues}
        self.sample: ProcessSample | None = None
        self.level = Level.OK
        self.on_error: Callable[[str, str, str, str], None] | None = None
        """Takes component, class, message and context of every error, for the table of errors."""
        self.board = board
        self._console = console
        self._metrics = metrics
        self._clock = clock
        self._began_ns = clock.monotonic_ns()
        self._ws_down: dict[str, set[FeedId]] = {venue: set() for venue in venues}
        self._state = ""
        self._due_ns: int | None = None

    def publish(self, effect: Publish) -> None:
        """The core published."""
        self._metrics.publish(effect)
        self.view.publish(effect)
        values = dict(effect.values)
        match effect.topic.partition("/")[0]:
            case "trade":
                trade_line(self._console, values, self._clock.wall_ns())
                decisions.info("trade", extra=values)
            case "refusal":
                if values.get("is_safety"):
                    self.safety_count.add()
                safety.info("refused", extra=values)
            case "order":
                decisions.info("order", extra=values)
            case "flatten":
                safety.info("flatten", extra=values)
            case "incident":
                safety.warning("incident", extra=values)
            case "account":
                state = ComponentState.OK if values["is_explained"] else ComponentState.WARN
                self.board.component("ACCOUNT", state, f"{values['unexplained_krw']:,.0f} KRW unexplained")
            case "state":
                self.board.trading(values)
                if (now := f"{values.get('trading_state')} {values.get('causes')}") != self._state:
                    self._state = now
                    safety.info("trading_state", extra=values)

    def event(self, event: Event) -> None:
        """An account-lane or conflatable event on its way to the core."""
        match event:
            case FeedUp():
                self.ages.down.pop(event.feed, None)
                venue = venue_of_feed(event.feed)
                self._connected(venue, event.feed, event.source == "ws")
                state = ComponentState.OK if event.source == "ws" else ComponentState.WARN
                self.board.component(venue.upper(), state, f"{event.feed} over {event.source}")
            case FeedDown():
                self.ages.down[event.feed] = event.is_final
                venue = venue_of_feed(event.feed)
                self._connected(venue, event.feed, False)
                state = ComponentState.ERROR if event.is_final else ComponentState.WARN
                self.board.component(venue.upper(), state, f"{event.feed}: {event.reason}")
            case FeedSeen():
                self.ages.heard(VenueId(venue_of_feed(event.feed)), event.last_frame_ns)

    def book(self, instrument: InstrumentId) -> None:
        """A newer book of this instrument waits for the core."""
        self.ages.heard(venue_of(instrument), self._clock.monotonic_ns())

    def _error(self, component: str, error: BaseException, context: str) -> None:
        if self.on_error is not None:
            self.on_error(component, type(error).__name__, str(error), context)

    def _connected(self, venue: str, feed: FeedId, is_ws: bool) -> None:
        down = self._ws_down.setdefault(venue, set())
        if is_ws:
            down.discard(feed)
        else:
            down.add(feed)
        self._metrics.ws_connected.labels(venue=venue).set(not down)

    def restarted(self, restart: Restart) -> None:
        """A task failed and will run again. An outage is one error of its venue, however often we knock: knocking has a
        budget of its own."""
        venue = VenueId(venue_of_feed(FeedId(restart.name)))
        if venue in self.venue_errors:
            self._metrics.reconnected(venue)
            if restart.failures == 1:
                self.venue_errors[venue].add()
        self._error(restart.name, restart.error, f"failure {restart.failures} in a row")
        sources.warning(
            "restart",
            extra={
                "task": restart.name,
                "error": str(restart.error),
                "failures": restart.failures,
                "wait_s": round(restart.wait_s, 2),
            },
        )

    def verdict(self, verdict: Verdict) -> None:
        """The watchdog evaluated."""
        self._metrics.level(verdict.level)
        self.board.watchdog(verdict.level, verdict.reasons)
        health.info("status", extra={"status": self.board.status(), "level": verdict.level.value})
        if verdict.level is not self.level:
            severity = (
                logging.INFO
                if verdict.level is Level.OK
                else logging.WARNING
                if verdict.level is Level.WARN
                else logging.ERROR
            )
            watchdog.log(
                severity,
                "level",
                extra={"was": self.level.value, "now": verdict.level.value, "reasons": "; ".join(verdict.reasons)},
            )
        self.level = verdict.level

    def sampled(self, sample: ProcessSample) -> None:
        """The system monitor read the process."""
        self.sample = sample
        metrics = self._metrics
        metrics.process_cpu.set(sample.cpu_percent)
        metrics.process_rss.set(sample.rss_bytes)
        metrics.process_fds.set(sample.fds_count)
        metrics.process_threads.set(sample.threads_count)
        process.info(
            "sample",
            extra={
                "cpu_pct": sample.cpu_percent,
                "rss_mb": round(sample.rss_bytes / 2**20, 1),
                "fds": sample.fds_count,
                "threads": sample.threads_count,
            },
        )

    def given_up(self, task: str, error: Exception) -> None:
        """A task's restart budget is spent."""
        self._error(task, error, "restart budget spent")
        sources.error("given_up", extra={"task": task, "error": str(error), "last": str(error.__cause__)})

    def store_failed(self, detail: str) -> None:
        """The store's disk refused; rows are kept and written later."""
        self.board.component("CSV", ComponentState.ERROR, detail)
        root.error("store_failed", extra={"detail": detail})

    def uptime_s(self) -> float:
        """Since the start of the run."""
        return (self._clock.monotonic_ns() - self._began_ns) / 1e9

    def summary(self) -> str:
        """The run in one clause."""
        portfolio = self.view.portfolio
        closed, pnl = portfolio.get("num_trades", 0), float(portfolio.get("total_pnl_krw") or 0)
        return f"{closed} closed, {portfolio.get('num_open_positions', 0)} open, PnL {pnl:+,.0f} KRW"

    def bound(self, url: str) -> None:
        """The HTTP server listens."""
        self._console.print(f"HTTP: {url}/health and {url}/metrics", style="dim", soft_wrap=True)

    def armed(self, missing: tuple[str, ...]) -> None:
        """Real orders may be sent from now on, or may not for what is missing."""
        self.board.arming(is_armed=not missing, missing=missing)
        self._console.print(arming_words(missing), style="bold yellow" if missing else "bold green", soft_wrap=True)
        safety.log(
            logging.WARNING if missing else logging.INFO,
            "arming_changed",
            extra={"is_armed": not missing, "missing": "; ".join(missing)},
        )

    def became_ready(self, words: str) -> None:
        """Every pair can be looked at for the first time."""
        self._console.print(f"ready after {self.uptime_s():.1f} s; {words}", style="dim", soft_wrap=True)
        root.info("ready", extra={"after_s": round(self.uptime_s(), 2), "fx": words})

    def bank_answered(self, is_ok: bool) -> None:
        """The source of the bank rate did or did not answer; it is for display and sanity only."""
        self.board.component("BANK_FX", ComponentState.OK if is_ok else ComponentState.WARN)

    def kept_house(self, compressed: tuple[str, ...], deleted: tuple[str, ...]) -> None:
        """Old segments were compressed or deleted."""
        if compressed or deleted:
            root.info("journal_upkeep", extra={"compressed": len(compressed), "deleted": len(deleted)})

    def loop_due(self) -> None:
        """An evaluation is due now."""
        self._due_ns = self._clock.monotonic_ns()

    def turned(self) -> None:
        """An evaluation is done."""
        self._due_ns = None

    def loop_waiting_ms(self) -> float:
        """How long an evaluation that is due has been waiting; 0: none is."""
        return 0.0 if self._due_ns is None else (self._clock.monotonic_ns() - self._due_ns) / 1e6

    def failed(self, task: str, error: BaseException) -> None:
        """A task failed for good."""
        self._error(task, error, "failed for good")
        root.error("task_failed", exc_info=error, extra={"task": task, "error": f"{type(error).__name__}: {error}"})

    def stopping(self, reason: Reason) -> None:
        """The end has begun."""
        self.board.stopping(reason.text)
        level = {Stop.GRACEFUL: logging.INFO, Stop.MISCONFIGURED: logging.WARNING}.get(reason.stop, logging.ERROR)
        root.log(level, "stopping", extra={"cause": reason.stop.name.lower(), "why": reason.text})

    def ended(self, report: StepReport) -> None:
        """A step of the shutdown ended."""
        root.log(
            logging.INFO if report.is_complete else logging.ERROR,
            "shutdown_step",
            extra={
                "step": report.name,
                "ms": round(report.elapsed_s * 1e3),
                **({"failure": report.failure} if report.failure else {}),
            },
        )


class ObservedInbox:
    """The inbox as the edges get it: observers see what passes."""

    def __init__(self, inbox: Inbox, sight: Sight) -> None:
        self._inbox = inbox
        self._sight = sight

    def put_depth(self, instrument: InstrumentId, take: Callable[[], DepthSeen | None]) -> None:
        """As `ports.EventSink`."""
        self._sight.book(instrument)
        self._inbox.put_depth(instrument, take)

    def put_latest(self, key: str, event: Event) -> None:
        """As `ports.EventSink`."""
        self._sight.event(event)
        self._inbox.put_latest(key, event)

    def put_account(self, event: Event) -> None:
        """As `ports.EventSink`."""
        if not isinstance(event, Tick | RunStarted):
            self._sight.event(event)
        self._inbox.put_account(event)
