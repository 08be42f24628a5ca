"""The configurations that come with the program: legal, commented, and alike but for what they are for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from arb.cli.check import leaves
from arb.cli.schema import Mode
from arb.cli.settings import load_settings

CONFIG = Path(__file__).parents[2] / "config"
MOCK_ONLY = ("mock", "sim")
"""Sections that only the mock mode reads."""


def flat(tree: object, where: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, (*where, str(key)))
    elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
        for index, value in enumerate(tree):
            yield from flat(value, (*where, str(index)))
    else:
        yield ".".join(where), tree


def written(name: str) -> dict[str, object]:
    return dict(flat(tomllib.loads((CONFIG / name).read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("name", "mode"), [("live.toml", Mode.MOCK), ("paper.toml", Mode.PAPER), ("inventory.toml", Mode.MOCK)]
)
def test_a_shipped_configuration_is_legal_and_starts_without_keys(name: str, mode: Mode) -> None:
    settings = load_settings(CONFIG / name, environ={}).settings

    assert settings.mode is mode
    assert not [venue for venue in settings.venues.values() if venue.key or venue.secret]


def test_paper_differs_from_live_in_the_mode_and_in_what_only_mock_reads() -> None:
    live, paper = written("live.toml"), written("paper.toml")

    differing = {key for key in live.keys() | paper.keys() if live.get(key) != paper.get(key)}

    assert differing == {"mode"} | {key for key in live if key.split(".")[0] in MOCK_ONLY}


def test_inventory_differs_from_live_in_pair_strategy_place_and_what_coins_held_on_purpose_need() -> None:
    live, inventory = written("live.toml"), written("inventory.toml")

    differing = {key for key in live.keys() | inventory.keys() if live.get(key) != inventory.get(key)}
    elsewhere = {key for key in differing if key.split(".")[0] not in (*MOCK_ONLY, "pairs", "strategy")}
    elsewhere -= {key for key in elsewhere if key.startswith("paper.holdings.")}

    assert elsewhere == {"data_dir", "fx.home_usdt", "risk.max_net_delta_krw", "risk.min_usdt_reserve"}


def test_live_run_in_paper_mode_is_paper() -> None:
    as_paper = load_settings(CONFIG / "live.toml", environ={}, flags={"mode": "paper"}).settings
    paper = load_settings(CONFIG / "paper.toml", environ={}).settings

    def in_force(settings: object) -> dict[tuple[str, ...], object]:
        return {where: value for where, value, _ in leaves(settings, ()) if where[0] not in MOCK_ONLY}

    assert in_force(as_paper) == in_force(paper)


@pytest.mark.parametrize("name", ["live.toml", "paper.toml", "inventory.toml"])
def test_every_number_says_its_unit_or_its_range(name: str) -> None:
    bare = [
        line
        for line in (CONFIG / name).read_text(encoding="utf-8").splitlines()
        if line[:1].islower() and "=" in line and "#" not in line and line.partition("=")[2].strip()[0].isdigit()
    ]

    assert [line for line in bare if not line.startswith(("multiplier", "identity", "warn_"))] == []
