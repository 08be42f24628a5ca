"""Fees and funding: what the venues really charge and pay, in the currency in which they do.

Owns: the fee that a fill is booked with, what a fill teaches about the rates, and where a funding payment goes.
Never: changes what a venue said; without a word of its own the schedule speaks.
Units: amounts in the asset named; `usdt_mid` is USDT per unit of a fee asset.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, Severity, Table
from arb.domain.events import FundingPaid, TransferSeen
from arb.domain.fees import Fee, FeeAsset, FeeSchedule
from arb.domain.ids import InstrumentId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import BOOK_STEP, EXACT, decimal_of
from arb.domain.order import Fill, Liquidity, Side
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.marking import fx_mid_of
from arb.engine.memory import Turn
from arb.engine.view import fees_of, mid_of
from arb.state.ledger import DAY_NS, FundingBooked

RATE_TOLERANCE: Final = Decimal("0.01")
"""Relative: a venue rounds its fees, and does not change a rate by less."""
ROUNDING: Final = 2 * BOOK_STEP
"""Absolute, in the fee's asset: what rounding and truncation can do to one fee."""


def fee_of(turn: Turn, fill: Fill, instrument: Instrument) -> tuple[Fee, Decimal | None]:
    """The venue's own fee, and what a third asset is worth in USDT; the schedule's fee where the venue told none.

    A third asset without a book is worth what makes the fee the schedule's: nothing truer is known, and the quantity
    that was taken stays the venue's word.
    """
    known, planned = fill.fee, _planned(turn, fill, instrument)
    if known is None:
        return planned, None
    if known.asset in (instrument.quote, instrument.base, "KRW", "USDT"):
        return known, None
    mid = _usdt_mid(turn, instrument, known)
    if mid is None:
        fees = fees_of(turn.memory, turn.config, instrument.id)
        due = EXACT.multiply(EXACT.multiply(fill.qty, fill.price), _rate(fees, fill))
        if instrument.quote == "KRW":
            due = EXACT.divide(due, fx_mid_of(turn.memory) or Decimal(1))
        mid = EXACT.divide(due, known.amount) if known.amount else Decimal(0)
    return known, mid


def _planned(turn: Turn, fill: Fill, instrument: Instrument) -> Fee:
    fees = fees_of(turn.memory, turn.config, instrument.id)
    if fees.fee_asset is FeeAsset.RECEIVED and fill.side is Side.BUY and instrument.kind is InstrumentKind.SPOT:
        return Fee(EXACT.multiply(fill.qty, _rate(fees, fill)), instrument.base)
    return Fee(EXACT.multiply(EXACT.multiply(fill.qty, fill.price), _rate(fees, fill)), instrument.quote)


def _rate(fees: FeeSchedule, fill: Fill) -> Decimal:
    return fees.maker_rate if fill.liquidity is Liquidity.MAKER else fees.taker_rate


def _usdt_mid(turn: Turn, instrument: Instrument, fee: Fee) -> Decimal | None:
    """USDT per unit of a third asset: its book on that venue, else on any; None without one."""
    books = turn.memory.market.books
    names = (InstrumentId(f"{venue}:{fee.asset}USDT") for venue in sorted({venue_of(name) for name in books}))
    for name in (InstrumentId(f"{instrument.venue}:{fee.asset}USDT"), *names):
        mid = mid_of(turn.memory, name)
        if mid > 0:
            return decimal_of(mid)
    return None


def learn(turn: Turn, fill: Fill, instrument: Instrument) -> None:
    """A fee that differs from plan becomes the plan, so that entries are priced with it; a person is told once."""
    known = fill.fee
    if known is None or not fill.qty or not fill.price:
        return
    memory = turn.memory
    fees = fees_of(memory, turn.config, instrument.id)
    rate, asset = _seen_rate(turn, fill, instrument, known, fees), _seen_asset(fill, instrument, known, fees)
    if rate is None and asset is fees.fee_asset:
        return
    is_maker = fill.liquidity is Liquidity.MAKER
    learnt = attrs.evolve(
        fees, fee_asset=asset, source="fills",
        maker_rate=rate if rate is not None and is_maker else fees.maker_rate,
        taker_rate=rate if rate is not None and not is_maker else fees.taker_rate,
    )  # fmt: skip
    memory.market.fees[instrument.id] = learnt
    warned = memory.ledger.account.warned_fees
    if instrument.id in warned:
        return
    warned[instrument.id] = None
    fields: dict[str, Cell] = {
        "instrument": instrument.id, "planned_bps": _rate(fees, fill) * 10_000,
        "seen_bps": _rate(learnt, fill) * 10_000,
        "planned_asset": fees.fee_asset.value, "fee": known.amount, "fee_currency": known.asset,
    }  # fmt: skip
    turn.alert(f"fee/{instrument.id}", Severity.WARNING, "a fee differs from plan; entries are priced with it", fields)


