"""`arb doctor`: each look by itself, and all of them against simulated venues."""

from __future__ import annotations

import json
import os
import socket
from decimal import Decimal as D
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from arb.cli.data_dir import locked_data_dir
from arb.cli.doctor import everything, traded_venues
from arb.cli.findings import Finding, fine, has_error, overall, wrong
from arb.cli.local_findings import (
    directory_finding,
    disk_finding,
    environment_finding,
    permission_finding,
    port_finding,
    secret_findings,
)
from arb.cli.main import main
from arb.cli.market_findings import clock_findings, executable_fx, identity_finding
from arb.cli.permission import Permission, write_permission
from arb.cli.schema import Mode, Settings
from arb.cli.settings import Loaded, load_settings
from arb.cli.sim import listed_everywhere, sim_params
from arb.cli.venue_findings import Examined, judged_key
from arb.domain.ids import InstrumentId, VenueId
from arb.supervision.clock import AnchoredClock
from arb.telemetry.health import ComponentState
from arb.venues.simulated.listings import listing
from arb.venues.spec import KeyPermissions
from arb.venues.wire.simulation import ServedVenue, serve_simulation

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
SETTINGS = load_settings(LIVE, environ={}).settings
UPBIT, SPOT, USDM = VenueId("upbit"), VenueId("binance_spot"), VenueId("binance_usdm")
FX_BOOK, KRW_BTC, PERP_BTC = (
    InstrumentId(name) for name in ("upbit:KRW-USDT", "upbit:KRW-BTC", "binance_usdm:BTCUSDT")
)
BTC = SETTINGS.pairs[0]
PERMISSION = Permission(
    valid_until_ns=2 * 10**18,
    venues=("upbit", "binance_usdm"),
    max_total_notional_krw=SETTINGS.risk.max_total_krw,
    upbit_no_withdrawal=True,
)
UID = os.getuid()


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f"{one.check} {one.subject}".rstrip(), one.state.value) for one in findings]


# --- this machine ----------------------------------------------------------------------------------------------------


def config(tmp_path: Path, text: str, mode: int) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ('[venues.upbit]\nkey = "abc"', 0o600, []),
        ('[venues.upbit]\nkey = "abc"', 0o644, ["secrets"]),
        ('[venues.upbit]\nkey = "${UPBIT_KEY}"', 0o644, []),
        ('[venues.upbit]\nrest_url = "abc"', 0o644, []),
        ('env = "x"', 0o664, ["configuration"]),
        ('[venues.upbit]\nsecret = "abc"', 0o666, ["configuration", "secrets"]),
    ],
)
def test_keys_that_others_may_read_and_limits_that_others_may_write_are_doubtful(tmp_path, text, mode, found):
    findings = list(secret_findings(config(tmp_path, text, mode)))

    assert [one.check for one in findings] == found
    assert all(one.state is ComponentState.WARN and one.remedy for one in findings)


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o400, "ok"), (0o640, "warn"), (None, "error")])
def test_a_file_that_holds_a_secret_is_its_owners_alone(tmp_path, mode, state):
    secret = tmp_path / "secret"
    if mode is not None:
        secret.write_text("x")
        secret.chmod(mode)

    found = list(secret_findings(config(tmp_path, f'[venues.upbit]\nkey = "${{file:{secret}}}"', 0o644)))

    assert states(found) == [(f"secrets {secret}", state)]


def test_a_data_directory_is_free_new_running_or_not_ours(tmp_path):
    assert directory_finding(tmp_path / "new", UID)[1].detail == f"will be made in {tmp_path}"
    assert not (tmp_path / "new").exists()
    with locked_data_dir(tmp_path / "run"):
        holder, finding = directory_finding(tmp_path / "run", UID)
        assert (holder, finding.state) == (str(os.getpid()), ComponentState.OK)
        assert f"pid {os.getpid()}" in finding.detail
    assert directory_finding(tmp_path / "run", UID) == (None, fine("data_dir", str(tmp_path / "run"), "free"))
    assert directory_finding(tmp_path, UID + 1)[1].state is ComponentState.ERROR


def test_disk_is_judged_by_what_the_journal_needs(tmp_path):
    assert disk_finding(tmp_path, 1).state is ComponentState.OK
    assert disk_finding(tmp_path / "new" / "deep", 10**9).state is ComponentState.ERROR


def test_a_port_is_free_taken_or_the_running_engines_own():
    def at(port: int, **changes: Any) -> Settings:
        monitoring = attrs.evolve(SETTINGS.monitoring, metrics_port=port, **changes)
        return attrs.evolve(SETTINGS, monitoring=monitoring)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_finding(at(port), None).state is ComponentState.ERROR
        assert port_finding(at(port), "77") == fine("port", f"127.0.0.1:{port}", "served by the running engine, pid 77")
        assert port_finding(at(port, enabled=False), None).state is ComponentState.SKIP
    assert port_finding(at(0), None).state is ComponentState.OK


