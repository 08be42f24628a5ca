"""Killed at every moment of an entry and of an exit, the next start takes up what is there, and every fill counts once.

The venues go on while nobody runs; the runs of a test follow each other in one world, each killed one moment later than
the one before.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import attrs
import pytest
import trio

from arb.cli.assembly import Assembly
from arb.engine import Engine
from arb.supervision.stopping import Stop
from arb.venues.simulated.models import FaultKind
from tests.scenario.dying import Keep, Life, Moment
from tests.scenario.live import VENUES, LiveWorld, in_live_world

REST_S: Final = 8.0
"""Between two runs: a venue's budget of requests is for a few starts per minute."""
BUDGET_S: Final = 60.0
"""After so long a venue has forgotten what was asked of it."""
TRADE_S: Final = 0.3
"""An entry or exit is over so soon after it was decided."""
MOMENTS: Final = 60
"""A trade has fewer; the run that outlives them all has to be among as many."""
SETTLE_S: Final = 20.0
SEEDS: Final = range(3)
"""More of them find more; each costs a few seconds."""
FAULTS: Final = (
    FaultKind.TIMEOUT_THEN_ACCEPT,
    FaultKind.DISCONNECT,
    FaultKind.HALF_OPEN,
    FaultKind.HTTP_5XX,
    FaultKind.PARTIAL_FILL,
    FaultKind.REJECT,
    FaultKind.SEQUENCE_GAP,
)


@attrs.define
class Nth:
    """The moment so many after a decision is the last one."""

    what: str
    """`entry` or `exit`."""
    count: int
    first: Moment | None = None

    def __call__(self, moment: Moment, _parts: Assembly) -> bool:
        if self.first is None and moment.name == f"{self.what} decided":
            self.first = moment
        if self.first is None or moment.at_s - self.first.at_s > TRADE_S:
            return False
        return moment.index - self.first.index == self.count


@pytest.mark.parametrize(
    ("what", "leg_order", "keep"),
    [
        ("entry", "uncertain_first", Keep.NONE),
        ("exit", "uncertain_first", Keep.TORN),
        ("entry", "simultaneous", Keep.TORN),
        ("exit", "simultaneous", Keep.ALL),
    ],
)
def test_killed_at_every_moment_of_a_trade_the_next_start_takes_it_up(
    tmp_path: Path, what: str, leg_order: str, keep: Keep
) -> None:
    names = in_live_world(
        tmp_path, partial(every_moment, what=what, keep=keep), overrides=[f"execution.leg_order={leg_order}"]
    )

    assert {f"{what} decided", f"{what} queued", "synced"} <= set(names)
    assert {"order leaves", "order left", "answer"} <= {name.partition(" ")[2] for name in names}


async def every_moment(world: LiveWorld, *, what: str, keep: Keep) -> list[str]:
    """Die one moment later each time, until the trade is over before that; the names of the moments."""
    names: list[str] = []
    for _ in range(MOMENTS):
        fatal = Nth(what, len(names))
        life = await world.run(seconds=30.0, fatal=fatal, keep=keep)
        assert life.began_trading_s is not None, life.reason
        assert life.began_trading_s - life.began_s < SETTLE_S
        if life.reason is not None:
            await agrees(world, life)
            return names
        names.append(life.moments[-1].name)
        await trio.sleep(REST_S)
    pytest.fail(f"the trade is not over after {len(names)} moments: {names}")


async def agrees(world: LiveWorld, life: Life) -> None:
    """A run that ended by itself has left one truth."""
    assert life.reason is not None
    assert life.reason.stop is Stop.GRACEFUL, life.reason
    assert world.differences() == []
    assert life.engine.unbalanced() == ()
    assert legs_differ(life.engine) == []
    for ledger in world.ledgers().values():
        ids = [order["client_order_id"] for order in ledger["orders"]]
        assert len(ids) == len(set(ids))
        assert ledger["duplicated_ids"] == 0


def legs_differ(engine: Engine) -> list[str]:
    """Open positions whose legs are not equal to a lot."""
    return [found.pair for found in engine.open_positions() if abs(found.net_qty) >= Decimal("0.001")]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_kills_amid_faults_of_the_venues_leave_one_truth(tmp_path: Path, seed: int) -> None:
    leg_order = ("uncertain_first", "simultaneous")[seed % 2]

    in_live_world(tmp_path, partial(at_random, seed=seed), seed=seed, overrides=[f"execution.leg_order={leg_order}"])


async def at_random(world: LiveWorld, *, seed: int) -> None:
    """Several lives that end amid trouble, during the settling, or before the first step; then a calm one."""
    chance = Random(seed)
    for _ in range(6):
        at_s = chance.choice((0.0, chance.uniform(0.0, 0.3), chance.uniform(1.0, 6.0), chance.uniform(3.0, 14.0)))
        fault_s, for_s = max(0.0, at_s - chance.uniform(0.0, 3.0)), chance.uniform(0.5, 6.0)
        trouble = partial(struck, world, chance.choice(VENUES), chance.choice(FAULTS), fault_s, for_s, at_s)
        life = await world.run(beside=trouble, keep=chance.choice(list(Keep)))
        assert life.reason is None, life.reason
        await trio.sleep(chance.uniform(0.0, REST_S))
    await trio.sleep(BUDGET_S)
    await agrees(world, await world.run(seconds=30.0))


async def struck(
    world: LiveWorld, venue: str, fault: FaultKind, fault_s: float, for_s: float, at_s: float, life: Life
) -> None:
    """Trouble at a venue, then death."""
    await trio.sleep(fault_s)
    world.strike(venue, fault, for_s)
    await trio.sleep(at_s - fault_s)
    life.kill()
