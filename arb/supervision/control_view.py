"""The engine as an operator asks about it, in plain values.

Owns: what `status` tells, and what closing a position now would cost.
Never: changes the engine.
Units: KRW, USDT and base units as named.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs
import msgspec

from arb.domain.depth import Depth, walk
from arb.domain.ids import InstrumentId, PairId
from arb.domain.money import decimal_of, exact_sum
from arb.domain.pair import Pair
from arb.engine import Engine
from arb.engine.view import fees_of
from arb.risk.trading_state import Cause, Causes
from arb.state.flows import FlowKind
from arb.state.positions import PairPosition, exit_flows
from arb.supervision.control_words import ControlAnswer, OrderTold, PositionTold, cause_told

ZERO: Final = Decimal(0)
CENT: Final = Decimal("0.01")


@attrs.frozen(kw_only=True)
class ControlView:
    """One moment of the engine."""

    seq: int
    run_id: str
    pairs: tuple[str, ...]
    causes: Causes
    is_armed: bool
    positions: tuple[PositionTold, ...]
    orders: tuple[OrderTold, ...]
    unbalanced: tuple[str, ...]
    differences: tuple[str, ...]
    seen_ns: int

    def answer(self, applied: str, seq: int | None, *, cleared: tuple[str, ...] | None = None) -> ControlAnswer:
        """All of it, as what a request brought about."""
        causes = self.causes
        unarmed = [item.text for item in causes.in_force if item.cause is Cause.UNARMED and item.text]
        return ControlAnswer(
            ok=True,
            applied=applied,
            seq=seq,
            run_id=self.run_id,
            state=causes.state.name,
            causes=tuple(cause_told(item, causes) for item in causes.in_force),
            cleared=cleared,
            is_armed=self.is_armed,
            missing=tuple(unarmed),
            positions=self.positions,
            orders=self.orders,
            unbalanced=self.unbalanced,
            differences=self.differences,
            seen_ns=self.seen_ns,
        )


def control_view(engine: Engine) -> ControlView:
    """The engine now; nothing in it changes any more."""
    memory, config = engine.memory, engine.config
    known = {item.pair.id: item.pair for item in config.pairs}
    return ControlView(
        seq=memory.seq,
        run_id=memory.run_id or "",
        pairs=tuple(known),
        causes=Causes(memory.causes.in_force, memory.causes.clean_ns),
        is_armed=memory.is_armed,
        positions=tuple(_position(engine, item, known.get(item.pair)) for item in engine.open_positions()),
        orders=tuple(
            OrderTold(
                instrument=line.request.instrument,
                client_order_id=line.request.client_order_id,
                side=line.request.side.value,
                state=line.state.value,
                open_qty=line.open_qty,
            )
            for line in engine.open_orders()
        ),
        unbalanced=engine.unbalanced(),
        differences=tuple(item.words for item in engine.differences()),
        seen_ns=memory.market.wall_ns(memory.now_ns),
    )


def is_read_since(engine: Engine, since_ns: int) -> bool:
    """Whether every venue's account has been read and compared since then, and no order's fate is unknown."""
    return engine.is_reconciled() and all(item.told_ns >= since_ns for item in engine.memory.readings.values())


def is_flat(view: ControlView | ControlAnswer, pair: str | None) -> bool:
    """Whether nothing of ours is open any more, on `pair` if given."""
    positions, unbalanced = view.positions or (), view.unbalanced or ()
    if pair is not None:
        return all(item.pair != pair for item in positions) and pair not in unbalanced
    return not positions and not unbalanced and not view.orders


def _position(engine: Engine, position: PairPosition, pair: Pair | None) -> PositionTold:
    told = PositionTold(
        pair=position.pair,
        direction=position.direction.value,
        qty_a=position.a.net_qty,
        qty_b=position.b.net_qty,
        waits_for=_waits_for(engine, position.pair),
    )
    fx_mid = engine.memory.fx.mid
    if pair is None or fx_mid <= 0:
        return told
    exit_a = _exit(engine, pair.a, position.a.net_qty, Decimal(1))
    exit_b = _exit(engine, pair.b, position.b.net_qty, pair.multiplier)
    if exit_a is None or exit_b is None:
        return told
    flows = exit_flows(
        position,
        exit_a=exit_a.price,
        exit_b=exit_b.price,
        fee_rate_a=fees_of(engine.memory, engine.config, pair.a).taker_rate,
        fee_rate_b=fees_of(engine.memory, engine.config, pair.b).taker_rate,
        fx_mid=decimal_of(fx_mid),
        at_ns=engine.memory.now_ns,
    )
    fees = -exact_sum(flow.krw for flow in flows if flow.kind is FlowKind.FEE)
    way = exit_a.way + exit_b.way * decimal_of(fx_mid)
    result = position.booked_krw + exact_sum(flow.krw for flow in flows)
    return msgspec.structs.replace(
        told,
        exit_a=exit_a.price,
        exit_b=exit_b.price,
        cost_krw=(fees + way).quantize(CENT),
        result_krw=result.quantize(CENT),
    )


def _waits_for(engine: Engine, pair: PairId) -> str:
    lane = engine.memory.lanes.get(pair)
    if lane is None or not lane.risk_exit or lane.legs:
        return ""
    return lane.refusal.partition("|")[2]


@attrs.frozen
class _Exit:
    """Closing one leg on the book as it is."""

    price: Decimal
    """Average, per base unit, in the leg's quote."""
    way: Decimal
    """From the mid to that price, over the whole quantity."""


def _exit(engine: Engine, instrument: InstrumentId, held: Decimal, multiplier: Decimal) -> _Exit | None:
    """None: no book, or not enough in it. A leg that holds nothing costs nothing."""
    book = engine.memory.market.book(instrument)
    if book is None or not book.depth.is_two_sided:
        return None
    depth, wanted = book.depth, float(abs(held) / multiplier)
    if not wanted:
        return _Exit(decimal_of(depth.mid) / multiplier, ZERO)
    found = walk(_side(depth, held), wanted)
    if found.qty < wanted * (1 - 1e-9):
        return None
    price = decimal_of(found.vwap) / multiplier
    return _Exit(price, abs(price - decimal_of(depth.mid) / multiplier) * abs(held))


def _side(depth: Depth, held: Decimal) -> tuple[float, ...]:
    return depth.bids if held > 0 else depth.asks
