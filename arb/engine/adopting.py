"""What an operator's word does to a difference: taken into the books as ours, or left out of them as somebody else's.

Owns: where an adopted quantity goes.
Never: finds differences (`reconciling.py`); sends an order by itself: what stands unbalanced is worked as any other.
Units: coins in base units, contracts in contract units until a position is meant, which counts base units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, Table
from arb.domain.events import Command, CommandKind
from arb.domain.ids import InstrumentId
from arb.domain.instrument import InstrumentKind
from arb.domain.pair import Direction, Pair
from arb.engine import reconciling, rows, watching
from arb.engine.memory import Difference, Turn
from arb.engine.reconciling import book_transfer, pair_of, price_of
from arb.engine.view import leg_instrument, leg_rules
from arb.execution.legs import tradable
from arb.state.ledger import Residual
from arb.state.positions import PairPosition

ZERO: Final = Decimal(0)


def accept(turn: Turn, event: Command) -> None:
    """An operator adopts the differences, or declares them somebody else's; the next reading has the last word.

    Contracts come first: the coins that balance one are no transfer. Where something is in flight nothing is decided.
    """
    memory, left = turn.memory, list[Difference]()
    for told in sorted(memory.differences, key=lambda item: item.name not in memory.market.instruments):
        found = pair_of(turn, told)
        if found is None or told.is_order or event.pair not in (None, found[0].id) or not _is_settled(turn, told):
            left.append(told)
            continue
        item = _as_of_now(turn, told)
        if item is None:
            continue
        if event.kind is CommandKind.ADOPT:
            _adopt(turn, item, *found)
        else:
            key = _key_of(turn, item, *found)
            memory.foreign_qty[key] = memory.foreign_qty.get(key, ZERO) + item.difference
        _write_down(turn, item, found[0], event.kind)
    memory.differences, memory.accepted_ns = tuple(left), memory.now_ns
    for venue in reconciling.venues_of(turn.config):
        turn.read_again(venue, f"an operator decided: {event.kind.value}")


def _is_settled(turn: Turn, item: Difference) -> bool:
    """Whether what the venue last told of it holds all that we booked: an execution comes before its balance. What was
    told in an earlier run is as old as that."""
    memory, keys = turn.memory, (item.venue, f"{item.venue}/{item.name}")
    if item.name in memory.market.instruments:
        told_ns = memory.contracts_ns.get(InstrumentId(item.name), memory.now_ns)
    else:
        told_ns = max((memory.balances_ns[key] for key in keys if key in memory.balances_ns), default=memory.now_ns)
    return reconciling.is_quiet(turn, item.venue, told_ns)


def _as_of_now(turn: Turn, item: Difference) -> Difference | None:
    """What is left of a difference: it was found some time ago, and what was booked since must not be booked again."""
    now = (*reconciling.contracts(turn, item.venue), *reconciling.coins(turn, item.venue))
    return next((one for one in now if one.name == item.name), None)


def _key_of(turn: Turn, item: Difference, pair: Pair, leg: str) -> str:
    instrument = turn.memory.market.instruments[leg_instrument(pair, leg)]
    return instrument.id if instrument.kind is InstrumentKind.PERPETUAL else f"{item.venue}/{instrument.base}"


def _adopt(turn: Turn, item: Difference, pair: Pair, leg: str) -> None:
    """Into the pair's position, which is then balanced as any other; a contract without one opens it, so that watch,
    margin guard and `flatten` have it in hand. Coins beyond what balances a position are a transfer."""
    memory, off = turn.memory, item.difference
    instrument = memory.market.instruments[leg_instrument(pair, leg)]
    is_contract = instrument.kind is InstrumentKind.PERPETUAL
    price, position = price_of(turn, pair, leg) or ZERO, memory.ledger.position(pair.id)
    if position is None and is_contract:
        if not _is_tradable(turn, pair, leg, off):
            _leave_over(turn, pair, leg, off, price)
            return
        name = f"{memory.run_digest}-{memory.seq}-{pair.id}-adopted"
        position = open_unplanned(turn, pair, name, is_long=(off > 0) is (leg == "a"))
    if position is not None:
        part = off if is_contract else _coins_of(position, pair, leg, off)
        if part:
            watching.adjust(turn, pair, leg, part, price)
            watching.tell_legs(turn, pair, leg, part)
            rows.position_row(turn, pair, memory.ledger.positions[pair.id], None)
            off -= part
    if off:
        book_transfer(turn, item.venue, instrument.base, off)


def _coins_of(position: PairPosition, pair: Pair, leg: str, off: Decimal) -> Decimal:
    """How many of the coins are the position's: of missing ones those that it held, of others those that it lacks."""
    multiplier = Decimal(1) if leg == "a" else pair.multiplier
    held = (position.a if leg == "a" else position.b).net_qty / multiplier
    return max(off, -max(held, ZERO)) if off < 0 else min(off, max(-position.net_qty / multiplier, ZERO))


def _is_tradable(turn: Turn, pair: Pair, leg: str, contracts: Decimal) -> bool:
    """Whether a venue would take an order over it."""
    qty = contracts * (Decimal(1) if leg == "a" else pair.multiplier)
    return any(tradable(qty, leg_rules(turn.memory, turn.config, pair, one)) for one in ("a", "b"))


def open_unplanned(turn: Turn, pair: Pair, name: str, *, is_long: bool) -> PairPosition:
    """A position that no plan of this engine opened; whatever it lacks is worked as an imbalance."""
    memory = turn.memory
    memory.lanes[pair.id].position_revision = 0
    position = PairPosition(
        id=name, pair=pair.id, direction=Direction.LONG_A if is_long else Direction.SHORT_A,
        is_contract_b=memory.market.instruments[pair.b].kind is InstrumentKind.PERPETUAL,
        opened_ns=memory.now_ns, opened_wall_ns=turn.wall_ns(), d_bps=0.0, fair_bps=0.0, expected_bps=0.0,
    )  # fmt: skip
    memory.ledger.open_position(position)
    return position


def _leave_over(turn: Turn, pair: Pair, leg: str, contracts: Decimal, price: Decimal) -> None:
    """A contract too small to be ordered joins what is left over from its pair, at the newest price."""
    memory, key = turn.memory, f"{pair.id}/{leg}"
    qty = contracts * (Decimal(1) if leg == "a" else pair.multiplier)
    old = memory.ledger.residuals.get(key)
    found = Residual(pair=pair.id, leg=leg, qty=qty, cost=contracts * price, since_ns=memory.now_ns)
    if old is not None:
        found = attrs.evolve(old, qty=old.qty + found.qty, cost=old.cost + found.cost)
    memory.ledger.residuals[key] = found
    if not found.qty:
        del memory.ledger.residuals[key]


def _write_down(turn: Turn, item: Difference, pair: Pair, kind: CommandKind) -> None:
    wall_ns = turn.wall_ns()
    row: dict[str, Cell] = {
        "position": None, "kind": "difference", "opened_ns": wall_ns, "resolution": f"{kind.value}: {item.words}",
        "cost_krw": None, "closed_ns": wall_ns,
    }  # fmt: skip
    name = f"{turn.memory.run_digest}-{turn.memory.seq}-{item.venue}-{item.name}"
    turn.record(Table.INCIDENTS, name, 0, pair.id, row)
