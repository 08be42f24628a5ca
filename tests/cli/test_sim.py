"""`arb sim` as a person and a program see it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from arb.cli.settings import load_settings
from arb.cli.sim import described, listed_everywhere, sim_params, traded
from arb.domain.errors import ConfigError
from arb.venues import load_venue
from arb.venues.simulated.models import FaultKind
from arb.venues.spec import Credentials
from arb.venues.wire.simulation import ServedVenue

LIVE = Path(__file__).parents[2] / "config" / "live.toml"


class StoppedClock:
    def monotonic_ns(self) -> int:
        return 0

    def wall_ns(self) -> int:
        return 1_760_000_000_000_000_000


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "arb", "sim", str(LIVE), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )


def stop(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


def own_urls(venue: str) -> dict[str, str]:
    """The addresses that a venue folder uses when none are configured."""
    spec = load_venue(venue)
    assert spec.market is not None
    assert spec.account is not None
    private = spec.account.account(Credentials(key="k", secret="s"), ())
    return {"rest": spec.market.rest_url, "ws": spec.market.ws_url, "ws_private": private.ws_private_url}


def test_one_json_line_names_every_base_url_and_a_signal_ends_it_with_zero() -> None:
    process = start("--json")
    assert process.stdout is not None
    served = json.loads(process.stdout.readline())

    with urllib.request.urlopen(served["upbit"]["rest"] + "/sim/ledger", timeout=10) as answer:
        ledger = json.load(answer)

    assert set(served) == {"upbit", "binance_spot", "binance_usdm", "dunamu"}
    assert all(
        set(served[name]) == {"rest", "ws", "ws_private", "key", "secret"}
        for name in ("upbit", "binance_spot", "binance_usdm")
    )
    assert served["upbit"]["ws_private"].endswith("/websocket/v1/private")
    assert served["binance_spot"]["ws_private"].endswith("/ws-api/v3")
    assert "main" in ledger["accounts"]
    assert stop(process, signal.SIGTERM) == (0, "")
    for name in ("upbit", "binance_spot", "binance_usdm"):
        own = own_urls(name)
        assert {key: urlsplit(served[name][key]).path for key in own} == {
            key: urlsplit(url).path for key, url in own.items()
        }, f"the printed URLs of {name} can be pasted into [venues.{name}] unchanged"


def test_without_json_each_url_is_a_line() -> None:
    process = start()
    assert process.stdout is not None
    first = process.stdout.readline()

    assert first.startswith("upbit rest: http://127.0.0.1:")
    assert stop(process, signal.SIGINT) == (0, "")


def test_every_coin_is_listed_on_all_three_venues() -> None:
    settings = load_settings(LIVE, environ={}).settings

    names = listed_everywhere(settings)

    assert {"upbit:KRW-BTC", "binance_spot:BTCUSDT", "binance_usdm:BTCUSDT", "upbit:KRW-USDT"} <= set(names)
    assert set(traded(settings)) <= set(names)


def test_a_fault_section_becomes_a_script(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(LIVE.read_text() + '\n[[sim.faults]]\nat = 5\nvenue = "upbit"\nkind = "silence"\nfor = 30\n')

    params = sim_params(load_settings(path, environ={}).settings, (), StoppedClock())

    script = params.world.faults[-1]
    assert (script.at_s, script.venue, script.kind, script.duration_s) == (5, "upbit", FaultKind.SILENCE, 30)


@pytest.mark.parametrize(("venue", "kind", "named"), [("upbit", "earthquake", "kind"), ("mtgox", "silence", "venue")])
def test_a_fault_nobody_knows_is_refused_by_name(tmp_path: Path, venue: str, kind: str, named: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(LIVE.read_text() + f'\n[[sim.faults]]\nat = 5\nvenue = "{venue}"\nkind = "{kind}"\nfor = 1\n')

    with pytest.raises(ConfigError, match=rf"sim\.faults\[\d+\]\.{named}"):
        sim_params(load_settings(path, environ={}).settings, (), StoppedClock())


def test_a_venue_without_streams_prints_its_rest_url_only() -> None:
    assert described({"dunamu": ServedVenue(rest="http://x:1")}, True) == '{"dunamu":{"rest":"http://x:1"}}\n'
