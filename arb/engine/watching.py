"""The watch over positions: what the venues say they hold for us against what the pairs believe.

Owns: which difference is doubted, when it is confirmed, and at what it is booked.
Never: sends an order by itself; settles what no position explains (`reconciling.py`).
Units: contract units of an instrument where one is named, base units where a pair is meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arb.domain.effects import QueryAccount
from arb.domain.fees import Fee
from arb.domain.ids import AssetId, InstrumentId, TradeId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.order import Fill, Purpose, Side
from arb.domain.pair import Pair
from arb.engine import rows
from arb.engine.charges import fee_of
from arb.engine.marking import fx_mid_of, mark_price
from arb.engine.memory import Turn
from arb.engine.repairing import leave_if_stuck, repair, repair_if_naked
from arb.engine.view import leg_instrument
from arb.execution.legs import LegState
from arb.state.flows import FillTag
from arb.state.market import NEVER_NS
from arb.state.positions import PairPosition

UNTOLD: Final = "watch-"
"""Begins the trade id of an execution that no venue told: it is booked because the position changed."""
ZERO: Final = Decimal(0)
Difference = tuple[str, Decimal]
"""A leg and what its venue has more, contract units."""


def watch_positions(turn: Turn) -> None:
    """Compare every position with what the venues say.

    A difference is asked about first; what a reading taken since then confirms makes the pair unbalanced.
    """
    memory = turn.memory
    for item in turn.config.pairs:
        pair, lane = item.pair, memory.lanes[item.pair.id]
        position = memory.ledger.position(pair.id)
        if position is None:
            lane.foreign = ()
        if position is None or not _is_watched(turn, pair):
            lane.mismatch_ns = None
            continue
        differences = _differences(turn, pair, position)
        if differences:
            _settle(turn, pair, differences)
        else:
            lane.mismatch_ns = None
            _ask_if_untold(turn, pair)
            repair_if_naked(turn, pair)
            leave_if_stuck(turn, pair)


def _ask_if_untold(turn: Turn, pair: Pair) -> None:
    """A venue that has told nothing since the pair's last execution is asked: silence is no agreement. So is one that
    holds coins nobody bought: its whole account is then compared (`reconciling.py`)."""
    memory, lane = turn.memory, turn.memory.lanes[pair.id]
    if memory.now_ns - max(lane.fill_ns, lane.asked_ns) < turn.config.execution.position_check_s * 1e9:
        return
    untold = [leg for leg in ("a", "b") if _told_ns(turn, pair, leg, is_whole=False) <= lane.fill_ns]
    strange = [leg for leg in ("a", "b") if not lane.blocked and _is_surplus(turn, pair, leg)]
    for venue in sorted({venue_of(leg_instrument(pair, leg)) for leg in (*untold, *strange)}):
        lane.asked_ns = memory.now_ns
        turn.effects.append(QueryAccount(venue=venue, reason=f"position of {pair.id} not told since its execution"))


def _is_surplus(turn: Turn, pair: Pair, leg: str) -> bool:
    """Whether a spot venue holds coins that neither our executions nor known transfers brought."""
    memory = turn.memory
    instrument = memory.market.instruments[leg_instrument(pair, leg)]
    tally = memory.ledger.holdings.tallies.get(f"{instrument.venue}/{instrument.base}")
    if instrument.kind is not InstrumentKind.SPOT or tally is None:
        return False
    foreign = memory.foreign_qty.get(f"{instrument.venue}/{instrument.base}", ZERO)
    off = memory.ledger.holdings.total(instrument.venue, instrument.base) - tally.closing - foreign
    return off * mark_price(memory, instrument.id) >= max(instrument.min_notional, instrument.lot)


def _settle(turn: Turn, pair: Pair, differences: tuple[Difference, ...]) -> None:
    """Ask, ask again, or book what was confirmed and balance the rest."""
    memory, lane, params = turn.memory, turn.memory.lanes[pair.id], turn.config.execution
    waited_ns = memory.now_ns - lane.mismatch_ns if lane.mismatch_ns is not None else None
    if waited_ns is None or waited_ns >= params.position_check_s * 1e9:
        _doubt(turn, pair, differences)
    elif waited_ns >= params.unknown_grace_s * 1e9 and all(_is_confirmed(turn, pair, leg) for leg, _ in differences):
        lane.mismatch_ns = None
        for leg, contracts in differences:
            adjust(turn, pair, leg, contracts, mark_price(memory, leg_instrument(pair, leg)))
            tell_legs(turn, pair, leg, contracts)
        _told_again(turn, pair, differences)
        repair(turn, pair, "position differs from the venue's")


def _told_again(turn: Turn, pair: Pair, booked: tuple[Difference, ...]) -> None:
    """What was booked differs no more, though a reading of before said so; another one is to confirm that."""
    memory, before = turn.memory, turn.memory.differences
    legs = [memory.market.instruments[leg_instrument(pair, leg)] for leg, _ in booked]
    names = {item.id if item.kind is InstrumentKind.PERPETUAL else item.base for item in legs}
    venues = {item.venue for item in legs}
    memory.differences = tuple(
        item for item in before if item.is_order or item.venue not in venues or item.name not in names
    )
    for venue in sorted({item.venue for item in before} & venues if len(memory.differences) < len(before) else ()):
        turn.read_again(venue, f"position of {pair.id} was taken from the venue")


def tell_legs(turn: Turn, pair: Pair, leg: str, contracts: Decimal) -> None:
    """A two-leg order in hand works with what the venue did meanwhile."""
    legs = turn.memory.legs.get(turn.memory.lanes[pair.id].legs)
    if legs is None:
        return
    if leg == "a":
        legs.offset_a += contracts
    else:
        legs.offset_b += contracts * pair.multiplier
    legs.vain_count = 0


def doubt_positions(turn: Turn) -> None:
    """A venue told what it holds: where that differs, ask at once and hold what the pair plans until it is settled."""
    for item in turn.config.pairs:
        lane, position = turn.memory.lanes[item.pair.id], turn.memory.ledger.position(item.pair.id)
        if position is None or lane.mismatch_ns is not None or not _is_watched(turn, item.pair):
            continue
        if differences := _differences(turn, item.pair, position):
            _doubt(turn, item.pair, differences)


def _is_watched(turn: Turn, pair: Pair) -> bool:
    """Whether nothing of ours moves what the venues hold: no order works, and legs in hand wait to be balanced."""
    memory = turn.memory
    legs = memory.legs.get(memory.lanes[pair.id].legs)
    if legs is not None and legs.state not in (LegState.UNBALANCED, LegState.ESCALATED):
        return False
    return all(line.request.pair != pair.id for line in memory.orders.working())


def _doubt(turn: Turn, pair: Pair, differences: tuple[Difference, ...]) -> None:
    lane = turn.memory.lanes[pair.id]
    lane.mismatch_ns, lane.mismatch_seq = turn.memory.now_ns, turn.memory.seq
    for venue in sorted({venue_of(leg_instrument(pair, leg)) for leg, _ in differences}):
        turn.effects.append(QueryAccount(venue=venue, reason=f"position of {pair.id} differs"))


def _is_confirmed(turn: Turn, pair: Pair, leg: str) -> bool:
    """Whether a whole reading of a leg was told since the venue was asked, in a later step."""
    lane, instrument = turn.memory.lanes[pair.id], turn.memory.market.instruments[leg_instrument(pair, leg)]
    key = instrument.id if instrument.kind is InstrumentKind.PERPETUAL else instrument.venue
    is_later = turn.memory.told_seq.get(key, 0) > lane.mismatch_seq
    return is_later and _told_ns(turn, pair, leg, is_whole=True) >= (lane.mismatch_ns or 0)


def _told_ns(turn: Turn, pair: Pair, leg: str, *, is_whole: bool) -> int:
    """When the venue last told what a leg holds; `is_whole`: with all its balances, as only a reading does."""
    memory = turn.memory
    instrument = memory.market.instruments[leg_instrument(pair, leg)]
    if instrument.kind is InstrumentKind.PERPETUAL:
        return memory.contracts_ns.get(instrument.id, NEVER_NS)
    whole_ns = memory.balances_ns.get(instrument.venue, NEVER_NS)
    if is_whole:
        return whole_ns
    return max(whole_ns, memory.balances_ns.get(f"{instrument.venue}/{instrument.base}", NEVER_NS))


def own_qty(turn: Turn, instrument: Instrument) -> Decimal:
    """Our count of a contract or a coin over all pairs: open positions and what earlier ones left over."""
    memory, total = turn.memory, ZERO
    for pair, leg in _legs_on(turn, instrument.id):
        position, left = memory.ledger.position(pair.id), memory.ledger.residuals.get(f"{pair.id}/{leg}")
        held = ZERO if position is None else (position.a if leg == "a" else position.b).net_qty
        total += (held + (left.qty if left is not None else ZERO)) / (Decimal(1) if leg == "a" else pair.multiplier)
    return total


def _legs_on(turn: Turn, name: InstrumentId) -> list[tuple[Pair, str]]:
    """Every leg that trades an instrument."""
    pairs = [item.pair for item in turn.config.pairs]
    return [(pair, leg) for pair in pairs for leg in ("a", "b") if leg_instrument(pair, leg) == name]


def _is_answering(turn: Turn, pair: Pair, name: InstrumentId) -> bool:
    """Whether a difference of an instrument is this pair's to settle: of those that hold it, the first."""
    return next((other.id for other, _ in _legs_on(turn, name) if turn.memory.ledger.position(other.id)), "") == pair.id


