"""A scrape of a running engine, judged by Prometheus's own checker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

LIVE = Path(__file__).parents[3] / "config" / "live.toml"
WITHIN_S = 60.0

# The names are inherited and kept; the checker may say this of them and nothing of anything else.
KNOWN = {
    f"arbitrage_loop_time_{name} metric names should not contain abbreviated units"
    for name in ("ms", "avg_ms", "max_ms", "min_ms")
}
# Families that exist only once something has happened; without them the checker would judge half a scrape.
SEEN_WHEN_TRADING = (
    "arbitrage_orders_total{",
    "arbitrage_refusals_total{",
    "arbitrage_spread_bps{",
    "arbitrage_order_roundtrip_seconds_bucket{",
    "arbitrage_feed_latency_seconds_bucket{",
    "arbitrage_ws_reconnect_count{",
)


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `/metrics` answers once the engine has traded."""
    data_dir = tmp_path_factory.mktemp("data")
    words = ("run", str(LIVE), "--set", f"data_dir={data_dir}", "--set", "monitoring.metrics_port=0")
    with subprocess.Popen([sys.executable, "-m", "arb", *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield text_once_traded(url_told_by(process))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def url_told_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+/metrics", line):
            return found[0]
    pytest.fail("the engine ended before it said where its metrics are")


def text_once_traded(url: str) -> str:
    deadline = time.monotonic() + WITHIN_S
    missing: tuple[str, ...] = SEEN_WHEN_TRADING
    while time.monotonic() < deadline:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
        missing = tuple(name for name in SEEN_WHEN_TRADING if name not in text)
        if not missing:
            return text
        time.sleep(0.5)
    pytest.fail(f"not in the scrape after {WITHIN_S:g} s: {', '.join(missing)}")


def test_the_checker_finds_nothing_but_the_inherited_names(scrape: str) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True, check=False)

    findings = {line for line in (done.stdout + done.stderr).splitlines() if line}
    assert findings == KNOWN


def test_the_checker_would_have_found_a_bad_metric(scrape: str) -> None:
    spoilt = scrape + "# TYPE arbitrage_bad counter\narbitrage_bad 1\n"

    done = subprocess.run(["promtool", "check", "metrics"], input=spoilt, capture_output=True, text=True, check=False)

    assert "arbitrage_bad" in done.stdout + done.stderr
