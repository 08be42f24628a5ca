"""Money that moved while nobody ran is booked from what the venues list, once, however often the engine starts."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
import trio

from arb.state.holdings import AssetTally
from tests.scenario.live import LiveWorld, in_live_world
from tests.scenario.test_kill import REST_S, agrees
from tests.scenario.test_recovery_live import left_open

SETTLEMENT_S: Final = 28_800.0
FUNDING_S: Final = 30.0
"""A world begins so long before a settlement."""


def table(world: LiveWorld, name: str) -> list[dict[str, str]]:
    """The newest revision of every row of all runs."""
    newest: dict[str, dict[str, str]] = {}
    with (world.data.csv / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            newest[row["id"]] = row
    return list(newest.values())


async def tallied(world: LiveWorld) -> Mapping[str, AssetTally]:
    """A short run that may trade and ends with one truth; what has moved each asset, as it was when the run ended."""
    life = await world.run(seconds=5.0)
    assert life.began_trading_s is not None
    assert life.parts.missing == ()
    await agrees(world, life)
    await trio.sleep(REST_S)
    return life.engine.memory.ledger.holdings.tallies


def test_money_that_came_or_left_while_nobody_ran_is_booked_as_the_venues_list_it_and_the_next_start_arms(
    tmp_path: Path,
) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        world.deposit("upbit", "KRW", "1000000")
        world.deposit("upbit", "BTC", "0.05")
        world.deposit("binance_usdm", "USDT", "-500")
        await trio.sleep(REST_S)
        for _ in range(2):
            tallies = await tallied(world)
            assert {key: one.transfers for key, one in tallies.items() if one.transfers} == {
                "upbit/KRW": Decimal(1_000_000),
                "upbit/BTC": Decimal("0.05"),
                "binance_usdm/USDT": Decimal(-500),
            }
        rows = table(world, "transfers")
        assert len(rows) == 3
        assert [row["id"] for row in rows if "unknown" in row["id"]] == []
        assert abs(Decimal(table(world, "account")[-1]["unexplained_krw"])) < 1

    in_live_world(tmp_path, scenario)


def test_funding_that_fell_due_while_nobody_ran_is_booked_once_and_to_the_position(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        held = (await left_open(world)).engine.open_positions()[0].pair
        await trio.sleep(FUNDING_S)
        tallies = [await tallied(world) for _ in range(2)]
        paid = [Decimal(one["amount"]) for one in world.ledgers()["binance_usdm"]["funding"]]
        assert len(paid) == 1
        rows = table(world, "funding")
        assert [(row["pair"], Decimal(row["amount"])) for row in rows] == [(held, paid[0])]
        assert [one["binance_usdm/USDT"].funding for one in tallies] == paid * 2
        position = next(row for row in table(world, "positions") if row["pair"] == held)
        assert Decimal(position["funding_usdt"]) == pytest.approx(paid[0])

    in_live_world(tmp_path, scenario, day_s=SETTLEMENT_S - FUNDING_S)
