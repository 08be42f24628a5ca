"""What happens while nobody runs, and what a start makes of it: each has one outcome.

What an operator or a limit put in force outlives the process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from arb.domain.errors import ConfigError
from arb.domain.events import CommandKind, StorageSeen
from arb.domain.ids import InstrumentId
from arb.domain.order import OrderType, Side, TimeInForce
from arb.risk.trading_state import Cause
from arb.supervision.stopping import Stop
from arb.venues.simulated.facts import NewOrder
from arb.venues.simulated.models import FaultKind
from tests.scenario.dying import Life
from tests.scenario.live import LiveWorld, commanded, deciding, in_live_world
from tests.scenario.test_kill import REST_S, agrees

LOOK_S: Final = 0.05
LOOKS: Final = 1_200
WRITTEN_S: Final = 1.0
"""So much later a step is on the disk."""


async def looked_until(is_time: Callable[[Life], bool], life: Life) -> None:
    """Wait until something is so, or for as long as it should have taken."""
    for _ in range(LOOKS):
        await trio.sleep(LOOK_S)
        if is_time(life):
            break


async def killed_when(is_time: Callable[[Life], bool], life: Life) -> None:
    """Die as soon as something is so, or soon after it should have been."""
    await looked_until(is_time, life)
    life.kill()


def is_open(life: Life) -> bool:
    """A position is held and nothing is under way."""
    return life.began_trading_s is not None and bool(life.engine.open_positions()) and life.engine.is_settled()


async def left_open(world: LiveWorld) -> Life:
    """A run that died with a position."""
    life = await world.run(beside=partial(killed_when, is_open))
    assert life.reason is None, life.reason
    return life


async def refused(world: LiveWorld, words: str, beside: Callable[[Life], Awaitable[None]] | None = None) -> Life:
    """The next start ends with exit code 4 before the first order, and names what is wrong."""
    life = await world.run(seconds=5.0, beside=beside)
    assert life.reason is not None
    assert (life.reason.stop, life.reason.stop.exit_code) == (Stop.UNSAFE, 4), life.reason
    assert words in life.reason.text, life.reason.text
    assert [one for one in life.moments if one.name.endswith("order leaves")] == []
    return life


async def sold_by_hand(world: LiveWorld) -> None:
    """Somebody else sells the coins that were held."""
    held = {str(one.asset): one.free for one in world.desk("upbit").balances()}
    coin = next(asset for asset in ("BTC", "ETH") if held.get(asset))
    order = NewOrder(
        client_order_id="", instrument=InstrumentId(f"upbit:KRW-{coin}"), side=Side.SELL,
        order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, qty=held[coin],
    )  # fmt: skip
    world.desk("upbit").submit(order, world.clock.wall_ns())
    world.simulation.stir()


def test_a_quantity_that_changed_while_nobody_ran_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        await sold_by_hand(world)
        await trio.sleep(REST_S)
        await refused(world, "on upbit: the venue holds")
        decided = await world.run(errand=deciding(CommandKind.ADOPT))
        assert decided.engine.differences() == ()
        life = await world.run(seconds=15.0)
        assert life.began_trading_s is not None
        assert life.parts.missing == ()
        assert life.reason is not None
        assert life.reason.stop is Stop.GRACEFUL, life.reason
        assert life.engine.unbalanced() == ()
        assert life.engine.differences() == ()

    in_live_world(tmp_path, scenario)


def test_a_position_that_the_venue_cut_while_nobody_ran_is_booked_as_listed_and_made_equal(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        held = (await left_open(world)).engine.open_positions()[0]
        world.strike("binance_usdm", FaultKind.ADL)
        await trio.sleep(REST_S)
        life = await world.run(seconds=15.0)
        assert life.began_trading_s is not None
        assert life.parts.missing == ()
        assert life.engine.memory.causes.has(Cause.EXTERNAL_HANDS, held.pair)
        decided = {one.name for one in life.moments if one.name.endswith("decided")}
        assert decided & {"reverse decided", "hedge decided"}
        assert "entry decided" not in decided
        await agrees(world, life)

    in_live_world(tmp_path, scenario)


def test_somebody_elses_coins_are_left_out_of_every_comparison_once_they_are_ignored(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        await sold_by_hand(world)
        await trio.sleep(REST_S)
        await refused(world, "on upbit: the venue holds")
        await world.run(errand=deciding(CommandKind.IGNORE))
        life = await world.run(seconds=5.0)
        assert life.began_trading_s is not None
        assert life.parts.missing == ()

    in_live_world(tmp_path, scenario)


def test_a_second_start_is_refused_while_the_first_one_runs(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        async def second(life: Life) -> None:
            await trio.sleep(2.0)
            with pytest.raises(ConfigError, match="is in use by the engine"):
                await world.run(seconds=1.0)

        first = await world.run(seconds=5.0, beside=second)
        assert first.reason is not None
        assert first.reason.stop is Stop.GRACEFUL

    in_live_world(tmp_path, scenario)


def test_without_permission_a_start_with_a_position_closes_it_and_opens_nothing(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        await left_open(world)
        world.permission_file.unlink()
        await trio.sleep(REST_S)
        life = await world.run(seconds=25.0)
        assert life.began_trading_s is not None
        assert life.parts.missing == ("permission_file_missing",)
        decided = {one.name for one in life.moments if one.name.endswith("decided")}
        assert "exit decided" in decided
        assert "entry decided" not in decided
        assert life.engine.open_positions() == ()
        await agrees(world, life)

    in_live_world(tmp_path, scenario)


def test_without_permission_and_with_nothing_open_it_goes_on_as_a_shadow_and_nothing_was_sent(tmp_path: Path) -> None:
    async def scenario(world: LiveWorld) -> None:
        world.permission_file.unlink()
        life = await world.run(seconds=5.0)
        assert life.began_trading_s is None
        assert life.parts.shadow_because == ("permission_file_missing",)
        assert [ledger["orders"] for ledger in world.ledgers().values()] == [[], []]

    in_live_world(tmp_path, scenario)


@pytest.mark.parametrize(
    ("kind", "cause"), [(CommandKind.PAUSE, Cause.PAUSE), (CommandKind.FREEZE, Cause.FREEZE)], ids=["pause", "freeze"]
)
def test_what_an_operator_ordered_outlives_the_process_until_resume(
    tmp_path: Path, kind: CommandKind, cause: Cause
) -> None:
    async def scenario(world: LiveWorld) -> None:
        async def order_then_die(life: Life) -> None:
            await trio.sleep(0.5)
            commanded(life.parts, kind)
            await trio.sleep(1.0)
            life.kill()

        await world.run(beside=order_then_die)
        before = sum(len(ledger["orders"]) for ledger in world.ledgers().values())
        await trio.sleep(REST_S)

        async def resume(life: Life) -> None:
            await trio.sleep(8.0)
            assert life.engine.memory.causes.has(cause)
            assert sum(len(ledger["orders"]) for ledger in world.ledgers().values()) == before
            commanded(life.parts, CommandKind.RESUME)

        life = await world.run(seconds=25.0, beside=resume)
        assert not life.engine.memory.causes.has(cause)
        assert sum(len(ledger["orders"]) for ledger in world.ledgers().values()) > before

    in_live_world(tmp_path, scenario)


async def lost_too_much(world: LiveWorld) -> Life:
    """A run that closed a position at a loss larger than a day's may be."""

    def is_reached(life: Life) -> bool:
        return life.engine.memory.causes.has(Cause.DAILY_LOSS)

    async def closed_then_dead(life: Life) -> None:
        await looked_until(is_open, life)
        commanded(life.parts, CommandKind.FLATTEN, life.engine.open_positions()[0].pair)
        await looked_until(is_reached, life)
        await trio.sleep(WRITTEN_S)
        life.kill()

    return await world.run(beside=closed_then_dead, overrides=["risk.daily_loss_krw=1"])