def _differences(turn: Turn, pair: Pair, position: PairPosition) -> tuple[Difference, ...]:
    """Per leg, venue's quantity minus ours where off by a lot or more; spot: only what is missing of what is held.

    A word that is no newer than the last execution of any pair on the instrument says nothing.
    """
    memory, found = turn.memory, []
    for leg in ("a", "b"):
        instrument = memory.market.instruments[leg_instrument(pair, leg)]
        lanes = [memory.lanes[other.id] for other, _ in _legs_on(turn, instrument.id)]
        if _told_ns(turn, pair, leg, is_whole=False) <= max(lane.fill_ns for lane in lanes):
            continue
        if not _is_answering(turn, pair, instrument.id):
            continue
        off = _difference(turn, instrument, position.a.net_qty if leg == "a" else position.b.net_qty)
        if off:
            found.append((leg, off))
    return tuple(found)


def _difference(turn: Turn, instrument: Instrument, held: Decimal) -> Decimal:
    """What the venue has more than we believe, 0 where no order could trade it."""
    memory, own = turn.memory, own_qty(turn, instrument)
    if instrument.kind is InstrumentKind.PERPETUAL:
        if instrument.id not in memory.ledger.holdings.contracts:
            return ZERO
        off = memory.ledger.contract_qty(instrument.id) - own - memory.foreign_qty.get(instrument.id, ZERO)
        return off if abs(off) >= instrument.lot else ZERO
    if held <= 0 or instrument.venue not in memory.ledger.holdings.balances:
        return ZERO
    foreign = memory.foreign_qty.get(f"{instrument.venue}/{instrument.base}", ZERO)
    off = memory.ledger.holdings.total(instrument.venue, instrument.base) - foreign - own
    least = max(instrument.min_notional, instrument.lot)
    return max(off, -held) if off < 0 and -off * mark_price(memory, instrument.id) >= least else ZERO


