"""What happens at a venue while its private stream is down reaches the books as it happened, on the whole engine."""

from __future__ import annotations

from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
import trio

from arb.cli.assembly import Assembly
from arb.cli.reports.sheets import Period, Sheets
from arb.cli.reports.statement import statement_of
from arb.domain.ids import InstrumentId
from arb.domain.order import OrderType, Side, TimeInForce
from arb.execution.order_ids import is_ours
from arb.supervision.root import Named
from arb.venues.simulated.facts import NewOrder
from arb.venues.wire.simulation import ACCOUNT
from tests.scenario.test_truth import Row, Truth, numbers, truth_of
from tests.scenario.whole import Extra, Fault, MemoryVenues, Whole, run_whole

ROUNDING_KRW = Decimal("0.01")
"""Venues round entry prices and fees."""
AT_S = 11.0
OUTAGES: dict[str, tuple[Fault, ...]] = {
    "adl, disconnected": ((9.0, "binance_usdm", "disconnect", 6.0), (AT_S, "binance_usdm", "adl", 0.0)),
    "adl, half open": ((9.0, "binance_usdm", "half_open", 8.0), (AT_S, "binance_usdm", "adl", 0.0)),
    "by hand, disconnected": ((9.0, "upbit", "disconnect", 6.0),),
}
every_outage = pytest.mark.parametrize("outage", OUTAGES)


@attrs.frozen(kw_only=True)
class Lived:
    """What is left of a session."""

    truth: Truth
    account: list[Row]
    faults: tuple[str, ...]
    """What the report finds that does not add."""
    is_settled: bool
    unbalanced: tuple[str, ...]
    by_hand: int


async def sell_by_hand(parts: Assembly, sold: list[int]) -> None:
    """Somebody sells half of the first coin that a pair holds, in the venue's own program."""
    await trio.sleep(AT_S)
    venues = parts.around.simulate
    assert isinstance(venues, MemoryVenues)
    assert venues.simulation is not None
    position = next(iter(parts.engine.memory.ledger.positions.values()))
    order = NewOrder(
        client_order_id="", instrument=InstrumentId(f"upbit:KRW-{position.pair}"), side=Side.SELL,
        order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC, qty=position.a.net_qty / 2, quote_qty=None,
        price=None,
    )  # fmt: skip
    exchange = venues.simulation.world.exchange("upbit")
    exchange.submit(ACCOUNT, order, parts.around.clock.wall_ns())
    sold.append(1)


@cache
def session(outage: str) -> Lived:
    """Half a minute with one outage and what nobody was told of in its middle."""
    sold: list[int] = []

    def tasks(parts: Assembly) -> list[Named]:
        return [Named(name="hand", run=partial(sell_by_hand, parts, sold))] if outage.startswith("by hand") else []

    with TemporaryDirectory() as directory:
        extra = Extra(tasks=tasks)
        whole = run_whole(Path(directory), seconds=34.0, seed=11, faults=OUTAGES[outage], extra=extra)
        return lived(whole, len(sold))


def lived(whole: Whole, by_hand: int) -> Lived:
    """Take it from a run that has ended."""
    statement = statement_of(Sheets(whole.data.csv), mode="mock", period=Period(None, None), pair=None)
    return Lived(
        truth=truth_of(whole), account=whole.rows("account"), faults=statement.faults,
        is_settled=whole.engine.is_settled(), unbalanced=tuple(whole.engine.unbalanced()), by_hand=by_hand,
    )  # fmt: skip


@every_outage
def test_every_execution_of_the_venues_is_a_row_and_none_is_made_up(outage: str) -> None:
    found = session(outage).truth

    told = sorted(
        (venue, fill["symbol"], fill["side"], *numbers(fill["qty"], fill["price"], fill["fee"]))
        for venue, ledger in found.ledgers.items()
        for fill in ledger["fills"]
    )
    rows = sorted(
        (row["venue"], row["symbol"], row["side"], *numbers(row["qty"], row["price"], row["fee"]))
        for row in found.fills
    )
    assert rows == told
    assert not [row for row in found.fills if row["trade_id"].startswith("watch-")]


@every_outage
def test_what_nobody_told_of_was_there(outage: str) -> None:
    found = session(outage)

    names = [row["client_order_id"] for row in found.truth.fills]
    strange = [name for name in names if not is_ours(name)]
    assert len(strange) >= 1
    assert (strange == ["adl_autoclose"]) is (not found.by_hand)
    assert len(names) - len(strange) >= 4


@every_outage
def test_the_account_has_nothing_unexplained_and_the_report_no_fault(outage: str) -> None:
    found = session(outage)

    last = found.account[-1]
    assert (last["occasion"], last["is_in_flight"]) == ("end", "false")
    assert abs(Decimal(last["unexplained_krw"])) < ROUNDING_KRW
    assert found.faults == ()
    assert found.is_settled
    assert found.unbalanced == ()


@every_outage
def test_the_engine_believes_what_the_venues_hold(outage: str) -> None:
    found = session(outage).truth

    for (venue, asset), amount in found.balances.items():
        told = found.ledgers[venue]["balances"].get(asset, {"free": "0", "locked": "0"})
        assert amount == Decimal(told["free"]) + Decimal(told["locked"]), (venue, asset)
