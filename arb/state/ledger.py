"""The books: pair positions, what they earned, what is left over.

Owns: open positions, realised totals, the residual ledger, and which executions were already booked.
A position that ends is checked: its parts must explain its total but for rounding, or we are wrong about the world.
Never: judges or marks by itself; prices, FX and time come with the call.
Units: amounts Decimal in the asset named; times monotonic `_ns`, `wall_ns` UTC; days count in UTC + `day_offset_ns`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.errors import InvariantBroken
from arb.domain.events import BalanceSeen, FundingPaid, PositionSeen, TransferSeen
from arb.domain.fees import Fee
from arb.domain.ids import InstrumentId, PairId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import BOOK_STEP, EXACT, booked, exact_sum
from arb.domain.order import Fill
from arb.domain.pair import Direction
from arb.state.account import AccountBook, KeyMark, key_of
from arb.state.attribution import Attribution, attribute
from arb.state.flows import KRW, USDT, ZERO, FillTag, Flow, FlowKind, fill_flows, funding_flow
from arb.state.holdings import Holdings
from arb.state.positions import LegTally, PairPosition, exit_flows, with_fill, with_flows
from arb.state.totals import PnlTotals

DAY_NS: Final = 86_400_000_000_000
BOOKED_KEPT: Final = 100_000
"""Executions and incomes remembered for de-duplication; the oldest go first."""
ENDED_KEPT: Final = 200
"""Ended positions remembered, so that funding that comes late finds its own."""
SETTLING_NS: Final = 60_000_000_000
"""A venue may take so long over a settlement: a position opened within it has still paid."""


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
    revision: int = 0
    """Of its row, as is the next of the row of its last trade."""
    trade_revision: int = 0
    trade_id: str = ""
    """The two-leg order that ended it."""
    trade_qty: Decimal = ZERO


@attrs.frozen(kw_only=True)
class FundingBooked:
    """Where a funding payment went: an open position, an ended one (then with its new result), or the account."""

    flow: Flow
    position: PairPosition | None = None
    ended: ClosedPosition | None = None


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
    account: AccountBook = attrs.field(factory=AccountBook)
    ended: dict[str, ClosedPosition] = attrs.field(factory=dict)
    """The last positions that ended, by their ids, oldest first."""

    def see_balances(self, event: BalanceSeen) -> None:
        """Take a venue's balances."""
        self.holdings.see_balances(event)

    def see_contract(self, event: PositionSeen) -> None:
        """Take a venue's contract position."""
        self.holdings.see_contract(event)

    def see_transfer(self, event: TransferSeen, fx_mid: Decimal | None = None) -> bool:
        """Book a deposit or withdrawal once; False: known already, or told with the opening."""
        if event.done_ms is not None and self.account.is_before_opening(event.done_ms * 1_000_000):
            return False
        if not self._is_first(f"transfer/{event.venue}/{event.transfer_id}"):
            return False
        self.account.transfer(key_of(event.venue, event.asset), event.amount, fx_mid)
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

        `fee_usdt_mid` prices a fee asset that is neither currency nor the base (BNB): the pair pays its value in USDT,
        the treasury the asset itself.

        Raises:
            InvariantBroken: such a fee without its price.
        """
        if not self._is_first(f"fill/{fill.instrument}/{fill.trade_id}"):
            return None
        self.holdings.add_fill(fill, instrument, fee)
        position = self.positions.get(tag.pair) if tag is not None else None
        if tag is None or position is None:
            self._trade_treasury(fill, instrument, fee)
            return ()
        if fee.asset not in (KRW, USDT, instrument.base) and fee_usdt_mid is not None:
            key = key_of(instrument.venue, fee.asset)
            self.account.price_first(key, KeyMark(fee_usdt_mid, USDT), fx_mid)
            self.account.move(key, -fee.amount)
            self.account.move(USDT, EXACT.multiply(fee.amount, fee_usdt_mid))
        flows = fill_flows(fill, instrument, tag, fx_mid=fx_mid, fee=fee, fee_usdt_mid=fee_usdt_mid)
        taken = fee.amount if fee.asset == instrument.base else ZERO
        self.positions[tag.pair] = with_fill(position, fill, tag, taken, flows)
        return flows

    def book_funding(self, event: FundingPaid, pair: PairId | None, fx_mid: Decimal) -> FundingBooked | None:
        """Book a funding payment once, to the position that was open at its settlement; None: known already, or
        told with the opening.

        One that has ended gets it at its own closing FX and a new result. Without such a position it is retained.
        """
        if self.account.is_before_opening(event.settled_ms * 1_000_000):
            return None
        if not self._is_first(f"funding/{venue_of(event.instrument)}/{event.income_id}"):
            return None
        self.holdings.add_funding(venue_of(event.instrument), event.asset, event.amount)
        flow = funding_flow(event.amount, fx_mid, event.at_ns)
        position = self.positions.get(pair) if pair is not None else None
        settled_ns = event.settled_ms * 1_000_000
        if position is not None and position.opened_wall_ns <= settled_ns:
            return self._fund(position, flow)
        if (ended := self._ended_at(pair, settled_ns)) is not None:
            return self._fund_late(ended, event)
        if position is not None and position.opened_wall_ns <= settled_ns + SETTLING_NS:
            return self._fund(position, flow)
        self._retain_late(flow, fx_mid)
        return FundingBooked(flow=flow)

    def _fund(self, position: PairPosition, flow: Flow) -> FundingBooked:
        grown = self.positions[position.pair] = with_flows(position, (flow,))
        return FundingBooked(flow=flow, position=grown)

    def _fund_late(self, ended: ClosedPosition, event: FundingPaid) -> FundingBooked:
        flow = funding_flow(event.amount, ended.fx_mid, event.at_ns)
        position = with_flows(ended.position, (flow,))
        krw, usdt = checked_result(position, ended.fx_mid)
        found = self.ended[position.id] = attrs.evolve(
            ended, position=position, krw=krw, usdt=usdt, revision=ended.revision + 1,
            trade_revision=ended.trade_revision + 1,
        )  # fmt: skip
        self._retain_late(flow, ended.fx_mid, EXACT.subtract(krw.total, ended.krw.total), usdt.total - ended.usdt.total)
        return FundingBooked(flow=flow, ended=found)

    def _retain_late(
        self, flow: Flow, fx_mid: Decimal, krw: Decimal | None = None, usdt: Decimal | None = None
    ) -> None:
        self.account.retain(ZERO, flow.amount, fx_mid)
        self.totals = self.totals.with_late_funding(
            flow.krw if krw is None else krw, flow.usdt if usdt is None else usdt
        )

    def _ended_at(self, pair: PairId | None, settled_ns: int) -> ClosedPosition | None:
        """The pair's ended position that was open at that moment, the newest if several."""
        for item in reversed(self.ended.values()):
            if item.position.pair == pair and item.position.opened_wall_ns <= settled_ns <= item.closed_wall_ns:
                return item
        return None

    def close_position(self, pair: PairId, *, fx_mid: Decimal, at_ns: int, wall_ns: int, reason: str) -> ClosedPosition:
        """End a position: what is left of a leg goes to the residual ledger at its last fill price.

        Raises:
            InvariantBroken: its parts do not explain its total.
        """
        position = self.positions.pop(pair)
        residuals = self._residuals_of(position, at_ns)
        flows = tuple(_left_over(residual, fx_mid, at_ns) for residual in residuals)
        ended = with_flows(position, flows)
        krw, usdt = checked_result(ended, fx_mid)
        for residual in residuals:
            self._keep(residual)
        self.roll_day(wall_ns)
        self.totals = self.totals.with_closed(krw.total, usdt.total, at_ns - position.opened_ns)
        self.account.retain(ended.krw, ended.usdt, fx_mid)
        closed = ClosedPosition(
            position=ended,
            reason=reason,
            closed_ns=at_ns,
            closed_wall_ns=wall_ns,
            fx_mid=fx_mid,
            krw=krw,
            usdt=usdt,
            residuals=residuals,
        )
        self._remember_ended(closed)
        return closed

    def name_trade(self, position: str, *, trade_id: str, qty: Decimal, revision: int) -> None:
        """Remember which rows told of an ended position, so that they can be told anew."""
        if (known := self.ended.get(position)) is not None:
            self.ended[position] = attrs.evolve(known, trade_id=trade_id, trade_qty=qty, revision=revision)

    def absorb_residual(self, pair: PairId, leg: str, fx_mid: Decimal, at_ns: int) -> Decimal:
        """Let what is left over on a leg ride on the open position of the same sign, which pays its cost."""
        position, residual = self.positions[pair], self.residuals.get(f"{pair}/{leg}")
        tally = position.a if leg == "a" else position.b
        if residual is None or not tally.net_qty or (residual.qty > 0) is not (tally.net_qty > 0):
            return ZERO
        del self.residuals[f"{pair}/{leg}"]
        taken = attrs.evolve(residual, qty=-residual.qty, cost=-residual.cost)
        grown = with_flows(position, (_left_over(taken, fx_mid, at_ns),))
        ridden = tally.with_residual(residual.qty, residual.cost)
        self.positions[pair] = attrs.evolve(grown, a=ridden) if leg == "a" else attrs.evolve(grown, b=ridden)
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
        """What moves with USDT/KRW: cash, contract notionals, less what is held at home on purpose.

        A hedge is USDT sold out of that cash, so it is in the venues' word and not taken off a second time.
        """
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
            self.account.gained(residual.leg, -residual.cost)
            del self.residuals[key]

    def _remember_ended(self, closed: ClosedPosition) -> None:
        if len(self.ended) >= ENDED_KEPT:
            del self.ended[next(iter(self.ended))]
        self.ended[closed.position.id] = closed

    def _trade_treasury(self, fill: Fill, instrument: Instrument, fee: Fee) -> None:
        """An execution of no pair of ours: what it moved is the treasury's."""
        signed = fill.side.sign * fill.qty
        is_contract = instrument.kind is InstrumentKind.PERPETUAL
        self.account.move(instrument.id if is_contract else key_of(instrument.venue, instrument.base), signed)
        self.account.move(key_of(instrument.venue, instrument.quote), -EXACT.multiply(signed, fill.price))
        self.account.move(key_of(instrument.venue, fee.asset), -fee.amount)


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


def checked_result(position: PairPosition, fx_mid: Decimal) -> tuple[Attribution, Attribution]:
    """The result of a position without open legs, in KRW and in USDT, believed only when it is consistent.

    What is called rounding may be no more than the half steps of the amounts that were booked, and the sums kept while
    the position was open must come to the same total, but for as much: sums taken in another order, of amounts with
    more digits than are kept, may end on the other side of half a step.

    Raises:
        InvariantBroken: they do not.
    """
    krw, usdt = attribute(position.flows, fx_mid)
    limit = EXACT.multiply(BOOK_STEP, Decimal(len(position.flows) + 2))
    kept = EXACT.add(position.krw, EXACT.multiply(position.usdt, fx_mid))
    for name, parts, total in (("KRW", krw, kept), ("USDT", usdt, EXACT.divide(kept, fx_mid))):
        if parts.unexplained or abs(parts.rounding) > limit or abs(parts.total - total) > limit:
            raise InvariantBroken(
                f"position {position.id}: {parts.total} {name} of result, {booked(total)} kept while it was open, "
                f"{parts.rounding} of it without an origin"
            )
    return krw, usdt
