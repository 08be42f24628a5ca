"""What stands unbalanced is taken up: a two-leg order over it, without a plan.

Owns: which position has to be worked although no order of ours is in hand.
Never: chooses how (`working.py`).
Units: base units.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.effects import Severity
from arb.domain.intent import IntentKind
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.memory import Turn
from arb.engine.view import is_naked, stuck_leg
from arb.engine.working import advance
from arb.execution.legs import LegPair, LegState
from arb.execution.params import LegOrder

ZERO: Final = Decimal(0)


def work_unbalanced(turn: Turn) -> None:
    """Take up every pair that is unbalanced now, whether or not a two-leg order is in hand."""
    memory = turn.memory
    for item in turn.config.pairs:
        legs = memory.legs.get(memory.lanes[item.pair.id].legs)
        if legs is not None:
            advance(turn, legs)
        else:
            repair_if_naked(turn, item.pair)


def repair_if_naked(turn: Turn, pair: Pair) -> bool:
    """A position whose legs differ by what a venue would trade has to be balanced, whoever made it so; whether it is
    one."""
    position = turn.memory.ledger.position(pair.id)
    if position is None or turn.memory.lanes[pair.id].legs:
        return False
    if not is_naked(turn.memory, turn.config, pair, position):
        return False
    repair(turn, pair, "the legs of a position differ")
    return True


def leave_if_stuck(turn: Turn, pair: Pair) -> None:
    """A position with one leg below what its venue takes can leave by no plan: the other leg is closed, the rest left.

    What cannot be ordered is no part of the imbalance; it goes to the residual ledger when the other leg is flat.
    """
    memory, lane = turn.memory, turn.memory.lanes[pair.id]
    position = memory.ledger.position(pair.id)
    if position is None or lane.legs or memory.is_settling:
        return
    leg = stuck_leg(memory, turn.config, pair, position)
    if not leg:
        return
    legs = LegPair(
        id=f"{memory.run_digest}-{memory.seq}-{pair.id}-residue", position=position.id, pair=pair.id,
        kind=IntentKind.EXIT, direction=position.direction, leg_order=LegOrder.SIMULTANEOUS, intent=None,
        qty=abs(position.a.net_qty if leg == "a" else position.b.net_qty), started_ns=memory.now_ns,
        offset_a=position.a.net_qty if leg == "a" else ZERO, offset_b=position.b.net_qty if leg == "b" else ZERO,
        reason="residue",
    )  # fmt: skip
    _take_up(turn, legs)
    advance(turn, legs)


def _take_up(turn: Turn, legs: LegPair) -> None:
    """A two-leg order over what stands, in hand and unbalanced from its start."""
    memory = turn.memory
    memory.legs[legs.id] = legs
    memory.orders.held[legs.id] = None
    memory.lanes[legs.pair].legs = legs.id
    legs.move(LegState.UNBALANCED, memory.now_ns)
    memory.incident_times = (*memory.incident_times, memory.now_ns)
    rows.incident_row(turn, legs, 0, "")


def repair(turn: Turn, pair: Pair, why: str) -> None:
    """Open a two-leg order over what stands, so that the imbalance is worked; nothing while one is in hand."""
    memory, lane = turn.memory, turn.memory.lanes[pair.id]
    position = memory.ledger.position(pair.id)
    if lane.legs or position is None or not position.net_qty or memory.is_settling:
        return
    name = f"{memory.run_digest}-{memory.seq}-{pair.id}-repair"
    legs = LegPair(
        id=name, position=position.id, pair=pair.id, kind=IntentKind.ENTER, direction=position.direction,
        leg_order=LegOrder.SIMULTANEOUS, intent=None, qty=abs(position.a.net_qty), started_ns=memory.now_ns,
        offset_a=position.a.net_qty, offset_b=position.b.net_qty, reason=why,
    )  # fmt: skip
    _take_up(turn, legs)
    turn.alert(
        f"unbalanced/{name}",
        Severity.ERROR,
        f"a pair is unbalanced: {why}",
        {"pair": pair.id, "naked_qty": position.net_qty},
    )
    advance(turn, legs)
