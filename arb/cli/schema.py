"""The shape of a configuration: sections, keys, units, ranges.

Owns: one frozen class per section (contracts.md, Configuration); core sections are the core's own parameter classes.
Never: reads a file. What trades, sizes or loosens has no default here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs

from arb.domain.fx import FxHedge
from arb.domain.pair import Direction, PairKind
from arb.domain.params import Range, param
from arb.execution.params import ExecutionParams
from arb.risk.limits import RiskLimits


class Mode(Enum):
    """Where market data comes from and where orders go (engine.md, Modes)."""

    MOCK = "mock"
    PAPER = "paper"
    SHADOW = "shadow"
    LIVE = "live"


class DataSource(Enum):
    """How books are filled."""

    WS = "ws"
    REST = "rest"


class FxChoice(Enum):
    """Where the executable FX comes from."""

    UPBIT = "upbit"
    STATIC = "static"


class BankChoice(Enum):
    """Where the bank rate (display, sanity band) comes from."""

    DUNAMU = "dunamu"
    STATIC = "static"
    OFF = "off"


class MetricsFormat(Enum):
    """What `/metrics` answers unless asked otherwise."""

    PROMETHEUS = "prometheus"
    JSON = "json"


class StoreBackend(Enum):
    """Where tables are kept."""

    CSV = "csv"


class MarketKind(Enum):
    """Where the simulated market comes from."""

    GENERATED = "generated"
    RECORDED = "recorded"


def ranged(default: object, unit: str, low: float, high: float) -> Any:
    """A field with a default that must lie in `[low, high]`."""
    field = param(unit, low, high)
    return attrs.field(default=default, metadata=dict(field.metadata), validator=field._validator)


@attrs.frozen(kw_only=True)
class PairSection:
    """`[[pairs]]`"""

    name: str
    a: str
    b: str
    kind: PairKind
    multiplier: Decimal
    directions: tuple[Direction, ...]
    identity_max_dev: float = param("ratio", 0.0001, 1)
    strategy: str = "convergence"
    params: dict[str, Any] = attrs.field(factory=dict)
    """Overrides of the strategy's parameters for this pair."""


@attrs.frozen(kw_only=True)
class RateLimitSection:
    """`[venues.NAME.rate_limit]`"""

    max_requests_per_sec: float = param("1/s", 0.01, 1_000)
    max_retry: int = ranged(2, "count", 0, 10)
    base_backoff_seconds: float = ranged(0.5, "s", 0.01, 60)


@attrs.frozen(kw_only=True)
class MaintenanceSection:
    """`[[venues.NAME.maintenance]]`: a window that the venue announced; TOML times with their offset."""

    begin: datetime = attrs.field(metadata={"key": "from"})
    until: datetime


@attrs.frozen(kw_only=True)
class VenueSection:
    """`[venues.NAME]`"""

    rest_url: str | None = None
    ws_url: str | None = None
    ws_private_url: str | None = None
    key: str | None = attrs.field(default=None, repr=False, metadata={"secret": True})
    secret: str | None = attrs.field(default=None, repr=False, metadata={"secret": True})
    heartbeat_interval: float = ranged(15.0, "s", 1, 120)
    max_depth: int = ranged(15, "levels", 1, 1_000)
    rate_limit: RateLimitSection | None = None
    maintenance: tuple[MaintenanceSection, ...] = ()


@attrs.frozen(kw_only=True)
class FxSection:
    """`[fx]`"""

    executable: FxChoice
    executable_rate: Decimal | None = None
    second: str | None = None
    """`venue:INSTRUMENT` of a second USDT book."""
    hedge: FxHedge
    home_usdt: Decimal
    bank: BankChoice
    bank_url: str | None = None
    bank_rate: Decimal | None = None
    max_age_ms: int = param("ms", 50, 600_000)
    bank_max_age_s: float = param("s", 1, 604_800)
    conversion_fee_bps: float = param("bps", 0, 1_000)
    fx_jump_bps: float = param("bps", 0.1, 5_000)
    fx_jump_s: float = param("s", 0.1, 3_600)
    fx_band_pct: float = param("%", 0.1, 100)
    fx_band_weekend_pct: float = param("%", 0.1, 100)
    fx_second_max_bps: float = param("bps", 0.1, 5_000)
    fx_max_spread_ticks: int = param("ticks", 1, 1_000)


