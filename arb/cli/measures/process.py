"""The program as a process: how soon it is there, what it holds, how soon it is gone.

Owns: the measures `start/…` and `shutdown`.
Never: measures itself; every sample is a fresh process with a data directory of its own.
Units: milliseconds, MiB.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Final

import psutil

import arb
from arb.cli.measures.timing import BenchResult, Effort, Measure, now_ns, result
from arb.domain.errors import VenueUnavailable

POLL_S: Final = 0.005
READY_WITHIN_S: Final = 30.0
SETTLE_S: Final = 2.0
"""Before the memory is read: first books, first rows."""
VENUES: Final = ("UPBIT", "BINANCE_USDM")
_IMPORTS: Final = (
    "import time; began = time.perf_counter(); import arb.cli.run; print((time.perf_counter() - began) * 1e3)"
)


def environment() -> dict[str, str]:
    """Ours, with this very program first on the path; byte code is kept, as wherever the program is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(Path(arb.__file__).parents[1])}


def _help(effort: Effort) -> list[BenchResult]:
    bare, helped = [], []
    for _ in range(effort.of(15, 4)):
        bare.append(_took_ms("-c", "pass"))
        helped.append(_took_ms("-m", "arb", "--help"))
    return [result("start/help", "ms", helped, bare_interpreter=sorted(bare)[len(bare) // 2])]


def _took_ms(*words: str) -> float:
    began_ns = now_ns()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment())
    return (now_ns() - began_ns) / 1e6


def _imports(effort: Effort) -> list[BenchResult]:
    samples = []
    _took_ms("-c", _IMPORTS)  # writes the byte code, as any first start does
    for _ in range(effort.of(8, 2)):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORTS], check=True, stdout=subprocess.PIPE, text=True, env=environment()
        )
        samples.append(float(done.stdout))
    return [result("start/imports", "ms", samples)]


def _life(config: Path, effort: Effort) -> list[BenchResult]:
    ready, rss, gone = [], [], []
    for _ in range(effort.of(7, 1)):
        with TemporaryDirectory(prefix="arb-bench-") as directory:
            times = _one_life(config, Path(directory))
        ready.append(times[0])
        rss.append(times[1])
        gone.append(times[2])
    return [
        result("start/ready", "ms", ready, until="books of every venue arrive over WebSocket"),
        result("start/rss", "MiB", rss),
        result("shutdown", "ms", gone),
    ]


def _one_life(config: Path, directory: Path) -> tuple[float, float, float]:
    """Start, be ready, live a little, be asked to stop: milliseconds to ready, MiB held, milliseconds to the end."""
    line = [sys.executable, "-m", "arb", "run", str(config), "--mode", "mock"]
    line += ["--set", f"data_dir={directory}", "--set", "monitoring.metrics_port=0", "--set", "monitoring.enabled=true"]
    began_ns = now_ns()
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    try:
        url = _health_url(process)
        while not _feeds_are_up(url):
            if process.poll() is not None or now_ns() - began_ns > READY_WITHIN_S * 1e9:
                raise VenueUnavailable("mock", f"{' '.join(line)} was not ready within {READY_WITHIN_S:g} s")
            sleep(POLL_S)
        ready_ms = (now_ns() - began_ns) / 1e6
        sleep(SETTLE_S)
        rss_mb = psutil.Process(process.pid).memory_info().rss / 2**20
        asked_ns = now_ns()
        process.send_signal(signal.SIGTERM)
        process.wait(READY_WITHIN_S)
        return ready_ms, rss_mb, (now_ns() - asked_ns) / 1e6
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def _health_url(process: subprocess.Popen[str]) -> str:
    """From the banner."""
    assert process.stdout is not None
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["health"] and words[1].startswith("http"):
            return words[1]
    raise VenueUnavailable("mock", "the run ended before it served /health")


def _feeds_are_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    components = json.loads(body)["components"]
    return all("over ws" in str(components.get(venue, "")) for venue in VENUES)


def measures(config: Path) -> list[Measure]:
    """Everything here."""
    return [
        Measure(("start/help",), _help),
        Measure(("start/imports",), _imports),
        Measure(("start/ready", "start/rss", "shutdown"), partial(_life, config)),
    ]
