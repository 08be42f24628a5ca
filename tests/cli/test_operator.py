"""Operator commands as a person uses them: real processes, a running engine, a killed one, and one started for it."""

from __future__ import annotations

import hmac
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from arb.cli.control import ask
from arb.domain.effects import Table
from arb.supervision.control_words import ControlAnswer, ControlRequest
from tests.cli.test_paper import LIVE, TIMERS
from tests.cli.test_run import PATIENCE_S, Running, Starter

ROOT = Path(__file__).parents[2]
TRADED = ("upbit", "binance_usdm")


def arb(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    """A command for the engine of a directory."""
    name, *more = words
    line = [sys.executable, "-m", "arb", name, str(LIVE), "--set", f"data_dir={running.data}", *more]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | running.more
    return subprocess.run(line, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def answer(running: Running, *words: str) -> dict[str, Any]:
    """What it answered, as a program reads it; it was applied."""
    done = arb(running, *words, "--json")
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def until(is_true: Callable[[], bool], what: str) -> None:
    """Wait for something that must come."""
    limit = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < limit, f"no {what}"
        time.sleep(0.05)


def safety(running: Running) -> str:
    """`safety.log` so far."""
    return (running.data / "logs" / "safety.log").read_text(encoding="utf-8")


def opened(running: Running) -> int:
    """How many entries its console told of."""
    return running.said().count("OPEN ")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """For this module's engines."""
    starter = Starter(tmp_path_factory.mktemp("operator"))
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def trading(start: Starter) -> Running:
    """An engine that has something open."""
    running = start("commanded")
    running.until(lambda: opened(running) > 0, "entry")
    return running


def status(running: Running) -> ControlAnswer:
    """How the engine stands, without a process in between."""
    return told(running, "status")


def told(running: Running, command: str) -> ControlAnswer:
    """A command over the socket."""
    found = trio.run(ask, running.data / "control.sock", ControlRequest(command=command, operator="test"))
    assert found is not None
    assert found.ok, found.why
    return found


def test_a_pause_refuses_entries_until_resume(trading: Running) -> None:
    paused = answer(trading, "pause", "--reason", "news at three")
    assert paused["state"] == "REDUCING"
    assert paused["seq"] > 0
    until(lambda: not status(trading).positions and not status(trading).unbalanced, "end of what was open")
    before = opened(trading)

    agreed = answer(trading, "reconcile")
    trading.until(lambda: "reason=trading_state" in safety(trading), "refusal")

    assert agreed["differences"] == []
    assert opened(trading) == before
    assert told(trading, "resume").cleared == ("pause",)
    trading.until(lambda: opened(trading) > before, "entry after resume")


def test_a_dry_flatten_tells_prices_and_cost_and_the_real_one_closes_everything(trading: Running) -> None:
    until(lambda: any(item.cost_krw for item in status(trading).positions or ()), "open position with both books")
    dry = answer(trading, "flatten", "--dry-run")
    assert dry["causes"] == []
    for item in dry["positions"]:
        assert float(item["exit_a"]) > 1_000_000
        assert float(item["cost_krw"]) > 0

    done = arb(trading, "flatten", "--timeout", "40")

    assert (done.returncode, done.stderr) == (0, "")
    assert "all is closed; nothing opens until 'arb resume'" in done.stdout
    now = status(trading)
    assert (now.positions, now.unbalanced) == ((), ())
    assert [cause.cause for cause in now.causes or ()] == ["flatten"]
    assert told(trading, "resume").cleared == ("flatten",)


def test_every_command_is_in_the_audit_with_who_and_why(trading: Running) -> None:
    lines = [line for line in safety(trading).splitlines() if " operator_command " in line]

    named = {word.partition("=")[2] for line in lines for word in line.split() if word.startswith("command=")}
    assert named == {"pause", "resume", "flatten", "reconcile"}
    assert any('reason="news at three" result=applied' in line for line in lines)
    assert all("pid " in line for line in lines)


# --- an engine that was killed


Served = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Venues in a process of their own."""
    line = [sys.executable, "-m", "arb", "sim", str(LIVE), "--json"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)


def words_of(served: Served, mode: str, *more: str) -> tuple[str, ...]:
    """What makes those venues an engine's."""
    keys = [f"venues.{venue}.{key}_url={served[venue][key]}" for venue in TRADED for key in ("rest", "ws")]
    keys += [f"fx.bank_url={served['dunamu']['rest']}", "monitoring.metrics_port=0", *more]
    keys += [f"strategy.convergence.{timer}" for timer in TIMERS]
    return ("--mode", mode, *(word for key in keys for word in ("--set", key)))


@pytest.fixture(scope="module")
def venues(served: Served) -> tuple[str, ...]:
    """For an engine that fills its orders itself."""
    return words_of(served, "paper")


@pytest.fixture(scope="module")
def killed(start: Starter, venues: tuple[str, ...]) -> Running:
    """An engine that was killed with a position open and nothing in flight."""
    running = start("killed", *venues)
    running.until_ready()

    def is_holding() -> bool:
        now = status(running)
        return bool(now.positions) and not now.unbalanced and not now.orders

    running.until(is_holding, "balanced position")
    running.send(signal.SIGKILL)
    running.code()
    return running


def test_a_pause_after_kill_9_is_in_force_in_the_engine_that_reconcile_starts(
    killed: Running, venues: tuple[str, ...]
) -> None:
    assert (killed.data / "control.sock").exists()

    done = arb(killed, "pause", *venues, "--reason", "night")
    found = answer(killed, "reconcile", *venues)

    assert (done.returncode, done.stderr) == (0, "")
    assert "in force from the next start on" in done.stdout
    assert found["differences"] == []
    assert ("pause", "night") in [(cause["cause"], cause["text"]) for cause in found["causes"]]


def test_flatten_starts_an_engine_that_closes_and_leaves(killed: Running, venues: tuple[str, ...]) -> None:
    flat = answer(killed, "flatten", *venues)

    assert flat["positions"] == []
    assert flat["unbalanced"] == []
    assert not (killed.data / "control.sock").exists()
    states = {row["id"]: row["status"] for row in killed.rows(Table.POSITIONS)}
    assert set(states.values()) == {"closed"}


# --- an engine with real orders, as far as simulated venues are real


def test_real_orders_are_permitted_taken_back_and_refused_on_what_nobody_can_explain(
    start: Starter, served: Served, tmp_path: Path
) -> None:
    keys = {f"ARB__VENUES__{v.upper()}__{key.upper()}": served[v][key] for v in TRADED for key in ("key", "secret")}
    more = {"LIVE_TRADING": "1", **keys}
    streams = [f"venues.{v}.ws_private_url={served[v]['ws_private']}" for v in TRADED]
    spot = f"venues.binance_spot.rest_url={served['binance_spot']['rest']}"
    words = words_of(served, "live", *streams, spot, f"arm.file={tmp_path / 'ok'}")
    permit = ("arm", *words, "--yes", "--upbit-no-withdrawal")
    data = tmp_path / "{mode}"

    before = start("live", *words, data=data, more=more)
    before.until_ready()
    assert "permission_file_missing" in before.said()
    before.send(signal.SIGTERM)
    assert before.code() == 0

    answer(before, *permit)
    running = start("armed", *words, data=data, more=more)
    running.until(lambda: "ARMED" in running.said(), "arming")
    assert answer(running, "disarm", *words)["is_armed"] is False
    assert not (tmp_path / "ok").exists()
    assert answer(running, *permit)["is_armed"] is True
    answer(running, "flatten", *words)
    running.send(signal.SIGTERM)
    assert running.code() == 0

    buy_by_hand(served["binance_usdm"], "BTCUSDT", "0.01")
    found = arb(running, "reconcile", *words)
    assert found.returncode == 4, (found.stdout, found.stderr)
    assert "differs: binance_usdm:BTCUSDT: the venue holds 0.01" in found.stdout
    assert answer(running, "reconcile", *words, "--ignore")["differences"] == []
    assert answer(running, "reconcile", *words)["differences"] == []


def buy_by_hand(venue: dict[str, str], symbol: str, qty: str) -> None:
    """Somebody trades the same account, and the engine is not there to see it."""
    query = f"symbol={symbol}&side=BUY&type=MARKET&quantity={qty}&timestamp={time.time_ns() // 1_000_000}"
    signature = hmac.new(venue["secret"].encode(), query.encode(), "sha256").hexdigest()
    url = f"{venue['rest']}/fapi/v1/order?{query}&signature={signature}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"X-MBX-APIKEY": venue["key"]}, method="POST")):
        pass
