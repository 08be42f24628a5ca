"""Alerts are told once a minute per key and say how often they were swallowed."""

from __future__ import annotations

import logging

import pytest

from arb.telemetry.alerts import LogAlerts
from tests.telemetry.test_metrics import HandClock


def test_a_key_is_repeated_only_after_a_minute_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    alerts = LogAlerts(clock)
    with caplog.at_level(logging.INFO, "arb.alerts"):
        for second in range(0, 70, 10):
            clock.now_ns = second * 1_000_000_000
            alerts.alert("naked/BTC", "error", "leg_unbalanced", {"pair": "BTC"})
        alerts.alert("other", "info", "told", {})

    told = [(record.message, record.levelname, getattr(record, "repeated", 0)) for record in caplog.records]
    assert told == [("leg_unbalanced", "ERROR", 0), ("leg_unbalanced", "ERROR", 5), ("told", "INFO", 0)]
