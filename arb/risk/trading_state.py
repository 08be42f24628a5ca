"""What may trade at all, and why: ACTIVE, REDUCING, HALTED, FROZEN and their causes as a table.

Owns: the causes in force, kept by name with a detail; the worst one wins. They survive a restart.
Never: clears by itself what only `resume` may clear.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

import attrs

from arb.domain.order import Purpose


class TradingState(Enum):
    """Severity grows with the number."""

    ACTIVE = 0
    """Everything."""
    REDUCING = 1
    """Exits and incidents; nothing opens or grows."""
    HALTED = 2
    """Incidents, margin guard and `flatten` inside their budgets; cancels, queries."""
    FROZEN = 3
    """Cancels only."""


class Cause(Enum):
    """Why the engine may not do everything."""

    PAUSE = "pause"
    DRAIN = "drain"
    UNARMED = "unarmed"
    VENUE_DOWN = "venue_down"
    MAINTENANCE = "maintenance"
    PNL_UNKNOWN = "pnl_unknown"
    WATCHDOG = "watchdog"
    STORAGE_LOW = "storage_low"
    LIQUIDATION_NEAR = "liquidation_near"
    EXTERNAL_HANDS = "external_hands"
    FLATTEN = "flatten"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LOSING_STREAK = "losing_streak"
    STORAGE_FULL = "storage_full"
    QUERY_BUDGET = "query_budget"
    INCIDENT_BUDGET = "incident_budget"
    FREEZE = "freeze"


class CauseRule(NamedTuple):
    """What a cause does and how it ends."""

    state: TradingState
    is_automatic: bool
    """Ends when the cause is gone; otherwise by `resume` only."""
    needs_clean: bool
    """`resume` clears it only after a clean reconciliation since."""


def _rules(state: TradingState, is_automatic: bool, needs_clean: bool, *causes: Cause) -> dict[Cause, CauseRule]:
    return dict.fromkeys(causes, CauseRule(state, is_automatic, needs_clean))


RULES: Final[dict[Cause, CauseRule]] = {
    **_rules(
        TradingState.REDUCING, True, False,
        Cause.UNARMED, Cause.VENUE_DOWN, Cause.MAINTENANCE, Cause.PNL_UNKNOWN, Cause.WATCHDOG, Cause.STORAGE_LOW,
        Cause.LIQUIDATION_NEAR, Cause.DRAIN,
    ),
    **_rules(
        TradingState.REDUCING, False, False,
        Cause.PAUSE, Cause.FLATTEN, Cause.EXTERNAL_HANDS, Cause.DAILY_LOSS, Cause.DRAWDOWN, Cause.LOSING_STREAK,
    ),
    **_rules(TradingState.HALTED, False, True, Cause.STORAGE_FULL, Cause.QUERY_BUDGET, Cause.INCIDENT_BUDGET),
    **_rules(TradingState.FROZEN, False, False, Cause.FREEZE),
}  # fmt: skip

OPERATOR: Final = "operator"
"""Detail of the UNARMED that an operator put in force: no condition ends it, and no restart."""

ALLOWED: Final[dict[TradingState, frozenset[Purpose]]] = {
    TradingState.ACTIVE: frozenset(Purpose),
    TradingState.REDUCING: frozenset(Purpose) - {Purpose.ENTRY},
    TradingState.HALTED: frozenset({Purpose.HEDGE, Purpose.REVERSE, Purpose.EMERGENCY, Purpose.FLATTEN}),
    TradingState.FROZEN: frozenset(),
}
"""Which orders leave in which state; cancels always do."""

OF_ONE_PAIR: Final = frozenset({Cause.PAUSE, Cause.FLATTEN})
"""Causes that an operator may put in force for one pair: with a detail they concern that pair and no other."""


@attrs.frozen
class CauseInForce:
    """One cause and what it is about (a venue, a pair, a feed; empty: the engine)."""

    cause: Cause
    detail: str
    since_ns: int
    text: str = ""


@attrs.define
class Causes:
    """The causes in force, oldest first."""

    in_force: tuple[CauseInForce, ...] = ()
    clean_ns: int = -1
    """When a reconciliation was last clean; −1: never."""

    @property
    def state(self) -> TradingState:
        """Of the whole engine: the worst cause wins; what concerns one pair counts there alone."""
        return self.state_of("")

    def state_of(self, pair: str) -> TradingState:
        """Of one pair: the worst of the causes that concern all or it."""
        worst = TradingState.ACTIVE
        for item in self.in_force:
            if item.detail not in ("", pair) and item.cause in OF_ONE_PAIR:
                continue
            rule = RULES[item.cause]
            if rule.state.value > worst.value:
                worst = rule.state
        return worst

    def has(self, cause: Cause, detail: str | None = None) -> bool:
        """Whether a cause is in force, about `detail` if given."""
        return any(item.cause is cause and (detail is None or item.detail == detail) for item in self.in_force)

    def add(self, cause: Cause, detail: str, now_ns: int, text: str = "") -> bool:
        """Put a cause in force; whether it is new."""
        if self.has(cause, detail):
            return False
        self.in_force = (*self.in_force, CauseInForce(cause, detail, now_ns, text))
        return True

    def end(self, cause: Cause, detail: str) -> bool:
        """The cause is gone; only automatic ones end by that. Whether one ended."""
        if not RULES[cause].is_automatic or not self.has(cause, detail):
            return False
        self.in_force = tuple(i for i in self.in_force if not (i.cause is cause and i.detail == detail))
        return True

    def restarted(self) -> None:
        """A new process: what ends by itself is told anew; what a person has to lift stays, the operator's disarm
        too."""
        self.in_force = tuple(
            item
            for item in self.in_force
            if not RULES[item.cause].is_automatic or (item.cause, item.detail) == (Cause.UNARMED, OPERATOR)
        )

    def lift(self, cause: Cause) -> tuple[CauseInForce, ...]:
        """What a person had to decide about is decided; returns what was in force."""
        lifted = tuple(item for item in self.in_force if item.cause is cause)
        self.in_force = tuple(item for item in self.in_force if item.cause is not cause)
        return lifted

    def reconciled(self, now_ns: int, is_clean: bool) -> None:
        """A reconciliation ended."""
        self.clean_ns = now_ns if is_clean else -1

    def resume(self, pair: str = "") -> tuple[CauseInForce, ...]:
        """An operator resumes, everything or what is about one pair: what may be cleared is; returns what was."""
        asked = (item for item in self.in_force if not pair or item.detail == pair)
        cleared = tuple(item for item in asked if self.may_resume(item))
        self.in_force = tuple(item for item in self.in_force if item not in cleared)
        return cleared

    def may_resume(self, item: CauseInForce) -> bool:
        """Whether `resume` would clear it now."""
        rule = RULES[item.cause]
        if rule.is_automatic:
            return False
        return not rule.needs_clean or self.clean_ns >= item.since_ns
