"""`arb run` as a person meets it: real processes, real sockets, real signals, and every exit code with its sentence."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from arb.domain.effects import Record, Table
from arb.storage.codec import decode_record
from arb.storage.segments import read_segment, segment_paths

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
BLOCKING = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(60))
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(2.5))
from arb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The same command, with two signals that block the event loop's thread."""
SMALL_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
from arb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The same command on a disk that takes no file beyond 150 kB, which the journal reaches first."""


@attrs.define
class Running:
    """One `arb run` and what it writes."""

    process: subprocess.Popen[bytes]
    data: Path
    out: Path
    began_s: float
    asked_s: float = 0.0
    more: dict[str, str] = attrs.field(factory=dict)
    """What its environment held besides."""

    def said(self) -> str:
        """Everything on its console so far."""
        return self.out.read_text(encoding="utf-8")

    def errors(self) -> str:
        """`errors.log` so far."""
        path = self.data / "logs" / "errors.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def until(self, is_true: Callable[[], bool], what: str) -> None:
        """Wait for something that must come."""
        limit = time.monotonic() + PATIENCE_S
        while not is_true():
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {what}: {self.said()}"
            assert time.monotonic() < limit, f"no {what}: {self.said()}"
            time.sleep(0.05)

    def until_ready(self) -> None:
        """Books and FX are fresh."""
        self.until(lambda: "ready after" in self.said(), "readiness")

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self.asked_s = time.monotonic()
        self.process.send_signal(number)

    def code(self) -> int:
        """Wait for its end."""
        return self.process.wait(PATIENCE_S)

    def rows(self, table: Table) -> list[dict[str, str]]:
        """All revisions in a table's file."""
        with (self.data / "csv" / f"{table.value}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def journalled(self, table: Table) -> set[tuple[str, str]]:
        """Id and revision of every row of a table in the journal."""
        found = set()
        for path in segment_paths(self.data / "journal"):
            segment = read_segment(path)
            for step in segment.steps if segment is not None else ():
                bodies = [decode_record(body) for tag, body in step.effects if tag == Record.__name__]
                found |= {(body["id"], str(body["rev"])) for body in bodies if body["table"] == table.value}
        return found


class Starter:
    """Starts engines and sees to it that none is left."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._started: list[Running] = []

    def __call__(
        self,
        name: str,
        *words: str,
        data: Path | None = None,
        port: int = 0,
        code: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Running:
        directory = data or self._root / name
        out = self._root / f"{name}.out"
        program = ["-m", "arb"] if code is None else ["-c", code]
        sets = [f"data_dir={directory}", f"monitoring.metrics_port={port}", "watchdog.startup_grace_s=50"]
        line = [sys.executable, *program, "run", "config/live.toml"]
        line += [word for one in sets for word in ("--set", one)]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        environ |= more or {}
        with out.open("wb") as file:
            process = subprocess.Popen([*line, *words], cwd=ROOT, env=environ, stdout=file, stderr=file)
        self._started.append(Running(process, directory, out, time.monotonic(), more=dict(more or {})))
        return self._started[-1]

    def end(self) -> None:
        """Kill what still runs."""
        for running in self._started:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """For this module's engines."""
    starter = Starter(tmp_path_factory.mktemp("run"))
    yield starter
    starter.end()


def get(url: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


# --- the first command ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trading(start: Starter) -> Running:
    """The first command, seen to open and to close a trade."""
    running = start("trading")
    running.until(lambda: "OPEN " in running.said() and "CLOSE" in running.said(), "whole trade")
    return running


def url_of(running: Running) -> str:
    """Where its HTTP server is, as the console says."""
    found = re.search(r"(http://127\.0\.0\.1:\d+)/health", running.said())
    assert found is not None
    return found[1]


def test_health_answers_ok_and_says_what_it_watches(trading: Running) -> None:
    def is_ok() -> bool:
        return bool(json.loads(get(f"{url_of(trading)}/health"))["status"] == "ok")

    trading.until(is_ok, "health ok")
    answer = json.loads(get(f"{url_of(trading)}/health"))

    assert answer["mode"] == "mock"
    assert answer["live_enabled"] is False
    assert {"UPBIT", "BINANCE_USDM", "CSV"} <= answer["components"].keys()
    assert get(f"{url_of(trading)}/health/live")
    assert get(f"{url_of(trading)}/health/ready")


def test_metrics_count_the_trades(trading: Running) -> None:
    text = get(f"{url_of(trading)}/metrics")

    opened = re.search(r"^arbitrage_trades_opened_total (\d+)", text, re.MULTILINE)
    assert opened is not None
    assert int(opened[1]) >= 1
    for name in ("arbitrage_loop_time_ms", "arbitrage_decision_seconds_count", "arbitrage_num_open_positions"):
        assert re.search(rf"^{name} ", text, re.MULTILINE), name
    assert 'arbitrage_ws_connected{venue="upbit"} 1.0' in text


def test_a_second_engine_on_the_same_directory_ends_with_2_naming_the_first(trading: Running, start: Starter) -> None:
    second = start("second", data=trading.data)

    assert second.code() == 2
    assert str(trading.process.pid) in second.said()
    assert "Traceback" not in second.said()


def test_a_port_in_use_ends_with_2_before_anything_else(start: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = start("port", port=port)

        assert running.code() == 2
        assert str(port) in running.said()
        assert "Traceback" not in running.said()


def test_sigterm_ends_it_with_0_within_two_seconds_and_everything_on_disk(trading: Running) -> None:
    trading.send(signal.SIGTERM)
    code = trading.code()
    took_s = time.monotonic() - trading.asked_s

    assert code == 0, trading.said()
    assert took_s < 2.0 + in_flight_s(trading)
    for table in (Table.TRADES, Table.FILLS, Table.ORDERS, Table.POSITIONS):
        assert {(row["id"], row["rev"]) for row in trading.rows(table)} == trading.journalled(table)
    segment = read_segment(segment_paths(trading.data / "journal")[-1])
    assert segment is not None
    assert not segment.is_truncated


def in_flight_s(running: Running) -> float:
    """How long orders in flight may keep a graceful end: nothing when none was."""
    states = {row["client_order_id"]: row["outcome"] for row in running.rows(Table.ORDERS)}
    return 0.0 if set(states.values()) <= {"filled", "cancelled", "expired", "rejected"} else 10.0


# --- ends ------------------------------------------------------------------------------------------


def test_what_a_person_must_mend_ends_with_2_and_one_sentence(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unknown = start("unknown", "--set", "risk.max_positon_krw=1")
    unwritable = start("unwritable", data=tmp_path / "file" / "below")

    assert unknown.code() == 2
    assert "max_position_krw" in unknown.said()
    assert unwritable.code() == 2
    assert "cannot be written" in unwritable.said()
    assert "Traceback" not in unknown.said() + unwritable.said()


def test_once_loops_and_max_runtime_end_with_0(start: Starter) -> None:
    once, loops, limited = start("once", "--once"), start("loops", "--loops", "3"), start("limit", "--max-runtime", "3")

    for running in (once, loops, limited):
        assert running.code() == 0, running.said() + running.errors()
    assert "why no entry" in once.said()
    assert "3 evaluations done" in loops.said()
    assert "3 s are over" in limited.said()


def test_sigint_ends_it_and_a_second_one_leaves_at_once(start: Starter) -> None:
    first, second = start("sigint"), start("sigint2")
    first.until_ready()
    first.send(signal.SIGINT)
    second.until_ready()
    while second.process.poll() is None:
        second.process.send_signal(signal.SIGINT)
        time.sleep(0.01)

    assert first.code() == 0, first.said()
    assert second.code() == 130


def test_a_blocked_loop_ends_with_3_and_leaves_its_stacks(start: Starter) -> None:
    limits = ("--set", "watchdog.max_stall_ms=300", "--set", "watchdog.exit_grace_s=2")
    for_ever, a_while = start("blocked", *limits, code=BLOCKING), start("stalled", *limits, code=BLOCKING)
    for running, number in ((for_ever, signal.SIGUSR1), (a_while, signal.SIGUSR2)):
        running.until_ready()
        running.send(number)

    assert for_ever.code() == 3
    assert a_while.code() == 3
    for running in (for_ever, a_while):
        assert "the event loop has not turned" in running.errors()
        assert "Current thread" in running.errors() or "Thread 0x" in running.errors()
        assert "<lambda>" in running.errors() or 'File "<string>"' in running.errors()
    assert "leaving with 3" in for_ever.errors()
    assert "blocked" in a_while.said()


def test_a_full_journal_disk_ends_with_3(start: Starter) -> None:
    running = start("journal", code=SMALL_FILES)

    assert running.code() == 3
    assert "journal: the disk failed" in running.said()


# --- the tables' disk --------------------------------------------------------------------------------


def break_table(running: Running, table: Table) -> Path:
    """From now on the disk under one table is full; returns where its rows are meanwhile."""
    path = running.data / "csv" / f"{table.value}.csv"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.symlink_to("/dev/full")
    return aside


def mend_table(running: Running, table: Table, aside: Path) -> None:
    """The disk has room again."""
    aside.replace(running.data / "csv" / f"{table.value}.csv")


def test_a_full_tables_disk_keeps_rows_until_there_is_room_and_a_kill_loses_none(start: Starter) -> None:
    mended, killed = start("mended"), start("killed")
    for running in (mended, killed):
        running.until_ready()
    asides = {running.data: break_table(running, Table.SPREADS) for running in (mended, killed)}
    for running in (mended, killed):
        running.until(lambda running=running: "store_failed" in running.errors(), "report")  # type: ignore[misc]
    time.sleep(1.5)
    killed.process.kill()
    killed.process.wait()
    for running in (mended, killed):
        mend_table(running, Table.SPREADS, asides[running.data])
    time.sleep(1.5)
    mended.send(signal.SIGTERM)
    assert mended.code() == 0, mended.said()

    behind = {(row["id"], row["rev"]) for row in killed.rows(Table.SPREADS)}
    expected = killed.journalled(Table.SPREADS)
    assert behind < expected
    again = start("again", "--max-runtime", "1", data=killed.data)
    assert again.code() == 0, again.said() + again.errors()
    assert expected <= {(row["id"], row["rev"]) for row in killed.rows(Table.SPREADS)}
    assert {(row["id"], row["rev"]) for row in mended.rows(Table.SPREADS)} == mended.journalled(Table.SPREADS)
