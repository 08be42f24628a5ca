"""The two-leg order: from a planned intent to its end, one event at a time.

Owns: the table of legal transitions, and what must be done next: wait, send the second leg, work an imbalance, finish.
Never: prices an order, judges risk, resubmits an order whose fate is unknown.
Units: quantities in base units, signed by what they do to our exposure; times monotonic _ns.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

import attrs

from arb.domain.ids import ClientOrderId, PairId
from arb.domain.intent import Intent, IntentKind
from arb.domain.money import ceil_to_step, floor_to_step
from arb.domain.order import OrderState, Side
from arb.domain.pair import Direction
from arb.execution.params import LegOrder
from arb.state.orders import OrderLine, Orders

ZERO: Final = Decimal(0)


class LegState(Enum):
    """Where a two-leg order stands."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    BALANCED = "balanced"
    UNBALANCED = "unbalanced"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    UNWOUND = "unwound"
    ESCALATED = "escalated"

    @property
    def is_end(self) -> bool:
        """Whether nothing is left to do."""
        return self in (LegState.COMPLETED, LegState.UNWOUND)


_ENDS: Final = frozenset({LegState.COMPLETED, LegState.UNWOUND})
TRANSITIONS: Final[dict[LegState, frozenset[LegState]]] = {
    LegState.PLANNED: frozenset({LegState.SUBMITTED, LegState.COMPLETED, LegState.UNBALANCED}),
    LegState.SUBMITTED: frozenset({LegState.BALANCED, LegState.UNBALANCED, LegState.UNKNOWN}),
    LegState.BALANCED: frozenset({LegState.UNBALANCED, LegState.UNKNOWN}) | _ENDS,
    LegState.UNBALANCED: frozenset({LegState.BALANCED, LegState.UNKNOWN, LegState.ESCALATED}),
    LegState.UNKNOWN: frozenset({LegState.BALANCED, LegState.UNBALANCED, LegState.ESCALATED, LegState.COMPLETED}),
    LegState.ESCALATED: _ENDS,
    LegState.COMPLETED: frozenset(),
    LegState.UNWOUND: frozenset(),
}
"""Every legal step; anything else is a bug and raises."""


@attrs.frozen(kw_only=True)
class LegRules:
    """What one leg's venue accepts, as the machine needs it."""

    step: Decimal
    """Smallest quantity step, base units."""
    min_qty: Decimal
    """Smallest orderable quantity now (lot, minimum and minimum notional), base units."""
    multiplier: Decimal
    """Base units per contract unit."""
    received_fee_rate: Decimal
    """Share of a buy that the venue keeps as its fee in the base asset; 0 when fees are taken elsewhere."""


