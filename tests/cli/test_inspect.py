"""`arb inspect`: lines in, events out, whatever a line holds."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from arb.cli.main import main

TRADE = '{"e":"trade","E":2,"s":"BTCUSDT","t":7,"p":"61000.10","q":"0.5","T":1795000000000,"m":true}'
EXPECTED = {
    "line": 1,
    "venue": "binance_spot",
    "channel": "trade",
    "symbol": "BTCUSDT",
    "ts_ms": 1795000000000,
    "price": "61000.10",
    "size": "0.5",
    "side": "sell",
    "trade_id": "7",
}


def inspected(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["inspect", *words])
    out, err = capsysbinary.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err.decode()


def test_bare_frames_and_captured_ones_are_numbered_by_line(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "frames.jsonl"
    captured = json.dumps({"source": "here", "raw": TRADE})
    path.write_text(f"{TRADE}\n\n{captured}\n", "utf-8")
    code, events, err = inspected(capsysbinary, "binance_spot", str(path))
    assert code == 0
    assert events == [EXPECTED, EXPECTED | {"line": 3}]
    assert err == "3 lines, 2 events, 0 lines with error\n"


def test_a_line_that_cannot_be_decoded_gives_an_error_and_the_rest_goes_on(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b"PING\n\xff\xfe\n" + b"[" * 100_000 + b'\n{"raw":5}\n{"raw":"{\\"x\\":1}"}\n' + TRADE.encode())
    code, events, err = inspected(capsysbinary, "binance_spot", str(path))
    assert code == 0
    assert [event["line"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert all("error" in event for event in events[:-1])
    assert events[-1] == EXPECTED | {"line": 6}
    assert err == "6 lines, 1 events, 5 lines with error\n"


def test_gzip_is_read_as_it_is(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "frames.jsonl.gz"
    path.write_bytes(gzip.compress(TRADE.encode()))
    assert inspected(capsysbinary, "binance_spot", str(path))[1] == [EXPECTED]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRADE.encode())))
    assert inspected(capsysbinary, "binance_spot", "-")[1] == [EXPECTED]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "x"), "venue 'nowhere' is unknown"),
        (("dunamu", "x"), "has no messages to inspect"),
        (("upbit", "/does/not/exist"), "cannot read /does/not/exist"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_sentence(
    words: tuple[str, ...], said: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    code, events, err = inspected(capsysbinary, *words)
    assert (code, events) == (2, [])
    assert said in err
    assert err.count("\n") == 1


def test_a_damaged_gzip_is_said_in_one_sentence(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "frames.jsonl.gz"
    path.write_bytes(gzip.compress(TRADE.encode() * 50)[:-12])
    code, _, err = inspected(capsysbinary, "binance_spot", str(path))
    assert code == 2
    assert "cannot read" in err
