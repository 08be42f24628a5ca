"""One engine per data directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arb.cli.data_dir import locked_data_dir
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