@attrs.define(kw_only=True)
class LegPair:
    """One entry, exit or repair with everything sent for it."""

    id: str
    position: str
    pair: PairId
    kind: IntentKind
    direction: Direction
    leg_order: LegOrder
    intent: Intent | None
    """None: a repair of a watched position; there is nothing planned."""
    qty: Decimal
    started_ns: int
    offset_a: Decimal = ZERO
    """Exposure that stands on A before any order of this one (repairs), signed."""
    offset_b: Decimal = ZERO
    state: LegState = LegState.PLANNED
    orders_a: tuple[ClientOrderId, ...] = ()
    orders_b: tuple[ClientOrderId, ...] = ()
    first_b: int = 0
    """How many of B's orders belong to the plan; later ones work an imbalance."""
    incident_ns: int | None = None
    """When it first became unbalanced or unknown."""
    known_ns: int | None = None
    """Since when an imbalance is known."""
    attempts: int = 0
    next_try_ns: int = 0
    alerted_ns: int | None = None
    is_reversed: bool = False
    """Some order undid the filled leg."""
    ride_a: Decimal = ZERO
    """Unsigned quantity that A's order takes along beyond B's: what earlier positions left over."""
    ride_b: Decimal = ZERO
    """As `ride_a`, of B's order beyond A's."""
    vain_count: int = 0
    """Escalated orders in a row that brought nothing."""
    is_cut: bool = False
    """Half of the known leg went while the other's fate was unknown."""
    ended_ns: int | None = None
    captured_krw: Decimal | None = None
    """What it caught, of a pair that trades inventory, once it has ended."""
    reason: str = ""

    def move(self, state: LegState, now_ns: int) -> None:
        """Take a step of the table; staying is no step.

        Raises:
            ValueError: the table has no such step.
        """
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"two-leg order {self.id}: {self.state.value} cannot become {state.value}")
        self.state = state
        if state in (LegState.UNBALANCED, LegState.UNKNOWN) and self.incident_ns is None:
            self.incident_ns = now_ns
        if state.is_end:
            self.ended_ns = now_ns

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return not self.state.is_end

    @property
    def orders(self) -> tuple[ClientOrderId, ...]:
        """Everything sent, A first."""
        return self.orders_a + self.orders_b

    @property
    def side_a(self) -> Side:
        """Which way the plan trades A; B goes the other way."""
        is_buy = (self.direction is Direction.LONG_A) is (self.kind is IntentKind.ENTER)
        return Side.BUY if is_buy else Side.SELL

    def sent(self, leg: str, client_order_id: ClientOrderId, *, is_planned: bool) -> None:
        """Note an order that leaves."""
        if leg == "a":
            self.orders_a = (*self.orders_a, client_order_id)
        else:
            self.orders_b = (*self.orders_b, client_order_id)
            if is_planned:
                self.first_b = len(self.orders_b)


class LegSum(NamedTuple):
    """What is known of one leg, base units."""

    arrived: Decimal
    """Signed exposure got, fees taken in the base asset off."""
    requested: Decimal
    """Unsigned quantity of the plan's orders sent so far."""
    open_qty: Decimal
    """Unsigned quantity that may still trade, the unknown one included."""
    is_working: bool
    is_unknown: bool
    is_settled: bool


class Task(Enum):
    """What must be done next."""

    WAIT = "wait"
    SECOND = "second"
    """Send B for what arrived on A: `qty` base units."""
    WORK = "work"
    """All is final and `imbalance` is left."""
    FINISH = "finish"


class Move(NamedTuple):
    """The next thing to do and the quantity it is about."""

    task: Task
    qty: Decimal
    imbalance: Decimal


def arrived_qty(line: OrderLine, rules: LegRules) -> Decimal:
    """Signed base units an order brought; what the fills have not told yet is taken net of the known fee rate."""
    filled = line.filled_qty * rules.multiplier
    if line.request.side is Side.SELL:
        return -filled
    untold = max(line.reported_qty - line.fill_qty, ZERO) * rules.multiplier
    return filled - line.fee_base - untold * rules.received_fee_rate


def leg_sum(ids: tuple[ClientOrderId, ...], planned: int, orders: Orders, rules: LegRules) -> LegSum:
    """Add up one leg's orders."""
    arrived = requested = open_qty = ZERO
    is_working = is_unknown = False
    is_settled = True
    for index, key in enumerate(ids):
        line = orders.lines[key]
        arrived += arrived_qty(line, rules)
        if index < planned and line.request.qty is not None:
            requested += line.request.qty * rules.multiplier
        open_qty += line.open_qty * rules.multiplier
        is_unknown = is_unknown or line.state in (OrderState.UNKNOWN, OrderState.NOT_FOUND)
        is_working = is_working or not line.is_final or not line.is_qty_known
        is_settled = is_settled and line.is_settled
    return LegSum(arrived, requested, open_qty, is_working, is_unknown, is_settled)


def other_leg(leg: str) -> str:
    """The other one."""
    return "b" if leg == "a" else "a"