def adjust(turn: Turn, pair: Pair, leg: str, off: Decimal, price: Decimal) -> None:
    """Book what the venue did without us, once: the executions it told at their own prices and fees, and what they
    leave unexplained as one at `price`, free of fees; each is a row, or no table would explain the books."""
    memory, lane = turn.memory, turn.memory.lanes[pair.id]
    instrument = memory.market.instruments[leg_instrument(pair, leg)]
    position = memory.ledger.positions[pair.id]
    told = _explaining(tuple(fill for fill in lane.foreign if fill.instrument == instrument.id), off)
    lane.foreign = tuple(fill for fill in lane.foreign if fill not in told)
    explained = sum((fill.side.sign * fill.qty for fill in told), ZERO)
    for fill in (*told, *_unseen(turn, instrument, leg, off - explained, price)):
        tag = FillTag(
            pair=pair.id, leg=leg, purpose=Purpose.EMERGENCY, decision_price=fill.price,
            multiplier=Decimal(1) if leg == "a" else pair.multiplier,
        )  # fmt: skip
        fee, usdt_mid = fee_of(turn, fill, instrument)
        fx_mid = fx_mid_of(memory) or Decimal(1)
        memory.ledger.book_fill(fill, instrument, tag, fx_mid=fx_mid, fee=fee, fee_usdt_mid=usdt_mid)
        rows.fill_row(turn, fill, pair.id, leg, fee, position.id, usdt_mid)


def take_listed(turn: Turn, venue: VenueId) -> None:
    """Before anything is compared at a start: what a venue did to an open position and listed, execution by execution,
    is no riddle. It is booked as listed where that explains the whole difference; the rest is for a person."""
    memory = turn.memory
    for item in turn.config.pairs:
        for leg in ("a", "b"):
            position, name = memory.ledger.position(item.pair.id), leg_instrument(item.pair, leg)
            if position is None or venue_of(name) != venue or not _is_answering(turn, item.pair, name):
                continue
            held = position.a.net_qty if leg == "a" else position.b.net_qty
            off = _difference(turn, memory.market.instruments[name], held)
            mine = tuple(fill for fill in memory.lanes[item.pair.id].foreign if fill.instrument == name)
            listed = sum((fill.side.sign * fill.qty for fill in _explaining(mine, off)), ZERO)
            if off and listed == off:
                adjust(turn, item.pair, leg, off, mark_price(memory, name))
                tell_legs(turn, item.pair, leg, off)


def _explaining(told: tuple[Fill, ...], off: Decimal) -> tuple[Fill, ...]:
    """The first of the told executions, as many as a difference holds: what a venue lists may be younger than what it
    said it holds, and waits."""
    explained, count = ZERO, 0
    for number, fill in enumerate(told, 1):
        explained += fill.side.sign * fill.qty
        if explained * off >= 0 and abs(explained) <= abs(off):
            count = number
    return told[:count]


def _unseen(turn: Turn, instrument: Instrument, leg: str, off: Decimal, price: Decimal) -> tuple[Fill, ...]:
    """The execution that nobody told of; none where the told ones explain everything."""
    if not off:
        return ()
    name = TradeId(f"{UNTOLD}{turn.memory.run_digest}-{turn.memory.seq}-{leg}")
    unseen = Fill(
        instrument=instrument.id, trade_id=name, client_order_id=None,
        venue_order_id=None, side=Side.BUY if off > 0 else Side.SELL, qty=abs(off), price=price,
        fee=Fee(ZERO, AssetId(instrument.quote)), liquidity=None, received_ns=turn.memory.now_ns, venue_ns=None,
    )  # fmt: skip
    return (unseen,)
