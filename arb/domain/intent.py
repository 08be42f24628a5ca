"""What a strategy would like, before risk."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import InstrumentId, PairId
from arb.domain.order import Side
from arb.domain.pair import Direction


class IntentKind(Enum):
    """Open a pair position or close one."""

    ENTER = "enter"
    EXIT = "exit"


@attrs.frozen(kw_only=True)
class LegPlan:
    """One wished order, priced and sized to its venue's rules."""

    instrument: InstrumentId
    side: Side
    qty: Decimal
    """Contract units, on the lot."""
    limit_price: Decimal
    """Last level walked ± collar, on the tick, inside the band."""
    expected_price: Decimal
    """VWAP of the walk."""


@attrs.frozen(kw_only=True)
class EdgeView:
    """The numbers a decision was made on; one object for log, storage and tests."""

    d_bps: float
    """(mid_B·f_m − mid_A)/mid_A."""
    fair_bps: float
    """The fair level d*."""
    gross_bps: float
    """`open_bps` for an entry, `close_bps` for an exit, at the quantity."""
    expected_bps: float
    """After all costs: expected_bps of an entry, `u` of an exit."""
    cost_bps: float
    """Fees, half-spreads and slippage taken off."""
    funding_bps: float
    fx_mid: Decimal
    fx_bid: Decimal
    fx_ask: Decimal


@attrs.frozen(kw_only=True)
class Intent:
    """Two legs, and why."""

    pair: PairId
    kind: IntentKind
    direction: Direction
    """Of the position, also for an exit."""
    qty: Decimal
    """Base units."""
    a: LegPlan
    b: LegPlan
    edge: EdgeView
    reason: str
    """`edge` for entries; the exit rule that fired for exits."""
