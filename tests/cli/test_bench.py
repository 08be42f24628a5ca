"""`arb bench` keeps its contract; how fast anything is, no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arb.cli.bench import all_measures
from arb.cli.main import main
from arb.cli.measures.timing import BenchResult, Effort, against, interleaved, quantile, result

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
PROMISED = (
    "decode/upbit/orderbook15", "decode/upbit/orderbook30", "decode/binance_spot/depth20", "book/binance/depth_update",
    "feed/saturated/tls", "feed/saturated/plain", "feed/latency/1000/plain", "feed/latency/5000/tls",
    "engine/step/market", "engine/step/intent", "engine/events_per_second", "order/wire", "order/roundtrip",
    "sign/upbit", "sign/binance", "start/ready", "start/help", "start/rss", "shutdown", "scale/instruments/100",
)  # fmt: skip


def test_one_document_names_the_machine_and_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "--quick", "--json", "--only", "decode", "--config", str(LIVE)])

    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert set(document) == {"machine", "results"}
    assert {"python", "cpu", "cpu_count"} <= set(document["machine"])
    assert {row["name"] for row in document["results"]} >= {"decode/upbit/orderbook15", "decode/binance_spot/depth20"}
    for row in document["results"]:
        assert {"name", "unit", "median", "p99", "n"} <= set(row)
        assert row["unit"] == "us"
        assert 0 < row["median"] <= row["p99"]
        assert row["n"] > 0
        assert row["ratio"] == pytest.approx(row["median"] / row["reference_median"], rel=0.01)


def test_every_promised_name_can_be_measured() -> None:
    names = [name for measure in all_measures(LIVE) for name in measure.names]

    assert set(PROMISED) <= set(names)
    assert len(names) == len(set(names))


def test_a_prefix_that_nothing_has_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "--only", "nonsense", "--config", str(LIVE)])

    assert code == 2
    assert "decode" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["engine/step/market", "scale", "sign"])
def test_a_measure_gives_the_names_it_promises(prefix: str) -> None:
    (measure,) = (each for each in all_measures(LIVE) if each.names[0].startswith(prefix))

    found = measure.run(Effort(is_quick=True))

    assert tuple(each.name for each in found) == measure.names


def test_a_row_carries_its_reference_and_notes() -> None:
    found = against(result("a", "us", [1.0, 2.0, 3.0], kind="x"), "other", [4.0])

    assert found.as_row() == {
        "name": "a", "unit": "us", "median": 2.0, "p99": 3.0, "n": 3, "reference": "other", "reference_median": 4.0,
        "ratio": 0.5, "kind": "x",
    }  # fmt: skip


def test_candidates_take_turns_in_every_round() -> None:
    order: list[str] = []

    def candidate(name: str) -> list[float]:
        order.append(name)
        return [1.0]

    samples = interleaved({"a": lambda: candidate("a"), "b": lambda: candidate("b")}, 2)

    assert order == ["a", "b", "a", "b"]
    assert samples == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_quantiles_are_samples() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.99) == 1.0
    assert isinstance(result("a", "us", [1.0]), BenchResult)
