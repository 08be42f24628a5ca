"""Account events into memory: executions, balances, positions; and foreign hands.

Owns: what belongs to which pair.
Never: sends an order by itself; compares positions with what the venues hold (`watching.py`).
Units: Decimal in the asset named; base units where a pair is meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, Severity
from arb.domain.events import BalanceSeen, OrderUpdated, PositionSeen
from arb.domain.ids import InstrumentId
from arb.domain.instrument import InstrumentKind
from arb.domain.order import Fill, OrderUpdate, Side
from arb.domain.pair import Direction, Pair
from arb.engine import rows
from arb.engine.charges import fee_of, learn
from arb.engine.marking import fx_mid_of
from arb.engine.memory import Turn
from arb.engine.repairing import repair
from arb.engine.working import advance, order_updated
from arb.execution.order_ids import is_ours
from arb.risk.trading_state import Cause
from arb.state.flows import FillTag
from arb.state.orders import OrderLine
from arb.state.positions import PairPosition

ORPHAN_NS: Final = 5_000_000_000
"""How long an execution may wait for the order it belongs to."""
KEEP_FOREIGN: Final = 2_000
"""Executions of somebody else's that are remembered, so that they are told once."""
KEEP_UNBOOKED: Final = 1_000
"""The newest of them that wait, per pair, to be booked at their own prices."""
ZERO: Final = Decimal(0)


def pair_of(turn: Turn, instrument: InstrumentId) -> Pair | None:
    """The configured pair that trades an instrument."""
    return next((item.pair for item in turn.config.pairs if instrument in (item.pair.a, item.pair.b)), None)


def fill_seen(turn: Turn, fill: Fill) -> None:
    """An execution: into its order, the books and the two-leg order; one that nothing explains waits a while."""
    line = turn.memory.orders.find(fill)
    if line is not None:
        _book(turn, fill, line)
    elif _key(fill) in turn.memory.foreign_trades:
        return
    elif fill.client_order_id is not None and not is_ours(fill.client_order_id):
        _foreign(turn, fill)
    elif not _is_forgotten(turn, fill) and all(_key(fill) != _key(known) for known in turn.memory.orphans):
        turn.memory.orphans = (*turn.memory.orphans, fill)


def _key(fill: Fill) -> str:
    return f"{fill.instrument}|{fill.trade_id}"


def _is_forgotten(turn: Turn, fill: Fill) -> bool:
    """Whether it may belong to an order of ours that is remembered no longer: it has been booked long since."""
    forgotten_ns = turn.memory.orders.forgotten_ns
    if forgotten_ns is None or fill.venue_ns is None:
        return False
    return fill.venue_ns <= turn.memory.market.wall_ns(forgotten_ns)


def _foreign(turn: Turn, fill: Fill) -> None:
    """Somebody else's order traded: told once, however often the venue lists it."""
    known = turn.memory.foreign_trades
    known[_key(fill)] = None
    if len(known) > KEEP_FOREIGN:
        del known[next(iter(known))]
    _keep_foreign(turn, fill)
    foreign_hands(turn, fill.instrument, f"fill {fill.trade_id}")


def _keep_foreign(turn: Turn, fill: Fill) -> None:
    """Remember what somebody else's order did to an open position; it is booked when the venue's own word confirms."""
    pair = pair_of(turn, fill.instrument)
    if pair is not None and turn.memory.ledger.position(pair.id) is not None:
        lane = turn.memory.lanes[pair.id]
        lane.foreign = (*lane.foreign, fill)[-KEEP_UNBOOKED:]


def match_orphans(turn: Turn) -> None:
    """Try again; what stays unexplained was somebody else. One without a name waits while it may be that of an order
    whose number the venue has not told yet."""
    memory = turn.memory
    waiting, memory.orphans = memory.orphans, ()
    for fill in waiting:
        unnumbered = (line for line in memory.orders.working(fill.instrument) if line.venue_order_id is None)
        is_waiting = fill.client_order_id is None and any(unnumbered)
        if memory.orders.find(fill) is None and memory.now_ns - fill.received_ns > ORPHAN_NS and not is_waiting:
            _foreign(turn, fill)
        else:
            fill_seen(turn, fill)