def _seen_rate(turn: Turn, fill: Fill, instrument: Instrument, fee: Fee, fees: FeeSchedule) -> Decimal | None:
    """The rate that a fill shows where it differs from plan by more than rounding; None: as planned, or untold."""
    notional = EXACT.multiply(fill.qty, fill.price)
    if fee.asset == instrument.base:
        due, unit = EXACT.multiply(fill.qty, _rate(fees, fill)), fill.qty
    elif fee.asset == instrument.quote:
        due, unit = EXACT.multiply(notional, _rate(fees, fill)), notional
    else:
        mid = _usdt_mid(turn, instrument, fee)
        if mid is None or instrument.quote != "USDT":
            return None
        unit = EXACT.divide(notional, mid)
        due = EXACT.multiply(unit, _rate(fees, fill))
    off = abs(EXACT.subtract(fee.amount, due))
    is_as_planned = off <= ROUNDING or off <= EXACT.multiply(due, RATE_TOLERANCE)
    return None if is_as_planned else EXACT.divide(fee.amount, unit).quantize(BOOK_STEP)


def _seen_asset(fill: Fill, instrument: Instrument, fee: Fee, fees: FeeSchedule) -> FeeAsset:
    """In what fees are taken, as far as this fill tells: a sale pays in quote either way."""
    if fee.asset == instrument.base:
        return FeeAsset.RECEIVED
    if fee.asset != instrument.quote:
        return FeeAsset.BNB if fee.asset == "BNB" else fees.fee_asset
    if instrument.kind is InstrumentKind.PERPETUAL or fill.side is Side.BUY:
        return FeeAsset.QUOTE
    return FeeAsset.RECEIVED if fees.fee_asset is FeeAsset.BNB else fees.fee_asset


def funding_paid(turn: Turn, event: FundingPaid, pair: Pair | None) -> None:
    """Book a settlement once, write its row, and those of the position it belongs to."""
    memory, fx_mid = turn.memory, fx_mid_of(turn.memory) or Decimal(1)
    booking = memory.ledger.book_funding(event, pair.id if pair is not None else None, fx_mid)
    if booking is None:
        return
    if pair is not None:
        _count_day(turn, pair, booking)
    _tell(turn, pair, booking)
    position = booking.position or (booking.ended.position if booking.ended is not None else None)
    row: dict[str, Cell] = {
        "position": position.id if position is not None else None, "venue": venue_of(event.instrument),
        "instrument": event.instrument, "amount": event.amount, "currency": event.asset, "rate": event.rate,
        "fx_mid": booking.flow.fx_mid, "amount_krw": booking.flow.krw, "time_ns": event.settled_ms * 1_000_000,
    }  # fmt: skip
    turn.record(Table.FUNDING, f"{event.instrument}|{event.income_id}", 0, pair.id if pair is not None else None, row)


def _count_day(turn: Turn, pair: Pair, booking: FundingBooked) -> None:
    memory, day = turn.memory, turn.wall_ns() // DAY_NS
    if day != memory.funding_day:
        memory.funding_day, memory.funding_day_krw = day, {}
    memory.funding_day_krw[pair.id] = memory.funding_day_krw.get(pair.id, 0.0) + float(booking.flow.krw)


def _tell(turn: Turn, pair: Pair | None, booking: FundingBooked) -> None:
    if pair is None:
        return
    if booking.position is not None:
        rows.position_row(turn, pair, booking.position, None)
    elif booking.ended is not None:
        rows.revised_rows(turn, pair, booking.ended)
        rows.portfolio(turn)


def transfer_seen(turn: Turn, event: TransferSeen) -> None:
    """Book a transfer once and write its row."""
    if turn.memory.ledger.see_transfer(event, fx_mid_of(turn.memory)):
        row: dict[str, Cell] = {
            "venue": event.venue, "asset": event.asset, "amount": abs(event.amount), "fee": event.fee,
            "direction": "in" if event.amount > 0 else "out", "network": event.network or None,
            "time_ns": event.done_ms * 1_000_000 if event.done_ms is not None else turn.wall_ns(),
        }  # fmt: skip
        turn.record(Table.TRANSFERS, f"{event.venue}|{event.transfer_id}", 0, None, row)
