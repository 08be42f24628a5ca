"""Configuration: precedence, interpolation, and faults in one sentence each."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from arb.cli.schema import Mode
from arb.cli.settings import Loaded, load_settings, strategy_params
from arb.domain.errors import ConfigError

LIVE = Path(__file__).parents[2] / "config" / "live.toml"


def load(text: str | None = None, tmp_path: Path | None = None, **words: object) -> Loaded:
    path = LIVE
    if text is not None:
        assert tmp_path is not None
        path = tmp_path / "c.toml"
        path.write_text(LIVE.read_text() + text if text.startswith("\n") else text)
    environ = words.pop("environ", {})
    return load_settings(path, environ=environ, **words)  # type: ignore[arg-type]  # words are the keywords of load_settings


def faults(**words: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(**words)  # type: ignore[arg-type]  # as above
    return str(caught.value).splitlines()


def test_the_shipped_configuration_is_valid_and_starts_in_mock() -> None:
    loaded = load()

    assert loaded.settings.mode is Mode.MOCK
    assert loaded.settings.risk.max_position_krw == Decimal(2_000_000)
    assert set(loaded.mock_keys) == {
        "strategy.convergence.fair_bps",
        "strategy.convergence.min_hold_s",
        "strategy.convergence.cooldown_s",
    }
    assert strategy_params(loaded.settings, "BTC").min_hold_s == 1


def test_mock_timers_do_not_reach_paper() -> None:
    loaded = load(flags={"mode": "paper"})

    assert loaded.mock_keys == ()
    assert strategy_params(loaded.settings, "BTC").min_hold_s == 30
    assert strategy_params(loaded.settings, "BTC").fair_bps is None


def test_overrides_beat_environment_beats_file() -> None:
    environ = {"ARB__RISK__MAX_SKEW_MS": "300", "ARB__EXECUTION__COLLAR_BPS": "4"}

    loaded = load(environ=environ, overrides=["risk.max_skew_ms=200"])

    assert (loaded.settings.risk.max_skew_ms, loaded.settings.execution.collar_bps) == (200, 4.0)
    assert loaded.origins["risk", "max_skew_ms"] == "--set"
    assert loaded.origins["execution", "collar_bps"] == "ARB__EXECUTION__COLLAR_BPS"
    assert loaded.origins["risk", "max_quiet_s"] == "file"


def test_a_pair_may_have_parameters_of_its_own() -> None:
    loaded = load(overrides=["pairs.ETH.params.min_profit_bps=20"])

    assert strategy_params(loaded.settings, "ETH").min_profit_bps == 20.0
    assert strategy_params(loaded.settings, "BTC").min_profit_bps == 12.0


def test_all_faults_are_told_at_once_each_with_its_remedy() -> None:
    found = faults(
        overrides=[
            "risk.max_skew_msec=1",
            "risk.leverage=200",
            "fx.hedge=treasure",
            "interval=fast",
            "ws.restart_budget.restarts=1.5",
        ]
    )

    text = "\n".join(found)
    assert len(found) == 5
    assert all(str(LIVE) in line for line in found)
    assert "unknown key 'max_skew_msec'; did you mean 'max_skew_ms'?" in text
    assert "risk.leverage: 200 is outside its range, 1 to 20 times" in text
    assert "fx.hedge: 'treasure' is not one of none, treasury, per_trade; did you mean 'treasury'?" in text
    assert "interval: expected a number, found 'fast'" in text
    assert "ws.restart_budget.restarts: expected a whole number" in text


def test_a_missing_trading_key_has_no_default(tmp_path: Path) -> None:
    text = LIVE.read_text().replace("max_position_krw = 2_000_000 ", "# ")

    assert any("max_position_krw" in line and "missing" in line for line in faults(text=text, tmp_path=tmp_path))


@pytest.mark.parametrize(
    "key", ["mock.risk.max_position_krw=1", "mock.strategy.convergence.min_profit_bps=1", "mock.execution.collar_bps=9"]
)
def test_mock_may_not_touch_limits_or_thresholds(key: str) -> None:
    assert any("[mock] may change timers" in line for line in faults(overrides=[key]))


def test_interpolation_takes_environment_defaults_and_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t-from-file\n")
    lines = (
        "",
        "[venues.upbit]",
        'key = "${UPBIT_KEY}"',
        f'secret = "${{file:{secret}}}"',
        'rest_url = "${REST:-http://127.0.0.1:1}/x"',
        'max_depth = "${DEPTH:-5}"',
        "",
    )
    text = "\n".join(lines)

    loaded = load(text=text, tmp_path=tmp_path, environ={"UPBIT_KEY": "12345678"})

    venue = loaded.settings.venues["upbit"]
    assert (venue.key, venue.secret, venue.rest_url, venue.max_depth) == (
        "12345678",
        "s3cr3t-from-file",
        "http://127.0.0.1:1/x",
        5,
    )
    assert "s3cr3t" not in repr(loaded.settings)


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    (line,) = faults(text='\n[venues.upbit]\nkey = "${UPBIT_KEY}"\n', tmp_path=tmp_path)

    assert "venues.upbit.key" in line
    assert "UPBIT_KEY is not set" in line


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("this is not toml", "is not TOML"), ("mode = 'mock'", "missing")],
)
def test_what_is_not_a_configuration_is_said_plainly(text: str, wanted: str, tmp_path: Path) -> None:
    assert any(wanted in line for line in faults(text=text, tmp_path=tmp_path))


def test_a_missing_file_is_said_plainly() -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_settings(Path("/nonexistent.toml"), environ={})


@pytest.mark.parametrize(("key", "wanted"), [("take_profit_bps=0", "take_profit"), ("stop_loss_bps=20", "stop_loss")])
def test_parameters_that_cannot_earn_are_refused(key: str, wanted: str) -> None:
    assert any(wanted in line for line in faults(overrides=[f"strategy.convergence.{key}"]))


def test_a_hedge_per_trade_is_refused_because_nothing_would_send_it() -> None:
    assert any("fx.hedge" in line and "third order" in line for line in faults(overrides=["fx.hedge=per_trade"]))


def test_every_key_of_the_shipped_file_is_explained() -> None:
    bare = [
        line for line in LIVE.read_text().splitlines() if "=" in line and not line.startswith("#") and "#" not in line
    ]
    allowed = (
        "name",
        "a ",
        "b ",
        "kind",
        "multiplier",
        "directions",
        "identity",
        "strategy",
        "backend",
        "enabled",
        "host",
        "json",
        "level",
        "warn_",
        "binance_order",
        "seed",
    )

    assert [line for line in bare if not line.startswith(allowed)] == []


def test_every_key_is_read_somewhere() -> None:
    rooms = Path(__file__).parents[2] / "arb"
    schema = (rooms / "cli" / "schema.py").read_text()
    program = "".join(path.read_text() for path in rooms.rglob("*.py") if path.name != "schema.py")
    keys = set(re.findall(r"^    (\w+): ", schema, re.MULTILINE)) - {"mock"}

    assert len(keys) > 60
    assert {key for key in keys if not re.search(rf"\.{key}\b", program)} == set()
    assert 'tree.get("mock"' in program


SECRET_WORD = "12345678901234"


@pytest.mark.parametrize(
    "environ",
    [
        {"ARB__VENUES__UPBIT__SECRET__INNER": SECRET_WORD},
        {"ARB__VENUES__UPBIT": SECRET_WORD},
        {"ARB__VENUES__UPBIT": f'{{"secret"="{SECRET_WORD}"'},
        {"ARB__VENUES__UPBIT__KEY": SECRET_WORD, "ARB__VENUES__UPBIT__SECERT": SECRET_WORD},
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(LIVE, environ=environ)

    assert SECRET_WORD not in str(error.value)


def test_a_secret_of_digits_is_text() -> None:
    environ = {"ARB__VENUES__UPBIT__KEY": SECRET_WORD, "ARB__VENUES__UPBIT__SECRET": SECRET_WORD}

    assert load_settings(LIVE, environ=environ).settings.venues["upbit"].secret == SECRET_WORD


def test_a_secret_is_not_taken_from_the_command_line() -> None:
    with pytest.raises(ConfigError, match="for everybody to read") as error:
        load_settings(LIVE, overrides=[f"venues.upbit.secret={SECRET_WORD}"], environ={})

    assert SECRET_WORD not in str(error.value)
