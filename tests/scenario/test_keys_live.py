"""Keys that fail before or during a start, and keys that may do too much: by what is open, each has one outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from arb.supervision.stopping import Stop
from arb.venues.simulated.dialect_binance_usdm import BinanceUsdmDialect
from arb.venues.simulated.models import FaultKind
from tests.scenario.dying import Life
from tests.scenario.live import VENUES, LiveWorld, in_live_world
from tests.scenario.test_kill import REST_S, agrees
from tests.scenario.test_recovery_live import killed_when, left_open, refused

FOR_GOOD_S: Final = 1e6
LATER_S: Final = 0.5
A_MINUTE_S: Final = 60.0
ENOUGH_FOR_ALL_ELSE: Final = 400
"""Of the venue's weight per minute: what a start spends before it asks for the key."""
OVERRIDES: Final = ("watchdog.startup_grace_s=10", "execution.unknown_grace_s=4")
"""A start compares what the venues hold no sooner than so long after the last execution."""


def refuses(venue: str, world: LiveWorld) -> None:
    """Its key is not accepted any more."""
    world.strike(venue, FaultKind.KEY_REFUSED, FOR_GOOD_S)


def sent(world: LiveWorld) -> int:
    """How many orders the venues have ever had from us."""
    return sum(len(ledger["orders"]) for ledger in world.ledgers().values())


async def went_on_as_shadow(world: LiveWorld, word: str, beside: Callable[[Life], Awaitable[None]] | None) -> None:
    """The next run is asked to go on as a shadow, and sends nothing."""
    before = sent(world)
    life = await world.run(seconds=5.0, beside=beside)
    assert life.began_trading_s is None
    assert life.reason is not None
    assert life.reason.stop is Stop.GRACEFUL, life.reason
    assert word in life.parts.shadow_because
    assert sent(world) == before


@pytest.mark.parametrize("venue", VENUES)
def test_a_key_that_is_refused_while_a_position_is_open_ends_the_start_before_the_first_order(
    tmp_path: Path, venue: str
) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        refuses(venue, world)
        await trio.sleep(REST_S)
        await refused(world, f"credentials_refused:{venue}")

    in_live_world(tmp_path, scenario, overrides=OVERRIDES)


@pytest.mark.parametrize("venue", VENUES)
def test_a_key_that_is_refused_with_nothing_open_makes_the_run_a_shadow(tmp_path: Path, venue: str) -> None:
    async def scenario(world: LiveWorld) -> None:
        refuses(venue, world)
        await trio.sleep(1.0)
        await went_on_as_shadow(world, f"credentials_refused:{venue}", None)

    in_live_world(tmp_path, scenario, overrides=OVERRIDES)


async def refused_later(venue: str, world: LiveWorld, life: Life) -> None:
    """The key is refused after the accounts were read once, and before they could be compared."""
    await trio.sleep(LATER_S)
    assert set(life.engine.memory.readings) == set(VENUES)
    assert not life.engine.is_reconciled()
    refuses(venue, world)


def is_closed(life: Life) -> bool:
    """A trade has ended, and the next one has not begun."""
    is_over = bool(life.engine.memory.ledger.ended) and not life.engine.has_open()
    return life.began_trading_s is not None and is_over and life.engine.is_settled()


@pytest.mark.parametrize("venue", VENUES)
def test_a_key_that_is_refused_during_the_settling_ends_the_start_where_something_is_open(
    tmp_path: Path, venue: str
) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        await refused(world, f"credentials_refused:{venue}", partial(refused_later, venue, world))

    in_live_world(tmp_path, scenario, overrides=OVERRIDES)


@pytest.mark.parametrize("venue", VENUES)
def test_a_key_that_is_refused_during_the_settling_makes_a_shadow_where_nothing_is_open(
    tmp_path: Path, venue: str
) -> None:
    async def scenario(world: LiveWorld) -> None:
        life = await world.run(beside=partial(killed_when, is_closed), overrides=["strategy.convergence.cooldown_s=60"])
        assert life.engine.open_positions() == ()
        await went_on_as_shadow(world, f"credentials_refused:{venue}", partial(refused_later, venue, world))

    in_live_world(tmp_path, scenario, overrides=OVERRIDES)


def test_a_key_that_may_withdraw_opens_nothing_and_closes_what_is_open(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        world.strike("binance_spot", FaultKind.KEY_WITHDRAWS, FOR_GOOD_S)
        await trio.sleep(REST_S)
        life = await world.run(seconds=25.0)
        assert life.began_trading_s is not None
        assert life.parts.missing == ("withdrawal_permitted:binance_usdm",)
        decided = {one.name for one in life.moments if one.name.endswith("decided")}
        assert "exit decided" in decided
        assert "entry decided" not in decided
        assert life.engine.open_positions() == ()
        await agrees(world, life)

    in_live_world(tmp_path, scenario)


def test_a_key_that_may_withdraw_makes_a_shadow_where_nothing_is_open(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        world.strike("binance_spot", FaultKind.KEY_WITHDRAWS, FOR_GOOD_S)
        await trio.sleep(1.0)
        await went_on_as_shadow(world, "withdrawal_permitted:binance_usdm", None)

    in_live_world(tmp_path, scenario)


def test_a_key_that_waited_too_long_for_the_budget_of_its_venue_is_asked_for_anew(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        counter = world.simulation.fronts["binance_usdm"].dialect
        assert isinstance(counter, BinanceUsdmDialect)
        await trio.sleep(1.0)
        counter.budgets.weight.take(counter.budgets.weight.limit - ENOUGH_FOR_ALL_ELSE, world.clock.wall_ns())
        life = await world.run(seconds=1.0)
        assert life.began_trading_s is not None, life.parts.shadow_because
        assert life.began_trading_s - life.began_s > A_MINUTE_S / 2
        assert life.parts.missing == ()

    in_live_world(tmp_path, scenario)
