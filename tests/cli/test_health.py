"""`arb health`: what a running engine says, and what is said without one."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from arb.cli.data_dir import locked_data_dir
from arb.cli.main import main

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
WELL: dict[str, Any] = {
    "status": "ok",
    "mode": "mock",
    "uptime_seconds": 12.3,
    "run_id": "r1",
    "live_enabled": False,
    "live_armed": False,
    "arming": {"missing": []},
    "watchdog": {"level": "ok", "reasons": []},
    "components": {"UPBIT": {"status": "ok", "detail": "ws"}, "CSV": {"status": "ok", "detail": "8 tables"}},
}


@contextmanager
def serving(body: bytes) -> Iterator[int]:
    """An HTTP server that always gives the same answer."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def asked(capsys: pytest.CaptureFixture[str], tmp_path: Path, port: int, *words: str) -> tuple[int, Any]:
    sets = ("--set", f"data_dir={tmp_path}", "--set", f"monitoring.metrics_port={port}")
    code = main(["health", str(LIVE), *sets, *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def states(answer: Any) -> dict[str, str]:
    return {name: part["status"] for name, part in answer["components"].items()}


def test_a_running_engine_is_told_part_by_part(tmp_path, capsys):
    with serving(json.dumps(WELL).encode()) as port, locked_data_dir(tmp_path):
        code, answer = asked(capsys, tmp_path, port)

    assert (code, answer["status"]) == (0, "ok")
    assert states(answer) == {
        "ENGINE": "ok",
        "WATCHDOG": "ok",
        "CSV": "ok",
        "UPBIT": "ok",
        "REDIS": "disabled",
        "POSTGRES": "disabled",
    }
    assert answer["components"]["ENGINE"]["detail"].startswith(f"pid {os.getpid()}, mode mock, 12 s up")


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("error", 1), ("critical", 1), ("stopping", 1)])
def test_the_exit_code_is_the_engines_own_word(tmp_path, capsys, status, code):
    body = WELL | {"status": status, "watchdog": {"level": status, "reasons": ["x"]}}
    with serving(json.dumps(body).encode()) as port:
        assert asked(capsys, tmp_path, port)[0] == code


def test_what_is_missing_for_real_orders_is_told(tmp_path, capsys):
    live = WELL | {"mode": "live", "live_enabled": True, "arming": {"missing": ["permission_file_missing"]}}
    with serving(json.dumps(live).encode()) as port:
        code, answer = asked(capsys, tmp_path, port, "--mode", "live")
        assert (code, answer["status"]) == (0, "warn")
        assert answer["components"]["ARMING"] == {"status": "warn", "detail": "permission_file_missing"}

    with serving(json.dumps(live | {"live_armed": True}).encode()) as port:
        code, answer = asked(capsys, tmp_path, port, "--mode", "live")
        assert (code, answer["status"], states(answer)["ARMING"]) == (0, "ok", "ok")


def test_an_engine_in_another_mode_is_told_apart(tmp_path, capsys):
    body = WELL | {"mode": "shadow", "arming": {"missing": ["live_trading_env_not_set"]}}
    with serving(json.dumps(body).encode()) as port:
        code, answer = asked(capsys, tmp_path, port, "--mode", "live")

    assert (code, answer["status"], states(answer)["ENGINE"]) == (0, "warn", "warn")
    assert answer["components"]["ARMING"]["detail"] == "live_trading_env_not_set"
    assert "mode shadow" in answer["components"]["ENGINE"]["detail"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_without_an_engine_only_the_disk_can_be_told(tmp_path, capsys):
    code, answer = asked(capsys, tmp_path, free_port())
    assert (code, answer["status"]) == (1, "down")
    assert states(answer) == {
        "ENGINE": "error",
        "CSV": "skip",
        "UPBIT": "skip",
        "BINANCE_USDM": "skip",
        "REDIS": "disabled",
        "POSTGRES": "disabled",
    }

    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "trades.csv").write_text("id\n")
    assert states(asked(capsys, tmp_path, free_port())[1])["CSV"] == "ok"


def test_an_engine_that_does_not_answer_is_named(tmp_path, capsys):
    with locked_data_dir(tmp_path):
        _, answer = asked(capsys, tmp_path, free_port())

    assert f"pid {os.getpid()} holds" in answer["components"]["ENGINE"]["detail"]


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b'{"components": {}}'])
def test_what_is_no_engine_is_not_taken_for_one(tmp_path, capsys, body):
    with serving(body) as port:
        code, answer = asked(capsys, tmp_path, port)

    assert (code, answer["status"]) == (1, "down")
    assert "is no engine" in answer["components"]["ENGINE"]["detail"]


def test_people_get_a_line_each_and_one_for_the_whole(tmp_path, capsys):
    with serving(json.dumps(WELL).encode()) as port:
        main(["health", str(LIVE), "--set", f"data_dir={tmp_path}", "--set", f"monitoring.metrics_port={port}"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "overall: OK"
    assert any(line.startswith("DISABLED  REDIS") for line in lines)