def sums(legs: LegPair, orders: Orders, rules_a: LegRules, rules_b: LegRules) -> tuple[LegSum, LegSum]:
    """Both legs, the offsets of a repair included; what rides along is no part of the balance."""
    a = leg_sum(legs.orders_a, len(legs.orders_a), orders, rules_a)
    b = leg_sum(legs.orders_b, legs.first_b, orders, rules_b)
    sign = legs.side_a.sign
    arrived_a = _without(a.arrived + legs.offset_a, sign, legs.ride_a)
    arrived_b = _without(b.arrived + legs.offset_b, -sign, legs.ride_b)
    return a._replace(arrived=arrived_a), b._replace(arrived=arrived_b)


def _without(arrived: Decimal, sign: int, ride: Decimal) -> Decimal:
    """What arrived on a leg less what rides along on it, which arrives first."""
    return arrived - sign * min(ride, max(sign * arrived, ZERO)) if ride else arrived


def next_move(legs: LegPair, a: LegSum, b: LegSum, rules_a: LegRules, rules_b: LegRules) -> Move:
    """What the knowledge of both legs asks for, whatever the state."""
    imbalance = a.arrived + b.arrived
    second = _second_qty(legs, a, b, rules_b)
    if second:
        return Move(Task.SECOND, second, imbalance)
    if a.is_working or b.is_working:
        return Move(Task.WAIT, ZERO, imbalance)
    if is_residual(imbalance, rules_a, rules_b):
        return Move(Task.FINISH if a.is_settled and b.is_settled else Task.WAIT, ZERO, imbalance)
    return Move(Task.WORK, ZERO, imbalance)


def is_residual(imbalance: Decimal, rules_a: LegRules, rules_b: LegRules) -> bool:
    """Whether neither venue would take an order over what is left."""
    return tradable(imbalance, rules_a) == 0 and tradable(imbalance, rules_b) == 0


def tradable(imbalance: Decimal, rules: LegRules) -> Decimal:
    """The part of an imbalance that one leg's venue would take, unsigned base units."""
    qty = floor_to_step(abs(imbalance), rules.step)
    return qty if qty and qty >= rules.min_qty else ZERO


def _second_qty(legs: LegPair, a: LegSum, b: LegSum, rules_b: LegRules) -> Decimal:
    """Base units of B to send now under the plan: A's cumulative quantity less what was sent for it."""
    if legs.intent is None or legs.leg_order is not LegOrder.UNCERTAIN_FIRST or legs.is_reversed or legs.attempts:
        return ZERO
    if legs.state not in (LegState.SUBMITTED, LegState.BALANCED, LegState.UNKNOWN) or b.is_unknown:
        return ZERO
    wanted = min(abs(a.arrived), legs.qty)
    wanted += legs.ride_b if wanted else ZERO
    if legs.side_a is Side.SELL and rules_b.received_fee_rate:
        qty = ceil_to_step(wanted / (1 - rules_b.received_fee_rate), rules_b.step) - b.requested
    else:
        qty = floor_to_step(wanted - b.requested, rules_b.step)
    if legs.kind is IntentKind.EXIT and abs(a.arrived) >= legs.qty:
        # the whole of A is closed: so is B, though the two differ by less than one of them can trade
        qty = max(qty, legs.intent.b.qty * rules_b.multiplier - b.requested)
    return qty if qty > 0 and qty >= rules_b.min_qty else ZERO


def state_for(legs: LegPair, a: LegSum, b: LegSum, move: Move) -> LegState:
    """The state that knowledge puts a two-leg order in while it is not at its end."""
    if legs.state in (LegState.ESCALATED, LegState.PLANNED):
        return legs.state
    if a.is_unknown or b.is_unknown:
        return LegState.UNKNOWN
    if move.task is Task.WORK:
        return LegState.UNBALANCED
    if move.task is Task.FINISH:
        return LegState.BALANCED
    if legs.state is LegState.UNKNOWN:
        return LegState.UNBALANCED if move.imbalance else LegState.BALANCED
    return legs.state


def end_state(legs: LegPair, a: LegSum) -> LegState:
    """How it ended: UNWOUND when a reversal left nothing of it, COMPLETED otherwise."""
    return LegState.UNWOUND if legs.is_reversed and not a.arrived else LegState.COMPLETED
