"""Where the executable FX comes from and what makes it believable; values come from `[fx]`.

Units: KRW per USDT; in each field's name.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from arb.domain.ids import InstrumentId
from arb.domain.params import param


class FxHedge(Enum):
    """What is done with the USDT/KRW exposure of a spot–perp position."""

    NONE = "none"
    TREASURY = "treasury"
    PER_TRADE = "per_trade"


@attrs.frozen(kw_only=True)
class FxParams:
    """Executable FX, its sanity checks and the home position."""

    executable: InstrumentId | None
    """The book it is read from (`upbit:KRW-USDT`); None: `executable_rate` is used, named static."""
    executable_rate: Decimal | None
    second: InstrumentId | None
    """A second book to compare with; None: no comparison."""
    hedge: FxHedge
    home_usdt: Decimal = param("USDT", -1e10, 1e10)
    max_age_ms: int = param("ms", 50, 600_000)
    fx_jump_bps: float = param("bps", 0.1, 5_000)
    fx_jump_s: float = param("s", 0.1, 3_600)
    fx_band_pct: float = param("%", 0.1, 100)
    fx_band_weekend_pct: float = param("%", 0.1, 100)
    fx_second_max_bps: float = param("bps", 0.1, 5_000)
    fx_max_spread_ticks: int = param("ticks", 1, 1_000)
    bank_max_age_s: float = param("s", 1, 604_800)
    conversion_fee_bps: float = param("bps", 0, 1_000)
    """φ_x: taker fee of the executable book."""
