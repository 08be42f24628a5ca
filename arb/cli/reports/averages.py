"""What a disposed coin had cost, by two methods: the moving average and the total average of a year.

Theory.
1. Moving average: every acquisition makes a new average; a disposal takes the average that stands then.
2. Total average: all that was there at the beginning of a year and all that was acquired in it make one average;
   every disposal of that year takes it.
3. Nothing is guessed. A disposal of more than is known to have been there, or an acquisition without a value, makes the
   cost unknown from there on (for the total average: of that year and of those after it).

Owns: both methods over the movements of one asset.
Never: knows a venue, a tax rate or what is taxed.
Units: quantities in the asset, money in KRW booked half-even at 1e-8; a year is a calendar year in Seoul.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from itertools import groupby

import attrs

from arb.cli.reports.executions import ZERO
from arb.cli.reports.sheets import kst_day
from arb.domain.money import EXACT, booked, exact_sum


class Change(Enum):
    """How a movement changes what is held."""

    ACQUIRED = "acquired"
    DISPOSED = "disposed"
    SPENT = "spent"
    """Left without a disposal (a contract's loss, its fee, a withdrawal's fee): takes its average cost along."""


@attrs.frozen(kw_only=True)
class Movement:
    """One change of what is held of one asset."""

    asset: str
    at: datetime
    change: Change
    qty: Decimal
    """Positive."""
    krw: Decimal | None
    """Acquired: its cost with fees; disposed: the proceeds before fees; None: cannot be valued."""
    fee_krw: Decimal | None = ZERO
    """Of a disposal."""
    venue: str = ""
    symbol: str = ""
    trade_id: str = ""
    reason: str = ""


@attrs.frozen
class Stock:
    """What is held and what it cost; None: unknown."""

    qty: Decimal = ZERO
    cost_krw: Decimal | None = ZERO


@attrs.frozen(kw_only=True)
class Costed:
    """The movements of an asset with the cost of each (None where it has none or it is unknown), and what is left."""

    costs: tuple[Decimal | None, ...]
    closing: dict[int, Stock]
    """By year: what was held at its end."""


def moving_average(opening: Stock, movements: Sequence[Movement]) -> Costed:
    """Cost by the average that stands at the moment of each disposal."""
    stock, costs, closing = opening, [], {}
    for movement in movements:
        if movement.change is Change.ACQUIRED:
            stock = Stock(EXACT.add(stock.qty, movement.qty), _sum(stock.cost_krw, movement.krw))
            costs.append(movement.krw)
        else:
            cost, stock = _taken(stock, movement.qty)
            costs.append(cost)
        closing[kst_day(movement.at).year] = stock
    return Costed(costs=tuple(costs), closing=closing)


def total_average(opening: Stock, movements: Sequence[Movement]) -> Costed:
    """Cost by one average per year."""
    stock, costs, closing = opening, list[Decimal | None](), dict[int, Stock]()
    for year, group in groupby(movements, key=lambda movement: kst_day(movement.at).year):
        found = list(group)
        acquired = [movement for movement in found if movement.change is Change.ACQUIRED]
        whole = Stock(
            EXACT.add(stock.qty, exact_sum(movement.qty for movement in acquired)),
            _sum(stock.cost_krw, *(movement.krw for movement in acquired)),
        )
        left = exact_sum(movement.qty for movement in found if movement.change is not Change.ACQUIRED)
        if shortage(stock, found) is not None:
            whole = Stock(whole.qty, None)
        of_year = [
            movement.krw if movement.change is Change.ACQUIRED else _share(whole, movement.qty) for movement in found
        ]
        costs += of_year
        _, stock = _taken(whole, left)
        closing[year] = stock
    return Costed(costs=tuple(costs), closing=closing)


def shortage(opening: Stock, movements: Sequence[Movement]) -> tuple[Decimal, datetime] | None:
    """How much more left than is known to have been there, at most, and when that first showed; None: never."""
    qty, worst, first = opening.qty, ZERO, None
    for movement in movements:
        qty = EXACT.add(qty, movement.qty if movement.change is Change.ACQUIRED else -movement.qty)
        if qty < 0 and first is None:
            first = movement.at
        worst = min(worst, qty)
    return (-worst, first) if first is not None else None


def _taken(stock: Stock, qty: Decimal) -> tuple[Decimal | None, Stock]:
    """The cost of a quantity that leaves, and what stays."""
    if qty > stock.qty:
        return None, Stock(ZERO, None)
    cost = stock.cost_krw if qty == stock.qty else _share(stock, qty)
    rest = EXACT.subtract(stock.cost_krw, cost) if stock.cost_krw is not None and cost is not None else None
    return cost, Stock(EXACT.subtract(stock.qty, qty), rest)


def _share(stock: Stock, qty: Decimal) -> Decimal | None:
    if stock.cost_krw is None or not stock.qty:
        return None
    return booked(EXACT.divide(EXACT.multiply(stock.cost_krw, qty), stock.qty))


def _sum(*amounts: Decimal | None) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return exact_sum(known) if len(known) == len(amounts) else None
