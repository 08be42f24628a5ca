"""Pair positions: what an entry opened and an exit closes, flow by flow.

Owns: the frozen record of one position and how a fill, a fee or a funding payment changes it.
Never: judges, reads a clock, or converts without the FX mid that stood when the flow happened.
Units: quantities in base units; amounts signed, positive to us, in KRW or USDT as named; FX in KRW per USDT.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

import attrs

from arb.domain.fees import Fee
from arb.domain.ids import AssetId, PairId
from arb.domain.money import EXACT, booked
from arb.domain.order import Fill, Purpose, Side
from arb.domain.pair import Direction

KRW: Final = AssetId("KRW")
USDT: Final = AssetId("USDT")
ZERO: Final = Decimal(0)


class FlowKind(Enum):
    """What a flow is for; decides its column in the attribution."""

    PRINCIPAL = "principal"
    FEE = "fee"
    FUNDING = "funding"


@attrs.frozen(kw_only=True)
class Flow:
    """One amount that moved, with the FX mid stored beside it."""

    kind: FlowKind
    leg: str
    """`a`, `b`, or `fx` for the per-trade hedge."""
    asset: AssetId
    """KRW or USDT; fees taken in other assets are valued in USDT when they happen."""
    amount: Decimal
    decided: Decimal
    """The same flow at the decision price; equals `amount` for fees and funding."""
    fx_mid: Decimal
    at_ns: int

    @property
    def krw(self) -> Decimal:
        """Booked in KRW, half-even at 1e-8."""
        return _valued_krw(self.asset, self.amount, self.fx_mid)

    @property
    def usdt(self) -> Decimal:
        """Booked in USDT, half-even at 1e-8."""
        return _valued_usdt(self.asset, self.amount, self.fx_mid)

    @property
    def decided_krw(self) -> Decimal:
        """The decision-price flow, booked in KRW."""
        return _valued_krw(self.asset, self.decided, self.fx_mid)

    @property
    def decided_usdt(self) -> Decimal:
        """The decision-price flow, booked in USDT."""
        return _valued_usdt(self.asset, self.decided, self.fx_mid)


@attrs.frozen(kw_only=True)
class LegTally:
    """What one leg has bought and sold so far."""

    bought_qty: Decimal = ZERO
    bought_value: Decimal = ZERO
    """Price × quantity, in the leg's quote."""
    sold_qty: Decimal = ZERO
    sold_value: Decimal = ZERO
    fee_qty: Decimal = ZERO
    """Fees taken in the base asset, base units: bought and never ours."""
    last_price: Decimal = ZERO
    """Of the newest fill, per base unit."""

    @property
    def net_qty(self) -> Decimal:
        """Held through this leg; negative when short."""
        return self.bought_qty - self.sold_qty - self.fee_qty

    @property
    def bought_price(self) -> Decimal:
        """Average price bought, 0 when none."""
        return self.bought_value / self.bought_qty if self.bought_qty else ZERO

    @property
    def sold_price(self) -> Decimal:
        """Average price sold, 0 when none."""
        return self.sold_value / self.sold_qty if self.sold_qty else ZERO


@attrs.frozen(kw_only=True)
class FillTag:
    """What the engine knows of a fill that the venue does not: whose it is and at which price it was decided."""

    pair: PairId
    leg: str
    """`a`, `b` or `fx`."""
    purpose: Purpose
    decision_price: Decimal
    multiplier: Decimal
    """Base units per contract unit of the leg's instrument."""
    base: AssetId
    quote: AssetId


@attrs.frozen(kw_only=True)
class PairPosition:
    """One position of a pair, from its first fill to its end."""

    id: str
    pair: PairId
    direction: Direction
    is_contract_b: bool
    """B is a perpetual: its notional is a flow but no cash."""
    opened_ns: int
    opened_wall_ns: int
    d_bps: float
    """At the decision to enter, as are the next two."""
    fair_bps: float
    expected_bps: float
    a: LegTally = LegTally()
    b: LegTally = LegTally()
    flows: tuple[Flow, ...] = ()
    entry_a_krw: Decimal = ZERO
    """N0: what the A leg's entry cost or brought, unsigned; bps of the position are over it."""
    krw: Decimal = ZERO
    """Sum of KRW flows."""
    usdt: Decimal = ZERO
    """Sum of USDT flows."""
    booked_krw: Decimal = ZERO
    """Sum of all flows, each at its own FX mid."""
    principal_b_usdt: Decimal = ZERO
    """Sum of B's principals; with the next, what FX moves."""
    principal_b_krw: Decimal = ZERO
    fees_krw: Decimal = ZERO
    funding_krw: Decimal = ZERO
    hedged_usdt: Decimal = ZERO
    """USDT sold per trade against this position."""

    @property
    def is_flat(self) -> bool:
        """Whether both legs are exactly zero."""
        return not self.a.net_qty and not self.b.net_qty

    @property
    def net_qty(self) -> Decimal:
        """Base exposure of the two legs together."""
        return self.a.net_qty + self.b.net_qty

    @property
    def entry_side_a(self) -> Side:
        """Which way A was traded to open."""
        return Side.BUY if self.direction is Direction.LONG_A else Side.SELL

    @property
    def open_b_usdt(self) -> Decimal:
        """Entry value of the B quantity still open, positive: `q·b0`."""
        qty = abs(self.b.net_qty)
        entry = self.b.sold_price if self.direction is Direction.LONG_A else self.b.bought_price
        return EXACT.multiply(qty, entry)
