"""The books: pair positions, what they earned, what is left over.

Owns: open positions, realised totals, the residual ledger, and which executions were already booked.
Never: judges or marks by itself; prices, FX and time come with the call.
Units: amounts Decimal in the asset named; times monotonic `_ns`, `wall_ns` UTC; days count in UTC + `day_offset_ns`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.events import BalanceSeen, FundingPaid, PositionSeen, TransferSeen
from arb.domain.fees import Fee
from arb.domain.ids import InstrumentId, PairId, venue_of
from arb.domain.instrument import Instrument
from arb.domain.money import EXACT, exact_sum
from arb.domain.order import Fill
from arb.domain.pair import Direction
from arb.state.attribution import Attribution, attribute
from arb.state.flows import KRW, USDT, ZERO, FillTag, Flow, FlowKind, fill_flows, funding_flow
from arb.state.holdings import Holdings
from arb.state.positions import LegTally, PairPosition, exit_flows, with_fill, with_flows
from arb.state.totals import PnlTotals

DAY_NS: Final = 86_400_000_000_000
BOOKED_KEPT: Final = 100_000
"""Executions and incomes remembered for de-duplication; the oldest go first."""


@attrs.frozen(kw_only=True)
class Residual:
    """Coins that left their pair at fill price because no venue can trade so few."""

    pair: PairId
    leg: str
    qty: Decimal
    """Base units, signed."""
    cost: Decimal
    """Signed, in the leg's quote: what the quantity cost."""
    since_ns: int


@attrs.frozen(kw_only=True)
class ClosedPosition:
    """A position at its end, attributed in both numeraires."""

    position: PairPosition
    reason: str
    closed_ns: int
    closed_wall_ns: int
    fx_mid: Decimal
    krw: Attribution
    usdt: Attribution
    residuals: tuple[Residual, ...]

    @property
    def duration_ns(self) -> int:
        """From opening to close."""
        return self.closed_ns - self.position.opened_ns


