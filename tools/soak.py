"""Live trading against simulated venues in another process, with seeded faults, kills and restarts; then one truth.

    tools/env python tools/soak.py --seed 7 --minutes 10

The venues (`arb sim`) run throughout. The engine (`arb run`, mode live, armed) is killed, stopped, paused and started
again at random moments while faults of every kind strike the venues. At the end the faults cease, the engine closes
what is open and leaves, and the simulators' ledgers, the engine's books, the tables and the report must agree exactly;
nothing that was written may hold a key.

Owns: the two processes, the schedule drawn from the seed, and the verdict. Exit code 0: everything agrees, else 1.
Never: touches a process that it did not start, or a network beyond loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any, Final

import attrs

from arb.cli.build import build_name
from arb.cli.engine_config import engine_config
from arb.cli.recovery import recover
from arb.cli.settings import load_settings
from arb.engine import Engine
from arb.venues.simulated.models import FaultKind
from tools.soak_truth import Stories, differences, report_of, secret_leaks

ROOT: Final = Path(__file__).resolve().parents[1]
VENUES: Final = ("upbit", "binance_usdm")
BASE: Final = ROOT / "config" / "live.toml"
KEY_FAULTS: Final = (FaultKind.KEY_WITHDRAWS, FaultKind.KEY_REFUSED)
"""While one is in force an engine that starts may refuse to (exit 4) or run unarmed."""
TOLD_BY: Final = {FaultKind.ADL: "binance_usdm", FaultKind.KEY_WITHDRAWS: "binance_spot"}
"""Kinds that only one venue knows; Binance tells about the keys of futures at its spot host."""
BEAT_S: Final = 0.1
MEAN_GAP_S: Final = 4.0
"""Between two strokes of the schedule."""
CALM_S: Final = 20.0
"""After the last fault, before everything is closed."""
SETTLE_S: Final = 90.0
PATIENT: Final = (
    "risk.max_incidents_per_hour=1000",
    "risk.max_consecutive_losses=1000",
    "risk.daily_loss_krw=5000000",
    "risk.max_drawdown_krw=5000000",
    "risk.wallet_reopen_cooldown_s=5",
    "risk.maint_settle_s=5",
    "execution.incident_loss_budget_bps=5000",
)
"""Limits under which a storm of faults leaves it trading: with the shipped ones it would rightly stop after minutes."""
KEYS_RECOVER_S: Final = 15.0
"""After a key works again."""
UNSAFE: Final = 4
"""Something that nothing explains: the operator takes the venues' word, once the keys work."""
RESTARTED: Final = (0, 1, 3, -signal.SIGKILL, -signal.SIGTERM)
"""Exit codes after which a service file starts it again (the last: SIGTERM before it was up to hear it); 2 never, 4
only when the operator has looked."""


@attrs.frozen(kw_only=True)
class Stroke:
    """One thing that happens to the pair of processes."""

    at_s: float
    kind: str
    """`fault`, `kill`, `term`, `freeze`, `pause`, `look`."""
    venue: str = ""
    fault: str = ""
    for_s: float = 0.0


def schedule(seed: int, seconds: float) -> list[Stroke]:
    """What happens when; every kind of fault once before any comes twice."""
    chance = Random(seed)
    kinds = list(FaultKind)
    chance.shuffle(kinds)
    waiting, at_s, found = list(kinds), 8.0, []
    while at_s < seconds:
        what = chance.choices(("fault", "kill", "term", "freeze", "pause", "look"), (60, 14, 5, 3, 6, 12))[0]
        if what == "fault":
            kind = waiting.pop() if waiting else chance.choice(kinds)
            venue = TOLD_BY.get(kind) or chance.choice(VENUES)
            for_s = 0.0 if kind.is_once else round(chance.uniform(0.5, 6.0), 2)
            found.append(Stroke(at_s=at_s, kind=what, venue=venue, fault=kind.value, for_s=for_s))
        else:
            for_s = round(chance.uniform(0.5, 4.0), 2)
            found.append(Stroke(at_s=at_s, kind=what, for_s=for_s))
        at_s += chance.expovariate(1 / MEAN_GAP_S)
    return found


