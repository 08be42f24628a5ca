"""What closed positions earned, in all and today.

Owns: realised totals, the day's result, the winning rate, the losing streak and the equity peak.
Never: knows a position; it is told results.
Units: KRW and USDT as named, durations in nanoseconds; a day is an index, days of 24 h.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.money import EXACT

_ZERO = Decimal(0)


@attrs.frozen(kw_only=True)
class PnlTotals:
    """Counters of the books; a result of exactly zero is neither a win nor a loss."""

    realised_krw: Decimal = _ZERO
    realised_usdt: Decimal = _ZERO
    trade_count: int = 0
    win_count: int = 0
    losing_streak: int = 0
    """Closed positions in a row with a loss, net."""
    held_ns: int = 0
    """Sum of the durations of closed positions."""
    peak_krw: Decimal = _ZERO
    """Highest equity so far: realised, and marked what was open."""
    day: int = 0
    day_krw: Decimal = _ZERO
    day_accepted_krw: Decimal = _ZERO
    """The part of the day's result that an operator has accepted by resuming."""
    day_trade_count: int = 0

    @property
    def win_rate(self) -> float:
        """Winning share of closed positions, 0 when there is none."""
        return self.win_count / self.trade_count if self.trade_count else 0.0

    @property
    def avg_duration_s(self) -> float:
        """Mean duration of closed positions, 0 when there is none."""
        return self.held_ns / self.trade_count / 1e9 if self.trade_count else 0.0

    def drawdown_krw(self, open_krw: Decimal) -> Decimal:
        """Fall from the highest equity, `open_krw` being the marked result of what is open; never negative."""
        return max(_ZERO, EXACT.subtract(self.peak_krw, EXACT.add(self.realised_krw, open_krw)))

    @property
    def day_loss_krw(self) -> Decimal:
        """Lost today since an operator last accepted; negative when earned."""
        return EXACT.subtract(self.day_accepted_krw, self.day_krw)

    def with_mark(self, open_krw: Decimal) -> PnlTotals:
        """The totals after what is open was marked: a new height is remembered."""
        equity = EXACT.add(self.realised_krw, open_krw)
        return attrs.evolve(self, peak_krw=equity) if equity > self.peak_krw else self

    def accepted(self) -> PnlTotals:
        """The totals after an operator resumed: losses count from here."""
        return attrs.evolve(self, peak_krw=self.realised_krw, losing_streak=0, day_accepted_krw=self.day_krw)

    def on_day(self, day: int) -> PnlTotals:
        """The totals on a day: a later day starts at zero, an earlier one changes nothing."""
        if day <= self.day:
            return self
        return attrs.evolve(self, day=day, day_krw=_ZERO, day_accepted_krw=_ZERO, day_trade_count=0)

    def with_closed(self, krw: Decimal, usdt: Decimal, held_ns: int) -> PnlTotals:
        """One more closed position."""
        grown = self._grown(krw, usdt)
        return attrs.evolve(
            grown,
            trade_count=self.trade_count + 1,
            day_trade_count=self.day_trade_count + 1,
            win_count=self.win_count + (krw > 0),
            losing_streak=self.losing_streak + 1 if krw < 0 else 0,
            held_ns=self.held_ns + held_ns,
        )

    def with_late_funding(self, krw: Decimal, usdt: Decimal) -> PnlTotals:
        """Funding that came after its position had ended."""
        return self._grown(krw, usdt)

    def _grown(self, krw: Decimal, usdt: Decimal) -> PnlTotals:
        realised = EXACT.add(self.realised_krw, krw)
        return attrs.evolve(
            self,
            realised_krw=realised,
            realised_usdt=EXACT.add(self.realised_usdt, usdt),
            peak_krw=max(self.peak_krw, realised),
            day_krw=EXACT.add(self.day_krw, krw),
        )
