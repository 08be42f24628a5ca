"""Positions that have not ended, and the account as a whole, as the engine last marked them.

Owns: open positions at their marks, and the newest rows of the account's identity.
Never: asks a venue; a mark is as old as its row, and the row's moment is shown with it.
Units: KRW and USDT as named; marks are mids and mark prices, free of exit fees.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import attrs

from arb.cli.reports.executions import ZERO
from arb.cli.reports.results import attribution_of
from arb.cli.reports.sheets import Period, Row, kst_text, moment, number
from arb.domain.money import EXACT, exact_sum
from arb.domain.tables import ACCOUNT_PARTS
from arb.engine.accounting import TOLERANCE_KRW
from arb.state.attribution import Attribution


@attrs.frozen(kw_only=True)
class OpenLine:
    """A position that has not ended."""

    position: str
    pair: str
    direction: str
    qty_a: Decimal | None
    qty_b: Decimal | None
    entry_price_a: Decimal | None
    entry_price_b: Decimal | None
    opened: datetime | None
    mark_price_a: Decimal | None
    mark_price_b: Decimal | None
    fx_mark: Decimal | None
    marked: datetime | None
    krw: Attribution | None
    """As if it had ended at the marks, without a fee; None: it was not marked yet."""
    usdt: Attribution | None


@attrs.frozen(kw_only=True)
class AccountLine:
    """The whole account at one moment: equity and what it is made of."""

    occasion: str
    at: datetime | None
    is_in_flight: bool
    """Orders or transfers were under way, so that parts are of different moments."""
    fx_mid: Decimal | None
    krw: dict[str, Decimal]
    """By part; `equity` first."""
    usdt: dict[str, Decimal]


def open_line(row: Row) -> OpenLine:
    """An open row of `positions.csv`."""
    return OpenLine(
        position=row["id"], pair=row["pair"], direction=row["direction"], qty_a=number(row, "qty_a"),
        qty_b=number(row, "qty_b"), entry_price_a=number(row, "entry_price_a"),
        entry_price_b=number(row, "entry_price_b"), opened=moment(row, "opened"),
        mark_price_a=number(row, "mark_price_a"), mark_price_b=number(row, "mark_price_b"),
        fx_mark=number(row, "fx_mark"), marked=moment(row, "time"),
        krw=attribution_of(row, "krw"), usdt=attribution_of(row, "usdt"),
    )  # fmt: skip


def account_lines(rows: Iterable[Row], period: Period) -> tuple[AccountLine, ...]:
    """The account's rows of a period, in order of time."""
    found = [
        AccountLine(
            occasion=row["occasion"], at=moment(row, "time"), is_in_flight=row["is_in_flight"] == "true",
            fx_mid=number(row, "fx_mid"),
            krw={part: number(row, f"{part}_krw") or ZERO for part in ACCOUNT_PARTS},
            usdt={part: number(row, f"{part}_usdt") or ZERO for part in ACCOUNT_PARTS},
        )
        for row in rows
        if period.holds(moment(row, "time"))
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda line: str(line.at)))


def account_faults(lines: Iterable[AccountLine]) -> list[str]:
    """Sentences for rows whose parts are not their equity."""
    return [
        f"account at {_when(line)}: its parts miss its equity by {missed} {name}"
        for line in lines
        for name, parts in (("KRW", line.krw), ("USDT", line.usdt))
        if (missed := EXACT.subtract(parts["equity"], exact_sum(parts[part] for part in ACCOUNT_PARTS[1:])))
    ]


def account_notes(lines: Iterable[AccountLine]) -> list[str]:
    """Sentences for what nobody can explain."""
    odd = [line for line in lines if not line.is_in_flight and abs(line.krw["unexplained"]) > TOLERANCE_KRW]
    if not odd:
        return []
    newest = odd[-1]
    amount = f"{newest.krw['unexplained']:,.2f} KRW of the equity at {_when(newest)}"
    return [f"account: {amount} are unexplained, in {len(odd)} readings; find out who moved them"]


def _when(line: AccountLine) -> str:
    return f"{kst_text(line.at)} KST" if line.at is not None else "an unknown time"
