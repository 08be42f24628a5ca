"""What observers may see as numbers: a Prometheus registry of its own and the same in JSON.

Owns: every metric name of the contract and the numbers behind them.
Never: decides; waits; uses a label without a bounded set of values.
Units: in the names; `_ms` gauges are inherited names, histograms are in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric, UntypedMetricFamily
from prometheus_client.registry import Collector

from arb.domain.effects import Cell, Publish
from arb.domain.events import Level
from arb.ports import Clock

RECENT_NS: Final = 60_000_000_000
_LEVEL_NUMBER: Final = {Level.OK: 0, Level.WARN: 1, Level.ERROR: 2, Level.CRITICAL: 3}
_FAST: Final = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
_SLOW: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated


class LoopTimes(Protocol):
    """Durations of recent turns of the decision loop, nanoseconds."""

    @property
    def last_ns(self) -> int:
        """Of the last turn."""

    @property
    def mean_ns(self) -> float:
        """Over recent turns, as are the next two."""

    @property
    def max_ns(self) -> int:
        """The longest."""

    @property
    def min_ns(self) -> int:
        """The shortest."""


class _Reconnects(Collector):
    """`arbitrage_ws_reconnect_count` keeps its inherited name as an untyped family."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def collect(self) -> Iterable[Metric]:
        """One sample per venue."""
        family = UntypedMetricFamily(
            "arbitrage_ws_reconnect_count", "Reconnects of the venue's streams since start.", labels=["venue"]
        )
        for venue, count in self.counts.items():
            family.add_metric([venue], count)
        return [family]


def _in_ms(read: Callable[[], float]) -> Callable[[], float]:
    return lambda: read() / 1e6


