"""One engine per data directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arb.cli.data_dir import claim, locked_data_dir
from arb.cli.run import shadow_dir
from arb.domain.errors import ConfigError


def test_a_second_engine_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    with locked_data_dir(tmp_path / "d"):
        with pytest.raises(ConfigError, match=f"pid {os.getpid()}"), locked_data_dir(tmp_path / "d"):
            pytest.fail("the lock let a second engine in")
    with locked_data_dir(tmp_path / "d") as directory:
        assert directory.journal.is_dir()


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be written"), locked_data_dir(tmp_path / "file" / "d"):
        pytest.fail("made a directory below a file")


def test_a_directory_belongs_to_one_mode(tmp_path: Path) -> None:
    with locked_data_dir(tmp_path / "d") as directory:
        claim(directory, "live")
        claim(directory, "live")
        with pytest.raises(ConfigError, match="journal of live runs, and this one is shadow"):
            claim(directory, "shadow")


def test_a_shadow_run_never_keeps_its_things_among_real_ones() -> None:
    assert shadow_dir("./data/{mode}") == "./data/{mode}"
    assert shadow_dir("/var/lib/arb") == "/var/lib/arb/shadow"
