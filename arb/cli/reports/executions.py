"""What was executed and paid, as the fills and the funding tell it: the ground that every other number is held against.

Owns: one execution or funding payment as a value, and the money it moved.
Never: reads a result of the engine.
Units: quantities as the venue counts them (contract units on perpetuals); money signed, positive to us.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

import attrs

from arb.cli.reports.sheets import Row, moment, number
from arb.domain.errors import ConfigError
from arb.domain.money import EXACT, booked, exact_sum

ZERO: Final = Decimal(0)
KRW: Final = "KRW"
USDT: Final = "USDT"


@attrs.frozen(kw_only=True)
class Cash:
    """What moved, by currency."""

    krw: Decimal = ZERO
    usdt: Decimal = ZERO

    def plus(self, other: Cash) -> Cash:
        """Both together."""
        return Cash(krw=EXACT.add(self.krw, other.krw), usdt=EXACT.add(self.usdt, other.usdt))

    def in_krw(self, fx_mid: Decimal) -> Decimal:
        """All of it in KRW."""
        return EXACT.add(self.krw, EXACT.multiply(self.usdt, fx_mid))


@attrs.frozen(kw_only=True)
class Execution:
    """One fill."""

    position: str
    pair: str
    leg: str
    """`a`, `b`, or `fx` for the hedge of the notional."""
    venue: str
    trade_id: str
    is_spot: bool
    symbol: str
    base: str
    quote: str
    is_buy: bool
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    fee_krw: Decimal | None
    fx_mid: Decimal | None
    at: datetime
    """The venue's time where it told one, else when we received it."""

    @property
    def sign(self) -> int:
        """+1 bought, −1 sold."""
        return 1 if self.is_buy else -1

    @property
    def value(self) -> Decimal:
        """Price × quantity, in the quote."""
        return EXACT.multiply(self.qty, self.price)

    @property
    def value_krw(self) -> Decimal | None:
        """Price × quantity in KRW at the FX mid of that moment; None: the mid is missing."""
        return in_krw(self.value, self.quote, self.fx_mid)

    @property
    def kept_qty(self) -> Decimal:
        """Signed change of the base: a fee taken in base never was ours."""
        taken = self.fee if self.fee_currency == self.base else ZERO
        return EXACT.subtract(EXACT.multiply(self.sign, self.qty), taken)

    @property
    def principal(self) -> Cash:
        """What the fill moved before its fee; a perpetual's notional counts as moved."""
        moved = EXACT.multiply(-self.kept_qty, self.price)
        other = self.kept_qty if self.base == USDT else ZERO
        return Cash(krw=moved, usdt=other) if self.quote == KRW else Cash(usdt=EXACT.add(moved, other))

    @property
    def fee_paid(self) -> Cash:
        """The fee as money, negative; one in another asset by its stored value.

        Raises:
            ConfigError: such a fee has no stored value.
        """
        if self.fee_currency == self.base and self.base != USDT:
            cost = EXACT.multiply(-self.fee, self.price)
            return Cash(krw=cost) if self.quote == KRW else Cash(usdt=cost)
        if self.fee_currency == KRW:
            return Cash(krw=-self.fee)
        if self.fee_currency == USDT or not self.fee:
            return Cash(usdt=-self.fee)
        if self.fee_krw is None or not self.fx_mid:
            raise ConfigError(f"fill {self.trade_id}: its fee in {self.fee_currency} has no value in KRW or no FX mid")
        return Cash(usdt=EXACT.divide(-self.fee_krw, self.fx_mid))


@attrs.frozen(kw_only=True)
class FundingReceipt:
    """One settlement of a perpetual; negative when paid."""

    position: str
    pair: str
    venue: str
    instrument: str
    amount: Decimal
    currency: str
    fx_mid: Decimal | None
    at: datetime

    @property
    def krw(self) -> Decimal | None:
        """Booked in KRW; None: the FX mid is missing."""
        found = in_krw(self.amount, self.currency, self.fx_mid)
        return booked(found) if found is not None else None


def in_krw(amount: Decimal, currency: str, fx_mid: Decimal | None) -> Decimal | None:
    """An amount of KRW or USDT in KRW; None: it cannot be told."""
    if currency == KRW:
        return amount
    return EXACT.multiply(amount, fx_mid) if currency == USDT and fx_mid is not None else None


def execution_of(row: Row) -> Execution:
    """A row of `fills.csv`.

    Raises:
        ConfigError: a cell that every fill has is empty.
    """
    return Execution(
        position=row["position"], pair=row["pair"], leg=row["leg"], venue=row["venue"], trade_id=row["trade_id"],
        is_spot=row["kind"] == "spot", symbol=row["symbol"], base=base_of(row["symbol"], row["quote_currency"]),
        quote=row["quote_currency"], is_buy=row["side"] == "buy", qty=_needed(row, "qty"), price=_needed(row, "price"),
        fee=number(row, "fee") or ZERO, fee_currency=row["fee_currency"], fee_krw=number(row, "fee_krw"),
        fx_mid=number(row, "fx_mid"), at=_moment(row, "time_kst"),
    )  # fmt: skip


def funding_of(row: Row) -> FundingReceipt:
    """A row of `funding.csv`.

    Raises:
        ConfigError: a cell that every payment has is empty.
    """
    return FundingReceipt(
        position=row["position"], pair=row["pair"], venue=row["venue"], instrument=row["instrument"],
        amount=_needed(row, "amount"), currency=row["currency"], fx_mid=number(row, "fx_mid"), at=_moment(row, "time"),
    )  # fmt: skip


def base_of(symbol: str, quote: str) -> str:
    """The traded asset in a venue's symbol.

    Raises:
        ConfigError: the symbol does not end or begin with its quote.
    """
    if symbol.startswith(f"{quote}-"):
        return symbol[len(quote) + 1 :]
    if symbol.endswith(quote) and symbol != quote:
        return symbol[: -len(quote)].rstrip("-")
    raise ConfigError(f"symbol {symbol}: does not name its quote {quote}; the fill cannot be reported")


def cash_of(executions: Iterable[Execution], funding: Iterable[FundingReceipt]) -> Cash:
    """Everything they moved."""
    total = Cash()
    for execution in executions:
        total = total.plus(execution.principal).plus(execution.fee_paid)
    return total.plus(Cash(usdt=exact_sum(receipt.amount for receipt in funding)))


def _needed(row: Row, name: str) -> Decimal:
    found = number(row, name)
    if found is None:
        raise ConfigError(f"row {row['id']}: {name} is empty; restore the table")
    return found


def _moment(row: Row, name: str) -> datetime:
    found = moment(row, name)
    if found is None:
        raise ConfigError(f"row {row['id']}: {name} is empty; restore the table")
    return found
