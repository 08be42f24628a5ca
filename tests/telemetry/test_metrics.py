"""Every metric name of the contract, and what feeds it."""

from __future__ import annotations

import attrs
import pytest
from prometheus_client import generate_latest

from arb.domain.effects import Publish
from arb.domain.events import Level
from arb.telemetry.metrics import Metrics

NAMES = (
    "arbitrage_loop_time_ms",
    "arbitrage_loop_time_avg_ms",
    "arbitrage_loop_time_max_ms",
    "arbitrage_loop_time_min_ms",
    "arbitrage_trades_opened_total",
    "arbitrage_trades_opened_recent",
    "arbitrage_spread_bps",
    "arbitrage_spread_avg_bps",
    "arbitrage_data_source",
    "arbitrage_ws_connected",
    "arbitrage_ws_reconnect_count",
    "arbitrage_total_pnl_krw",
    "arbitrage_daily_pnl_krw",
    "arbitrage_win_rate",
    "arbitrage_num_trades",
    "arbitrage_num_open_positions",
    "arbitrage_avg_trade_duration_seconds",
    "arbitrage_feed_latency_seconds_bucket",
    "arbitrage_decision_seconds_bucket",
    "arbitrage_order_roundtrip_seconds_bucket",
    "arbitrage_refusals_total",
    "arbitrage_orders_total",
    "arbitrage_leg_incidents_total",
    "arbitrage_watchdog_level",
    "arbitrage_process_cpu_percent",
    "arbitrage_process_resident_memory_bytes",
)


@attrs.define
class Turns:
    last_ns: int = 2_000_000
    mean_ns: float = 1_500_000.0
    max_ns: int = 3_000_000
    min_ns: int = 1_000_000


@attrs.define
class HandClock:
    now_ns: int = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


def made(clock: HandClock | None = None) -> Metrics:
    return Metrics(
        clock or HandClock(),
        venues=["upbit", "binance_usdm"],
        pairs=["BTC"],
        data_source="ws",
        buffer_size=3,
        loop_times=Turns,
    )


def published(metrics: Metrics) -> Metrics:
    metrics.publish(Publish(topic="pair/BTC", values=(("spread_bps", 12.0),)))
    metrics.publish(Publish(topic="portfolio", values=(("total_pnl_krw", 1), ("win_rate", 0.5))))
    metrics.publish(Publish(topic="refusal", values=(("reason", "skew"),)))
    metrics.publish(
        Publish(topic="order", values=(("venue", "upbit"), ("outcome", "filled"), ("roundtrip_ns", 5_000_000)))
    )
    metrics.publish(Publish(topic="incident", values=(("outcome", "completed"),)))
    metrics.publish(Publish(topic="trade", values=(("kind", "OPEN"),)))
    metrics.publish(Publish(topic="state", values=(("trading_state", "active"),)))
    metrics.feed_latency.labels(venue="upbit").observe(0.02)
    metrics.decision.observe(0.00002)
    metrics.level(Level.ERROR)
    metrics.reconnected("upbit")
    return metrics


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_contract_is_there(name: str) -> None:
    text = generate_latest(published(made()).registry).decode()

    assert any(line.startswith((f"{name} ", f"{name}{{")) for line in text.splitlines())


def test_the_inherited_reconnect_name_is_an_untyped_family() -> None:
    text = generate_latest(published(made()).registry).decode()

    assert "# TYPE arbitrage_ws_reconnect_count untyped" in text
    assert 'arbitrage_ws_reconnect_count{venue="upbit"} 1.0' in text
    assert "_created" not in text


def test_trades_opened_recent_counts_the_last_minute_only() -> None:
    clock = HandClock()
    metrics = made(clock)
    opened = Publish(topic="trade", values=(("kind", "OPEN"),))
    metrics.publish(opened)
    clock.now_ns = 50_000_000_000
    metrics.publish(opened)
    clock.now_ns = 70_000_000_000

    found = metrics.as_json()

    assert (found["arbitrage_trades_opened_total"], found["arbitrage_trades_opened_recent"]) == (2.0, 1.0)


def test_the_average_is_over_the_buffer() -> None:
    metrics = made()
    for value in (100.0, 1.0, 2.0, 3.0):
        metrics.publish(Publish(topic="pair/BTC", values=(("spread_bps", value),)))

    assert metrics.as_json()["arbitrage_spread_avg_bps"] == [{"labels": {"pair": "BTC"}, "value": 2.0}]


def test_an_unknown_topic_is_our_bug() -> None:
    with pytest.raises(KeyError):
        made().publish(Publish(topic="nonsense", values=()))
