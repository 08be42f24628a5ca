"""The operator's written permission for real orders: a small TOML file, by default `.live_trading_ok`.

Owns: what such a file may hold, when it counts, and how it is written.
Never: follows a link, accepts a file that somebody else could have written, or shortens what it does not understand:
a file with one fault permits nothing.
Units: `valid_until_ns` UTC nanoseconds; `max_total_notional_krw` KRW.

The ceiling in the file does not lower `risk.max_total_krw`: limits have one place, the configuration, which is what the
journal and `arb check --show` tell. A configuration that wants more than the file permits is not armed.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

_MAX_BYTES: Final = 65_536
_SECOND_NS: Final = 1_000_000_000
_KEYS: Final = ("valid_until", "venues", "max_total_notional_krw", "upbit_no_withdrawal")


@attrs.frozen(kw_only=True)
class Permission:
    """A file that counts."""

    valid_until_ns: int
    venues: tuple[str, ...]
    max_total_notional_krw: Decimal
    upbit_no_withdrawal: bool
    """The operator states that the Upbit key may not withdraw: the venue does not tell."""


@attrs.frozen
class NoPermission:
    """There is no file, or it does not count."""

    word: str
    """`permission_file_missing`, `permission_file_expired`, …, with a detail after `: ` where there is one."""


def read_permission_file(path: Path, now_wall_ns: int, uid: int) -> Permission | NoPermission:
    """The permission that stands in the file, if it is `uid`'s own, nobody else's to change, whole and not over."""
    body = _own_bytes(path, uid)
    if isinstance(body, NoPermission):
        return body
    found = _parsed(body)
    if isinstance(found, Permission) and found.valid_until_ns <= now_wall_ns:
        return NoPermission(f"permission_file_expired: at {utc_text(found.valid_until_ns)}")
    return found


def write_permission(path: Path, permission: Permission) -> None:
    """Put the permission in the file's place, whole and readable by its owner alone.

    Raises:
        OSError: the directory cannot be written.
    """
    waiting = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(permission_text(permission).encode())
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(path)
    except OSError:
        waiting.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def permission_text(permission: Permission) -> str:
    """The file's text."""
    return (
        "# Permission for real orders; `arb arm` writes it, deleting it disarms a running engine.\n"
        f"valid_until = {utc_text(permission.valid_until_ns)}\n"
        f"venues = {msgspec.json.encode(permission.venues).decode()}\n"
        f"max_total_notional_krw = {permission.max_total_notional_krw:f}\n"
        "# true: I have seen at Upbit that this key may not withdraw.\n"
        f"upbit_no_withdrawal = {'true' if permission.upbit_no_withdrawal else 'false'}\n"
    )


def permission_words(permission: Permission, venues: Iterable[str], max_total_krw: Decimal) -> tuple[str, ...]:
    """What a file that counts does not cover: a traded venue, or the configured total."""
    words = [f"permission_venue_not_named:{venue}" for venue in venues if venue not in permission.venues]
    if permission.max_total_notional_krw < max_total_krw:
        words.append(
            f"permission_total_too_low: the file permits {permission.max_total_notional_krw:,f} KRW, "
            f"risk.max_total_krw is {max_total_krw:,f}"
        )
    return tuple(words)


def utc_text(wall_ns: int) -> str:
    """A UTC time as TOML and people read it."""
    return datetime.fromtimestamp(wall_ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _own_bytes(path: Path, uid: int) -> bytes | NoPermission:
    """The file's bytes; what is looked at is what was opened, not what stands under the name a moment later."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return NoPermission("permission_file_missing")
    except OSError as error:
        if path.is_symlink():
            return NoPermission("permission_file_not_regular: a link is not followed")
        return NoPermission(f"permission_file_unreadable: {error.strerror}")
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            return NoPermission("permission_file_not_regular")
        if facts.st_uid != uid:
            return NoPermission(f"permission_file_not_owned: by uid {uid} but by {facts.st_uid}")
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return NoPermission(f"permission_file_writable_by_others: mode {stat.S_IMODE(facts.st_mode):04o}")
        if facts.st_size > _MAX_BYTES:
            return NoPermission(f"permission_file_malformed: larger than {_MAX_BYTES} bytes")
        return os.read(handle, _MAX_BYTES)
    except OSError as error:
        return NoPermission(f"permission_file_unreadable: {error.strerror}")
    finally:
        os.close(handle)


def _parsed(body: bytes) -> Permission | NoPermission:
    try:
        values = tomllib.loads(body.decode(), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ArithmeticError, RecursionError) as error:
        return NoPermission(f"permission_file_malformed: not TOML: {error}")
    faults = [f"unknown key {name}" for name in sorted(set(values) - set(_KEYS))]
    faults += [f"{name} is missing" for name in _KEYS if name not in values]
    faults += [words for name in _KEYS if name in values and (words := _fault(name, values[name]))]
    if faults:
        return NoPermission(f"permission_file_malformed: {'; '.join(faults)}")
    valid_until: datetime = values["valid_until"]
    return Permission(
        valid_until_ns=int(valid_until.timestamp()) * _SECOND_NS,
        venues=tuple(values["venues"]),
        max_total_notional_krw=Decimal(values["max_total_notional_krw"]),
        upbit_no_withdrawal=values["upbit_no_withdrawal"],
    )


def _fault(name: str, value: Any) -> str:
    """What is wrong with one value; empty: nothing."""
    match name:
        case "valid_until":
            is_right = isinstance(value, datetime) and value.tzinfo is not None
            wanted = "a time in UTC such as 2026-12-01T09:00:00Z"
        case "venues":
            is_right = isinstance(value, list) and all(isinstance(item, str) for item in value)
            wanted = 'a list of venues such as ["upbit", "binance_usdm"]'
        case "max_total_notional_krw":
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            is_right = is_number and Decimal(value).is_finite() and value > 0
            wanted = "an amount of KRW above 0"
        case _:
            is_right, wanted = isinstance(value, bool), "true or false"
    return "" if is_right else f"{name} is not {wanted}"
