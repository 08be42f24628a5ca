"""The whole account against the books: what it is worth, where that came from, and what nothing explains.

Owns: the treasury (what is held besides the pairs' doing), its value at the opening, transfers, what pairs left behind.
Never: prices anything or believes a venue; quantities and marks come with the call.
Units: keys are `KRW` and `USDT` (over all venues together), `venue/ASSET` for coins, the instrument for contracts;
contracts in contract units with their notional as cash (`wallet − qty × entry`), so that they are priced like coins.

Identity, in KRW and in USDT: equity − opening = treasury + pairs + residual + transfers + FX on retained PnL +
unexplained, and unexplained is what the venues hold beyond what the books say (tests/state/test_account.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import attrs

from arb.domain.ids import AssetId, VenueId
from arb.domain.money import EXACT, booked, exact_sum
from arb.state.flows import KRW, USDT, ZERO

CASH: Final = (KRW, USDT)


def key_of(venue: VenueId, asset: AssetId) -> str:
    """Under which an asset on a venue is kept: cash is one sum over all venues."""
    return asset if asset in CASH else f"{venue}/{asset}"


@attrs.frozen
class Valued:
    """One amount in both numeraires."""

    krw: Decimal = ZERO
    usdt: Decimal = ZERO

    def plus(self, other: Valued) -> Valued:
        """The sum."""
        return Valued(EXACT.add(self.krw, other.krw), EXACT.add(self.usdt, other.usdt))

    def minus(self, other: Valued) -> Valued:
        """The difference."""
        return Valued(EXACT.subtract(self.krw, other.krw), EXACT.subtract(self.usdt, other.usdt))

    def rounded(self) -> Valued:
        """As it is booked."""
        return Valued(booked(self.krw), booked(self.usdt))


@attrs.frozen
class KeyMark:
    """What one unit of a key is worth, in KRW or USDT."""

    price: Decimal
    quote: AssetId


def valued_at(amount: Decimal, quote: AssetId, fx_mid: Decimal) -> Valued:
    """An amount of KRW or USDT in both numeraires."""
    if quote == KRW:
        return Valued(amount, EXACT.divide(amount, fx_mid))
    return Valued(EXACT.multiply(amount, fx_mid), amount)


def total_of(amounts: Mapping[str, Decimal], marks: Mapping[str, KeyMark], fx_mid: Decimal) -> Valued:
    """What quantities are worth; a key without a mark counts nothing."""
    krw = exact_sum(EXACT.multiply(qty, marks[key].price) for key, qty in amounts.items() if _is_in(marks, key, KRW))
    usdt = exact_sum(EXACT.multiply(qty, marks[key].price) for key, qty in amounts.items() if _is_in(marks, key, USDT))
    return valued_at(krw, KRW, fx_mid).plus(valued_at(usdt, USDT, fx_mid))


def _is_in(marks: Mapping[str, KeyMark], key: str, quote: AssetId) -> bool:
    return key in marks and marks[key].quote == quote


@attrs.frozen(kw_only=True)
class Sighting:
    """What venues, books and markets say at one moment."""

    told: dict[str, Decimal]
    """By the venues."""
    own: dict[str, Decimal]
    """What pairs and residuals have done to each key since the books began."""
    marks: dict[str, KeyMark]
    fx_mid: Decimal
    pairs: Valued
    """What ended positions earned, and open ones at mid and mark."""
    residual: Valued
    """What is left over, at its marks less its cost, with what earlier leftovers gained."""


@attrs.frozen(kw_only=True)
class AccountState:
    """The identity at one moment: `equity` is the sum of all that follow."""

    fx_mid: Decimal
    equity: Valued
    opening: Valued
    treasury: Valued
    pairs: Valued
    residual: Valued
    transfers: Valued
    fx_retained: Valued
    unexplained: Valued


@attrs.define(kw_only=True)
class AccountBook:
    """What the identity needs to remember."""

    treasury: dict[str, Decimal] = attrs.field(factory=dict)
    """Held besides what pairs and residuals did: empty until the first whole sighting."""
    marks: dict[str, KeyMark] = attrs.field(factory=dict)
    """The newest mark of each key; it stands while a book is away."""
    valued: dict[str, None] = attrs.field(factory=dict)
    """Keys that are in `opening`: a key without any mark yet is worth nothing on either side."""
    opening: Valued = Valued()
    transfers: Valued = Valued()
    retained_krw: Decimal = ZERO
    """Cash that ended positions and late funding left, as is the next."""
    retained_usdt: Decimal = ZERO
    retained_at: Valued = Valued()
    """What that cash was worth in the other numeraire at the FX of its end: USDT in KRW, KRW in USDT."""
    residual_krw: Decimal = ZERO
    """Cash that residuals gained once they were gone."""
    residual_usdt: Decimal = ZERO
    opened_wall_ns: int = 0
    """When the opening was told; what venues booked earlier is in it. 0: not opened."""
    seen_wall_ns: int = 0
    """When the account was last looked at with every message of before taken in; 0: never."""
    day: int = -1
    """The day whose turn was written last, as is the next for the days of Korea."""
    kst_day: int = -1
    rows_ns: int = 0
    """When open positions last wrote how they stand."""
    unexplained_ns: int | None = None
    """Since when more than rounding has been unexplained with nothing in flight."""
    alerted_krw: Decimal = ZERO
    """What a person was last told to be unexplained."""
    warned_fees: dict[str, None] = attrs.field(factory=dict)
    """Instruments whose fees were told to differ from plan."""

    @property
    def is_open(self) -> bool:
        """Whether there is an opening to compare with."""
        return bool(self.treasury)

    def is_before_opening(self, wall_ns: int) -> bool:
        """Whether what a venue booked at that time was told with the opening already."""
        return wall_ns < self.opened_wall_ns

    def enter(self, told: Mapping[str, Decimal], own: Mapping[str, Decimal], wall_ns: int) -> None:
        """Take keys that are new into the treasury: what is told beyond the pairs' doing is treasury for good.

        Call it only while nothing is in flight.
        """
        if not self.is_open:
            self.opened_wall_ns = wall_ns
        for key, qty in told.items():
            if key not in self.treasury:
                self.treasury[key] = EXACT.subtract(qty, own.get(key, ZERO))

    def price(self, marks: Mapping[str, KeyMark], fx_mid: Decimal) -> None:
        """Remember the newest marks; a key that had none until now counts from here on."""
        for key, mark in marks.items():
            self.price_first(key, mark, fx_mid)

    def price_first(self, key: str, mark: KeyMark, fx_mid: Decimal) -> None:
        """Remember a mark; the first one of a key lets it count from here on."""
        self.marks[key] = mark
        if key in self.treasury and key not in self.valued:
            self.valued[key] = None
            self.opening = self.opening.plus(self._worth(key, self.treasury[key], fx_mid))

    def retain(self, krw: Decimal, usdt: Decimal, fx_mid: Decimal) -> None:
        """A position ended, or funding came late, with this cash at this mid."""
        self.retained_krw = EXACT.add(self.retained_krw, krw)
        self.retained_usdt = EXACT.add(self.retained_usdt, usdt)
        at = Valued(EXACT.multiply(usdt, fx_mid), EXACT.divide(krw, fx_mid))
        self.retained_at = self.retained_at.plus(at)

    def gained(self, leg: str, amount: Decimal) -> None:
        """A residual is gone and left this much of its leg's currency."""
        if leg == "a":
            self.residual_krw = EXACT.add(self.residual_krw, amount)
        else:
            self.residual_usdt = EXACT.add(self.residual_usdt, amount)

    def move(self, key: str, amount: Decimal) -> None:
        """The treasury trades or pays a fee: no transfer, its gain or loss shows in its marks."""
        if key in self.treasury:
            self.treasury[key] = EXACT.add(self.treasury[key], amount)

    def transfer(self, key: str, amount: Decimal, fx_mid: Decimal | None) -> None:
        """Something arrived or left, at the newest mark of its key; before the opening it is part of that."""
        self.move(key, amount)
        if key in self.valued and fx_mid is not None:
            self.transfers = self.transfers.plus(self._worth(key, amount, fx_mid))

    def accept(self, sight: Sighting) -> None:
        """An operator decided about what nothing explains: from now on it counts as having been transferred."""
        for key, treasury in tuple(self.treasury.items()):
            expected = EXACT.add(treasury, sight.own.get(key, ZERO))
            self.transfer(key, EXACT.subtract(sight.told.get(key, ZERO), expected), sight.fx_mid)

    def reckon(self, sight: Sighting) -> AccountState:
        """The identity now; what is not valued counts on neither side."""
        marks = {key: mark for key, mark in sight.marks.items() if key in self.valued}
        fx_mid = sight.fx_mid
        equity = total_of(sight.told, marks, fx_mid)
        treasury = total_of(self.treasury, marks, fx_mid).minus(self.opening).minus(self.transfers)
        fx_retained = Valued(
            EXACT.subtract(EXACT.multiply(self.retained_usdt, fx_mid), self.retained_at.krw),
            EXACT.subtract(EXACT.divide(self.retained_krw, fx_mid), self.retained_at.usdt),
        )
        known = Valued()
        parts = (self.opening, treasury, sight.pairs, sight.residual, self.transfers, fx_retained)
        rounded = tuple(part.rounded() for part in parts)
        for part in rounded:
            known = known.plus(part)
        shown = equity.rounded()
        return AccountState(
            fx_mid=fx_mid, equity=shown, opening=rounded[0], treasury=rounded[1], pairs=rounded[2], residual=rounded[3],
            transfers=rounded[4], fx_retained=rounded[5], unexplained=shown.minus(known),
        )  # fmt: skip

    def _worth(self, key: str, amount: Decimal, fx_mid: Decimal) -> Valued:
        mark = self.marks[key]
        return valued_at(EXACT.multiply(amount, mark.price), mark.quote, fx_mid)
