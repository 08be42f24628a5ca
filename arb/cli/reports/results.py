"""What closed positions earned, each held against its own executions.

Owns: one result as a value, and the check that its parts add and agree with the fills and the funding.
Never: corrects anything; what does not add is told.
Units: KRW and USDT as named, booked at 1e-8; bps over the KRW cost of the A leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import attrs

from arb.cli.reports.executions import ZERO, Cash, Execution, FundingReceipt, cash_of
from arb.cli.reports.sheets import Row, kst_day, measure, moment, number
from arb.domain.errors import ConfigError
from arb.domain.money import EXACT, booked, exact_sum
from arb.state.attribution import Attribution

COMPONENTS: Final = ("spread_at_decision", "slippage", "fees", "funding", "fx", "rounding")
_COLUMN_OF: Final = {"spread_at_decision": "spread"}
NOTHING: Final = Attribution(
    spread_at_decision=ZERO, slippage=ZERO, fees=ZERO, funding=ZERO, fx=ZERO, rounding=ZERO, total=ZERO
)


@attrs.frozen(kw_only=True)
class PairResult:
    """One closed position, or (`is_trade` false) income that belongs to none."""

    position: str
    pair: str
    strategy: str
    direction: str
    qty: Decimal
    is_trade: bool
    opened: datetime
    closed: datetime
    reason: str
    krw: Attribution
    usdt: Attribution
    bps: float | None
    entry_spread_bps: float | None
    exit_spread_bps: float | None
    fx_close: Decimal

    @property
    def day(self) -> date:
        """The Korean day of the end."""
        return kst_day(self.closed)

    @property
    def held_s(self) -> float:
        """From opening to close."""
        return (self.closed - self.opened).total_seconds()


@attrs.frozen(kw_only=True)
class LeftOver:
    """Coins that left their position at its last fill price, for a later one to take along."""

    pair: str
    leg: str
    qty: Decimal
    """Signed, as the venue counts it."""
    cost: Decimal
    """Signed, in the leg's quote."""

    def paid(self, sign: int) -> Cash:
        """Its cost as money that moved: to the position that leaves it (+1), from the one that takes it (−1)."""
        cost = EXACT.multiply(sign, self.cost)
        return Cash(krw=cost) if self.leg == "a" else Cash(usdt=cost)


@attrs.define
class Remainders:
    """What is left over, as positions come and go."""

    held: dict[tuple[str, str], LeftOver] = attrs.field(factory=dict)
    """By pair and leg."""
    gained: Cash = attrs.field(factory=Cash)
    """What became of left-over coins that met their opposites: in no position, and none is left."""

    def keep(self, item: LeftOver) -> None:
        """Add coins to those of their pair and leg."""
        known = self.held.pop((item.pair, item.leg), None)
        if known is not None:
            item = attrs.evolve(item, qty=EXACT.add(known.qty, item.qty), cost=EXACT.add(known.cost, item.cost))
        if item.qty:
            self.held[item.pair, item.leg] = item
        else:
            self.gained = self.gained.plus(item.paid(-1))

    def take_along(self, pair: str, direction: str) -> tuple[LeftOver, ...]:
        """What an entry takes away from both legs, where it is of the entry's sign."""
        is_long = direction == "long_a"
        found = [self.held.get((pair, leg)) for leg in ("a", "b")]
        taken = tuple(item for item in found if item is not None and (item.qty > 0) is (is_long is (item.leg == "a")))
        for item in taken:
            del self.held[item.pair, item.leg]
        return taken


def result_of(row: Row) -> PairResult:
    """A closed row of `positions.csv`.

    Raises:
        ConfigError: a cell of the result is empty.
    """
    opened, closed, fx = moment(row, "opened"), moment(row, "closed"), number(row, "fx_close")
    krw, usdt = attribution_of(row, "krw"), attribution_of(row, "usdt")
    if opened is None or closed is None or fx is None or krw is None or usdt is None:
        raise ConfigError(f"row {row['id']}: is closed and lacks a time, an FX mid or a part; restore the table")
    entry_krw = number(row, "entry_krw")
    return PairResult(
        position=row["id"], pair=row["pair"], strategy=row["strategy"], direction=row["direction"],
        qty=number(row, "qty_a") or ZERO, is_trade=True, opened=opened, closed=closed, reason=row["exit_reason"],
        krw=krw, usdt=usdt, bps=float(krw.total / entry_krw) * 1e4 if entry_krw else None,
        entry_spread_bps=measure(row, "entry_spread_bps"),
        exit_spread_bps=measure(row, "exit_spread_bps"), fx_close=fx,
    )  # fmt: skip


