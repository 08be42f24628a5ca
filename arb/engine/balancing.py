"""An imbalance is answered: completed or reversed, escalated when that takes too long, borne while a fate is unknown.

Owns: which leg an incident's order trades, how far it may reach, and when a person is called.
Never: opens anything new; trades against a quantity of unknown fate on its own venue.
Units: quantities in base units; prices in each instrument's quote; `_krw` per base unit at the FX mid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, Severity
from arb.domain.ids import venue_of
from arb.domain.instrument import InstrumentKind
from arb.domain.intent import IntentKind
from arb.domain.order import OrderState, Purpose, Side
from arb.domain.pair import Pair
from arb.engine.memory import Turn
from arb.engine.sending import WishedOrder, send, touched
from arb.engine.view import leg_instrument, leg_rules
from arb.engine.weighing import case_of, fill_price, krw_per, now_krw, price_within, reach_of
from arb.execution import hedge
from arb.execution.legs import LegPair, LegState, LegSum, Move, other_leg, tradable

ZERO: Final = Decimal(0)
UNCLEAR: Final = frozenset({OrderState.UNKNOWN, OrderState.NOT_FOUND})


def work(turn: Turn, legs: LegPair, pair: Pair, move: Move, a: LegSum, b: LegSum) -> None:
    """All is final and something is left: complete or reverse, escalate when it takes too long."""
    now_ns, params = turn.memory.now_ns, turn.config.execution
    if legs.known_ns is None:
        legs.known_ns = now_ns
    if legs.state is not LegState.ESCALATED and now_ns - legs.known_ns > params.max_naked_s * 1e9:
        legs.move(LegState.ESCALATED, now_ns)
        legs.next_try_ns = now_ns
    if legs.state is LegState.ESCALATED:
        page(turn, legs, move)
    if now_ns >= legs.next_try_ns and not is_held(turn, pair):
        _hedge(turn, legs, pair, move.imbalance, "a" if move.imbalance * (a.arrived - b.arrived) >= 0 else "b")


def is_held(turn: Turn, pair: Pair) -> bool:
    """Whether a venue was just asked about a quantity that differs from ours: its answer is waited for a while."""
    asked_ns = turn.memory.lanes[pair.id].mismatch_ns
    return asked_ns is not None and turn.memory.now_ns - asked_ns < turn.config.execution.max_naked_s * 1e9


def page(turn: Turn, legs: LegPair, move: Move) -> None:
    """Call a person, and again."""
    now_ns = turn.memory.now_ns
    if legs.alerted_ns is not None and now_ns - legs.alerted_ns < turn.config.execution.escalate_repeat_s * 1e9:
        return
    legs.alerted_ns = now_ns
    fields: dict[str, Cell] = {"pair": legs.pair, "naked_qty": move.imbalance, "legs": legs.id}
    turn.alert(f"escalated/{legs.id}", Severity.ERROR, "an unbalanced pair could not be balanced in time", fields)


def shrinks(turn: Turn, pair: Pair, leg: str, side: Side, qty: Decimal) -> bool:
    """Whether an order only takes away from what the pair holds through a leg."""
    position = turn.memory.ledger.position(pair.id)
    if position is None:
        return False
    held = position.a.net_qty if leg == "a" else position.b.net_qty
    return side.sign * held < 0 and qty <= abs(held)


def is_market_taken(turn: Turn, pair: Pair, leg: str, side: Side) -> bool:
    """Whether the leg's venue takes an order at any price by base quantity: not every spot venue does for buys."""
    kind = turn.memory.market.instruments[leg_instrument(pair, leg)].kind
    return side is Side.SELL or kind is InstrumentKind.PERPETUAL


