"""Both legs of a wish as sizing wants them.

Owns: which side each leg trades, and what its venue's price band hangs on.
Never: chooses a direction or a size.
Units: prices in each instrument's quote.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.instrument import InstrumentKind
from arb.domain.order import Side
from arb.strategy.api import PairView
from arb.strategy.reach import SizedLeg

_ONE: Final = Decimal(1)


def sized_legs(view: PairView, side_a: Side) -> tuple[SizedLeg, SizedLeg]:
    """Both legs of an order pair that trades A on `side_a`; bands hang on the mid, a perpetual's on its mark."""
    mark_b = float(view.funding.mark_price) if view.funding is not None else view.b.mid
    a = SizedLeg(
        instrument=view.instrument_a,
        depth=view.a,
        fees=view.fees_a,
        side=side_a,
        multiplier=_ONE,
        reference=view.a.mid,
    )
    b = SizedLeg(
        instrument=view.instrument_b,
        depth=view.b,
        fees=view.fees_b,
        side=side_a.opposite,
        multiplier=view.pair.multiplier,
        reference=mark_b if view.instrument_b.kind is InstrumentKind.PERPETUAL else view.b.mid,
    )
    return a, b
