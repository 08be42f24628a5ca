"""`arb advice`: the engine's last view of its balances, in sentences and as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from arb.cli.main import main
from tests.cli.test_inventory_settings import STRATEGY, pair
from tests.scenario.whole import CONFIG, run_whole

DRIFTED = 'sim.holdings=[{venue="upbit",asset="BTC",amount=0.19},{venue="upbit",asset="KRW",amount=10000000},{venue="binance_spot",asset="BTC",amount=0.05},{venue="binance_spot",asset="USDT",amount=10000}]'  # noqa: E501  # one TOML value


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A run of some seconds over accounts whose coins lie on the wrong side; the words that name it."""
    directory = tmp_path_factory.mktemp("advice")
    words = (f"pairs=[{pair()}]", STRATEGY, DRIFTED)
    run_whole(directory, words, seconds=5)
    return tuple(text for word in (f"data_dir={directory}", *words) for text in ("--set", word))


def test_a_drifted_balance_is_told_with_its_cost_and_what_to_look_at(
    ran: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advice", str(CONFIG), *ran]) == 0
    told = capsys.readouterr().out

    assert "COINS: move 0.09 BTC from upbit to binance_spot (coins on A: 0.19 is above 0.18" in told
    assert "KRW, paid by" in told
    assert "  - take a network that both venues list as open" in told


def test_the_same_as_one_document(ran: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advice", str(CONFIG), "--json", *ran]) == 0
    body = msgspec.json.decode(capsys.readouterr().out)

    assert body["as_of_ns"] > 0
    assert [(item["asset"], item["amount"]) for item in body["advice"]] == [("BTC", "0.09")]


def test_another_pair_has_nothing_to_move(ran: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advice", str(CONFIG), "--pair", "ETH", *ran]) == 0

    assert "nothing to move" in capsys.readouterr().out


def test_without_a_journal_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advice", str(CONFIG), "--set", f"data_dir={tmp_path}"]) == 2

    assert "there is no journal; run the engine in this mode first" in capsys.readouterr().err
