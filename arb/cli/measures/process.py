"""The program as a process: how soon it is there, what it holds, how soon it is gone.

Owns: the measures `start/…` and `shutdown`.
Never: measures itself; every sample is a fresh process with a data directory of its own.
Units: milliseconds, MiB.
"""

from __future__ import annotations

import json
import os
import signal
import socket
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
from arb.cli.measures.timing import BenchResult, Effort, Measure, against, interleaved, now_ns, result
from arb.domain.errors import InvariantBroken, VenueUnavailable

POLL_S: Final = 0.005
READY_WITHIN_S: Final = 30.0
SETTLE_S: Final = 2.0
"""Before the memory is read: first books, first rows."""
VENUES: Final = ("UPBIT", "BINANCE_USDM")
_TIMED_IMPORT: Final = """
import time
began = time.perf_counter()
import {names}
print((time.perf_counter() - began) * 1e3)
"""
_OURS: Final = _TIMED_IMPORT.format(names="arb.cli.run")
_LIBRARIES: Final = _TIMED_IMPORT.format(
    names="trio, httpx, h11, wsproto, attrs, cattrs, msgspec, quart_trio, psutil, prometheus_client, hypercorn.trio"
)
"""Those that a run in mock needs."""


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
    for words in (_OURS, _LIBRARIES):
        _took_ms("-c", words)  # writes the byte code, as any first start does
    libraries = "its libraries alone"
    candidates = {"start/imports": partial(_printed_ms, _OURS), libraries: partial(_printed_ms, _LIBRARIES)}
    found = interleaved(candidates, effort.of(8, 2))
    return [against(result("start/imports", "ms", found["start/imports"]), libraries, found[libraries])]


def _printed_ms(words: str) -> list[float]:
    line = [sys.executable, "-c", words]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env=environment())
    return [float(done.stdout)]


def _life(config: Path, effort: Effort) -> list[BenchResult]:
    ready, rss, gone = [], [], []
    _took_ms("-c", _OURS)
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
    port = _free_port()
    line = [sys.executable, "-m", "arb", "run", str(config), "--mode", "mock"]
    for item in (f"data_dir={directory}", f"monitoring.metrics_port={port}", "monitoring.enabled=true"):
        line += ["--set", item]
    began_ns = now_ns()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=environment())
    try:
        while not _feeds_are_up(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None or now_ns() - began_ns > READY_WITHIN_S * 1e9:
                raise VenueUnavailable("mock", f"{' '.join(line)} was not ready within {READY_WITHIN_S:g} s")
            sleep(POLL_S)
        ready_ms = (now_ns() - began_ns) / 1e6
        sleep(SETTLE_S)
        rss_mb = psutil.Process(process.pid).memory_info().rss / 2**20
        asked_ns = now_ns()
        process.send_signal(signal.SIGTERM)
        code = process.wait(READY_WITHIN_S)
        gone_ms = (now_ns() - asked_ns) / 1e6
        if code:
            raise InvariantBroken(f"{' '.join(line)} ended with exit code {code} after SIGTERM; it is not measured")
        return ready_ms, rss_mb, gone_ms
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _feeds_are_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return False  # nothing listens yet
    components = json.loads(body)["components"]
    return all("over ws" in str(components.get(venue, "")) for venue in VENUES)


def measures(config: Path) -> list[Measure]:
    """Everything here."""
    return [
        Measure(("start/help",), _help),
        Measure(("start/imports",), _imports),
        Measure(("start/ready", "start/rss", "shutdown"), partial(_life, config)),
    ]
