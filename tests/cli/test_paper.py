"""Paper: the books of venues in another process, fills modelled here, whole trades in the tables."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
TIMERS = ("fair_bps=0", "confirm_ms=100", "min_hold_s=0", "cooldown_s=1", "expected_hold_s=60")
"""What a minute of a generated market needs; thresholds stay as they are."""


@pytest.fixture
def served() -> Iterator[dict[str, dict[str, str]]]:
    words = [sys.executable, "-m", "arb", "sim", str(LIVE), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)


def start(served: dict[str, dict[str, str]], data: Path) -> subprocess.Popen[str]:
    venues = ("upbit", "binance_usdm")
    keys = [f"venues.{venue}.{key}_url={served[venue][key]}" for venue in venues for key in ("rest", "ws")]
    keys += [f"fx.bank_url={served['dunamu']['rest']}", f"data_dir={data}", "monitoring.metrics_port=0"]
    keys += [f"strategy.convergence.{timer}" for timer in TIMERS]
    words = [sys.executable, "-m", "arb", "run", str(LIVE), "--mode", "paper", "--max-runtime", "60"]
    words += [word for key in keys for word in ("--set", key)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(data: Path, table: str) -> list[dict[str, str]]:
    with (data / "csv" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_paper_trades_whole_round_trips_against_venues_elsewhere(
    served: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    process = start(served, tmp_path)
    assert process.stdout is not None
    told = line = ""
    while ("CLOSE" not in line or "unwound" in line) and (line := process.stdout.readline()):
        told += line
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, ""), told + rest
    assert "paper: real market data, fills modelled here" in told
    ended = [row for row in rows(tmp_path, "trades") if row["kind"] == "CLOSE"]
    closed = {row["position"] for row in ended if row["reason"] != "unwound"}
    assert closed
    fills = [row for row in rows(tmp_path, "fills") if row["position"] in closed]
    assert {(row["venue"], row["side"]) for row in fills} == {
        ("upbit", "buy"), ("upbit", "sell"), ("binance_usdm", "buy"), ("binance_usdm", "sell"),
    }  # fmt: skip
    for fill in fills:
        fee, notional = Decimal(fill["fee"]), Decimal(fill["qty"]) * Decimal(fill["price"])
        assert abs(fee - notional * Decimal("0.0005")) <= Decimal("1e-8"), fill
    assert {row["mode"] for row in fills} == {"paper"}
