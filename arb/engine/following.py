"""Orders that another build decided and sent: they are ours, though this one would have decided otherwise.

Owns: which two-leg order such an order belongs to.
Never: decides, sends, or doubts what is on record: what became of an order is told by later events and the venues.
Units: quantities in base units; times monotonic _ns.

What follows a plan that this engine does not know is a two-leg order without one, as a repair is: its legs are added
up, and what they lack in the end is worked as an imbalance.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.intent import IntentKind
from arb.domain.order import OrderRequest, Purpose, Side
from arb.domain.pair import Pair
from arb.engine.adopting import open_unplanned
from arb.engine.memory import Turn
from arb.execution.legs import LegPair, LegState
from arb.execution.params import LegOrder

OPENING: Final = frozenset({Purpose.ENTRY, Purpose.HEDGE})


def follow(turn: Turn, sent: tuple[OrderRequest, ...]) -> None:
    """Remember orders that left in this step.

    Raises:
        ValueError: one of them is known already.
    """
    memory = turn.memory
    for request in sent:
        pair = turn.pair_config(request.pair).pair
        legs = memory.legs.get(memory.lanes[pair.id].legs) or _begin(turn, pair, request)
        memory.orders.add(request, legs.id, memory.now_ns)
        legs.sent(request.leg, request.client_order_id, is_planned=False)
        legs.attempts += 1
        if legs.state is LegState.PLANNED:
            legs.move(LegState.SUBMITTED, memory.now_ns)


def _begin(turn: Turn, pair: Pair, request: OrderRequest) -> LegPair:
    """A two-leg order over what stands, named as its builder named it."""
    memory = turn.memory
    position = memory.ledger.position(pair.id)
    name = f"{memory.run_digest}-{memory.seq}-{pair.id}"
    if position is None:
        is_long = (request.side is Side.BUY) is (request.leg == "a")
        position = open_unplanned(turn, pair, name, is_long=is_long)
    unit = Decimal(1) if request.leg == "a" else pair.multiplier
    legs = LegPair(
        id=name, position=position.id, pair=pair.id, direction=position.direction,
        kind=IntentKind.ENTER if request.purpose in OPENING else IntentKind.EXIT,
        leg_order=LegOrder.SIMULTANEOUS, intent=None, qty=(request.qty or Decimal(0)) * unit,
        started_ns=memory.now_ns, offset_a=position.a.net_qty, offset_b=position.b.net_qty, reason="recovered",
    )  # fmt: skip
    memory.legs[legs.id] = legs
    memory.orders.held[legs.id] = None
    memory.lanes[pair.id].legs = legs.id
    return legs
