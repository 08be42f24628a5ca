"""After a session with trades the simulators' own ledgers and the engine's books tell the same story, exactly."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import trio

from arb.cli.assembly import Assembly
from arb.domain.events import Command, CommandKind
from arb.supervision.root import Named
from arb.supervision.stopping import Stop
from tests.scenario.whole import Extra, Whole, run_whole

Row = dict[str, str]
TINY = Decimal("1e-6")
"""KRW or USDT: what is lost where a row rounds."""


@attrs.frozen(kw_only=True)
class Truth:
    """Both stories of one session."""

    stop: Stop
    ledgers: dict[str, Any]
    orders: list[Row]
    fills: list[Row]
    positions: list[Row]
    trades: list[Row]
    balances: dict[tuple[str, str], Decimal]
    """What the engine believes each venue holds."""


def truth_of(whole: Whole) -> Truth:
    """Take it from a run that has ended."""
    believed = {
        (str(venue), str(asset)): item.free + item.locked
        for venue, items in whole.engine.memory.ledger.holdings.balances.items()
        for asset, item in items.items()
    }
    return Truth(
        stop=whole.reason.stop,
        ledgers=whole.ledgers(),
        orders=whole.rows("orders"),
        fills=whole.rows("fills"),
        positions=whole.rows("positions"),
        trades=whole.rows("trades"),
        balances=believed,
    )


@cache
def session() -> Truth:
    """Trades for forty seconds, then exits alone, until nothing is open."""
    extra = Extra(tasks=lambda parts: [Named(name="pause", run=partial(pause_after, parts, 40.0))])
    with TemporaryDirectory() as directory:
        return truth_of(run_whole(Path(directory), seconds=60.0, seed=11, extra=extra))


async def pause_after(parts: Assembly, seconds: float) -> None:
    """An operator allows no more entries."""
    await trio.sleep(seconds)
    now_ns = parts.around.clock.monotonic_ns()
    parts.sink.put_account(Command(at_ns=now_ns, kind=CommandKind.PAUSE, operator="test", reason="end flat"))


def told_fills(truth: Truth) -> list[tuple[str, ...]]:
    """Fills as the simulators know them, in comparable form."""
    return sorted(
        (venue, fill["client_order_id"], fill["side"], *numbers(fill["qty"], fill["price"], fill["fee"]))
        for venue, ledger in truth.ledgers.items()
        for fill in ledger["fills"]
    )


def numbers(*texts: str) -> tuple[str, ...]:
    """Decimals in one spelling."""
    return tuple(f"{Decimal(text).normalize():f}" for text in texts)


def test_the_session_saw_trades() -> None:
    kinds = Counter(row["kind"] for row in session().trades)

    assert session().stop is Stop.GRACEFUL
    assert kinds["OPEN"] >= 6
    assert kinds["CLOSE"] >= 5


def test_every_fill_of_the_simulators_is_a_row_and_every_row_a_fill() -> None:
    truth = session()

    rows = sorted(
        (row["venue"], row["client_order_id"], row["side"], *numbers(row["qty"], row["price"], row["fee"]))
        for row in truth.fills
    )
    assert rows == told_fills(truth)
    assert len({(row["venue"], row["symbol"], row["trade_id"]) for row in truth.fills}) == len(rows)


def test_every_order_of_the_simulators_is_a_row_with_its_quantity() -> None:
    truth = session()

    told = {
        (venue, order["client_order_id"], *numbers(order["qty"]))
        for venue, ledger in truth.ledgers.items()
        for order in ledger["orders"]
    }
    rows = {(row["venue"], row["client_order_id"], *numbers(row["qty"])) for row in truth.orders}
    assert rows == told


def test_no_order_id_came_twice_and_nothing_was_refused() -> None:
    for ledger in session().ledgers.values():
        ids = [order["client_order_id"] for order in ledger["orders"]]

        assert len(ids) == len(set(ids))
        assert ledger["duplicated_ids"] == 0
        assert ledger["rejected"] == 0


def test_the_engine_believes_what_the_venues_hold() -> None:
    truth = session()

    for (venue, asset), amount in truth.balances.items():
        told = truth.ledgers[venue]["balances"].get(asset, {"free": "0", "locked": "0"})
        assert amount == Decimal(told["free"]) + Decimal(told["locked"]), (venue, asset)


def test_a_session_that_ends_flat_has_gained_what_its_rows_say_in_both_currencies() -> None:
    truth = session()
    upbit, binance = truth.ledgers["upbit"], truth.ledgers["binance_usdm"]

    assert all(row["closed"] for row in truth.positions)
    assert [Decimal(position["qty"]) for position in binance["positions"] if Decimal(position["qty"])] == []
    gained_krw = held(upbit, "KRW") - Decimal(upbit["deposits"]["KRW"])
    gained_usdt = held(binance, "USDT") - Decimal(binance["deposits"]["USDT"])
    assert gained_krw == sum(brought(truth, row["id"], "upbit") for row in truth.positions)
    assert gained_usdt == sum(brought(truth, row["id"], "binance_usdm") for row in truth.positions)


def test_the_profit_of_a_position_is_what_its_fills_brought_at_the_fx_of_its_close() -> None:
    truth = session()

    for row in truth.positions:
        fx = Decimal(row["fx_close"])
        pnl_krw = brought(truth, row["id"], "upbit") + brought(truth, row["id"], "binance_usdm") * fx
        assert abs(Decimal(row["pnl_krw"]) - pnl_krw) < TINY
        assert abs(Decimal(row["pnl_usdt"]) - pnl_krw / fx) < TINY
        parts = ("spread_krw", "slippage_krw", "fees_krw", "funding_krw", "fx_krw", "rounding_krw", "residual_krw")
        assert abs(sum(Decimal(row[part] or 0) for part in parts) - pnl_krw) < TINY


def held(ledger: Any, asset: str) -> Decimal:
    """Free and locked."""
    return Decimal(ledger["balances"][asset]["free"]) + Decimal(ledger["balances"][asset]["locked"])


def brought(truth: Truth, position: str, venue: str) -> Decimal:
    """Quote currency that a position's fills brought on a venue: sales minus purchases minus fees."""
    found = Decimal(0)
    for row in truth.fills:
        if row["venue"] == venue and row["position"] == position:
            sign = 1 if row["side"] == "sell" else -1
            found += sign * Decimal(row["qty"]) * Decimal(row["price"]) - Decimal(row["fee"])
    return found
