"""Money, FX marks and the only rounding in the program.

Owns: amounts with their currency, the conversion between two of them, and every crossing from float to Decimal.
Never: adds two currencies; converts without a mark.
Units: amounts are Decimal in the asset they name; FX is units of `quote` for one `base`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Final

import attrs

from arb.domain.ids import AssetId

BOOK_STEP: Final = Decimal("1e-8")
"""Every booked amount is rounded half-even to this step."""

EXACT: Final = Context(prec=50, rounding=ROUND_HALF_EVEN)
"""Arithmetic context in which sums and products of money stay exact."""


@attrs.frozen
class Money:
    """An amount of one asset. Adding two assets raises `ValueError`."""

    amount: Decimal
    asset: AssetId

    def __add__(self, other: Money) -> Money:
        self._same_asset(other)
        return Money(EXACT.add(self.amount, other.amount), self.asset)

    def __sub__(self, other: Money) -> Money:
        self._same_asset(other)
        return Money(EXACT.subtract(self.amount, other.amount), self.asset)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.asset)

    def _same_asset(self, other: Money) -> None:
        if self.asset != other.asset:
            raise ValueError(f"cannot combine {self.asset} with {other.asset}: convert with an FxMark first")


@attrs.frozen(kw_only=True)
class FxMark:
    """What one `base` (USDT) costs in `quote` (KRW), executable, with its origin and age."""

    base: AssetId
    quote: AssetId
    bid: Decimal
    ask: Decimal
    source: str
    """Instrument id of the book it was read from, or `static`."""
    received_ns: int
    """Monotonic receive time of the book."""

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask, exact."""
        return (self.bid + self.ask) / 2


def booked(amount: Decimal) -> Decimal:
    """An amount as the ledger books it: half-even at 1e-8."""
    return amount.quantize(BOOK_STEP, rounding=ROUND_HALF_EVEN, context=EXACT)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum without loss."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` not above `value`."""
    return EXACT.multiply((value / step).to_integral_value(rounding=ROUND_FLOOR), step)


def ceil_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` not below `value`."""
    return EXACT.multiply((value / step).to_integral_value(rounding=ROUND_CEILING), step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` lies exactly on the grid of `step`."""
    return EXACT.remainder(value, step) == 0


def decimal_of(value: float) -> Decimal:
    """The shortest decimal that reads back as `value`: how a venue's printed price survives the float path."""
    return Decimal(repr(value))


def floor_to_lot(qty: float, lot: Decimal) -> Decimal:
    """A wished quantity as an orderable one: never more than wished."""
    return floor_to_step(decimal_of(qty), lot)


@lru_cache(maxsize=1_024)
def common_step(first: Decimal, second: Decimal) -> Decimal:
    """The smallest positive decimal that is a multiple of both steps (least common multiple)."""
    scale = Decimal(10) ** min(int(first.as_tuple().exponent), int(second.as_tuple().exponent), 0)
    left, right = int(first / scale), int(second / scale)
    return EXACT.multiply(Decimal(left // _gcd(left, right) * right), scale)


def _gcd(left: int, right: int) -> int:
    while right:
        left, right = right, left % right
    return left