def leaving(turn: Turn, pair: Pair, wish: WishedOrder) -> WishedOrder:
    """A close that an operator ordered: at any price where the venue takes that, else as far as a panic may reach."""
    if is_market_taken(turn, pair, wish.leg, wish.side):
        return attrs.evolve(wish, purpose=Purpose.FLATTEN, is_market=True)
    cap = turn.config.execution.naked_panic_cap_bps
    reach = touched(turn, pair, wish.leg, wish.side) or wish.expected_price
    price = price_within(turn, pair, wish.leg, wish.side, reach, cap)
    return attrs.evolve(wish, purpose=Purpose.FLATTEN, price=price, collar_bps=cap)


def _hedge(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal, filled: str) -> None:
    """One order over the imbalance, on the leg that is worth more, or that answers."""
    params, now_ns, missing = turn.config.execution, turn.memory.now_ns, other_leg(filled)
    case = case_of(turn, legs, pair, imbalance, filled, missing)
    is_escalated = legs.state is LegState.ESCALATED
    is_leaving = turn.memory.lanes[pair.id].risk_exit == "flatten"
    if is_escalated:
        is_complete = _escalated_way(turn, legs, case, is_leaving=is_leaving)
    else:
        is_allowed = legs.intent is not None and turn.memory.causes.state_of(pair.id).value <= 1 and not is_leaving
        is_complete = hedge.choose(case, params, is_complete_allowed=is_allowed).is_complete
    leg = missing if is_complete else filled
    qty = tradable(imbalance, leg_rules(turn.memory, turn.config, pair, leg))
    if not qty:
        is_complete, leg = not is_complete, other_leg(leg)
        qty = tradable(imbalance, leg_rules(turn.memory, turn.config, pair, leg))
    against_bps = hedge.adverse_bps(case.filled_side, case.fill_krw, case.exit_krw or case.fill_krw)
    cap = hedge.cap_bps(params, now_ns - (legs.known_ns if legs.known_ns is not None else now_ns))
    if is_escalated or is_leaving:
        cap = params.naked_panic_cap_bps if is_leaving else hedge.escalated_cap_bps(params, against_bps)
    side = Side.SELL if imbalance > 0 else Side.BUY
    reach, cap = reach_of(turn, legs, pair, leg, side, cap)
    is_last_resort = is_escalated and against_bps >= params.naked_hard_stop_bps and legs.vain_count >= 2
    wish = WishedOrder(
        leg=leg, side=side, qty=qty, price=price_within(turn, pair, leg, side, reach, cap), expected_price=reach,
        purpose=hedge.purpose_of(is_complete=is_complete, is_escalated=is_escalated, is_leaving=is_leaving),
        is_closing=shrinks(turn, pair, leg, side, qty), collar_bps=cap, is_planned=False,
        is_market=(is_leaving or is_last_resort) and is_market_taken(turn, pair, leg, side),
    )  # fmt: skip
    legs.attempts += 1
    legs.next_try_ns = (
        now_ns + int(params.escalated_retry_s * 1e9)
        if is_escalated
        else hedge.next_try_ns(legs.known_ns or now_ns, now_ns)
    )
    if send(turn, legs, pair, (wish,)) is None and not is_complete:
        legs.is_reversed = True


def _escalated_way(turn: Turn, legs: LegPair, case: hedge.Imbalance, *, is_leaving: bool) -> bool:
    """Whether an escalated order completes: it shrinks what is held, on whichever venue answers.

    The leg that shrinks comes first; after an order that brought nothing the other one has its turn, but where all is
    to go.
    """
    is_complete = case.is_closing
    wanted, other = (case.missing_krw, case.exit_krw) if is_complete else (case.exit_krw, case.missing_krw)
    if wanted is None and other is not None:
        return not is_complete
    legs.vain_count = legs.vain_count + 1 if _was_vain(turn, legs) else 0
    return is_complete is (legs.vain_count % 2 == 0 or other is None or is_leaving)


def _was_vain(turn: Turn, legs: LegPair) -> bool:
    """Whether the newest escalated order brought nothing."""
    lines = [turn.memory.orders.lines[key] for key in legs.orders]
    tried = [line for line in lines if line.request.purpose in (Purpose.EMERGENCY, Purpose.FLATTEN)]
    newest = max(tried, key=lambda line: line.submitted_ns, default=None)
    return newest is not None and not newest.filled_qty


