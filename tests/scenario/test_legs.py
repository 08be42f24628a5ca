"""The worst that may befall two legs, on the whole engine: the simulators' own ledgers and the engine's books agree.

Faults overlap on both venues while entries and exits are on their way; afterwards an operator orders everything flat.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
import trio

from arb.cli.assembly import Assembly
from arb.domain.events import Command, CommandKind
from arb.execution.order_ids import is_ours
from arb.supervision.root import Named
from arb.supervision.stopping import Stop
from arb.venues.simulated.market import MarketPlan
from tests.scenario.whole import Extra, Fault, run_whole

MARKET = MarketPlan(cadence_ms=200, trade_probability=0.05)
FLATTEN_AT_S, UNTIL_S = 34.0, 60.0
ORDERS = ("uncertain_first", "simultaneous")
STORMS: dict[str, tuple[Fault, ...]] = {
    "lost answers and half fills": (
        (4.0, "upbit", "timeout_then_accept", 12.0), (9.0, "binance_usdm", "partial_fill", 12.0),
        (14.0, "upbit", "partial_fill", 8.0), (20.0, "binance_usdm", "timeout_then_accept", 6.0),
    ),
    "refusals and cut positions": (
        (5.0, "binance_usdm", "reject", 5.0), (11.0, "binance_usdm", "adl", 0.0), (13.0, "upbit", "reject", 4.0),
        (18.0, "binance_usdm", "adl", 0.0), (22.0, "binance_usdm", "partial_fill", 6.0),
    ),
    "slow, broken and cut off": (
        (4.0, "upbit", "slow", 6.0), (6.0, "binance_usdm", "http_5xx", 4.0), (12.0, "binance_usdm", "tcp_reset", 0.0),
        (13.0, "upbit", "tcp_reset", 0.0), (16.0, "binance_usdm", "disconnect", 5.0), (23.0, "upbit", "http_5xx", 3.0),
    ),
}  # fmt: skip


@attrs.frozen(kw_only=True)
class Lived:
    """What is left of a session."""

    stop: Stop
    unbalanced: tuple[str, ...]
    open_positions: int
    is_settled: bool
    ledgers: dict[str, Any]
    fills: list[dict[str, str]]
    orders: list[dict[str, str]]
    incidents: list[dict[str, str]]
    residuals: dict[str, Decimal]


async def flatten_after(parts: Assembly, seconds: float) -> None:
    """An operator wants everything gone."""
    await trio.sleep(seconds)
    now_ns = parts.around.clock.monotonic_ns()
    parts.sink.put_account(Command(at_ns=now_ns, kind=CommandKind.FLATTEN, operator="test", reason="end flat"))


@cache
def session(storm: str, leg_order: str) -> Lived:
    """A minute of trading with faults, flattened before its end."""
    extra = Extra(tasks=lambda parts: [Named(name="flatten", run=partial(flatten_after, parts, FLATTEN_AT_S))])
    with TemporaryDirectory() as directory:
        whole = run_whole(
            Path(directory), [f"execution.leg_order={leg_order}"], seconds=UNTIL_S, market=MARKET,
            faults=STORMS[storm], seed=13, extra=extra,
        )  # fmt: skip
        memory = whole.engine.memory
        return Lived(
            stop=whole.reason.stop,
            unbalanced=tuple(whole.engine.unbalanced()),
            open_positions=len(whole.engine.open_positions()),
            is_settled=whole.engine.is_settled(),
            ledgers=whole.ledgers(),
            fills=whole.rows("fills"),
            orders=whole.rows("orders"),
            incidents=whole.rows("incidents"),
            residuals={key: item.qty for key, item in memory.ledger.residuals.items()},
        )


CASES = [(storm, order) for storm in STORMS for order in ORDERS]


@pytest.mark.parametrize(("storm", "leg_order"), CASES)
def test_it_ends_flat_and_settled(storm: str, leg_order: str) -> None:
    lived = session(storm, leg_order)

    assert lived.stop is Stop.GRACEFUL
    assert lived.is_settled
    assert (lived.unbalanced, lived.open_positions) == ((), 0)
    assert all(row["resolution"] for row in lived.incidents)


@pytest.mark.parametrize(("storm", "leg_order"), CASES)
def test_no_order_came_twice_and_every_fill_is_a_row(storm: str, leg_order: str) -> None:
    lived = session(storm, leg_order)

    for ledger in lived.ledgers.values():
        ours = [order["client_order_id"] for order in ledger["orders"] if is_ours(order["client_order_id"])]
        assert ours
        assert len(ours) == len(set(ours))
        assert ledger["duplicated_ids"] == 0
    told = sorted(
        (name, fill["client_order_id"], Decimal(fill["qty"]), Decimal(fill["price"]), Decimal(fill["fee"]))
        for name, ledger in lived.ledgers.items()
        for fill in ledger["fills"]
    )
    rows = sorted(
        (row["venue"], row["client_order_id"], Decimal(row["qty"]), Decimal(row["price"]), Decimal(row["fee"]))
        for row in lived.fills
    )
    assert rows == told


@pytest.mark.parametrize(("storm", "leg_order"), CASES)
def test_what_the_venues_still_hold_is_what_the_residual_ledger_says(storm: str, leg_order: str) -> None:
    lived = session(storm, leg_order)

    for pair in ("BTC", "ETH"):
        coins = lived.ledgers["upbit"]["balances"].get(pair, {"free": "0", "locked": "0"})
        assert Decimal(coins["free"]) + Decimal(coins["locked"]) == lived.residuals.get(f"{pair}/a", Decimal(0))
    contracts = [Decimal(position["qty"]) for position in lived.ledgers["binance_usdm"]["positions"]]
    left = [qty for key, qty in lived.residuals.items() if key.endswith("/b")]
    assert sorted(qty for qty in contracts if qty) == sorted(left)
