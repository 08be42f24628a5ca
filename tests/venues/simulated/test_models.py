"""Parameters and chance of the simulated venues."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arb.domain.errors import ConfigError
from arb.domain.ids import InstrumentId
from arb.domain.instrument import InstrumentKind
from arb.venues.simulated.chance import Chance, stream
from arb.venues.simulated.listings import listing
from arb.venues.simulated.models import MODELS, FaultKind, LatencyModel


def test_splitmix_gives_the_published_numbers() -> None:
    chance = Chance(1234567)
    assert [chance.word() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_streams_of_two_names_differ_and_of_one_name_agree() -> None:
    assert stream(1, "a").word() == stream(1, "a").word()
    assert len({stream(1, "a").word(), stream(1, "b").word(), stream(2, "a").word(), stream(1, "").word()}) == 4


def test_normal_and_latency_have_their_moments() -> None:
    chance = stream(3, "moments")
    normals = [chance.normal() for _ in range(20_000)]
    assert abs(sum(normals) / len(normals)) < 0.03
    assert abs(sum(x * x for x in normals) / len(normals) - 1.0) < 0.05
    model = LatencyModel(p50_ms=60.0, p99_ms=400.0)
    delays = sorted(model.draw_ns(chance) for _ in range(20_000))
    assert delays[10_000] == pytest.approx(60e6, rel=0.05)
    assert delays[19_800] == pytest.approx(400e6, rel=0.15)
    assert LatencyModel().draw_ns(chance) == 0


def test_below_stays_below() -> None:
    chance = stream(4, "below")
    assert {chance.below(3) for _ in range(200)} == {0, 1, 2}


def test_every_model_stands_under_its_own_name_and_only_momentary_faults_are_once() -> None:
    assert {name for name, model in MODELS.items() if name == model.venue} == {"upbit", "binance_spot", "binance_usdm"}
    assert {kind.value for kind in FaultKind if kind.is_once} == {"tcp_reset", "sequence_gap", "adl"}


@pytest.mark.parametrize(
    ("name", "tick", "lot"),
    [
        ("upbit:KRW-BTC", "1000", "0.00000001"),
        ("upbit:KRW-USDT", "1000", "0.00000001"),
        ("binance_spot:BTCUSDT", "0.01", "0.00001"),
        ("binance_usdm:BTCUSDT", "0.10", "0.001"),
        ("binance_usdm:PEPEUSDT", "0.0001", "0.1"),
    ],
)
def test_listed_rules(name: str, tick: str, lot: str) -> None:
    rules = listing(InstrumentId(name))
    assert (format(rules.ticks.bands[0].tick, "f"), format(rules.lot, "f")) == (tick, lot)
    assert (rules.kind is InstrumentKind.PERPETUAL) == name.startswith("binance_usdm")


def test_krw_usdt_moves_by_one_won() -> None:
    rules = listing(InstrumentId("upbit:KRW-USDT"))
    assert rules.ticks.tick_at(Decimal(1450)) == 1


@pytest.mark.parametrize("name", ["upbit:BTC-ETH", "upbit:KRW-", "binance_spot:BTCEUR", "kraken:XBTUSD"])
def test_what_nobody_lists_is_said(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        listing(InstrumentId(name))
