"""Pair positions: what an entry opened and an exit closes, flow by flow.

Owns: the frozen record of one position and how a fill, a fee or a funding payment changes it.
Never: judges, reads a clock, or converts without the FX mid that stood when the flow happened.
Units: quantities in base units; amounts signed, positive to us, in KRW or USDT as named; FX in KRW per USDT.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.ids import PairId
from arb.domain.money import EXACT, exact_sum
from arb.domain.order import Fill, Purpose, Side
from arb.domain.pair import Direction
from arb.state.flows import KRW, USDT, ZERO, FillTag, Flow, FlowKind, flow_of

__all__ = ["KRW", "USDT", "FillTag", "LegTally", "PairPosition", "exit_flows", "with_fill", "with_flows"]


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

    def with_residual(self, qty: Decimal, cost: Decimal) -> LegTally:
        """The leg with a signed quantity that an earlier position left over, at its cost."""
        if qty > 0:
            return attrs.evolve(self, bought_qty=self.bought_qty + qty, bought_value=self.bought_value + cost)
        return attrs.evolve(self, sold_qty=self.sold_qty - qty, sold_value=self.sold_value - cost)

    @property
    def bought_price(self) -> Decimal:
        """Average price bought, 0 when none."""
        return self.bought_value / self.bought_qty if self.bought_qty else ZERO

    @property
    def sold_price(self) -> Decimal:
        """Average price sold, 0 when none."""
        return self.sold_value / self.sold_qty if self.sold_qty else ZERO


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
            flows.append(flow_of(FlowKind.PRINCIPAL, leg, asset, value, value, fx_mid, at_ns))
        if fee:
            flows.append(flow_of(FlowKind.FEE, leg, asset, -fee, -fee, fx_mid, at_ns))
    return tuple(flows)


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
