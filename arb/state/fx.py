"""What a USDT costs in KRW, how old that is, and whether it may be believed.

Owns: the executable mark, the second book, the bank rate, and the sanity checks between them.
Never: derives FX from a traded pair; falls back to a static rate that the configuration does not name.
Units: KRW per USDT; times monotonic `_ns` of this run, `wall_ns` UTC.

Weekend: from Friday 21:00 to Sunday 21:00 UTC no bank quotes, so the band to the bank rate is the wider one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.depth import Depth
from arb.domain.events import FxSeen
from arb.domain.fx import FxParams
from arb.domain.money import FxMark, decimal_of
from arb.state.flows import KRW, USDT
from arb.state.market import NEVER_NS

_BUCKETS: Final = 10
"""The jump window is remembered as this many spans, each by its lowest and highest mid."""

_HOUR_NS: Final = 3_600_000_000_000
_WEEK_HOURS: Final = 168
_WEEKEND_FROM_H: Final = 45
"""1970-01-01 was a Thursday; Friday 21:00 UTC is hour 45 of a week that starts then."""
_WEEKEND_HOURS: Final = 48


@attrs.frozen
class MidSpan:
    """Lowest and highest mid within one span of the jump window."""

    index: int
    low: float
    high: float


@attrs.define
class FxMarks:
    """Executable FX with its guards; floats for the signal path, `mark` for the books."""

    params: FxParams
    tick: Decimal | None = None
    """Price step of the executable book, once its rules are known."""
    bid: float = 0.0
    ask: float = 0.0
    mid: float = 0.0
    booked_bid: float = 0.0
    """Of the newest two-sided image, as is the next: flows are booked at it while the book is broken."""
    booked_ask: float = 0.0
    received_ns: int = NEVER_NS
    """Of the executable book; NEVER_NS until one came (a static rate is always current)."""
    second_mid: float = 0.0
    second_received_ns: int = NEVER_NS
    bank_rate: Decimal | None = None
    bank_source: str = ""
    bank_published_ms: int = 0
    bank_received_ns: int = NEVER_NS
    spans: tuple[MidSpan, ...] = ()
    trusted_from_ns: int = NEVER_NS

    def __attrs_post_init__(self) -> None:
        """A static rate is known from the start."""
        if self.params.executable is None and self.params.executable_rate is not None:
            self.bid = self.ask = self.mid = float(self.params.executable_rate)
            self.booked_bid = self.booked_ask = self.mid

    def see_executable(self, depth: Depth) -> None:
        """A new image of the executable book."""
        self.bid, self.ask, self.received_ns = depth.best_bid, depth.best_ask, depth.received_ns
        self.mid = depth.mid
        if 0 < self.bid < self.ask:
            self.booked_bid, self.booked_ask = self.bid, self.ask
            self._remember(self.mid, depth.received_ns)

    def see_second(self, depth: Depth) -> None:
        """A new image of the book to compare with."""
        self.second_mid, self.second_received_ns = depth.mid, depth.received_ns

    def see_bank(self, event: FxSeen) -> None:
        """A bank rate; for display and the band."""
        self.bank_rate, self.bank_source = event.rate, event.source
        self.bank_published_ms, self.bank_received_ns = event.published_ms, event.at_ns

    def jump(self, at_ns: int) -> None:
        """The clock jumped: marks received before are of unknown age."""
        self.trusted_from_ns = at_ns

    @property
    def is_static(self) -> bool:
        """Whether the configuration names a rate instead of a book."""
        return self.params.executable is None

    @property
    def known_mid(self) -> float:
        """The mid; until the first image of a run that of the newest of the run before; 0: never seen."""
        return self.mid or (self.booked_bid + self.booked_ask) / 2

    def mark(self) -> FxMark | None:
        """The executable mark for the books; None: never seen."""
        if self.booked_bid <= 0:
            return None
        source = self.params.executable if self.params.executable is not None else "static"
        bid, ask = decimal_of(self.booked_bid), decimal_of(self.booked_ask)
        return FxMark(base=USDT, quote=KRW, bid=bid, ask=ask, source=source, received_ns=self.received_ns)

    def age_ns(self, now_ns: int) -> int | None:
        """Age of the executable mark; 0 when static, None when never seen."""
        if self.is_static:
            return 0
        return None if self.received_ns == NEVER_NS else now_ns - self.received_ns

    def refusal(self, now_ns: int, wall_ns: int) -> str:
        """Why executable FX supports no decision, by name; empty when it does."""
        if self.mid <= 0:
            return "fx_missing"
        if self.is_static:
            return ""
        params = self.params
        if now_ns - self.received_ns > params.max_age_ms * 1_000_000 or self.received_ns < self.trusted_from_ns:
            return "fx_stale"
        if not self.bid < self.ask:
            return "fx_crossed"
        if self.tick is not None and self.ask - self.bid > (params.fx_max_spread_ticks + 1e-6) * float(self.tick):
            return "fx_spread"
        if self.is_jumping(now_ns):
            return "fx_jump"
        if self._is_off_second(now_ns):
            return "fx_second"
        if self._is_off_bank(now_ns, wall_ns):
            return "fx_band"
        return ""

    def is_jumping(self, now_ns: int) -> bool:
        """Whether the mid moved more than `fx_jump_bps` within `fx_jump_s`: quarantined until it rested so long."""
        oldest = now_ns // self._span_ns() - _BUCKETS
        recent = [span for span in self.spans if span.index >= oldest]
        if not recent:
            return False
        low = min(span.low for span in recent)
        return (max(span.high for span in recent) / low - 1) * 1e4 > self.params.fx_jump_bps

    def bank_is_stale(self, now_ns: int) -> bool:
        """Whether the bank rate must be shown with its time beside it."""
        return self.bank_rate is None or now_ns - self.bank_received_ns > self.params.bank_max_age_s * 1e9

    def _span_ns(self) -> int:
        return max(1, int(self.params.fx_jump_s * 1e9) // _BUCKETS)

    def _remember(self, mid: float, at_ns: int) -> None:
        index = at_ns // self._span_ns()
        spans = self.spans
        if spans and spans[-1].index == index:
            last = spans[-1]
            if last.low <= mid <= last.high:
                return
            self.spans = (*spans[:-1], MidSpan(index, min(last.low, mid), max(last.high, mid)))
            return
        self.spans = (*(span for span in spans if span.index >= index - _BUCKETS), MidSpan(index, mid, mid))

    def _is_off_second(self, now_ns: int) -> bool:
        if self.second_mid <= 0 or now_ns - self.second_received_ns > self.params.max_age_ms * 1_000_000:
            return False
        return abs(self.mid / self.second_mid - 1) * 1e4 > self.params.fx_second_max_bps

    def _is_off_bank(self, now_ns: int, wall_ns: int) -> bool:
        if self.bank_rate is None or self.bank_is_stale(now_ns):
            return False
        params = self.params
        band_pct = params.fx_band_weekend_pct if is_weekend(wall_ns) else params.fx_band_pct
        return abs(self.mid / float(self.bank_rate) - 1) * 100 > band_pct


def is_weekend(wall_ns: int) -> bool:
    """Whether banks rest: Friday 21:00 to Sunday 21:00 UTC."""
    return (wall_ns // _HOUR_NS - _WEEKEND_FROM_H) % _WEEK_HOURS < _WEEKEND_HOURS