@attrs.define
class Ledger:
    """One engine's accounts; every method is one fold of one event or one question."""

    day_offset_ns: int
    """Added to UTC so that days begin at multiples of 24 h: the zone's offset minus the day's start."""
    holdings: Holdings = attrs.field(factory=Holdings)
    positions: dict[PairId, PairPosition] = attrs.field(factory=dict)
    residuals: dict[str, Residual] = attrs.field(factory=dict)
    """By `pair/leg`."""
    totals: PnlTotals = attrs.field(factory=PnlTotals)
    booked: dict[str, None] = attrs.field(factory=dict)
    """Executions, incomes and transfers already in the books, oldest first."""

    def see_balances(self, event: BalanceSeen) -> None:
        """Take a venue's balances."""
        self.holdings.see_balances(event)

    def see_contract(self, event: PositionSeen) -> None:
        """Take a venue's contract position."""
        self.holdings.see_contract(event)

    def see_transfer(self, event: TransferSeen) -> bool:
        """Book a deposit or withdrawal once; False: known already."""
        if not self._is_first(f"transfer/{event.venue}/{event.transfer_id}"):
            return False
        self.holdings.add_transfer(event.venue, event.asset, event.amount)
        return True

    def open_position(self, position: PairPosition) -> None:
        """Start a pair position, before its first fill."""
        self.positions[position.pair] = position

    def position(self, pair: PairId) -> PairPosition | None:
        """The pair's open position."""
        return self.positions.get(pair)

    def book_fill(
        self,
        fill: Fill,
        instrument: Instrument,
        tag: FillTag | None,
        *,
        fx_mid: Decimal,
        fee: Fee,
        fee_usdt_mid: Decimal | None = None,
    ) -> tuple[Flow, ...] | None:
        """Book an execution once; None: known already, empty: it belongs to no open position.

        `fee_usdt_mid` prices a fee asset that is neither currency nor the base (BNB).

        Raises:
            InvariantBroken: such a fee without its price.
        """
        if not self._is_first(f"fill/{fill.instrument}/{fill.trade_id}"):
            return None
        self.holdings.add_fill(fill, instrument, fee)
        position = self.positions.get(tag.pair) if tag is not None else None
        if tag is None or position is None:
            return ()
        flows = fill_flows(fill, instrument, tag, fx_mid=fx_mid, fee=fee, fee_usdt_mid=fee_usdt_mid)
        taken = fee.amount if fee.asset == instrument.base else ZERO
        self.positions[tag.pair] = with_fill(position, fill, tag, taken, flows)
        return flows

    def book_funding(self, event: FundingPaid, pair: PairId | None, fx_mid: Decimal) -> tuple[Flow, ...] | None:
        """Book a funding payment once; None: known already. Without an open position it counts as retained income."""
        if not self._is_first(f"funding/{venue_of(event.instrument)}/{event.income_id}"):
            return None
        self.holdings.add_funding(venue_of(event.instrument), event.asset, event.amount)
        flows = (funding_flow(event.amount, fx_mid, event.at_ns),)
        position = self.positions.get(pair) if pair is not None else None
        if position is None:
            self.totals = self.totals.with_late_funding(flows[0].krw, flows[0].usdt)
        else:
            self.positions[position.pair] = with_flows(position, flows)
        return flows

    def close_position(self, pair: PairId, *, fx_mid: Decimal, at_ns: int, wall_ns: int, reason: str) -> ClosedPosition:
        """End a position: what is left of a leg goes to the residual ledger at its last fill price."""
        position = self.positions.pop(pair)
        residuals = self._residuals_of(position, at_ns)
        flows = tuple(_left_over(residual, fx_mid, at_ns) for residual in residuals)
        ended = with_flows(position, flows)
        krw, usdt = attribute(ended.flows, fx_mid)
        for residual in residuals:
            self._keep(residual)
        self.roll_day(wall_ns)
        self.totals = self.totals.with_closed(krw.total, usdt.total, at_ns - position.opened_ns)
        return ClosedPosition(
            position=ended,
            reason=reason,
            closed_ns=at_ns,
            closed_wall_ns=wall_ns,
            fx_mid=fx_mid,
            krw=krw,
            usdt=usdt,
            residuals=residuals,
        )

    def absorb_residual(self, pair: PairId, fx_mid: Decimal, at_ns: int) -> Decimal:
        """Let what is left over on A ride on the open position of the same sign, which pays its cost; base units."""
        position, residual = self.positions[pair], self.residuals.get(f"{pair}/a")
        if residual is None or (residual.qty > 0) is not (position.a.net_qty > 0):
            return ZERO
        del self.residuals[f"{pair}/a"]
        taken = attrs.evolve(residual, qty=-residual.qty, cost=-residual.cost)
        grown = with_flows(position, (_left_over(taken, fx_mid, at_ns),))
        self.positions[pair] = attrs.evolve(grown, a=grown.a.with_residual(residual.qty, residual.cost))
        return residual.qty

    def marked(
        self,
        pair: PairId,
        *,
        exit_a: Decimal,
        exit_b: Decimal,
        fee_rate_a: Decimal,
        fee_rate_b: Decimal,
        fx_mid: Decimal,
        at_ns: int,
    ) -> tuple[Attribution, Attribution]:
        """An open position as if closed at these prices per base unit, exit fees included: in KRW and in USDT."""
        position = self.positions[pair]
        ending = exit_flows(
            position,
            exit_a=exit_a,
            exit_b=exit_b,
            fee_rate_a=fee_rate_a,
            fee_rate_b=fee_rate_b,
            fx_mid=fx_mid,
            at_ns=at_ns,
        )
        return attribute(position.flows + ending, fx_mid)

    def roll_day(self, wall_ns: int) -> None:
        """Begin a new day in the totals when it has come."""
        self.totals = self.totals.on_day((wall_ns + self.day_offset_ns) // DAY_NS)

    def fx_exposure_usdt(self, home_usdt: Decimal) -> Decimal:
        """What moves with USDT/KRW: cash, contract notionals, hedges, less what is held at home on purpose."""
        contracts = exact_sum(
            (position.open_b_usdt if position.direction is Direction.LONG_A else -position.open_b_usdt)
            for position in self.positions.values()
            if position.is_contract_b
        )
        return EXACT.subtract(EXACT.add(self.holdings.total_of(USDT), contracts), home_usdt)

    def contract_qty(self, instrument: InstrumentId) -> Decimal:
        """The venue's own word on a contract, 0 when it never said."""
        found = self.holdings.contracts.get(instrument)
        return found.qty if found is not None else ZERO

    def residual_qty(self, pair: PairId) -> Decimal:
        """Base left over from a pair on both legs, signed; counts in delta."""
        return exact_sum(residual.qty for residual in self.residuals.values() if residual.pair == pair)

    def _is_first(self, key: str) -> bool:
        if key in self.booked:
            return False
        if len(self.booked) >= BOOKED_KEPT:
            del self.booked[next(iter(self.booked))]
        self.booked[key] = None
        return True

    def _residuals_of(self, position: PairPosition, at_ns: int) -> tuple[Residual, ...]:
        legs: tuple[tuple[str, LegTally], ...] = (("a", position.a), ("b", position.b))
        return tuple(
            Residual(
                pair=position.pair,
                leg=leg,
                qty=tally.net_qty,
                cost=EXACT.multiply(tally.net_qty, tally.last_price),
                since_ns=at_ns,
            )
            for leg, tally in legs
            if tally.net_qty
        )

    def _keep(self, residual: Residual) -> None:
        key = f"{residual.pair}/{residual.leg}"
        old = self.residuals.get(key)
        if old is not None:
            residual = attrs.evolve(old, qty=EXACT.add(old.qty, residual.qty), cost=EXACT.add(old.cost, residual.cost))
        self.residuals[key] = residual
        if not residual.qty:
            del self.residuals[key]


def _left_over(residual: Residual, fx_mid: Decimal, at_ns: int) -> Flow:
    """The pair is paid for what leaves it at fill price, so that the position ends with nothing."""
    return Flow(
        kind=FlowKind.PRINCIPAL,
        leg=residual.leg,
        asset=KRW if residual.leg == "a" else USDT,
        amount=residual.cost,
        decided=residual.cost,
        fx_mid=fx_mid,
        at_ns=at_ns,
    )
