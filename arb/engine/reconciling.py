"""The venues' accounts against our books: what they tell that these do not explain, and what a person decides then.

Owns: when a reading may be compared, which differences block, and what adopting or ignoring one does.
Never: sends an order; believes a reading while an order or an execution may still change it.
Units: coins in base units, contracts in contract units, cash in its own; times monotonic _ns.

The venue is truth for quantity. Reconciling twice changes nothing (tests/engine/test_reconciling.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import attrs

from arb.domain.effects import Cell, QueryAccount, Severity
from arb.domain.events import Reconciled, TransferSeen
from arb.domain.ids import AssetId, ClientOrderId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import decimal_of
from arb.domain.order import OrderState, OrderUpdate
from arb.domain.pair import Pair
from arb.engine import charges, folding, watching
from arb.engine.config import EngineConfig
from arb.engine.memory import CashOff, Difference, Memory, Turn, VenueReading
from arb.engine.view import leg_instrument, mid_of
from arb.execution.order_ids import is_ours, origin_of
from arb.risk.trading_state import Cause

ZERO: Final = Decimal(0)
LEAST_CASH: Final = {AssetId("KRW"): Decimal(1_000), AssetId("USDT"): Decimal(1), AssetId("BNB"): Decimal("0.001")}
"""Less than this is rounding of the venue's, and waits until there is more of it."""
CASH_NS: Final = 60_000_000_000
"""So much later a reading must tell the same again before cash is taken over."""
UNCLEAR: Final = frozenset({OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.NOT_FOUND})


def venues_of(config: EngineConfig) -> tuple[VenueId, ...]:
    """The venues of the configured pairs, sorted."""
    return tuple(sorted({venue_of(name) for item in config.pairs for name in (item.pair.a, item.pair.b)}))


def is_complete(memory: Memory, config: EngineConfig) -> bool:
    """Whether every venue was read and compared since the run began, and no order's fate is unknown."""
    readings = memory.readings
    is_read = all(venue in readings and readings[venue].is_compared for venue in venues_of(config))
    return is_read and all(line.state not in UNCLEAR for line in memory.orders.working())


def reconciled(turn: Turn, event: Reconciled) -> None:
    """A venue's account was read: compare it, or ask for another reading when something is in flight."""
    memory, venue = turn.memory, event.venue
    if venue not in venues_of(turn.config):
        return
    told_ns = event.at_ns if event.begun_ns is None else event.begun_ns
    is_compared = is_quiet(turn, venue, told_ns)
    before = memory.readings.get(venue)
    memory.readings[venue] = VenueReading(
        told_ns=told_ns, is_compared=is_compared, ask_ns=memory.now_ns + _grace_ns(turn),
        has_doubt=memory.accepted_ns is not None and told_ns <= memory.accepted_ns,
        cash=before.cash if before is not None else (),
    )  # fmt: skip
    if not is_compared:
        return
    if memory.is_settling:
        watching.take_listed(turn, venue)
    _take_cash_over(turn, venue)
    found = (*contracts(turn, venue), *coins(turn, venue), *_orders(turn, event.open_orders))
    found = _since(turn, venue, found)
    others = set(venues_of(turn.config)) - {venue}
    memory.differences = (*(item for item in memory.differences if item.venue in others), *found)
    if not memory.is_settling:
        _judge(turn, venue, found)
    _conclude(turn)


