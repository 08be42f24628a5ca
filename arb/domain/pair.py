"""Pairs of instruments and the directions they trade in."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import InstrumentId, PairId


class PairKind(Enum):
    """What the two instruments are; decides which FX applies (engine.md, Edge)."""

    SPOT_PERP = "spot_perp"
    SPOT_SPOT = "spot_spot"


class Direction(Enum):
    """Which leg is bought."""

    LONG_A = "long_a"
    """Buy A, sell B."""
    SHORT_A = "short_a"
    """Sell A, buy B."""

    @property
    def sign(self) -> int:
        """+1 when A is bought, −1 when A is sold."""
        return 1 if self is Direction.LONG_A else -1


@attrs.frozen(kw_only=True)
class Pair:
    """Two configured instruments of the same asset: A quoted in KRW, B in USDT."""

    id: PairId
    a: InstrumentId
    b: InstrumentId
    kind: PairKind
    multiplier: Decimal
    """Base units per contract unit of B (`1000PEPE`: 1000)."""
    directions: frozenset[Direction]
    identity_max_dev: float
    """Largest |mid_A/(mid_B·f_m) − 1| at which both are believed to be the same asset, ratio."""
    strategy: str
