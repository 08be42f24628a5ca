"""The operator's written permission: what counts, and everything that does not."""

from __future__ import annotations

import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.cli.permission import (
    NoPermission,
    Permission,
    permission_text,
    permission_words,
    read_permission_file,
    utc_text,
    write_permission,
)

NOW_NS = 1_790_000_000_000_000_000
HOUR_NS = 3_600_000_000_000
RIGHT = Permission(
    valid_until_ns=NOW_NS + HOUR_NS,
    venues=("upbit", "binance_usdm"),
    max_total_notional_krw=Decimal(8_000_000),
    upbit_no_withdrawal=True,
)


def read(path: Path, now_ns: int = NOW_NS) -> Permission | NoPermission:
    return read_permission_file(path, now_ns, os.getuid())


def word(path: Path, now_ns: int = NOW_NS) -> str:
    found = read(path, now_ns)
    assert isinstance(found, NoPermission)
    return found.word


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ".live_trading_ok"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / ".live_trading_ok"

    write_permission(path, RIGHT)

    assert read(path) == RIGHT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == [".live_trading_ok"]


def test_writing_again_replaces_the_file_whole_and_follows_no_link(tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    path = tmp_path / ".live_trading_ok"
    path.symlink_to(other)

    write_permission(path, RIGHT)

    assert not path.is_symlink()
    assert read(path) == RIGHT
    assert other.read_text() == "mine"


@given(
    st.builds(
        Permission,
        valid_until_ns=st.integers(NOW_NS // 10**9 + 1, NOW_NS // 10**9 + 10**8).map(lambda s: s * 10**9),
        venues=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9)).map(
            tuple
        ),
        max_total_notional_krw=st.decimals("0.01", "1e12", allow_nan=False),
        upbit_no_withdrawal=st.booleans(),
    )
)
def test_every_permission_survives_its_own_text(tmp_path_factory, permission):
    path = written(tmp_path_factory.mktemp("permission"), permission_text(permission))

    assert read(path) == permission


def test_no_file_is_no_permission(tmp_path):
    assert word(tmp_path / ".live_trading_ok") == "permission_file_missing"
    assert word(tmp_path / "nowhere" / ".live_trading_ok") == "permission_file_missing"


def test_a_permission_ends_at_the_very_nanosecond(tmp_path):
    path = written(tmp_path, permission_text(RIGHT))

    assert read(path, RIGHT.valid_until_ns - 1) == RIGHT
    assert word(path, RIGHT.valid_until_ns) == f"permission_file_expired: at {utc_text(RIGHT.valid_until_ns)}"


def test_a_link_is_not_followed(tmp_path):
    target = written(tmp_path, permission_text(RIGHT))
    link = tmp_path / "link"
    link.symlink_to(target)

    assert word(link).startswith("permission_file_not_regular")


def test_a_directory_or_a_pipe_is_no_permission(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert word(tmp_path) == "permission_file_not_regular"
    assert word(tmp_path / "pipe") == "permission_file_not_regular"


def test_a_file_of_another_user_does_not_count(tmp_path):
    path = written(tmp_path, permission_text(RIGHT))

    found = read_permission_file(path, NOW_NS, os.getuid() + 1)

    assert isinstance(found, NoPermission)
    assert found.word.startswith("permission_file_not_owned")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_could_have_written_does_not_count(tmp_path, mode):
    path = written(tmp_path, permission_text(RIGHT))
    path.chmod(mode)

    assert word(path) == f"permission_file_writable_by_others: mode {mode:04o}"


LINES = {
    "valid_until": "2026-12-01T09:00:00Z",
    "venues": '["upbit"]',
    "max_total_notional_krw": "8000000",
    "upbit_no_withdrawal": "false",
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("valid_until", '"2026-12-01"'),
        ("valid_until", "2026-12-01"),
        ("valid_until", "2026-12-01T09:00:00"),
        ("venues", '"upbit"'),
        ("venues", "[1]"),
        ("max_total_notional_krw", "0"),
        ("max_total_notional_krw", "-1"),
        ("max_total_notional_krw", "inf"),
        ("max_total_notional_krw", "nan"),
        ("max_total_notional_krw", "true"),
        ("max_total_notional_krw", '"8000000"'),
        ("upbit_no_withdrawal", "1"),
        ("upbit_no_withdrawal", '"yes"'),
    ],
)
def test_one_wrong_value_makes_the_whole_file_worthless(tmp_path, name, text):
    path = written(tmp_path, "\n".join(f"{key} = {value}" for key, value in {**LINES, name: text}.items()))

    assert word(path).startswith(f"permission_file_malformed: {name} is not ")


@pytest.mark.parametrize("name", LINES)
def test_a_missing_value_makes_the_whole_file_worthless(tmp_path, name):
    path = written(tmp_path, "\n".join(f"{key} = {value}" for key, value in LINES.items() if key != name))

    assert word(path) == f"permission_file_malformed: {name} is missing"


def test_an_unknown_key_makes_the_whole_file_worthless(tmp_path):
    path = written(tmp_path, permission_text(RIGHT) + "may_withdraw = true\n")

    assert word(path) == "permission_file_malformed: unknown key may_withdraw"


def test_the_same_moment_in_another_zone_is_the_same_permission(tmp_path):
    text = "\n".join(f"{key} = {value}" for key, value in {**LINES, "valid_until": "2026-12-01T18:00:00+09:00"}.items())

    found = read(written(tmp_path, text))

    assert isinstance(found, Permission)
    assert utc_text(found.valid_until_ns) == "2026-12-01T09:00:00Z"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed_and_nothing_worse(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("permission") / "file"
    path.write_bytes(body)
    path.chmod(0o600)

    assert word(path).startswith("permission_file_malformed: ")


def test_a_file_of_megabytes_is_not_read(tmp_path):
    assert word(written(tmp_path, "#" * 70_000)) == "permission_file_malformed: larger than 65536 bytes"


def test_every_traded_venue_must_be_named_and_the_total_covered():
    assert permission_words(RIGHT, ("binance_usdm", "upbit"), Decimal(8_000_000)) == ()
    assert permission_words(RIGHT, ("upbit", "binance_spot"), Decimal(8_000_000)) == (
        "permission_venue_not_named:binance_spot",
    )
    assert permission_words(RIGHT, ("upbit",), Decimal(8_000_001)) == (
        "permission_total_too_low: the file permits 8,000,000 KRW, risk.max_total_krw is 8,000,001",
    )