def retained(receipt: FundingReceipt) -> PairResult | None:
    """Funding that was booked when no position was open; None: it cannot be valued."""
    krw = receipt.krw
    if krw is None or not receipt.fx_mid:
        return None
    usdt = booked(receipt.amount)
    return PairResult(
        position="", pair=receipt.pair, strategy="", direction="", qty=ZERO, is_trade=False, opened=receipt.at,
        closed=receipt.at, reason="funding without a position", krw=attrs.evolve(NOTHING, funding=krw, total=krw),
        usdt=attrs.evolve(NOTHING, funding=usdt, total=usdt), bps=None, entry_spread_bps=None, exit_spread_bps=None,
        fx_close=receipt.fx_mid,
    )  # fmt: skip


def added(parts: Iterable[Attribution]) -> Attribution:
    """Component by component, exactly."""
    found = list(parts)
    sums = {name: exact_sum(getattr(part, name) for part in found) for name in (*COMPONENTS, "total")}
    return Attribution(**sums)


def faults_of(
    results: Sequence[PairResult],
    executions: Mapping[str, Sequence[Execution]],
    funding: Mapping[str, Sequence[FundingReceipt]],
    grown: frozenset[str],
) -> tuple[list[str], Remainders]:
    """One sentence for every result whose parts do not add, or that its executions contradict; and what is left over.

    `grown` names the positions whose entry ended open: such a one takes along what the pair had left over.
    """
    faults: list[str] = []
    left = Remainders()
    for result in sorted(results, key=lambda item: item.opened):
        fills, receipts = executions.get(result.position, ()), funding.get(result.position, ())
        taken = left.take_along(result.pair, result.direction) if result.position in grown else ()
        leaving = _leaving(result.pair, fills, taken)
        cash = cash_of(fills, receipts)
        for item in leaving:
            cash = cash.plus(item.paid(1))
            left.keep(item)
        for item in taken:
            cash = cash.plus(item.paid(-1))
        whole = cash.in_krw(result.fx_close)
        for name, found, parts in (
            ("KRW", booked(whole), result.krw),
            ("USDT", booked(EXACT.divide(whole, result.fx_close)), result.usdt),
        ):
            if found != parts.total:
                faults.append(f"{result.position}: fills and funding give {found} {name}, the books say {parts.total}")
        faults += _part_faults(result, fills, receipts)
    return faults, left


def attribution_of(row: Row, currency: str) -> Attribution | None:
    """The parts of a row's result in one numeraire; None: one of them is empty."""
    cells = {name: number(row, f"{_COLUMN_OF.get(name, name)}_{currency}") for name in COMPONENTS}
    total = number(row, f"pnl_{currency}")
    known = {name: cell for name, cell in cells.items() if cell is not None}
    return Attribution(total=total, **known) if total is not None and len(known) == len(cells) else None


def by_position(executions: Iterable[Execution]) -> dict[str, list[Execution]]:
    """Executions of each position in the order of their rows."""
    groups: dict[str, list[Execution]] = {}
    for execution in executions:
        groups.setdefault(execution.position, []).append(execution)
    return groups


def funding_by_position(receipts: Iterable[FundingReceipt]) -> dict[str, list[FundingReceipt]]:
    """Funding of each position; that of none under the empty name."""
    groups: dict[str, list[FundingReceipt]] = {}
    for receipt in receipts:
        groups.setdefault(receipt.position, []).append(receipt)
    return groups


def _part_faults(result: PairResult, fills: Sequence[Execution], receipts: Sequence[FundingReceipt]) -> list[str]:
    """The parts against the total; fees and funding, each booked at its own FX mid, against the result's."""
    faults = [
        f"{result.position}: its parts miss the total by {parts.unexplained} {name}"
        for name, parts in (("KRW", result.krw), ("USDT", result.usdt))
        if parts.unexplained
    ]
    if all(fill.fx_mid is not None for fill in fills):
        fees = exact_sum(booked(fill.fee_paid.in_krw(fill.fx_mid or ZERO)) for fill in fills)
        if fees != result.krw.fees:
            faults.append(f"{result.position}: its fills paid fees of {fees} KRW, the books say {result.krw.fees}")
    paid = [receipt.krw for receipt in receipts]
    known = [amount for amount in paid if amount is not None]
    if len(known) == len(paid) and exact_sum(known) != result.krw.funding:
        faults.append(f"{result.position}: its funding is {exact_sum(known)} KRW, the books say {result.krw.funding}")
    return faults


def _leaving(pair: str, fills: Sequence[Execution], taken: Sequence[LeftOver]) -> list[LeftOver]:
    found = []
    for leg in ("a", "b"):
        mine = [fill for fill in fills if fill.leg == leg]
        qty = exact_sum([*(fill.kept_qty for fill in mine), *(item.qty for item in taken if item.leg == leg)])
        if qty and mine:
            found.append(LeftOver(pair=pair, leg=leg, qty=qty, cost=EXACT.multiply(qty, mine[-1].price)))
    return found