def test_both_steps_to_real_orders_are_looked_at_in_live_mode_only(tmp_path):
    assert environment_finding(Mode.PAPER, {}).state is ComponentState.SKIP
    assert environment_finding(Mode.LIVE, {}).state is ComponentState.WARN
    assert environment_finding(Mode.LIVE, {"LIVE_TRADING": "true"}).state is ComponentState.WARN
    assert environment_finding(Mode.LIVE, {"LIVE_TRADING": "1"}).state is ComponentState.OK

    path = tmp_path / "ok"
    arm = attrs.evolve(SETTINGS.arm, file=str(path))
    paper = attrs.evolve(SETTINGS, mode=Mode.PAPER, arm=arm)
    live = attrs.evolve(SETTINGS, mode=Mode.LIVE, arm=arm)
    look = partial(permission_finding, uid=UID, wall_ns=10**18)

    assert look(paper, ("upbit",)).state is ComponentState.SKIP
    assert look(live, ("upbit",)).state is ComponentState.WARN
    write_permission(path, PERMISSION)
    assert look(live, ("upbit", "binance_usdm")).state is ComponentState.OK
    assert look(live, ("upbit", "binance_spot")).detail == "permission_venue_not_named:binance_spot"
    assert permission_finding(live, ("upbit",), uid=UID, wall_ns=3 * 10**18).state is ComponentState.WARN
    path.chmod(0o666)
    assert look(live, ("upbit",)).state is ComponentState.ERROR


# --- the venues together ---------------------------------------------------------------------------------------------


def seen(venue: VenueId, offset_ms: int | None = 0, error_ms: int = 0, **tops: tuple[float, float]) -> Examined:
    names = {InstrumentId(f"{venue}:{symbol.replace('_', '-')}"): top for symbol, top in tops.items()}
    listed = {FX_BOOK: listing(FX_BOOK), KRW_BTC: listing(KRW_BTC)} if venue == UPBIT else {PERP_BTC: listing(PERP_BTC)}
    return Examined(
        venue=venue, findings=(), offset_ms=offset_ms, offset_error_ms=error_ms, instruments=listed, tops=names
    )


def clocks(**offsets: tuple[int | None, int]) -> list[tuple[str, str]]:
    told = {VenueId(venue): seen(VenueId(venue), *each) for venue, each in offsets.items()}
    return states(list(clock_findings(told)))


def test_venues_that_agree_say_that_our_clock_is_off():
    assert clocks(upbit=(300, 500), binance_usdm=(10, 0)) == [
        ("clock upbit", "ok"),
        ("clock binance_usdm", "ok"),
        ("clock this machine", "ok"),
    ]
    assert clocks(binance_spot=(900, 0), binance_usdm=(910, 0))[-1] == ("clock this machine", "warn")
    assert clocks(binance_spot=(9_000, 0), binance_usdm=(9_010, 0))[-1] == ("clock this machine", "error")
    assert clocks(upbit=(9_000, 500)) == [("clock upbit", "ok"), ("clock this machine", "error")]


def test_one_venue_that_agrees_with_nobody_is_its_own_problem():
    assert clocks(upbit=(4_000, 500), binance_usdm=(0, 0)) == [
        ("clock upbit", "warn"),
        ("clock binance_usdm", "ok"),
        ("clock this machine", "ok"),
    ]
    assert clocks(upbit=(None, 0), binance_usdm=(0, 0))[0] == ("clock upbit", "skip")
    assert clocks(upbit=(None, 0)) == [("clock upbit", "skip")]


def fx(bid: float, ask: float, **changes: Any) -> tuple[D | None, list[tuple[str, str]]]:
    settings = attrs.evolve(SETTINGS, fx=attrs.evolve(SETTINGS.fx, **changes))
    rate, findings = executable_fx(settings, {UPBIT: seen(UPBIT, KRW_USDT=(bid, ask))})
    return rate, states(findings)


def test_the_executable_rate_is_the_middle_of_its_book_and_judged_by_its_spread():
    assert fx(1_450.0, 1_451.0) == (D("1450.5"), [("FX executable", "ok")])
    assert fx(1_450.0, 1_453.0)[1] == [("FX executable", "ok")]
    assert fx(1_450.0, 1_454.0)[1] == [("FX executable", "warn")]
    assert executable_fx(SETTINGS, {})[0] is None
    assert executable_fx(SETTINGS, {})[1][0].state is ComponentState.ERROR
    assert fx(1_450.0, 1_451.0, second="upbit:KRW-BTC")[1][1] == ("FX upbit:KRW-BTC", "warn")


def identity(krw: float, usdt: float, multiplier: int = 1) -> str:
    told = {UPBIT: seen(UPBIT, KRW_BTC=(krw, krw)), USDM: seen(USDM, BTCUSDT=(usdt, usdt))}
    pair = attrs.evolve(BTC, multiplier=D(multiplier), identity_max_dev=0.1)
    return identity_finding(pair, told, D(1_000)).state.value


