"""Everything the engine is told once: pairs, FX, execution, limits.

Owns: the frozen configuration; it travels as canonical JSON in `RunStarted`.
Units: in each field's name.
"""

from __future__ import annotations

import attrs

from arb.domain.fees import FeeSchedule
from arb.domain.fx import FxParams
from arb.domain.ids import VenueId
from arb.domain.pair import Pair
from arb.execution.params import ExecutionParams
from arb.risk.limits import RiskLimits
from arb.strategy.convergence.params import ConvergenceParams
from arb.strategy.inventory.params import InventoryParams

StrategyParams = ConvergenceParams | InventoryParams
"""Closed: of every strategy that exists; told apart by the keys that each requires."""


@attrs.frozen
class PairConfig:
    """One pair and the parameters of its strategy."""

    pair: Pair
    params: StrategyParams


@attrs.frozen(kw_only=True)
class MaintenanceWindow:
    """When a venue will be closed, as its operator announced and ours wrote down."""

    venue: VenueId
    from_ns: int
    """UTC, as is the next."""
    until_ns: int


@attrs.frozen(kw_only=True)
class EngineConfig:
    """What `step` depends on besides the events."""

    pairs: tuple[PairConfig, ...]
    fx: FxParams
    execution: ExecutionParams
    risk: RiskLimits
    fees: dict[VenueId, FeeSchedule]
    """Per venue, until the venue itself reports rates."""
    day_offset_ns: int
    """Added to UTC so that days begin at multiples of 24 h."""
    spreads_every_s: float
    """Interval of the rows of `spreads` and `fx_rates`."""
    windows: tuple[MaintenanceWindow, ...] = ()
