"""What convergence remembers of one pair: fair level, cooldown, and how long each exit rule has held.

Owns: the frozen own state and its transitions that need no judgement.
Never: reads a clock; the view brings the time.
Units: times monotonic `_ns`, edges in bps.
"""

from __future__ import annotations

from typing import Final

import attrs

from arb.strategy.convergence import kernel
from arb.strategy.convergence.fair import FairWindow
from arb.strategy.convergence.params import ConvergenceParams

NEVER_NS: Final = -(1 << 62)
SAMPLE_SPACING_NS: Final = 1_000_000_000
"""One sample a second, or two per needed sample where the window is shorter than that allows."""


@attrs.frozen(kw_only=True)
class BookCount:
    """New books seen while a position is open."""

    a: int = 0
    b: int = 0
    fx: int = 0
    a_ns: int = NEVER_NS
    b_ns: int = NEVER_NS
    fx_ns: int = NEVER_NS

    def seen(self, a_ns: int, b_ns: int, fx_ns: int) -> BookCount:
        """Count what is new by its receive time."""
        if a_ns == self.a_ns and b_ns == self.b_ns and fx_ns == self.fx_ns:
            return self
        return BookCount(
            a=self.a + (a_ns != self.a_ns),
            b=self.b + (b_ns != self.b_ns),
            fx=self.fx + (fx_ns != self.fx_ns),
            a_ns=a_ns,
            b_ns=b_ns,
            fx_ns=fx_ns,
        )


@attrs.frozen
class RuleSince:
    """From when on an exit rule has been true, and the books counted by then."""

    since_ns: int
    a: int
    b: int
    fx: int


@attrs.frozen(kw_only=True)
class ConvergenceMemory:
    """The own state; a new value whenever something is learnt."""

    fair: FairWindow = attrs.field(factory=FairWindow)
    fair_level_bps: float | None = None
    """`d*` in force; None: unknown."""
    next_sample_ns: int = NEVER_NS
    last_busy_ns: int = NEVER_NS
    """Last view with a position, an order or an incident; the cooldown runs from it."""
    hurdle_long_bps: float = 0.0
    """What a long A must bring before depth costs, as of the last full look; infinite: not offered."""
    hurdle_short_bps: float = 0.0
    books: BookCount = BookCount()
    rules: tuple[RuleSince | None, ...] = ()


def sample_spacing_ns(params: ConvergenceParams) -> int:
    """How far samples lie apart: the window always has room for twice the samples it needs."""
    return max(1, min(SAMPLE_SPACING_NS, int(params.fair_window_s * 1e9) // (2 * params.fair_min_samples)))


def with_sample(own: ConvergenceMemory, params: ConvergenceParams, now_ns: int, d_bps: float) -> ConvergenceMemory:
    """Take `d` of a fresh view as the sample of its bucket; the first view of a bucket counts."""
    if now_ns < own.next_sample_ns:
        return own
    spacing_ns = sample_spacing_ns(params)
    bucket = now_ns // spacing_ns
    if params.fair_bps is not None:
        return attrs.evolve(own, fair_level_bps=params.fair_bps, next_sample_ns=(bucket + 1) * spacing_ns)
    oldest = (now_ns - int(params.fair_window_s * 1e9)) // spacing_ns + 1
    fair = own.fair.with_sample(bucket, d_bps, oldest)
    level = fair.median if fair.count >= params.fair_min_samples else None
    return attrs.evolve(own, fair=fair, fair_level_bps=level, next_sample_ns=(bucket + 1) * spacing_ns)


def with_rules(own: ConvergenceMemory, now_ns: int, is_true: tuple[bool, ...]) -> ConvergenceMemory:
    """Start, keep or forget the confirmation of each exit rule."""
    before = own.rules or (None,) * kernel.RULE_COUNT
    count = own.books
    rules = tuple(
        (known or RuleSince(now_ns, count.a, count.b, count.fx)) if true else None
        for known, true in zip(before, is_true, strict=True)
    )
    return own if rules == own.rules else attrs.evolve(own, rules=rules)


def confirmed_rule(own: ConvergenceMemory, now_ns: int, confirm_ns: int, is_fx_static: bool) -> int:
    """The first rule that has held long enough, by its code; `STAY` when none has."""
    for index, rule in enumerate(own.rules):
        if rule is None:
            continue
        fx_books = 1 if is_fx_static else own.books.fx - rule.fx
        if kernel.is_confirmed(
            now_ns - rule.since_ns, confirm_ns, own.books.a - rule.a, own.books.b - rule.b, fx_books
        ):
            return index + 1
    return kernel.STAY
