"""`arb health CONFIG`: asks the running engine how its parts are, and says so in a line each and one for the whole.

Owns: the list of components and what stands for them while no engine runs.
Never: starts anything, or judges a part: the engine's own `/health` does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import msgspec
from rich.console import Console

from arb.cli.arguments import add_config
from arb.cli.data_dir import lock_holder
from arb.cli.findings import Finding, doubtful, fine, shown, unasked, wrong
from arb.cli.schema import Settings
from arb.cli.settings import load_settings
from arb.cli.venue_access import wanted_instruments
from arb.domain.errors import ConfigError
from arb.telemetry.health import ComponentState

WITHIN_S: Final = 3.0
NOT_BUILT_IN: Final = "not configured: this build keeps its tables as CSV and its state in the journal"
ABSENT: Final = ("REDIS", "POSTGRES")
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_STATUS: Final = {
    "ok": ComponentState.OK,
    "warn": ComponentState.WARN,
    "error": ComponentState.ERROR,
    "skip": ComponentState.SKIP,
    "disabled": ComponentState.DISABLED,
}
"""What is none of these (`critical`, `stopping`) is an error to whoever asks."""


@attrs.frozen(kw_only=True)
class HealthAnswer:
    """What was found out."""

    status: str
    """Of the whole, in the engine's own word; `down`: none answers."""
    url: str
    parts: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether the exit code is 0."""
        return self.status in ("ok", "warn")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb health config/live.toml --json"
    add_config(
        parser,
        mode="the mode of the engine, where its command line gave one",
        json="one JSON document",
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 when a running engine says ok or warn, else 1."""
    settings = load_settings(
        args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ
    ).settings
    answer = health_of(settings)
    if args.json:
        components = {one.check: {"status": one.state.value, "detail": one.detail} for one in answer.parts}
        body = {"status": answer.status, "url": answer.url, "components": components}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
    else:
        console = Console(highlight=False)
        shown(console, answer.parts)
        console.print(f"overall: {answer.status.upper()}")
    return 0 if answer.is_well else 1


def health_of(settings: Settings) -> HealthAnswer:
    """Ask the engine that this configuration starts."""
    root = Path(settings.data_dir.format(mode=settings.mode.value))
    url = _url(settings)
    try:
        pid = lock_holder(root)
        body = _asked(url)
    except ConfigError as error:
        return _down(settings, root, url, str(error))
    if body is None:
        what = f"no engine runs in {root}" if pid is None else f"pid {pid} holds {root} and does not answer at {url}"
        return _down(settings, root, url, what)
    parts = [*_engine(settings, body, pid), *_components(body), *_absent()]
    status = str(body.get("status", "error"))
    if status == "ok" and any(one.state is ComponentState.WARN for one in parts):
        status = "warn"
    return HealthAnswer(status=status, url=url, parts=tuple(parts))


def _url(settings: Settings) -> str:
    host = _ANYWHERE.get(settings.monitoring.host, settings.monitoring.host)
    shown_host = f"[{host}]" if ":" in host else host
    return f"http://{shown_host}:{settings.monitoring.metrics_port}/health"


def _asked(url: str) -> dict[str, Any] | None:
    """The engine's own report; None: nothing answers there.

    Raises:
        ConfigError: something answers that is no engine of ours.
    """
    try:
        answer = httpx.get(url, timeout=WITHIN_S, trust_env=False)
        body = msgspec.json.decode(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    except msgspec.DecodeError as error:
        raise ConfigError(f"what answers at {url} is no engine") from error
    if not isinstance(body, dict) or not isinstance(body.get("components"), dict) or "mode" not in body:
        raise ConfigError(f"what answers at {url} is no engine")
    return body


def _engine(settings: Settings, body: Mapping[str, Any], pid: str | None) -> list[Finding]:
    """The process itself, its watchdog, and whether real orders leave."""
    mode = body["mode"]
    words = f"mode {mode}, {body.get('uptime_seconds', 0):,.0f} s up, run {body.get('run_id', '?')}"
    if mode != settings.mode.value:
        remedy = "ask with --mode, or look at what is missing for real orders"
        found = [doubtful("ENGINE", "", f"{words}; the configuration says {settings.mode.value}", remedy)]
    else:
        found = [fine("ENGINE", "", words if pid is None else f"pid {pid}, {words}")]
    watchdog = body.get("watchdog", {})
    state = _STATUS.get(watchdog.get("level", ""), ComponentState.ERROR)
    found.append(Finding(check="WATCHDOG", subject="", state=state, detail=", ".join(watchdog.get("reasons", []))))
    missing = body.get("arming", {}).get("missing", [])
    if body.get("live_enabled") or missing:
        if body.get("live_armed"):
            found.append(fine("ARMING", "", "real orders leave"))
        else:
            found.append(doubtful("ARMING", "", "; ".join(missing) or "not decided yet", "arb doctor says what to do"))
    return found


def _components(body: Mapping[str, Any]) -> list[Finding]:
    return [
        Finding(
            check=name,
            subject="",
            state=_STATUS.get(part.get("status", ""), ComponentState.ERROR),
            detail=part.get("detail", ""),
        )
        for name, part in sorted(body["components"].items())
        if name not in ABSENT
    ]


def _absent() -> list[Finding]:
    return [Finding(check=name, subject="", state=ComponentState.DISABLED, detail=NOT_BUILT_IN) for name in ABSENT]


def _down(settings: Settings, root: Path, url: str, words: str) -> HealthAnswer:
    """Without an engine only what lies on the disk can be told."""
    tables = root / "csv"
    rows = len(list(tables.glob("*.csv"))) if tables.is_dir() else 0
    csv = fine("CSV", "", f"{rows} tables in {tables}") if rows else unasked("CSV", "", f"no tables in {tables} yet")
    venues = [unasked(venue.upper(), "", "only a running engine knows") for venue in wanted_instruments(settings)]
    remedy = "start it with arb run, and look at its errors.log where it should run"
    engine = wrong("ENGINE", "", words, remedy)
    return HealthAnswer(status="down", url=url, parts=(engine, csv, *venues, *_absent()))