@attrs.frozen(kw_only=True)
class FeesSection:
    """`[fees]`: used until the venues report their own."""

    upbit_krw_bps: Decimal = param("bps", 0, 1_000)
    binance_usdm_taker_bps: Decimal = param("bps", 0, 1_000)
    binance_spot_taker_bps: Decimal = param("bps", 0, 1_000)
    assume_bnb_discount: bool


@attrs.frozen(kw_only=True)
class HoldingSection:
    """`[[sim.holdings]]`, `[[paper.holdings]]`: what an account that is not real holds at first."""

    venue: str
    asset: str
    amount: Decimal = param("units", 0, 1e13)


@attrs.frozen(kw_only=True)
class PaperSection:
    """`[paper]`: how fills are modelled; latencies are p50 and p99."""

    upbit_order_ms: tuple[float, float] = param("ms", 0, 60_000)
    binance_order_ms: tuple[float, float] = param("ms", 0, 60_000)
    miss_probability: float = param("fraction", 0, 1)
    start_krw: Decimal = param("KRW", 0, 1e13)
    start_usdt: Decimal = param("USDT", 0, 1e10)
    holdings: tuple[HoldingSection, ...] = ()


@attrs.frozen(kw_only=True)
class ArmSection:
    """`[arm]`: the operator's written permission for real orders."""

    file: str = ".live_trading_ok"
    """Relative to the directory in which the engine is started."""
    valid_hours: float = ranged(24, "h", 0.1, 720)
    """How long a permission that `arb arm` writes is valid."""


@attrs.frozen(kw_only=True)
class JournalSection:
    """`[journal]`"""

    depth_levels: int = ranged(15, "levels", 1, 100)
    retention_days: float = ranged(7, "days", 0.01, 3_650)
    min_free_mb: int = ranged(512, "MiB", 1, 1_000_000)


@attrs.frozen(kw_only=True)
class BackoffSection:
    """`ws.reconnect_backoff`"""

    initial: float = ranged(1.0, "s", 0.01, 60)
    max: float = ranged(30.0, "s", 0.01, 3_600)
    multiplier: float = ranged(2.0, "times", 1, 10)


@attrs.frozen(kw_only=True)
class BudgetSection:
    """`ws.restart_budget`"""

    restarts: int = ranged(20, "count", 0, 10_000)
    window_s: float = ranged(900.0, "s", 1, 86_400)


@attrs.frozen(kw_only=True)
class WsSection:
    """`[ws]`"""

    reconnect_backoff: BackoffSection = attrs.field(factory=BackoffSection)
    restart_budget: BudgetSection = attrs.field(factory=BudgetSection)
    silent_after_ms: int = ranged(3_000, "ms", 100, 120_000)


@attrs.frozen(kw_only=True)
class StorageSection:
    """`[storage]`"""

    backend: StoreBackend = StoreBackend.CSV


@attrs.frozen(kw_only=True)
class MonitoringSection:
    """`[monitoring]`"""

    enabled: bool = True
    host: str = "127.0.0.1"
    metrics_port: int = ranged(8001, "port", 0, 65_535)
    metrics_format: MetricsFormat = MetricsFormat.PROMETHEUS
    buffer_size: int = ranged(300, "samples", 10, 100_000)


@attrs.frozen(kw_only=True)
class LoggingSection:
    """`[logging]`"""

    level: str = attrs.field(default="INFO", validator=attrs.validators.in_(("DEBUG", "INFO", "WARNING", "ERROR")))
    dir: str | None = None
    """Default: `logs` under the data directory."""
    json: bool = False


