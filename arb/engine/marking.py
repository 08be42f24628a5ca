"""What things are worth for the books and the display: mids and mark prices, never what an exit would bring.

Owns: the price of a leg for reports, an open position at those prices, the premiums that are shown.
Never: decides; risk and exits mark at exit-side prices net of fees (`strategy`).
Units: prices per base unit in the leg's quote; premiums in bps.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from arb.domain.costs import BPS, premiums
from arb.domain.effects import Cell
from arb.domain.ids import InstrumentId
from arb.domain.instrument import InstrumentKind
from arb.domain.money import EXACT, decimal_of
from arb.domain.pair import Pair
from arb.engine.memory import Memory
from arb.engine.view import mid_of
from arb.state.attribution import Attribution

ZERO = Decimal(0)
USDT_USD = 1.0
"""By convention: no source of it is configured."""


@attrs.frozen(kw_only=True)
class Marked:
    """An open position at mid and mark: as if it were closed there, free of fees."""

    price_a: Decimal
    price_b: Decimal
    fx_mid: Decimal
    krw: Attribution
    usdt: Attribution


def mark_price(memory: Memory, name: InstrumentId) -> Decimal:
    """Mark price of a perpetual, mid of anything else, per contract unit in quote; 0 while there is none."""
    instrument = memory.market.instruments.get(name)
    if instrument is not None and instrument.kind is InstrumentKind.PERPETUAL:
        known, told = memory.market.funding.get(name), memory.ledger.holdings.contracts.get(name)
        if known is not None and known.mark_price > 0:
            return known.mark_price
        if told is not None and told.mark_price:
            return told.mark_price
    mid = mid_of(memory, name)
    return decimal_of(mid) if mid > 0 else ZERO


def fx_mid_of(memory: Memory) -> Decimal | None:
    """The mid at which flows are booked now; None: never seen."""
    mark = memory.fx.mark()
    return mark.mid if mark is not None else None


def marked(memory: Memory, pair: Pair) -> Marked | None:
    """The pair's open position at mid and mark; None without a position or a price."""
    fx_mid, a, b = fx_mid_of(memory), mark_price(memory, pair.a), mark_price(memory, pair.b)
    if memory.ledger.position(pair.id) is None or fx_mid is None or not a or not b:
        return None
    unit_b = EXACT.divide(b, pair.multiplier)
    krw, usdt = memory.ledger.marked(
        pair.id, exit_a=a, exit_b=unit_b, fee_rate_a=ZERO, fee_rate_b=ZERO, fx_mid=fx_mid, at_ns=memory.now_ns
    )
    return Marked(price_a=a, price_b=unit_b, fx_mid=fx_mid, krw=krw, usdt=usdt)


def premium_cells(memory: Memory, pair: Pair) -> dict[str, Cell]:
    """Basis, tether premium and kimchi premium against the bank's rate, in bps; None what cannot be told."""
    bank, fx_mid = memory.fx.bank_rate, memory.fx.mid
    a, b = mid_of(memory, pair.a), mid_of(memory, pair.b) / float(pair.multiplier)
    none: dict[str, Cell] = {"basis_bps": None, "tether_bps": None, "kimchi_bps": None}
    if a <= 0 or b <= 0 or fx_mid <= 0:
        return none
    shown = premiums(mid_a=a, mid_b=b, fx_mid=fx_mid, bank=float(bank or 1), usdt_usd=USDT_USD)
    if bank is None:
        return none | {"basis_bps": shown.basis * BPS}
    return {
        "basis_bps": shown.basis * BPS, "tether_bps": shown.tether * BPS, "kimchi_bps": shown.kimchi * BPS,
    }  # fmt: skip
