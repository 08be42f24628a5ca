"""Operator commands while no engine runs: what the next start finds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from trio.testing import MockClock

from arb.cli.build import build_name
from arb.cli.control import reach
from arb.cli.data_dir import locked_data_dir
from arb.cli.engine_config import engine_config
from arb.cli.main import main
from arb.cli.permission import Permission, read_permission_file
from arb.cli.recovery import Recovered, recover
from arb.cli.settings import load_settings
from arb.domain.errors import TransientError
from arb.domain.events import Command, RunStarted
from arb.risk.trading_state import Cause, TradingState
from arb.storage.segments import read_segment, segment_paths
from arb.supervision.control_words import ControlRequest

CONFIG = Path(__file__).parents[2] / "config" / "live.toml"


def told(directory: Path, *words: str) -> int:
    """A command on a directory that nobody holds."""
    name, *more = words
    return main([name, str(CONFIG), "--set", f"data_dir={directory}", *more])


def next_start(directory: Path) -> Recovered:
    """What the next start would know."""
    config = engine_config(load_settings(CONFIG, environ={}).settings, 0)
    found = recover(directory / "journal", config, build_name())
    assert found is not None
    return found


def causes(directory: Path) -> list[tuple[Cause, str, str]]:
    """What the next start would be kept from, and why."""
    return [(item.cause, item.detail, item.text) for item in next_start(directory).memory.causes.in_force]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "data"


def test_a_pause_is_in_force_at_the_next_start(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(directory, "pause", "--reason", "news") == 0

    assert causes(directory) == [(Cause.PAUSE, "", "news")]
    assert "from the next start on" in capsys.readouterr().out


def test_one_command_is_one_run_of_two_steps_with_the_state_behind_them(directory: Path) -> None:
    told(directory, "pause")

    first, last = (read_segment(path) for path in segment_paths(directory / "journal"))
    assert first is not None
    assert last is not None
    assert [type(step.event) for step in first.steps] == [RunStarted, Command]
    assert first.header.run_id == last.header.run_id
    assert last.steps == ()
    command = first.steps[1].event
    assert isinstance(command, Command)
    assert command.operator.endswith(f"pid {os.getpid()}")


def test_commands_of_several_evenings_add_up(directory: Path) -> None:
    told(directory, "pause", "--pair", "BTC")
    told(directory, "disarm")
    told(directory, "freeze")
    told(directory, "arm")

    assert [(cause, detail) for cause, detail, _ in causes(directory)] == [(Cause.PAUSE, "BTC"), (Cause.FREEZE, "")]
    assert next_start(directory).memory.causes.state is TradingState.FROZEN


def test_resume_ends_them_and_says_which(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(directory, "pause")
    told(directory, "freeze")
    capsys.readouterr()

    assert told(directory, "resume", "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["seq"] == 2
    assert answer["cleared"] == ["pause", "freeze"]
    assert answer["causes"] == []
    assert causes(directory) == []


def test_a_dry_run_writes_nothing_but_its_line_of_audit(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(directory, "pause", "--dry-run") == 0

    assert segment_paths(directory / "journal") == ()
    assert "dry run: nothing opens until resume" in capsys.readouterr().out
    assert "result=dry_run" in (directory / "logs" / "safety.log").read_text()


def test_the_audit_names_command_operator_reason_and_step(directory: Path) -> None:
    told(directory, "pause", "--reason", "news at three")

    (line,) = (directory / "logs" / "safety.log").read_text().splitlines()
    assert "operator_command command=pause" in line
    assert f'pid {os.getpid()}"' in line
    assert 'reason="news at three" result=applied seq=2' in line


async def test_a_directory_that_is_held_by_somebody_who_does_not_listen_is_not_touched(
    directory: Path, autojump_clock: MockClock
) -> None:
    request = ControlRequest(command="pause", operator="me")

    with locked_data_dir(directory), pytest.raises(TransientError, match=rf"pid {os.getpid()} does not listen"):
        await reach(directory, request)

    assert segment_paths(directory / "journal") == ()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("pause", "--pair", "XRP"), "no pair 'XRP'; configured are BTC, ETH"),
        (("pause", "--reason", "x" * 201), "reason: at most 200"),
        (("arm", "--mode", "live", "--hours", "0"), "--hours 0: above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_2_before_anything_is_touched(
    directory: Path, words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(directory, *words) == 2

    assert why in capsys.readouterr().err
    assert not directory.exists()


def test_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pause", "resume", "freeze", "arm", "disarm", "flatten", "reconcile"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert f"Example: arb {name} config/live.toml" in capsys.readouterr().out


# --- the permission file


def permission_at(path: Path) -> object:
    """What stands in the file."""
    return read_permission_file(path, 1_000_000_000, os.getuid())


def test_arm_writes_the_permission_of_live_mode_and_disarm_takes_it_away(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ok"
    live = ("--mode", "live", "--set", f"arm.file={file}")

    assert told(directory, "arm", *live, "--dry-run") == 0
    assert not file.exists()
    assert told(directory, "arm", *live, "--yes", "--hours", "2", "--upbit-no-withdrawal") == 0

    found = permission_at(file)
    assert isinstance(found, Permission)
    assert found.upbit_no_withdrawal
    assert set(found.venues) == {"upbit", "binance_usdm"}
    limit = load_settings(CONFIG, environ={}).settings.risk.max_total_krw
    assert found.max_total_notional_krw == limit
    assert "valid until" in capsys.readouterr().out

    assert told(directory, "disarm", *live, "--dry-run") == 0
    assert file.exists()
    assert told(directory, "disarm", *live) == 0
    assert not file.exists()
    assert (Cause.UNARMED, "operator") in [(cause, detail) for cause, detail, _ in causes(directory)]


def test_arm_without_a_terminal_and_without_yes_writes_nothing(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ok"

    assert told(directory, "arm", "--mode", "live", "--set", f"arm.file={file}") == 2

    assert "say --yes" in capsys.readouterr().err
    assert not file.exists()


def test_other_modes_need_no_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(directory, "arm") == 0

    assert "no permission file is needed" in capsys.readouterr().out
