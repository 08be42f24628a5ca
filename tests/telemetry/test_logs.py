"""Logs: files per component, redaction, and a caller that never waits."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from arb.telemetry.logs import Redaction, open_logs

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[(INFO    |WARNING |ERROR   )\] \[arb\.\w+\] ")


def written(directory: Path, name: str) -> list[str]:
    path = directory / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_each_component_has_its_file_and_warnings_go_to_errors_too(tmp_path: Path) -> None:
    with open_logs(tmp_path, level="INFO", as_json=False, secrets=(), console_level=None):
        logging.getLogger("arb.live_loop").info(
            "pair_opened", extra={"pair": "BTC", "qty": "0.013", "why": "edge is wide"}
        )
        logging.getLogger("arb.watchdog").warning("level", extra={"level_now": "warn"})
        logging.getLogger("arb.live_loop").debug("not written")

    assert len(written(tmp_path, "live_loop.log")) == 1
    assert LINE.match(written(tmp_path, "live_loop.log")[0])
    assert written(tmp_path, "live_loop.log")[0].endswith(
        '[arb.live_loop] pair_opened pair=BTC qty=0.013 why="edge is wide"'
    )
    assert written(tmp_path, "errors.log") == written(tmp_path, "watchdog.log")
    assert not written(tmp_path, "safety.log")


def test_json_lines_hold_the_same(tmp_path: Path) -> None:
    with open_logs(tmp_path, level="INFO", as_json=True, secrets=(), console_level=None):
        logging.getLogger("arb.safety").info("refused", extra={"reason": "skew"})

    (line,) = written(tmp_path, "safety.log")
    body = json.loads(line)
    assert {key: body[key] for key in ("level", "component", "event", "reason")} == {
        "level": "INFO",
        "component": "arb.safety",
        "event": "refused",
        "reason": "skew",
    }


def test_a_stack_is_written_with_its_error(tmp_path: Path) -> None:
    with open_logs(tmp_path, level="INFO", as_json=False, secrets=("hunter2secret",), console_level=None):
        try:
            raise ValueError("hunter2secret is wrong")
        except ValueError:
            logging.getLogger("arb.root").exception("task_failed", extra={"task": "x"})

    text = "\n".join(written(tmp_path, "errors.log"))
    assert "Traceback" in text
    assert "ValueError: *** is wrong" in text


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v3/account?timestamp=1&signature=abcdef0123",
        'X-MBX-APIKEY: "abcdef0123"',
        "Authorization: Bearer abcdef0123",
        '{"secret":"abcdef0123"}',
        "listenKey=abcdef0123",
        "the secret is abcdef0123",
    ],
)
def test_credentials_are_blanked(text: str) -> None:
    assert "abcdef0123" not in Redaction(["abcdef0123"])(text)
    if "the secret" not in text:
        assert "abcdef0123" not in Redaction([])(text)


def test_the_loggers_are_left_as_they_were(tmp_path: Path) -> None:
    before = list(logging.getLogger("arb").handlers)
    with open_logs(tmp_path, level="INFO", as_json=False, secrets=(), console_level=None):
        pass
    assert logging.getLogger("arb").handlers == before


def test_an_error_goes_through_whatever_stands_in_front_of_the_screen(tmp_path: Path) -> None:
    display = StringIO()
    with (
        redirect_stdout(StringIO()),
        open_logs(tmp_path, level="INFO", as_json=False, secrets=(), console_level=logging.ERROR),
    ):
        sys.stdout = display
        logging.getLogger("arb.watchdog").error("level", extra={"now": "error"})

    assert "[arb.watchdog] level now=error" in display.getvalue()