def bear_unknown(turn: Turn, legs: LegPair, pair: Pair, move: Move, a: LegSum, b: LegSum) -> None:
    """An order's fate is unknown: a person is called when that lasts, and half of the other leg goes on a bad move.

    Nothing is traded against the unknown quantity on its own venue.
    """
    memory, params = turn.memory, turn.config.execution
    if legs.incident_ns is not None and memory.now_ns - legs.incident_ns > params.max_naked_s * 1e9:
        page(turn, legs, move)
    known, sum_ = ("b", b) if a.is_unknown else ("a", a)
    if (a.is_unknown and b.is_unknown) or sum_.is_working or legs.is_cut or sum_.arrived * move.imbalance <= 0:
        return
    side = Side.SELL if move.imbalance > 0 else Side.BUY
    fill, now = fill_price(turn, legs, known), now_krw(turn, pair, known, side, float(abs(move.imbalance)))
    if fill is None or now is None:
        return
    if hedge.adverse_bps(side.opposite, float(fill) * krw_per(turn, pair, known), now) < params.unknown_stop_bps:
        return
    qty = tradable(move.imbalance / 2, leg_rules(memory, turn.config, pair, known))
    if not qty:
        return
    reach, cap = reach_of(turn, legs, pair, known, side, params.escalated_cap_bps)
    wish = WishedOrder(
        leg=known, side=side, qty=qty, price=price_within(turn, pair, known, side, reach, cap), expected_price=reach,
        purpose=Purpose.REVERSE, is_closing=shrinks(turn, pair, known, side, qty), collar_bps=cap, is_planned=False,
    )  # fmt: skip
    if send(turn, legs, pair, (wish,)) is None:
        legs.is_cut, legs.is_reversed = True, True
        legs.attempts += 1


def emergency(turn: Turn, legs: LegPair, pair: Pair, imbalance: Decimal) -> None:
    """The end is near: one bounded order that shrinks the leg in excess, if its account can be believed; never two."""
    memory = turn.memory
    if memory.is_state_lost or pair.id in memory.emergencies or not is_account_fresh(turn, pair):
        return
    side = Side.SELL if imbalance > 0 else Side.BUY
    sizes = {leg: tradable(imbalance, leg_rules(memory, turn.config, pair, leg)) for leg in ("a", "b")}
    leg = next((name for name, qty in sizes.items() if qty and shrinks(turn, pair, name, side, qty)), "")
    if not leg or not memory.market.is_tradable(leg_instrument(pair, leg)):
        return
    reach, cap = reach_of(turn, legs, pair, leg, side, turn.config.execution.escalated_cap_bps)
    wish = WishedOrder(
        leg=leg, side=side, qty=sizes[leg], price=price_within(turn, pair, leg, side, reach, cap),
        expected_price=reach, purpose=Purpose.EMERGENCY, is_closing=True, collar_bps=cap, is_planned=False,
    )  # fmt: skip
    if legs.state is not LegState.ESCALATED:
        legs.move(LegState.UNBALANCED, memory.now_ns)
    legs.attempts += 1
    if send(turn, legs, pair, (wish,)) is None:
        memory.emergencies = (*memory.emergencies, pair.id)
        legs.is_reversed = legs.is_reversed or legs.kind is IntentKind.ENTER


def is_account_fresh(turn: Turn, pair: Pair) -> bool:
    """Whether both venues' account streams stand and no order of the pair is of unknown fate."""
    memory = turn.memory
    for instrument in (pair.a, pair.b):
        prefix = f"{venue_of(instrument)}/private"
        if any(name.startswith(prefix) and not feed.is_up for name, feed in memory.market.feeds.items()):
            return False
    return all(line.state not in UNCLEAR for line in memory.orders.working() if line.request.pair == pair.id)
