"""Live against venues of another process: what leaves, what does not, and what is said about it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from arb.cli.permission import Permission, write_permission

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
TIMERS = ("fair_bps=0", "confirm_ms=100", "min_hold_s=0", "cooldown_s=1", "expected_hold_s=60")
"""What a minute of a generated market needs; thresholds stay as they are."""
VENUES = ("upbit", "binance_usdm")


@pytest.fixture
def served() -> Iterator[dict[str, dict[str, str]]]:
    words = [sys.executable, "-m", "arb", "sim", str(LIVE), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)


def start(served: dict[str, dict[str, str]], data: Path, *words: str, **environ: str) -> subprocess.Popen[str]:
    places = [f"venues.binance_spot.rest_url={served['binance_spot']['rest']}"]
    for venue in VENUES:
        one = served[venue]
        places += [f"venues.{venue}.{name}_url={one[name]}" for name in ("rest", "ws", "ws_private")]
        environ |= {f"ARB__VENUES__{venue.upper()}__{name.upper()}": one[name] for name in ("key", "secret")}
    places += [f"fx.bank_url={served['dunamu']['rest']}", f"data_dir={data}/{{mode}}", f"arm.file={data}/ok"]
    places += ["monitoring.metrics_port=0", *(f"strategy.convergence.{timer}" for timer in TIMERS)]
    sets = [word for place in places for word in ("--set", place)]
    return subprocess.Popen(
        [sys.executable, "-m", "arb", "run", str(LIVE), "--mode", "live", *words, *sets],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def orders_at(served: dict[str, dict[str, str]]) -> list[Any]:
    """Every order that the venues have ever been sent."""
    bodies = [httpx.get(f"{served[venue]['rest']}/sim/ledger").json() for venue in VENUES]
    return [order for body in bodies for account in body["accounts"].values() for order in account["orders"]]


def told_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    told = ""
    while word not in told and (line := process.stdout.readline()):
        told += line
    return told


def test_with_something_missing_and_nothing_open_it_is_a_shadow_and_nothing_leaves(
    served: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    process = start(served, tmp_path, "--max-runtime", "20")

    told = told_until(process, "OPEN")
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, ""), told + rest
    assert "shadow: real market data" in told
    assert "live_trading_env_not_set" in told
    assert "permission_file_missing" in told
    log = (tmp_path / "shadow" / "logs" / "live_loop.log").read_text(encoding="utf-8")
    assert log.count("order_rendered") >= 2
    assert "POST /v1/orders" in log
    assert not [served[venue][name] for venue in VENUES for name in ("key", "secret") if served[venue][name] in log]
    assert orders_at(served) == []


def test_with_everything_it_is_armed_and_a_deleted_permission_stops_entries_within_seconds(
    served: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    permission = Permission(
        valid_until_ns=time.time_ns() + 600 * 10**9,
        venues=VENUES,
        max_total_notional_krw=Decimal(8_000_000),
        upbit_no_withdrawal=True,
    )
    write_permission(tmp_path / "ok", permission)
    process = start(served, tmp_path, LIVE_TRADING="1")

    told = told_until(process, "OPEN")
    (tmp_path / "ok").unlink()
    told += told_until(process, "NOT ARMED")
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, ""), told + rest
    assert "ARMED: real orders leave from now on" in told
    assert "NOT ARMED, nothing is opened: permission_file_missing" in told
    assert len(orders_at(served)) >= 2
    assert not (tmp_path / "shadow").exists()