def _since(turn: Turn, venue: VenueId, found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Differences with the moment since when they have been told without a change."""
    before = {_mark(item): item.seen_ns for item in turn.memory.differences if item.venue == venue}
    return tuple(attrs.evolve(item, seen_ns=before.get(_mark(item), turn.memory.now_ns)) for item in found)


def _mark(item: Difference) -> tuple[str, Decimal, str]:
    """What makes two readings tell the same."""
    return (item.name, item.difference, item.words if item.is_order else "")


def _judge(turn: Turn, venue: VenueId, found: tuple[Difference, ...]) -> None:
    """While trading: what a reading tells that was begun after the first word of it blocks the pair; until then nothing
    opens there, and such a reading is asked for."""
    memory = turn.memory
    for lane in memory.lanes.values():
        lane.doubted = ""
    for item in memory.differences:
        pair = _stranger_of(turn, item)
        if pair is None:
            continue
        reading = memory.readings.get(item.venue)
        if reading is not None and item.seen_ns < reading.told_ns:
            if item in found:
                _block(turn, item, pair)
            continue
        memory.lanes[pair.id].doubted = item.words
        if reading is not None and item in found:
            ask_ns = memory.now_ns + int(turn.config.execution.unknown_grace_s * 1e9)
            memory.readings[venue] = attrs.evolve(reading, has_doubt=True, ask_ns=ask_ns)


def ask_again(turn: Turn) -> None:
    """Time passed: a venue whose reading was not compared, or left a doubt, is read again once it is quiet there."""
    memory = turn.memory
    wait_ns = int(turn.config.execution.position_check_s * 1e9)
    for venue, reading in memory.readings.items():
        if (reading.is_compared and not reading.has_doubt) or memory.now_ns < reading.ask_ns:
            continue
        if is_quiet(turn, venue, memory.now_ns):
            memory.readings[venue] = attrs.evolve(reading, ask_ns=memory.now_ns + wait_ns)
            what = "told something that a second one has to confirm" if reading.is_compared else "could not be compared"
            turn.effects.append(QueryAccount(venue=venue, reason=f"the last reading {what}"))


def _grace_ns(turn: Turn) -> int:
    """How old the last execution must be: while orders leave, older than the slowest reading takes from the venue's
    word to ours; while none do, a leg may stand alone, and what an answer takes is enough."""
    params = turn.config.execution
    is_settling = turn.memory.is_settling
    grace_s = params.unknown_grace_s if is_settling else max(params.unknown_grace_s, params.position_check_s)
    return int(grace_s * 1e9)


def is_quiet(turn: Turn, venue: VenueId, at_ns: int) -> bool:
    """Whether the rules are known and nothing can have moved what a reading of this moment tells: no order of ours
    works there, and the last execution is old enough."""
    memory = turn.memory
    if any(line.request.venue == venue for line in memory.orders.working()):
        return False
    if any(fill.venue == venue for fill in memory.orphans):
        return False
    for item in turn.config.pairs:
        legs = [name for name in (item.pair.a, item.pair.b) if venue_of(name) == venue]
        if any(name not in memory.market.instruments for name in legs):
            return False
        if legs and at_ns - memory.lanes[item.pair.id].fill_ns < _grace_ns(turn):
            return False
    return True


def _conclude(turn: Turn) -> None:
    """All venues agree: `resume` may clear what halts, and what an operator decided about is over."""
    memory, now_ns = turn.memory, turn.memory.now_ns
    if memory.differences:
        memory.causes.reconciled(now_ns, is_clean=False)
        return
    readings = memory.readings
    if not all(venue in readings and readings[venue].is_compared for venue in venues_of(turn.config)):
        return
    told_ns = min(readings[venue].told_ns for venue in venues_of(turn.config))
    memory.causes.reconciled(told_ns, is_clean=True)
    if memory.accepted_ns is not None and told_ns > memory.accepted_ns:
        memory.accepted_ns = None
        memory.causes.lift(Cause.EXTERNAL_HANDS)
        for lane in memory.lanes.values():
            lane.blocked = ""


# --- comparing


def legs_on(turn: Turn, venue: VenueId) -> Iterator[tuple[Pair, str, Instrument]]:
    for item in turn.config.pairs:
        for leg in ("a", "b"):
            name = leg_instrument(item.pair, leg)
            if venue_of(name) == venue:
                yield item.pair, leg, turn.memory.market.instruments[name]


def contracts(turn: Turn, venue: VenueId) -> Iterator[Difference]:
    """Contracts that differ by a lot or more."""
    memory = turn.memory
    found = {item.id: item for _, _, item in legs_on(turn, venue) if item.kind is InstrumentKind.PERPETUAL}
    for name, instrument in found.items():
        told = memory.ledger.contract_qty(name) - memory.foreign_qty.get(name, ZERO)
        expected = watching.own_qty(turn, instrument)
        if abs(told - expected) >= instrument.lot:
            words = f"{name}: the venue holds {told:f} contracts, our books say {expected:f}"
            yield Difference(venue=venue, name=name, expected=expected, told=told, words=words)


def coins(turn: Turn, venue: VenueId) -> Iterator[Difference]:
    """Base coins of traded spot instruments that differ by what the venue would trade."""
    memory, seen = turn.memory, set[AssetId]()
    found = dict(memory.ledger.holdings.unexplained(venue))
    for pair, leg, instrument in legs_on(turn, venue):
        asset = instrument.base
        if instrument.kind is not InstrumentKind.SPOT or asset in seen or asset in LEAST_CASH:
            continue
        seen.add(asset)
        foreign = memory.foreign_qty.get(f"{venue}/{asset}", ZERO)
        off, price = found.get(asset, ZERO) - foreign, price_of(turn, pair, leg)
        if abs(off) >= max(instrument.lot, instrument.min_notional / price if price else ZERO):
            told = memory.ledger.holdings.total(venue, asset) - foreign
            words = f"{asset} on {venue}: the venue holds {told:f}, our books say {told - off:f}"
            yield Difference(venue=venue, name=asset, expected=told - off, told=told, words=words)


def _orders(turn: Turn, orders: tuple[OrderUpdate, ...]) -> Iterator[Difference]:
    """Open orders on traded instruments that memory does not hold, whoever placed them."""
    for update in orders:
        if update.client_order_id in turn.memory.orders.lines or folding.pair_of(turn, update.instrument) is None:
            continue
        name = update.venue_order_id or update.client_order_id
        whose = "somebody else's"
        if is_ours(update.client_order_id):
            origin = origin_of(ClientOrderId(update.client_order_id))
            whose = f"our own (step {origin.seq} of a run that the journal does not hold)"
        yield Difference(
            venue=venue_of(update.instrument), name=update.instrument, expected=ZERO, told=Decimal(1),
            words=f"{update.instrument}: order {name} is open and {whose}", is_order=True,
        )  # fmt: skip


def _take_cash_over(turn: Turn, venue: VenueId) -> None:
    """People move cash: what of it differs, and differs by as much a while later, is told and booked as a transfer of
    unknown origin. A balance may be ahead of what explains it: income and deposits are listed later."""
    memory, reading = turn.memory, turn.memory.readings[venue]
    since = {(item.asset, item.amount): item.since_ns for item in reading.cash}
    left: list[CashOff] = []
    for asset, off in memory.ledger.holdings.unexplained(venue):
        if asset not in LEAST_CASH or abs(off) < LEAST_CASH[asset]:
            continue
        since_ns = since.get((asset, off), memory.now_ns)
        if reading.told_ns - since_ns < CASH_NS:
            left.append(CashOff(asset=asset, amount=off, since_ns=since_ns))
            continue
        fields: dict[str, Cell] = {"venue": venue, "asset": asset, "difference": off}
        turn.alert(f"cash/{venue}/{asset}", Severity.WARNING, "cash moved that the books do not explain", fields)
        book_transfer(turn, venue, asset, off)
    ask_ns = max((item.since_ns + CASH_NS for item in left), default=reading.ask_ns)
    has_doubt = reading.has_doubt or bool(left)
    ask_ns = min(ask_ns, reading.ask_ns) if reading.has_doubt else ask_ns
    memory.readings[venue] = attrs.evolve(reading, cash=tuple(left), has_doubt=has_doubt, ask_ns=ask_ns)


def book_transfer(turn: Turn, venue: VenueId, asset: AssetId, amount: Decimal) -> None:
    name = f"unknown-{turn.memory.run_digest}-{turn.memory.seq}-{asset}"
    now_ns = turn.memory.now_ns
    charges.transfer_seen(
        turn, TransferSeen(at_ns=now_ns, venue=venue, transfer_id=name, amount=amount, asset=asset)
    )  # fmt: skip


def price_of(turn: Turn, pair: Pair, leg: str) -> Decimal | None:
    """The newest price of a leg per contract unit: of the book, of the venue's mark, of the last execution."""
    memory, name = turn.memory, leg_instrument(pair, leg)
    if mid := mid_of(memory, name):
        return decimal_of(mid)
    contract = memory.ledger.holdings.contracts.get(name)
    if contract is not None and contract.mark_price:
        return contract.mark_price
    position = memory.ledger.position(pair.id)
    if position is not None and (position.a if leg == "a" else position.b).last_price:
        return position.a.last_price if leg == "a" else position.b.last_price * pair.multiplier
    return contract.entry_price if contract is not None and contract.entry_price else None


# --- blocking


def pair_of(turn: Turn, item: Difference) -> tuple[Pair, str] | None:
    """The pair and leg that a difference concerns: of those that trade it, the first that holds a position."""
    legs = [(pair, leg) for pair, leg, one in legs_on(turn, item.venue) if item.name in (one.id, one.base)]
    held = [(pair, leg) for pair, leg in legs if turn.memory.ledger.position(pair.id) is not None]
    return next(iter((*held, *legs)), None)


def _stranger_of(turn: Turn, item: Difference) -> Pair | None:
    """The pair that a difference blocks; None where no pair trades it or the watch over a position will settle it."""
    memory, found = turn.memory, pair_of(turn, item)
    if found is None:
        return None
    pair, leg = found
    is_contract = memory.market.instruments[leg_instrument(pair, leg)].kind is InstrumentKind.PERPETUAL
    is_watched = memory.ledger.position(pair.id) is not None and (is_contract or item.difference < 0)
    return None if is_watched and not item.is_order else pair


def _block(turn: Turn, item: Difference, pair: Pair) -> None:
    """Somebody else's hand: nothing opens until an operator decides."""
    memory, lane = turn.memory, turn.memory.lanes[pair.id]
    lane.blocked = lane.blocked or item.words
    if memory.causes.add(Cause.EXTERNAL_HANDS, pair.id, memory.now_ns, item.words):
        fields: dict[str, Cell] = {"pair": pair.id, "venue": item.venue, "difference": item.difference}
        turn.alert(f"external/{pair.id}", Severity.ERROR, f"the venue and our books differ: {item.words}", fields)