async def disk_was_full(world: LiveWorld) -> Life:
    """A run that could not write its tables any more, while it held a position."""

    async def full_then_dead(life: Life) -> None:
        await looked_until(is_open, life)
        full = StorageSeen(at_ns=life.parts.around.clock.monotonic_ns(), is_low=False, is_full=True, detail="a test")
        life.parts.sink.put_account(full)
        await trio.sleep(WRITTEN_S)
        life.kill()

    return await world.run(beside=full_then_dead)


@pytest.mark.parametrize(
    ("happens", "cause"),
    [(lost_too_much, Cause.DAILY_LOSS), (disk_was_full, Cause.STORAGE_FULL)],
    ids=["reducing", "halted"],
)
def test_what_a_limit_put_in_force_outlives_the_process_until_resume(
    tmp_path: Path, happens: Callable[[LiveWorld], Awaitable[Life]], cause: Cause
) -> None:
    async def scenario(world: LiveWorld) -> None:
        assert (await happens(world)).engine.memory.causes.has(cause)
        await trio.sleep(REST_S)

        async def resume(life: Life) -> None:
            await trio.sleep(15.0)
            assert life.engine.memory.causes.has(cause)
            assert [one.name for one in life.moments if one.name.endswith("decided")] == []
            commanded(life.parts, CommandKind.RESUME)

        life = await world.run(seconds=35.0, beside=resume)
        assert life.parts.missing == ()
        assert not life.engine.memory.causes.has(cause)
        assert "entry decided" in {one.name for one in life.moments}
        await agrees(world, life)

    in_live_world(tmp_path, scenario)