@attrs.define
class Venues:
    """`arb sim` in a process of its own."""

    process: subprocess.Popen[bytes]
    served: dict[str, dict[str, str]]
    errors: Path

    def ledgers(self) -> dict[str, Any]:
        """The simulators' truth."""
        return {venue: _asked(f"{self.served[venue]['rest']}/sim/ledger")["accounts"]["main"] for venue in VENUES}

    def strike(self, stroke: Stroke) -> None:
        """A fault from now on."""
        _asked(f"{self.served[stroke.venue]['rest']}/sim/faults", {"kind": stroke.fault, "for": stroke.for_s})

    def has_ended(self) -> str:
        """The last words of venues that should be running; empty: they run."""
        code = self.process.poll()
        return "" if code is None else f"arb sim ended with {code}: {self.errors.read_text(encoding='utf-8')[-1500:]}"

    def secrets(self) -> list[str]:
        """Words that nobody may write down."""
        return sorted({row["secret"] for row in self.served.values() if row.get("secret")})


@attrs.define
class Soak:
    """The whole of it."""

    root: Path
    venues: Venues
    config: Path
    environ: dict[str, str]
    said: Path
    engine: subprocess.Popen[bytes] | None = None
    exits: Counter[int] = attrs.field(factory=Counter)
    strokes: Counter[str] = attrs.field(factory=Counter)
    faults: list[str] = attrs.field(factory=list)
    """What went wrong on the way, in words."""
    key_fault_until_s: float = 0.0
    command_lines: list[bytes] = attrs.field(factory=list)

    def start(self) -> None:
        """Start the engine, as a service file would."""
        with self.said.open("ab") as out:
            self.engine = subprocess.Popen(
                [sys.executable, "-m", "arb", "run", str(self.config)],
                cwd=self.root, env=self.environ, stdout=out, stderr=out,
            )  # fmt: skip
        time.sleep(BEAT_S)
        self.command_lines.append(Path(f"/proc/{self.engine.pid}/cmdline").read_bytes())

    def watch(self) -> None:
        """Start it again where it has ended."""
        if words := self.venues.has_ended():
            raise SystemExit(f"soak: {words}")
        if self.engine is None:
            self.start()
            return
        code = self.engine.poll()
        if code is None:
            return
        self.exits[code] += 1
        self.engine = None
        if code == UNSAFE and time.monotonic() > self.key_fault_until_s + KEYS_RECOVER_S:
            self.strokes["adopt"] += 1
            self.command("reconcile", "--adopt")
        elif code not in RESTARTED and code != UNSAFE and "is in use by the engine" not in self.last_words():
            self.faults.append(f"the engine ended with {code}: {self.last_words()}")

    def strike(self, stroke: Stroke) -> None:
        """Let one stroke fall."""
        self.strokes[stroke.fault or stroke.kind] += 1
        match stroke.kind:
            case "fault":
                if stroke.fault in [kind.value for kind in KEY_FAULTS]:
                    self.key_fault_until_s = time.monotonic() + stroke.for_s
                self.venues.strike(stroke)
            case "kill":
                self.signal(signal.SIGKILL)
            case "term":
                self.signal(signal.SIGTERM)
            case "freeze":
                self.signal(signal.SIGSTOP)
                time.sleep(stroke.for_s)
                self.signal(signal.SIGCONT)
            case "pause":
                self.command("pause")
                time.sleep(stroke.for_s)
                self.command("resume")
            case "look":
                self.command("resume")

    def signal(self, number: signal.Signals) -> None:
        """A signal to the engine, if it runs."""
        if self.engine is not None and self.engine.poll() is None:
            self.engine.send_signal(number)

    def command(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """An operator's command, as typed."""
        line = [sys.executable, "-m", "arb", name, str(self.config), *words]
        return subprocess.run(line, cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=SETTLE_S)

    def last_words(self) -> str:
        """The end of what the engine said."""
        return self.said.read_text(encoding="utf-8", errors="replace")[-600:]

    def pass_time(self, until_s: float) -> None:
        """Keep the engine running until then."""
        while time.monotonic() < until_s:
            self.watch()
            time.sleep(BEAT_S)

    def close(self) -> None:
        """Everything open is closed, then the engine leaves."""
        if words := self.flattened():
            self.faults.append(f"flatten did not get flat within {SETTLE_S:g} s: {words}")
        self.pass_time(time.monotonic() + 3.0)
        self.signal(signal.SIGTERM)
        if self.engine is not None:
            code = self.engine.wait(SETTLE_S)
            self.exits[code] += 1
            if code != 0:
                self.faults.append(f"the last run ended with {code}: {self.last_words()}")

    def flattened(self) -> str:
        """Ask for it until it is so; empty, or what flatten said last."""
        began_s, said = time.monotonic(), ""
        while time.monotonic() < began_s + SETTLE_S:
            self.watch()
            self.command("resume")
            told = self.command("flatten", "--timeout", "30", "--json")
            if told.returncode == 0:
                return ""
            said = f"{told.stdout}{told.stderr}"
            time.sleep(1.0)
        return said


def prepared(root: Path, seed: int) -> Soak:
    """Configuration, venues, permission."""
    sections = tomllib.loads(BASE.read_text(encoding="utf-8"))
    sets = [f"sim.seed={seed}", 'mode="live"', f'data_dir="{root}/data"', "monitoring.metrics_port=0"]
    sets += [f"{key}={value}" for key, value in _leaves(sections["mock"]) if not key.startswith("sim")]
    sets += [f'arm.file="{root}/.live_trading_ok"', *PATIENT]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LIVE_TRADING": "1", "HOME": str(root)}
    line = [sys.executable, "-m", "arb", "sim", str(BASE), "--json", "--set", f"sim.seed={seed}"]
    with (root / "sim.json").open("wb") as out, (root / "sim.err").open("wb") as err:
        process = subprocess.Popen(line, cwd=root, env=environ, stdout=out, stderr=err)
    served = _first_line(root / "sim.json", process)
    (root / "sim.json").unlink()
    for venue in (*VENUES, "binance_spot"):
        row = served[venue]
        for key in ("rest", "ws", "ws_private"):
            sets.append(f'venues.{venue}.{key}_url="{row[key]}"')
        environ |= {f"SOAK_{venue.upper()}_KEY": row["key"], f"SOAK_{venue.upper()}_SECRET": row["secret"]}
    sets.append(f'fx.bank_url="{served["dunamu"]["rest"]}"')
    config = root / "soak.toml"
    config.write_text(_configuration(sections, sets), encoding="utf-8")
    return Soak(
        root=root,
        venues=Venues(process, served, root / "sim.err"),
        config=config,
        environ=environ,
        said=root / "engine.out",
    )


def _configuration(sections: dict[str, Any], sets: list[str]) -> str:
    """The shipped configuration with these keys on top; keys of the venues by name of an environment variable."""
    for item in sets:
        key, _, text = item.partition("=")
        node, *rest = sections, *key.split(".")
        for part in rest[:-1]:
            node = node.setdefault(part, {})
        node[rest[-1]] = tomllib.loads(f"value = {text}")["value"]
    for venue in (*VENUES, "binance_spot"):
        section = sections.setdefault("venues", {}).setdefault(venue, {})
        section["key"], section["secret"] = f"${{SOAK_{venue.upper()}_KEY}}", f"${{SOAK_{venue.upper()}_SECRET}}"
    sections.pop("mock", None)
    return "".join(f"{line}\n" for line in _toml(sections))


def _toml(table: dict[str, Any], name: str = "") -> list[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value)}
    lines = [f"[{name}]"] if name and plain else []
    lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        where = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            lines += _toml(value, where)
        elif _is_table(value):
            for item in value:
                lines += [f"[[{where}]]"] + [f"{inner} = {_value(one)}" for inner, one in item.items()]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def _leaves(tree: dict[str, Any], where: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in tree.items():
        name = f"{where}.{key}" if where else key
        found += _leaves(value, name) if isinstance(value, dict) else [(name, json.dumps(value))]
    return found


def _first_line(path: Path, process: subprocess.Popen[bytes]) -> dict[str, dict[str, str]]:
    limit_s = time.monotonic() + 60
    while time.monotonic() < limit_s and process.poll() is None:
        text = path.read_text(encoding="utf-8")
        if text.endswith("\n"):
            found: dict[str, dict[str, str]] = json.loads(text)
            return found
        time.sleep(BEAT_S)
    raise SystemExit(f"soak: arb sim did not serve: {path.read_text(encoding='utf-8')}")


def _asked(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def judged(soak: Soak) -> list[str]:
    """The verdict: every disagreement in words."""
    loaded = load_settings(soak.config, environ=soak.environ)
    recovered = recover(soak.root / "data" / "journal", engine_config(loaded.settings, time.time_ns()), build_name())
    if recovered is None:
        return [*soak.faults, "there is no journal"]
    told = soak.command("report", "--json")
    if not told.stdout:
        return [*soak.faults, f"arb report ended with {told.returncode}: {told.stderr}"]
    stories = Stories(
        ledgers=soak.venues.ledgers(),
        tables=soak.root / "data" / "csv",
        engine=Engine(engine_config(loaded.settings, time.time_ns()), recovered.memory),
        report=report_of(told.stdout),
    )
    leaks = secret_leaks(soak.root, soak.venues.secrets())
    spoken = [word for word in soak.venues.secrets() for line in soak.command_lines if word.encode() in line]
    return [*soak.faults, *differences(stories), *leaks, *(["a command line holds a secret"] if spoken else [])]


def main() -> int:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same market and schedule")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults strike")
    parser.add_argument("--keep", action="store_true", help="leave the directory where it is")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    root = Path(mkdtemp(prefix="arb-soak-"))
    soak = prepared(root, asked.seed)
    try:
        return told(run(soak, asked.seed, asked.minutes * 60), soak, asked)
    finally:
        for process in (soak.engine, soak.venues.process):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def run(soak: Soak, seed: int, seconds: float) -> list[str]:
    """Strike, calm down, close, compare."""
    armed = soak.command("arm", "--yes", "--upbit-no-withdrawal", "--hours", "24")
    if armed.returncode:
        return [f"arb arm ended with {armed.returncode}: {armed.stdout}{armed.stderr}"]
    began_s = time.monotonic()
    for stroke in schedule(seed, seconds):
        soak.pass_time(began_s + stroke.at_s)
        soak.strike(stroke)
    soak.pass_time(max(began_s + seconds, time.monotonic()) + CALM_S)
    soak.close()
    return judged(soak)


def told(found: list[str], soak: Soak, asked: argparse.Namespace) -> int:
    """The verdict for a person or a program."""
    ledgers = soak.venues.ledgers()
    facts = {
        "seed": asked.seed, "minutes": asked.minutes, "agree": not found, "differences": found,
        "exits": {str(code): count for code, count in sorted(soak.exits.items())},
        "strokes": dict(sorted(soak.strokes.items())),
        "orders": {venue: len(ledger["orders"]) for venue, ledger in ledgers.items()},
        "fills": {venue: len(ledger["fills"]) for venue, ledger in ledgers.items()},
        "directory": str(soak.root),
    }  # fmt: skip
    if asked.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:<12} {value}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