@attrs.frozen(kw_only=True)
class SysMonitorSection:
    """`[sys_monitor]`"""

    max_cpu_pct: float = ranged(90, "%", 1, 10_000)
    max_rss_mb: float = ranged(2_048, "MiB", 16, 1_000_000)
    warn_cpu_pct: float = ranged(75, "%", 1, 10_000)
    warn_rss_mb: float = ranged(1_536, "MiB", 16, 1_000_000)
    sample_interval_sec: float = ranged(30, "s", 0.1, 3_600)


@attrs.frozen(kw_only=True)
class WatchdogSection:
    """`[watchdog]`"""

    interval_s: float = ranged(5, "s", 0.1, 300)
    consecutive_errors: int = ranged(3, "count", 1, 100)
    startup_grace_s: float = ranged(60, "s", 0.1, 3_600)
    max_stall_ms: int = ranged(1_000, "ms", 10, 60_000)
    exit_grace_s: float = ranged(10, "s", 0.5, 120)
    max_ws_lag_ms: int = ranged(5_000, "ms", 10, 600_000)
    warn_ws_lag_ms: int = ranged(2_000, "ms", 10, 600_000)
    max_loop_latency_ms: int = ranged(5_000, "ms", 10, 600_000)
    warn_loop_latency_ms: int = ranged(2_000, "ms", 10, 600_000)
    max_safety_rejections_per_minute: int = ranged(10, "1/min", 0, 100_000)
    max_live_errors_per_minute: int = ranged(5, "1/min", 0, 100_000)


@attrs.frozen(kw_only=True)
class FaultSection:
    """`[[sim.faults]]`"""

    at: float = param("s", 0, 1e7)
    venue: str
    kind: str
    duration: float = attrs.field(default=0.0, metadata={"key": "for", "range": Range(0, 1e7, "s")})


@attrs.frozen(kw_only=True)
class SimSection:
    """`[sim]`: the simulated venues."""

    seed: int = ranged(20_261_121, "seed", 0, 2**63 - 1)
    speed: float = ranged(1.0, "times", 0.01, 1_000)
    market: MarketKind = MarketKind.GENERATED
    data: str | None = None
    """Recorded data set for `market = "recorded"`."""
    fair_bps: float = ranged(0.0, "bps", -500, 500)
    """How much cheaper than Binance a generated Upbit stands between its excursions, which make it cheaper still."""
    faults: tuple[FaultSection, ...] = ()
    holdings: tuple[HoldingSection, ...] = ()


@attrs.frozen(kw_only=True)
class Settings:
    """A whole, valid configuration."""

    mode: Mode
    data_source: DataSource = DataSource.WS
    interval: float = ranged(1.0, "s", 0.01, 3_600)
    env: str = "local"
    data_dir: str = "./data/{mode}"
    pairs: tuple[PairSection, ...]
    strategy: dict[str, dict[str, Any]]
    """Parameters by strategy name; structured by the strategy's own class."""
    venues: dict[str, VenueSection] = attrs.field(factory=dict)
    fx: FxSection
    execution: ExecutionParams
    risk: RiskLimits
    fees: FeesSection
    paper: PaperSection
    arm: ArmSection = attrs.field(factory=ArmSection)
    journal: JournalSection = attrs.field(factory=JournalSection)
    ws: WsSection = attrs.field(factory=WsSection)
    storage: StorageSection = attrs.field(factory=StorageSection)
    monitoring: MonitoringSection = attrs.field(factory=MonitoringSection)
    logging: LoggingSection = attrs.field(factory=LoggingSection)
    sys_monitor: SysMonitorSection = attrs.field(factory=SysMonitorSection)
    watchdog: WatchdogSection = attrs.field(factory=WatchdogSection)
    mock: dict[str, Any] = attrs.field(factory=dict)
    sim: SimSection = attrs.field(factory=SimSection)