class Metrics:
    """The registry, fed by the shell; reading it never disturbs the engine."""

    def __init__(
        self,
        clock: Clock,
        *,
        venues: Iterable[str],
        pairs: Iterable[str],
        data_source: str,
        buffer_size: int,
        loop_times: Callable[[], LoopTimes],
    ) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._loop_times = loop_times
        self._opened_ns: deque[int] = deque(maxlen=10_000)
        self._spreads: dict[str, deque[float]] = {pair: deque(maxlen=buffer_size) for pair in pairs}
        self._reconnects = _Reconnects()
        self.registry.register(self._reconnects)
        self._build()
        for source in ("ws", "rest"):
            self.data_source.labels(source=source).set(source == data_source)
        for venue in venues:
            self.ws_connected.labels(venue=venue).set(0)
            self._reconnects.counts[venue] = 0

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _build(self) -> None:
        self._build_loop()
        self._build_market()
        self._build_portfolio()
        self._build_events()
        self._build_process()

    def _build_loop(self) -> None:
        for name, text, read in (
            ("time", "Duration of the last decision turn.", lambda: self._loop_times().last_ns),
            ("time_avg", "Mean duration of recent decision turns.", lambda: self._loop_times().mean_ns),
            ("time_max", "Longest of recent decision turns.", lambda: self._loop_times().max_ns),
            ("time_min", "Shortest of recent decision turns.", lambda: self._loop_times().min_ns),
        ):
            self._gauge(f"arbitrage_loop_{name}_ms", text).set_function(_in_ms(read))
        self.decision = Histogram(
            "arbitrage_decision_seconds", "Duration of decision turns.", registry=self.registry, buckets=_FAST
        )

    def _build_market(self) -> None:
        pair, venue = ("pair",), ("venue",)
        self.spread = self._gauge(
            "arbitrage_spread_bps", "Gross edge of buying A and selling B at the best quotes.", pair
        )
        self.spread_avg = self._gauge("arbitrage_spread_avg_bps", "Mean of recent gross edges.", pair)
        self.data_source = self._gauge(
            "arbitrage_data_source", "1 for the source that books come from by configuration.", ("source",)
        )
        self.ws_connected = self._gauge(
            "arbitrage_ws_connected", "Whether the venue's public stream serves synchronised books.", venue
        )
        self.feed_latency = self._times("arbitrage_feed_latency_seconds", "Receive time minus venue time.")
        self.faults = self._counter("arbitrage_feed_faults_total", "Frames that could not be understood.", venue)

    def _build_portfolio(self) -> None:
        self.trades_opened = self._counter("arbitrage_trades_opened_total", "Pair positions opened since start.")
        recent = self._gauge("arbitrage_trades_opened_recent", "Pair positions opened in the last 60 seconds.")
        recent.set_function(self._recently_opened)
        self.total_pnl = self._gauge("arbitrage_total_pnl_krw", "Realised PnL of closed pair positions.")
        self.daily_pnl = self._gauge("arbitrage_daily_pnl_krw", "Realised PnL of the risk day.")
        self.win_rate = self._gauge(
            "arbitrage_win_rate", "Share of closed pair positions with a positive total, 0 to 1."
        )
        self.num_trades = self._gauge("arbitrage_num_trades", "Closed pair positions.")
        self.num_open = self._gauge("arbitrage_num_open_positions", "Open pair positions.")
        self.duration = self._gauge("arbitrage_avg_trade_duration_seconds", "Mean time between opening and closing.")
        self.equity = self._gauge("arbitrage_equity_krw", "What all wallets and contracts are worth, in KRW.")
        self.unexplained = self._gauge("arbitrage_unexplained_krw", "Of it, what the books do not explain.")
        self.fx_exposure = self._gauge("arbitrage_fx_exposure_usdt", "Exposure to USDT/KRW.")

    def _build_events(self) -> None:
        self.roundtrip = self._times(
            "arbitrage_order_roundtrip_seconds", "Order sent to the last word of the venue on it."
        )
        self.refusals = self._counter("arbitrage_refusals_total", "Refusals, counted when they begin.", ("reason",))
        self.orders = self._counter("arbitrage_orders_total", "Orders by their end.", ("venue", "outcome"))
        self.incidents = self._counter(
            "arbitrage_leg_incidents_total", "Unbalanced or unknown two-leg orders by their end.", ("outcome",)
        )

    def _build_process(self) -> None:
        self.watchdog_level = self._gauge("arbitrage_watchdog_level", "0 OK, 1 WARN, 2 ERROR, 3 CRITICAL.")
        self.process_cpu = self._gauge("arbitrage_process_cpu_percent", "CPU of the process, 100 is one core.")
        self.process_rss = self._gauge("arbitrage_process_resident_memory_bytes", "Resident memory of the process.")
        self.process_fds = self._gauge("arbitrage_process_open_fds", "Open file descriptors.")
        self.process_threads = self._gauge("arbitrage_process_threads", "Threads of the process.")

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _times(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, ("venue",), registry=self.registry, buckets=_SLOW)

    def publish(self, effect: Publish) -> None:
        """Take what the core published; unknown topics are refused by a KeyError, for they are our bug."""
        values: Mapping[str, Cell] = dict(effect.values)
        kind, _, name = effect.topic.partition("/")
        self._topics()[kind](name, values)

    def _topics(self) -> Mapping[str, Callable[[str, Mapping[str, Cell]], None]]:
        return {
            "pair": self._on_pair,
            "portfolio": self._on_portfolio,
            "account": self._on_account,
            "refusal": self._on_refusal,
            "order": self._on_order,
            "incident": self._on_incident,
            "trade": self._on_trade,
            "state": self._on_state,
            "flatten": self._on_nothing,
        }

    def _on_pair(self, pair: str, values: Mapping[str, Cell]) -> None:
        spread = values.get("spread_bps")
        if spread is not None:
            recent = self._spreads[pair]
            recent.append(float(spread))
            self.spread.labels(pair=pair).set(float(spread))
            self.spread_avg.labels(pair=pair).set(sum(recent) / len(recent))

    def _on_portfolio(self, _name: str, values: Mapping[str, Cell]) -> None:
        for key, gauge in (
            ("total_pnl_krw", self.total_pnl),
            ("daily_pnl_krw", self.daily_pnl),
            ("win_rate", self.win_rate),
            ("num_trades", self.num_trades),
            ("num_open_positions", self.num_open),
            ("avg_trade_duration_s", self.duration),
            ("fx_exposure_usdt", self.fx_exposure),
        ):
            if (value := values.get(key)) is not None:
                gauge.set(float(value))

    def _on_account(self, _name: str, values: Mapping[str, Cell]) -> None:
        for key, gauge in (("equity_krw", self.equity), ("unexplained_krw", self.unexplained)):
            if (value := values.get(key)) is not None:
                gauge.set(float(value))

    def _on_refusal(self, _name: str, values: Mapping[str, Cell]) -> None:
        self.refusals.labels(reason=str(values["reason"])).inc()

    def _on_order(self, _name: str, values: Mapping[str, Cell]) -> None:
        venue = str(values["venue"])
        self.orders.labels(venue=venue, outcome=str(values["outcome"])).inc()
        if (roundtrip := values.get("roundtrip_ns")) is not None:
            self.roundtrip.labels(venue=venue).observe(float(roundtrip) / 1e9)

    def _on_incident(self, _name: str, values: Mapping[str, Cell]) -> None:
        self.incidents.labels(outcome=str(values["outcome"])).inc()

    def _on_trade(self, _name: str, values: Mapping[str, Cell]) -> None:
        if values["kind"] == "OPEN":
            self.trades_opened.inc()
            self._opened_ns.append(self._clock.monotonic_ns())

    def _on_nothing(self, name: str, values: Mapping[str, Cell]) -> None:
        """Told for logs and people; there is nothing to count in it."""

    def _on_state(self, _name: str, values: Mapping[str, Cell]) -> None:
        """The trading state is told by `/health`; no metric of the contract carries it."""

    def level(self, level: Level) -> None:
        """The watchdog's verdict."""
        self.watchdog_level.set(_LEVEL_NUMBER[level])

    def reconnected(self, venue: str) -> None:
        """A stream of the venue is opened again."""
        self._reconnects.counts[venue] = self._reconnects.counts.get(venue, 0) + 1

    def _recently_opened(self) -> float:
        since = self._clock.monotonic_ns() - RECENT_NS
        return float(sum(1 for moment in self._opened_ns if moment > since))

    def as_json(self) -> dict[str, object]:
        """Every sample: a number, or a list of `{labels, value}` where there are labels."""
        found: dict[str, object] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if not sample.labels:
                    found[sample.name] = sample.value
                else:
                    rows = found.setdefault(sample.name, [])
                    assert isinstance(rows, list)
                    rows.append({"labels": dict(sample.labels), "value": sample.value})
        return found
