"""CRITICAL, hangs and bugs end the engine in bounded time (I10), with the sweep done and the right reason."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Never

import pytest
import trio

from arb.cli.assembly import Assembly
from arb.domain.effects import Submit
from arb.domain.errors import JournalFull
from arb.storage.codec import decode_record
from arb.storage.journal import InlineWriter
from arb.supervision.root import Named
from arb.supervision.stopping import Stop
from arb.supervision.sys_monitor import ProcessSample
from tests.scenario.whole import Extra, Whole, effects_named, run_whole

FAST = ("watchdog.interval_s=1", "watchdog.consecutive_errors=3", "watchdog.startup_grace_s=2")
GRACE_S = 10.0
"""`watchdog.exit_grace_s`: from the request to stop to the last step."""
LAST_SEQ = 300


def after(seconds: float, act: Callable[[Assembly], None]) -> Extra:
    """Keep doing something from a moment on, ten times a second."""

    async def run(parts: Assembly) -> Never:
        await trio.sleep(seconds)
        while True:
            act(parts)
            await trio.sleep(0.1)

    return Extra(tasks=lambda parts: [Named(name="trouble", run=partial(run, parts))])


def too_much_cpu(parts: Assembly) -> None:
    parts.sight.sampled(ProcessSample(cpu_percent=99.0, rss_bytes=2**20, fds_count=9, threads_count=2))


def too_much_memory(parts: Assembly) -> None:
    parts.sight.sampled(ProcessSample(cpu_percent=1.0, rss_bytes=4 * 2**30, fds_count=9, threads_count=2))


def too_many_refusals(parts: Assembly) -> None:
    parts.sight.safety_count.add()


def too_many_errors(parts: Assembly) -> None:
    for count in parts.sight.venue_errors.values():
        count.add()


def too_slow_a_decision(parts: Assembly) -> None:
    now_ns = parts.around.clock.monotonic_ns()
    parts.watching.meter.turn(now_ns - 9_000_000_000, now_ns, None)


TROUBLES = {
    "cpu": too_much_cpu,
    "rss": too_much_memory,
    "safety refusals": too_many_refusals,
    "upbit errors": too_many_errors,
    "decision loop latency": too_slow_a_decision,
}


def assert_swept(whole: Whole) -> None:
    """Every step of the end ran, whatever the others did."""
    names = [report.name for report in whole.reports]
    assert names[-4:] == ["sweep", "decide the rest", "write tables", "close journal"]


@pytest.mark.parametrize("name", TROUBLES)
def test_every_input_of_the_watchdog_can_end_the_engine(tmp_path: Path, name: str) -> None:
    whole = run_whole(tmp_path, FAST, seconds=60.0, extra=after(3.0, TROUBLES[name]))

    assert whole.reason.stop is Stop.CRITICAL
    assert name in whole.reason.text
    assert whole.stop_asked_s < 20.0
    assert whole.ended_s - whole.stop_asked_s <= GRACE_S
    assert_swept(whole)
    assert all(report.is_complete for report in whole.reports)
    assert whole.segments()[-1].is_truncated is False


def test_data_that_stays_away_beyond_the_restart_budget_is_critical(tmp_path: Path) -> None:
    overrides = (*FAST, "ws.restart_budget.restarts=1", "ws.reconnect_backoff.max=1.0", "watchdog.max_ws_lag_ms=5000")
    faults = [(5.0, "upbit", "disconnect", 300.0), (5.0, "upbit", "http_5xx", 300.0)]

    whole = run_whole(tmp_path, overrides, seconds=120.0, faults=faults)

    assert whole.reason.stop is Stop.CRITICAL
    assert "upbit" in whole.reason.text
    assert whole.stop_asked_s < 60.0
    assert_swept(whole)


def test_a_gateway_that_never_answers_does_not_keep_the_end_waiting(tmp_path: Path) -> None:
    quiet = [(1.15, "binance_usdm", "half_open", 600.0)]
    whole = run_whole(tmp_path, ("execution.drain_s=2",), seconds=4.0, faults=quiet)

    sweep = next(report for report in whole.reports if report.name == "sweep")
    assert whole.engine.open_orders()
    assert whole.reason.stop is Stop.FAILED
    assert whole.stop_asked_s == pytest.approx(6.0, abs=0.5)
    assert 2.0 <= sweep.elapsed_s <= 4.5
    assert whole.ended_s - whole.stop_asked_s <= GRACE_S
    assert_swept(whole)
    assert whole.reports[-1].is_complete


def test_a_task_that_shields_itself_delays_the_end_by_no_more_than_its_shield(tmp_path: Path) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(15.0)
        await trio.sleep_forever()

    extra = Extra(tasks=lambda _: [Named(name="stubborn", run=stubborn)])
    whole = run_whole(tmp_path, FAST, seconds=5.0, extra=extra)

    assert whole.reason.stop is Stop.GRACEFUL
    assert 15.0 <= whole.ended_s <= 15.0 + GRACE_S
    assert_swept(whole)


def test_tables_that_cannot_be_written_do_not_keep_the_end_waiting(tmp_path: Path) -> None:
    def hang(parts: Assembly) -> None:
        parts.store.flush = trio.sleep_forever  # type: ignore[method-assign]

    whole = run_whole(tmp_path, seconds=3.0, extra=Extra(change=hang))

    flush = next(report for report in whole.reports if report.name == "write tables")
    assert flush.failure == "not done within 2 s"
    assert flush.elapsed_s == pytest.approx(2.0)
    assert whole.reports[-1].is_complete


def test_a_bug_in_a_task_ends_the_engine_with_its_stack_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        await trio.sleep(4.0)
        raise TypeError("a bug of ours")

    whole = run_whole(tmp_path, seconds=30.0, extra=Extra(tasks=lambda _: [Named(name="broken", run=broken)]))

    assert whole.reason.stop is Stop.BUG
    assert whole.reason.stop.exit_code == 1
    assert "TypeError: a bug of ours" in whole.reason.text
    assert whole.stop_asked_s == pytest.approx(4.0)
    assert_swept(whole)
    failed = [record for record in caplog.records if record.getMessage() == "task_failed"]
    assert failed[0].levelno == logging.ERROR
    assert failed[0].exc_info is not None


class FullWriter(InlineWriter):
    """A disk that is full after three hundred steps."""

    def put(self, record: bytes, seq: int) -> None:
        """As `Writer.put`."""
        if seq > LAST_SEQ:
            raise JournalFull("journal: the disk failed: no space left")
        super().put(record, seq)


def test_a_full_journal_disk_is_critical_and_no_order_leaves_that_was_not_written(tmp_path: Path) -> None:
    whole = run_whole(tmp_path, seconds=30.0, extra=Extra(writer=FullWriter))

    assert whole.reason.stop is Stop.CRITICAL
    assert whole.reason.stop.exit_code == 3
    assert "JournalFull" in whole.reason.text
    steps = whole.steps()
    assert steps[-1].seq == LAST_SEQ
    written = {
        order["request"]["client_order_id"]
        for _, body in effects_named(steps, Submit.__name__)
        for order in decode_record(body)["orders"]
    }
    sent = {order["client_order_id"] for ledger in whole.ledgers().values() for order in ledger["orders"]}
    assert sent
    assert sent <= written
