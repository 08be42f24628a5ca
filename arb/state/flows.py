"""Amounts that moved, each with the FX mid that stood when it moved.

Owns: what a fill, a fee or a funding payment is as flows, and their booked value in both numeraires.
Never: keeps anything; positions do.
Units: amounts signed, positive to us, in KRW or USDT as named; FX in KRW per USDT.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

import attrs

from arb.domain.errors import InvariantBroken
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, PairId
from arb.domain.instrument import Instrument
from arb.domain.money import EXACT, booked
from arb.domain.order import Fill, Purpose

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
class FillTag:
    """What the engine knows of a fill that the venue does not: whose it is and at which price it was decided."""

    pair: PairId
    leg: str
    """`a`, `b` or `fx`."""
    purpose: Purpose
    decision_price: Decimal
    multiplier: Decimal
    """Base units per contract unit of the leg's instrument."""


def fill_flows(
    fill: Fill, instrument: Instrument, tag: FillTag, *, fx_mid: Decimal, fee: Fee, fee_usdt_mid: Decimal | None
) -> tuple[Flow, ...]:
    """What a fill moves: principal and fee (for the `fx` leg both currencies of the principal).

    A fee taken in base is bought and never ours: it leaves the principal and stands as a fee at fill price.

    Raises:
        InvariantBroken: the fee is in an asset without a value in USDT.
    """
    taken = fee.amount if fee.asset == instrument.base else ZERO
    qty = fill.qty - fill.side.sign * taken
    sign = -fill.side.sign
    amount = EXACT.multiply(sign * qty, fill.price)
    decided = EXACT.multiply(sign * qty, tag.decision_price)
    flows = [flow_of(FlowKind.PRINCIPAL, tag.leg, instrument.quote, amount, decided, fx_mid, fill.received_ns)]
    if instrument.base == USDT:
        flows.append(flow_of(FlowKind.PRINCIPAL, tag.leg, USDT, -sign * qty, -sign * qty, fx_mid, fill.received_ns))
    asset, cost = _fee_value(fill, instrument, fee, fee_usdt_mid)
    if cost:
        flows.append(flow_of(FlowKind.FEE, tag.leg, asset, -cost, -cost, fx_mid, fill.received_ns))
    return tuple(flows)


def funding_flow(amount: Decimal, fx_mid: Decimal, at_ns: int) -> Flow:
    """A funding payment in USDT, positive when received."""
    return flow_of(FlowKind.FUNDING, "b", USDT, amount, amount, fx_mid, at_ns)


def flow_of(
    kind: FlowKind, leg: str, asset: AssetId, amount: Decimal, decided: Decimal, fx_mid: Decimal, at_ns: int
) -> Flow:
    """A flow from its seven parts, in order."""
    return Flow(kind=kind, leg=leg, asset=asset, amount=amount, decided=decided, fx_mid=fx_mid, at_ns=at_ns)


def _fee_value(fill: Fill, instrument: Instrument, fee: Fee, fee_usdt_mid: Decimal | None) -> tuple[AssetId, Decimal]:
    if fee.asset == instrument.quote or fee.asset in (KRW, USDT):
        return fee.asset, fee.amount
    if fee.asset == instrument.base:
        return instrument.quote, EXACT.multiply(fee.amount, fill.price)
    if fee_usdt_mid is None:
        raise InvariantBroken(f"fee of {fee.amount} {fee.asset} on {fill.instrument} has no value in USDT")
    return USDT, EXACT.multiply(fee.amount, fee_usdt_mid)


def _valued_krw(asset: AssetId, amount: Decimal, fx_mid: Decimal) -> Decimal:
    return booked(amount if asset == KRW else EXACT.multiply(amount, fx_mid))


def _valued_usdt(asset: AssetId, amount: Decimal, fx_mid: Decimal) -> Decimal:
    return booked(amount if asset == USDT else EXACT.divide(amount, fx_mid))
