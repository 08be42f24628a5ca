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

from arb.domain.errors import InvariantBroken
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, PairId
from arb.domain.instrument import Instrument
from arb.domain.money import EXACT, booked, exact_sum
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
    flows = [_flow(FlowKind.PRINCIPAL, tag.leg, instrument.quote, amount, decided, fx_mid, fill.received_ns)]
    if instrument.base == USDT:
        flows.append(_flow(FlowKind.PRINCIPAL, tag.leg, USDT, -sign * qty, -sign * qty, fx_mid, fill.received_ns))
    asset, cost = _fee_value(fill, instrument, fee, fee_usdt_mid)
    if cost:
        flows.append(_flow(FlowKind.FEE, tag.leg, asset, -cost, -cost, fx_mid, fill.received_ns))
    return tuple(flows)


def funding_flow(amount: Decimal, fx_mid: Decimal, at_ns: int) -> Flow:
    """A funding payment in USDT, positive when received."""
    return _flow(FlowKind.FUNDING, "b", USDT, amount, amount, fx_mid, at_ns)


def with_fill(
    position: PairPosition, fill: Fill, tag: FillTag, taken: Decimal, flows: tuple[Flow, ...]
) -> PairPosition:
    """The position after one fill; `taken` is the fee taken in base, contract units."""
    grown = with_flows(position, flows)
    if tag.leg == "fx":
        return attrs.evolve(grown, hedged_usdt=grown.hedged_usdt - fill.side.sign * fill.qty)
    if tag.leg == "b":
        return attrs.evolve(grown, b=_tallied(grown.b, fill, tag, taken))
    is_entry = fill.side is position.entry_side_a and tag.purpose not in (Purpose.REVERSE, Purpose.EMERGENCY)
    cost = EXACT.multiply(fill.qty, fill.price) if is_entry else ZERO
    return attrs.evolve(grown, a=_tallied(grown.a, fill, tag, taken), entry_a_krw=grown.entry_a_krw + cost)


def with_flows(position: PairPosition, flows: tuple[Flow, ...]) -> PairPosition:
    """The position after flows that change no quantity, every running sum kept."""
    moved_b = [flow for flow in flows if flow.leg == "b" and flow.kind is FlowKind.PRINCIPAL]
    return attrs.evolve(
        position,
        flows=position.flows + flows,
        krw=position.krw + exact_sum(flow.amount for flow in flows if flow.asset == KRW),
        usdt=position.usdt + exact_sum(flow.amount for flow in flows if flow.asset == USDT),
        booked_krw=position.booked_krw + exact_sum(flow.krw for flow in flows),
        principal_b_usdt=position.principal_b_usdt + exact_sum(flow.amount for flow in moved_b),
        principal_b_krw=position.principal_b_krw + exact_sum(flow.krw for flow in moved_b),
        fees_krw=position.fees_krw + exact_sum(flow.krw for flow in flows if flow.kind is FlowKind.FEE),
        funding_krw=position.funding_krw + exact_sum(flow.krw for flow in flows if flow.kind is FlowKind.FUNDING),
    )


def exit_flows(
    position: PairPosition,
    *,
    exit_a: Decimal,
    exit_b: Decimal,
    fee_rate_a: Decimal,
    fee_rate_b: Decimal,
    fx_mid: Decimal,
    at_ns: int,
) -> tuple[Flow, ...]:
    """The flows that closing both legs at these prices per base unit would bring, fees included."""
    flows: list[Flow] = []
    for leg, tally, asset, price, rate in (
        ("a", position.a, KRW, exit_a, fee_rate_a),
        ("b", position.b, USDT, exit_b, fee_rate_b),
    ):
        value = EXACT.multiply(tally.net_qty, price)
        fee = EXACT.multiply(abs(value), rate)
        if value:
            flows.append(_flow(FlowKind.PRINCIPAL, leg, asset, value, value, fx_mid, at_ns))
        if fee:
            flows.append(_flow(FlowKind.FEE, leg, asset, -fee, -fee, fx_mid, at_ns))
    return tuple(flows)


def _flow(
    kind: FlowKind, leg: str, asset: AssetId, amount: Decimal, decided: Decimal, fx_mid: Decimal, at_ns: int
) -> Flow:
    return Flow(kind=kind, leg=leg, asset=asset, amount=amount, decided=decided, fx_mid=fx_mid, at_ns=at_ns)


def _fee_value(fill: Fill, instrument: Instrument, fee: Fee, fee_usdt_mid: Decimal | None) -> tuple[AssetId, Decimal]:
    if fee.asset == instrument.quote or fee.asset in (KRW, USDT):
        return fee.asset, fee.amount
    if fee.asset == instrument.base:
        return instrument.quote, EXACT.multiply(fee.amount, fill.price)
    if fee_usdt_mid is None:
        raise InvariantBroken(f"fee of {fee.amount} {fee.asset} on {fill.instrument} has no value in USDT")
    return USDT, EXACT.multiply(fee.amount, fee_usdt_mid)


def _tallied(tally: LegTally, fill: Fill, tag: FillTag, taken: Decimal) -> LegTally:
    qty = EXACT.multiply(fill.qty, tag.multiplier)
    value = EXACT.multiply(fill.qty, fill.price)
    fee_qty = tally.fee_qty + EXACT.multiply(taken, tag.multiplier)
    last = fill.price / tag.multiplier
    if fill.side is Side.BUY:
        return attrs.evolve(
            tally,
            bought_qty=tally.bought_qty + qty,
            bought_value=tally.bought_value + value,
            fee_qty=fee_qty,
            last_price=last,
        )
    return attrs.evolve(
        tally, sold_qty=tally.sold_qty + qty, sold_value=tally.sold_value + value, fee_qty=fee_qty, last_price=last
    )


def _valued_krw(asset: AssetId, amount: Decimal, fx_mid: Decimal) -> Decimal:
    return booked(amount if asset == KRW else EXACT.multiply(amount, fx_mid))


def _valued_usdt(asset: AssetId, amount: Decimal, fx_mid: Decimal) -> Decimal:
    return booked(amount if asset == USDT else EXACT.divide(amount, fx_mid))
