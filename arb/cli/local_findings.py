"""What `arb doctor` looks at on this machine: files and their permissions, the data directory, disk, port, arming.

Owns: those looks and their remedies.
Never: makes, changes or takes anything: the lock is only tried, the port bound and given back at once.
"""

from __future__ import annotations

import re
import shutil
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from arb.cli.arming import ENVIRONMENT_NAME
from arb.cli.data_dir import lock_holder
from arb.cli.findings import Finding, doubtful, fine, unasked, wrong
from arb.cli.permission import NoPermission, permission_words, read_permission_file, utc_text
from arb.cli.schema import Mode, Settings
from arb.cli.settings import Loaded
from arb.domain.errors import ConfigError
from arb.telemetry.http import listen

_MIB: Final = 1_048_576
_ROOMY: Final = 4
"""Times `journal.min_free_mb`: with less than that a few busy days fill the disk."""
_SECRET_FILE: Final = re.compile(r"\$\{file:([^}]+)\}")


def local_findings(
    loaded: Loaded, venues: tuple[str, ...], *, environ: Mapping[str, str], uid: int, wall_ns: int
) -> Iterator[Finding]:
    """Everything that needs no venue; `venues`: the traded ones."""
    settings = loaded.settings
    root = Path(settings.data_dir.format(mode=settings.mode.value))
    yield fine("configuration", "", f"{loaded.path} is valid: mode {settings.mode.value}, {len(settings.pairs)} pairs")
    yield from secret_findings(loaded.path)
    holder, directory = directory_finding(root, uid)
    yield directory
    yield disk_finding(root, settings.journal.min_free_mb)
    yield port_finding(settings, holder)
    yield environment_finding(settings.mode, environ)
    yield permission_finding(settings, venues, uid=uid, wall_ns=wall_ns)


def secret_findings(path: Path) -> Iterator[Finding]:
    """Whether others may read keys or write limits."""
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield doubtful("configuration", str(path), f"others may write it (mode {mode:04o})", f"chmod go-w {path}")
    if _holds_secret(tree) and mode & (stat.S_IRGRP | stat.S_IROTH):
        yield doubtful(
            "secrets",
            str(path),
            f"a key stands in it and others may read it (mode {mode:04o})",
            f"chmod 600 {path}, or take the key from the environment: ${{NAME}}",
        )
    for name in dict.fromkeys(name for text in _texts(tree) for name in _SECRET_FILE.findall(text)):
        yield from _secret_file(Path(name))


def _texts(value: object) -> Iterator[str]:
    """Every text in the tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _secret_file(path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        yield wrong("secrets", str(path), f"cannot be looked at: {error.strerror}", "put the secret there")
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield doubtful("secrets", str(path), f"others may reach it (mode {mode:04o})", f"chmod 600 {path}")
    else:
        yield fine("secrets", str(path), "readable by its owner alone")


def _holds_secret(tree: Mapping[str, object]) -> bool:
    """Whether a key or secret of a venue is written out, instead of taken from elsewhere."""
    venues = tree.get("venues")
    if not isinstance(venues, dict):
        return False
    words = [
        section.get(name) for section in venues.values() if isinstance(section, dict) for name in ("key", "secret")
    ]
    return any(isinstance(word, str) and word and "${" not in word for word in words)


def directory_finding(root: Path, uid: int) -> tuple[str | None, Finding]:
    """The pid of a running engine (None: none runs), and whether the directory can be used."""
    try:
        holder = lock_holder(root)
    except ConfigError as error:
        return None, wrong("data_dir", str(root), str(error), "run as the engine's user, or choose another data_dir")
    if holder is not None:
        return holder, fine("data_dir", str(root), f"an engine runs here, pid {holder}")
    existing = next(each for each in (root, *root.absolute().parents) if each.exists())
    facts = existing.stat()
    is_ours = facts.st_uid == uid and bool(facts.st_mode & stat.S_IWUSR)
    if not existing.is_dir() or not (uid == 0 or is_ours or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        remedy = "give the engine's user a directory it can write, or choose another data_dir"
        return None, wrong("data_dir", str(root), f"{existing} cannot be written", remedy)
    return None, fine("data_dir", str(root), "free" if existing == root else f"will be made in {existing}")


def disk_finding(root: Path, min_free_mb: int) -> Finding:
    """Room for the journal."""
    existing = next(each for each in (root, *root.absolute().parents) if each.exists())
    free_mb = shutil.disk_usage(existing).free // _MIB
    detail = f"{free_mb:,} MiB free; under {min_free_mb:,} (journal.min_free_mb) the engine only reduces"
    if free_mb < min_free_mb:
        return wrong("disk", str(existing), detail, "free some, or choose another data_dir")
    if free_mb < _ROOMY * min_free_mb:
        return doubtful("disk", str(existing), detail, "free some, or shorten journal.retention_days")
    return fine("disk", str(existing), detail)


def port_finding(settings: Settings, holder: str | None) -> Finding:
    """Whether `/health` and `/metrics` can be served."""
    monitoring = settings.monitoring
    where = f"{monitoring.host}:{monitoring.metrics_port}"
    if not monitoring.enabled:
        return unasked("port", where, "monitoring.enabled = false")
    try:
        listen(monitoring.host, monitoring.metrics_port).close()
    except ConfigError as error:
        if holder is not None:
            return fine("port", where, f"served by the running engine, pid {holder}")
        return wrong("port", where, str(error), "free it, or set monitoring.metrics_port")
    return fine("port", where, "free")


def environment_finding(mode: Mode, environ: Mapping[str, str]) -> Finding:
    """The first step that lets real orders leave."""
    value = environ.get(ENVIRONMENT_NAME)
    if mode is not Mode.LIVE:
        return unasked("environment", ENVIRONMENT_NAME, f"not needed in mode {mode.value}")
    if value == "1":
        return fine("environment", ENVIRONMENT_NAME, "is 1")
    detail = "is not set" if value is None else "is not exactly 1"
    remedy = f"start the engine with {ENVIRONMENT_NAME}=1 where real orders are meant"
    return doubtful("environment", ENVIRONMENT_NAME, detail, remedy)


def permission_finding(settings: Settings, venues: tuple[str, ...], *, uid: int, wall_ns: int) -> Finding:
    """The second step: the operator's file."""
    path = Path(settings.arm.file)
    found = read_permission_file(path, wall_ns, uid)
    if settings.mode is not Mode.LIVE:
        return unasked("permission", str(path), f"not needed in mode {settings.mode.value}")
    remedy = "write a new one with arb arm"
    if isinstance(found, NoPermission):
        is_absent = found.word.startswith(("permission_file_missing", "permission_file_expired"))
        return (doubtful if is_absent else wrong)("permission", str(path), found.word, remedy)
    if words := permission_words(found, venues, settings.risk.max_total_krw):
        return doubtful("permission", str(path), "; ".join(words), remedy)
    until = f"until {utc_text(found.valid_until_ns)}, {', '.join(found.venues)}"
    return fine("permission", str(path), f"{until}, at most {found.max_total_notional_krw:,f} KRW")