def test_two_instruments_are_the_same_asset_while_their_prices_are():
    assert identity(100_000.0, 100.0) == "ok"
    assert identity(109_900.0, 100.0) == "ok"
    assert identity(110_000.0, 100.0) == "error"
    assert identity(89_990.0, 100.0) == "error"
    assert identity(100_000.0, 100_000.0, multiplier=1_000) == "ok"
    assert identity(100_000.0, 100.0, multiplier=1_000) == "error"
    assert identity_finding(BTC, {}, D(1_000)).state is ComponentState.SKIP


def key(permission: Permission | None = None, **told: Any) -> list[str]:
    facts: dict[str, Any] = {
        "may_trade": True,
        "may_withdraw": False,
        "is_ip_restricted": True,
        "is_sub_account": None,
        "expires_ms": None,
        "words": "w",
    }
    permissions = KeyPermissions(**(facts | told))
    return [one.state.value for one in judged_key(UPBIT, permissions, permission, now_ms=0)]


def test_a_key_trades_and_does_nothing_else():
    assert key() == ["ok"]
    assert key(may_withdraw=True) == ["error"]
    assert key(may_trade=False) == ["error"]
    assert key(may_withdraw=None) == ["warn"]
    assert key(may_withdraw=None, permission=PERMISSION) == ["ok"]
    assert key(may_withdraw=None, is_sub_account=True) == ["ok"]
    assert key(is_ip_restricted=False) == ["ok", "warn"]
    assert key(expires_ms=86_400_000) == ["ok", "warn"]
    assert key(expires_ms=15 * 86_400_000) == ["ok"]


def test_the_whole_is_as_bad_as_its_worst_part():
    good, bad = fine("a", "", "b"), wrong("a", "", "b", "c")

    assert (has_error([good]), overall([good])) == (False, ComponentState.OK)
    assert (has_error([good, bad]), overall([good, bad])) == (True, ComponentState.ERROR)


# --- all of it -------------------------------------------------------------------------------------------------------


def test_in_mock_mode_it_serves_its_own_venues_and_finds_nothing_wrong(tmp_path, capsys):
    words = ["doctor", str(LIVE), "--set", f"data_dir={tmp_path}/new", "--set", "monitoring.metrics_port=0"]

    assert main([*words, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["mode"], body["status"]) == ("mock", "ok")
    assert {"clock", "account", "instrument", "FX", "identity", "data_dir", "disk", "port"} <= {
        one["check"] for one in body["checks"]
    }
    assert all(one["status"] in ("ok", "skip") for one in body["checks"]), body
    assert not (tmp_path / "new").exists()

    assert main(words) == 0
    out = capsys.readouterr().out
    assert "identity BTC" in out
    assert out.rstrip().endswith("doctor: OK")


def live_against(served: dict[str, ServedVenue], tmp_path: Path, **keys: str) -> Loaded:
    environ: dict[str, str] = {}
    values = {"data_dir": str(tmp_path), "monitoring.metrics_port": "0", "arm.file": str(tmp_path / "ok")}
    for venue in (UPBIT, SPOT, USDM):
        one = served[venue]
        assert one.credentials is not None
        values[f"venues.{venue}.rest_url"] = one.rest
        prefix = f"ARB__VENUES__{venue.upper()}"
        environ |= {f"{prefix}__KEY": one.credentials.key, f"{prefix}__SECRET": one.credentials.secret}
    values["fx.bank_url"] = served["dunamu"].rest
    sets = [f"{name}={value}" for name, value in values.items()]
    return load_settings(LIVE, overrides=sets, flags={"mode": "live"}, environ=environ | keys)


async def test_against_venues_of_another_process_it_reads_keys_and_accounts_and_changes_nothing(tmp_path):
    clock = AnchoredClock()
    async with trio.open_nursery() as nursery:
        served = await nursery.start(serve_simulation, sim_params(SETTINGS, listed_everywhere(SETTINGS), clock), clock)
        loaded = live_against(served, tmp_path)
        write_permission(tmp_path / "ok", PERMISSION)
        assert traded_venues(loaded.settings) == (UPBIT, USDM)

        for _ in range(2):
            found = dict(states(await everything(loaded, {"LIVE_TRADING": "1"}, UID, is_quiet=True)))
            assert found["key upbit"] == found["key binance_usdm"] == "ok"
            assert found["account upbit"] == found["account binance_usdm"] == "ok"
            assert found["account mode binance_usdm:BTCUSDT"] == "warn"
            assert found["permission " + str(tmp_path / "ok")] == found["environment LIVE_TRADING"] == "ok"
            assert "error" not in found.values()

        wrong_key = live_against(served, tmp_path, ARB__VENUES__BINANCE_USDM__SECRET="not-the-secret")
        found = dict(states(await everything(wrong_key, {}, UID, is_quiet=True)))
        assert found["key upbit"] == "ok"
        assert "error" in (found.get("key binance_usdm"), found.get("account binance_usdm"))
        nursery.cancel_scope.cancel()