def _book(turn: Turn, fill: Fill, line: OrderLine) -> None:
    memory = turn.memory
    if fill.trade_id in line.trades:
        return
    instrument, request = memory.market.instruments[fill.instrument], line.request
    pair = turn.pair_config(request.pair).pair
    multiplier = Decimal(1) if request.leg == "a" else pair.multiplier
    fee, usdt_mid = fee_of(turn, fill, instrument)
    taken = fee.amount * multiplier if fee.asset == instrument.base else ZERO
    after = memory.orders.fill(fill, taken, memory.now_ns)
    if after is None:
        return
    tag = FillTag(
        pair=request.pair, leg=request.leg, purpose=request.purpose, decision_price=request.expected_price,
        multiplier=multiplier,
    )  # fmt: skip
    memory.lanes[pair.id].fill_ns = memory.now_ns
    legs = memory.legs.get(line.owner)
    if (legs is None or not legs.is_open) and memory.ledger.position(pair.id) is None:
        memory.ledger.open_position(_late_position(turn, pair, fill, line))
    memory.ledger.book_fill(fill, instrument, tag, fx_mid=_fx_mid(turn), fee=fee, fee_usdt_mid=usdt_mid)
    position = legs.position if legs is not None else line.owner
    holder = memory.ledger.position(pair.id)
    told = attrs.evolve(fill, client_order_id=request.client_order_id, venue_order_id=after.venue_order_id)
    learn(turn, fill, instrument)
    rows.fill_row(turn, told, request.pair, request.leg, fee, holder.id if holder is not None else position, usdt_mid)
    rows.order_row(turn, after, position)
    if legs is not None and legs.is_open:
        advance(turn, legs)
    else:
        repair(turn, pair, "late fill")


def _late_position(turn: Turn, pair: Pair, fill: Fill, line: OrderLine) -> PairPosition:
    """Where an execution is booked that comes after everything about its order had ended: a position to be undone."""
    memory = turn.memory
    is_long = (fill.side is Side.BUY) is (line.request.leg == "a")
    memory.lanes[pair.id].position_revision = 0
    return PairPosition(
        id=f"{memory.run_digest}-{memory.seq}-{pair.id}-late", pair=pair.id,
        direction=Direction.LONG_A if is_long else Direction.SHORT_A,
        is_contract_b=memory.market.instruments[pair.b].kind is InstrumentKind.PERPETUAL,
        opened_ns=memory.now_ns, opened_wall_ns=turn.wall_ns(), d_bps=0.0, fair_bps=0.0, expected_bps=0.0,
    )  # fmt: skip


def _fx_mid(turn: Turn) -> Decimal:
    return fx_mid_of(turn.memory) or Decimal(1)


def update_seen(turn: Turn, event: OrderUpdated) -> None:
    """Something is known of an order; of one that is not ours on a traded instrument: foreign hands."""
    update: OrderUpdate = event.update
    if update.client_order_id not in turn.memory.orders.lines:
        if not is_ours(update.client_order_id) and not update.state.is_final:
            foreign_hands(turn, update.instrument, f"order {update.venue_order_id or update.client_order_id}")
        return
    order_updated(turn, event)
    if turn.memory.orphans:
        match_orphans(turn)


def foreign_hands(turn: Turn, instrument: InstrumentId, what: str) -> None:
    """Somebody else trades here: block the pair, reduce, tell a person."""
    pair = pair_of(turn, instrument)
    if pair is None:
        return
    lane = turn.memory.lanes[pair.id]
    lane.blocked = lane.blocked or what
    if turn.memory.causes.add(Cause.EXTERNAL_HANDS, pair.id, turn.memory.now_ns, what):
        fields: dict[str, Cell] = {"pair": pair.id, "instrument": instrument, "what": what}
        turn.alert(
            f"external/{pair.id}", Severity.ERROR, "an order that is not ours touched a traded instrument", fields
        )


def balances_seen(turn: Turn, event: BalanceSeen) -> None:
    """Take a venue's balances, and when it told which of them."""
    turn.memory.ledger.see_balances(event)
    told = turn.memory.balances_ns
    if event.is_full:
        told[event.venue] = event.at_ns
        turn.memory.told_seq[event.venue] = turn.memory.seq
    for balance in event.balances:
        told[f"{event.venue}/{balance.asset}"] = event.at_ns


def contract_seen(turn: Turn, event: PositionSeen) -> None:
    """Take a venue's word on a contract, and when it was told."""
    turn.memory.ledger.see_contract(event)
    turn.memory.contracts_ns[event.position.instrument] = event.at_ns
    turn.memory.told_seq[event.position.instrument] = turn.memory.seq
