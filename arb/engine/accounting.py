"""The account against the books, as a check that runs: after every reading, every hour, at the turn of the day.

Owns: what is gathered for the identity, when its answer may be believed, its rows and topic, and who is told.
Never: changes what is traded: a difference of quantities blocks by reconciling, one of value alone calls a person.
Units: KRW and USDT as named; keys as in `state/account.py`; times monotonic _ns, days by UTC + offset.

What nothing explains is told once it has lasted `GRACE_NS` with nothing in flight, and after the venues were asked
again: incomes, transfers and balances come by different messages, some before the execution that they follow from.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from arb.domain.effects import Cell, QueryAccount, Severity, Table
from arb.domain.events import Reconciled
from arb.domain.ids import AssetId, InstrumentId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import EXACT, booked, decimal_of, exact_sum
from arb.domain.pair import Pair
from arb.domain.tables import ACCOUNT_PARTS
from arb.engine import rows
from arb.engine.marking import fx_mid_of, mark_price
from arb.engine.memory import Memory, Turn
from arb.engine.rows import KST_NS
from arb.engine.view import HOUR_NS, leg_instrument, mid_of
from arb.state.account import CASH, AccountState, KeyMark, Sighting, Valued, key_of, total_of, valued_at
from arb.state.flows import KRW, USDT, ZERO
from arb.state.ledger import DAY_NS

TOLERANCE_KRW: Final = Decimal(10)
"""Venues round entry prices and fees; more than this is not rounding."""
GRACE_NS: Final = 600_000_000_000
SETTLED_NS: Final = 5_000_000_000
"""Until then a balance may still be on its way."""
BNB: Final = AssetId("BNB")


# --- gathering


Legs = tuple[tuple[Pair, str, Instrument], ...]


def sighting(turn: Turn) -> Sighting | None:
    """What venues, books and markets say now; None while a venue, a mark or FX has never been told."""
    memory, fx_mid, legs = turn.memory, fx_mid_of(turn.memory), _told_legs(turn)
    if fx_mid is None or not legs:
        return None
    marks = _marks(turn, legs)
    if any(_key(instrument) not in marks for _, _, instrument in legs):
        return None
    own, residual_own = _own(turn, legs)
    earned = Valued(memory.ledger.totals.realised_krw, memory.ledger.totals.realised_usdt)
    return Sighting(
        told=_told(turn, legs), own=own, marks=marks, fx_mid=fx_mid,
        pairs=earned.plus(total_of(_open(turn, legs), marks, fx_mid)), residual=total_of(residual_own, marks, fx_mid),
    )  # fmt: skip


def _told_legs(turn: Turn) -> Legs:
    """Every leg of every pair, once all rules are known and all venues have told what they hold; else none."""
    legs, balances = tuple(_legs(turn)), turn.memory.ledger.holdings.balances
    if len(legs) < 2 * len(turn.config.pairs) or any(item.venue not in balances for _, _, item in legs):
        return ()
    return legs


def _legs(turn: Turn) -> Iterator[tuple[Pair, str, Instrument]]:
    """Every leg of every pair whose instrument is known."""
    for item in turn.config.pairs:
        for leg in ("a", "b"):
            instrument = turn.memory.market.instruments.get(leg_instrument(item.pair, leg))
            if instrument is not None:
                yield item.pair, leg, instrument


def _key(instrument: Instrument) -> str:
    is_contract = instrument.kind is InstrumentKind.PERPETUAL
    return instrument.id if is_contract else key_of(instrument.venue, instrument.base)


def _marks(turn: Turn, legs: Legs) -> dict[str, KeyMark]:
    """The newest mark of each key, remembered while a book is away."""
    memory, kept = turn.memory, turn.memory.ledger.account.marks
    found: dict[str, KeyMark] = kept | {KRW: KeyMark(Decimal(1), KRW), USDT: KeyMark(Decimal(1), USDT)}
    for _, _, instrument in legs:
        price = mark_price(memory, instrument.id)
        if price:
            found[_key(instrument)] = KeyMark(price, instrument.quote)
    for venue in memory.ledger.holdings.balances:
        mid = mid_of(memory, InstrumentId(f"{venue}:{BNB}USDT"))
        if mid > 0:
            found.setdefault(key_of(venue, BNB), KeyMark(decimal_of(mid), USDT))
    return found


def _told(turn: Turn, legs: Legs) -> dict[str, Decimal]:
    holdings = turn.memory.ledger.holdings
    found: dict[str, Decimal] = {asset: holdings.total_of(asset) for asset in CASH}
    found |= {key_of(venue, BNB): holdings.total(venue, BNB) for venue in holdings.balances}
    for _, _, instrument in legs:
        key = _key(instrument)
        if key in found:
            continue
        if instrument.kind is InstrumentKind.PERPETUAL:
            held = holdings.contracts.get(instrument.id)
            found[key] = held.qty if held is not None else ZERO
            if held is not None:
                found[instrument.quote] = EXACT.subtract(
                    found[instrument.quote], EXACT.multiply(held.qty, held.entry_price)
                )
        else:
            found[key] = holdings.total(instrument.venue, instrument.base)
    return found


def _open(turn: Turn, legs: Legs) -> dict[str, Decimal]:
    """What open positions have done to each key."""
    positions = turn.memory.ledger.positions
    found: dict[str, Decimal] = {
        KRW: exact_sum(position.krw for position in positions.values()),
        USDT: exact_sum(position.usdt for position in positions.values()),
    }
    for pair, leg, instrument in legs:
        position = positions.get(pair.id)
        if position is not None:
            qty = position.a.net_qty if leg == "a" else EXACT.divide(position.b.net_qty, pair.multiplier)
            _add(found, _key(instrument), qty)
    return found


def _own(turn: Turn, legs: Legs) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """What pairs and residuals together have done to each key, and residuals alone."""
    ledger = turn.memory.ledger
    account, left = ledger.account, ledger.residuals.values()
    residual: dict[str, Decimal] = {
        KRW: EXACT.subtract(account.residual_krw, exact_sum(item.cost for item in left if item.leg == "a")),
        USDT: EXACT.subtract(account.residual_usdt, exact_sum(item.cost for item in left if item.leg == "b")),
    }
    for pair, leg, instrument in legs:
        item = ledger.residuals.get(f"{pair.id}/{leg}")
        if item is not None:
            _add(residual, _key(instrument), item.qty if leg == "a" else EXACT.divide(item.qty, pair.multiplier))
    own = _open(turn, legs)
    _add(own, KRW, account.retained_krw)
    _add(own, USDT, account.retained_usdt)
    for key, qty in residual.items():
        _add(own, key, qty)
    return own, residual


def _add(amounts: dict[str, Decimal], key: str, amount: Decimal) -> None:
    amounts[key] = EXACT.add(amounts.get(key, ZERO), amount)


# --- believing


def is_in_flight(turn: Turn) -> bool:
    """Whether a message on its way, or a difference that is being settled, may still explain what nothing explains."""
    lanes = turn.memory.lanes.values()
    return turn.memory.is_settling or any(lane.mismatch_ns is not None for lane in lanes) or not _is_quiet(turn)


def _is_quiet(turn: Turn) -> bool:
    """Whether every venue has been read in this run and nothing of ours moves or has just moved there."""
    memory = turn.memory
    if memory.orphans or memory.orders.unfinished or any(lane.legs for lane in memory.lanes.values()):
        return False
    if any(memory.now_ns - lane.fill_ns < SETTLED_NS for lane in memory.lanes.values()):
        return False
    return all(instrument.venue in memory.balances_ns for _, _, instrument in _legs(turn))


def open_books(turn: Turn) -> None:
    """The opening is what the venues told at the first quiet moment, whether or not it can be priced yet."""
    legs = _told_legs(turn)
    if legs and _is_quiet(turn):
        own, _ = _own(turn, legs)
        turn.memory.ledger.account.enter(_told(turn, legs), own, turn.wall_ns())


def reckon(turn: Turn) -> AccountState | None:
    """The identity now; None while it cannot be told."""
    open_books(turn)
    sight, account = sighting(turn), turn.memory.ledger.account
    if sight is None or not account.is_open:
        return None
    account.price(sight.marks, sight.fx_mid)
    return account.reckon(sight)


def read_from_ms(memory: Memory, wall_ns: int) -> int:
    """From when on incomes and transfers have to be read: nothing counts twice, so rather an hour too much."""
    seen_ns = memory.ledger.account.seen_wall_ns
    return ((min(seen_ns, wall_ns) - HOUR_NS) if seen_ns else wall_ns) // 1_000_000


# --- telling


def reconciled(turn: Turn, event: Reconciled) -> None:
    """A venue was read: the identity as it stands before anything about it is decided."""
    found = reckon(turn)
    if found is not None:
        _row(turn, found, f"reconciled {event.venue}")


def draining(turn: Turn) -> None:
    """The run comes to its end: how the account stands, at the newest marks."""
    found = reckon(turn)
    if found is not None:
        _row(turn, found, "end")


def accepted(turn: Turn) -> None:
    """An operator adopted or ignored what differs: what nothing explains now has been transferred."""
    sight, account = sighting(turn), turn.memory.ledger.account
    if sight is not None and account.is_open:
        account.accept(sight)
        _row(turn, account.reckon(sight), "accepted")


def time_passed(turn: Turn) -> None:
    """Publish how the account stands, watch what nothing explains, and write what is due."""
    found, account = reckon(turn), turn.memory.ledger.account
    if found is None:
        return
    _watch(turn, found)
    _publish(turn, found)
    if turn.memory.is_settling:
        return
    if readings := turn.memory.readings.values():
        account.seen_wall_ns = turn.memory.market.wall_ns(min(reading.told_ns for reading in readings))
    day, kst_day = turn.memory.ledger.totals.day, (turn.wall_ns() + KST_NS) // DAY_NS
    if day != account.day:
        if account.day >= 0:
            _row(turn, found, "day")
        account.day = day
    if kst_day != account.kst_day:
        if account.kst_day >= 0:
            _balance_rows(turn, found.fx_mid, kst_day)
            account.rows_ns = 0
        account.kst_day = kst_day
    if turn.wall_ns() - account.rows_ns >= HOUR_NS:
        account.rows_ns = turn.wall_ns()
        _row(turn, found, "hour")
        _position_rows(turn)


def _position_rows(turn: Turn) -> None:
    """How open positions stand now."""
    for item in turn.config.pairs:
        position = turn.memory.ledger.position(item.pair.id)
        if position is not None and position.flows:
            rows.position_row(turn, item.pair, position, None)


def _publish(turn: Turn, found: AccountState) -> None:
    values: dict[str, Cell] = {
        "equity_krw": found.equity.krw, "equity_usdt": found.equity.usdt,
        "unexplained_krw": found.unexplained.krw, "unexplained_usdt": found.unexplained.usdt,
        "is_in_flight": is_in_flight(turn), "is_explained": not turn.memory.ledger.account.alerted_krw,
    }  # fmt: skip
    turn.publish("account", values)


def _watch(turn: Turn, found: AccountState) -> None:
    """Call a person about what nothing explains, once it lasts, and again when it has become another amount."""
    account, now_ns = turn.memory.ledger.account, turn.memory.now_ns
    if abs(found.unexplained.krw) <= TOLERANCE_KRW:
        account.unexplained_ns, account.alerted_krw = None, ZERO
        return
    if is_in_flight(turn):
        return
    if account.unexplained_ns is None:
        account.unexplained_ns = now_ns
        if not account.alerted_krw:
            for venue in sorted({instrument.venue for _, _, instrument in _legs(turn)}):
                turn.effects.append(QueryAccount(venue=venue, reason="the books do not explain what is held"))
    is_new = abs(found.unexplained.krw - account.alerted_krw) > TOLERANCE_KRW
    if is_new and now_ns - account.unexplained_ns >= GRACE_NS:
        account.alerted_krw = found.unexplained.krw
        fields: dict[str, Cell] = {
            "unexplained_krw": found.unexplained.krw, "unexplained_usdt": found.unexplained.usdt,
            "equity_krw": found.equity.krw,
        }  # fmt: skip
        turn.alert("account/unexplained", Severity.WARNING, "the account holds what the books do not explain", fields)


def _row(turn: Turn, found: AccountState, occasion: str) -> None:
    row: dict[str, Cell] = {"occasion": occasion, "fx_mid": found.fx_mid}
    values = (
        found.equity, found.opening, found.treasury, found.pairs, found.residual, found.transfers, found.fx_retained,
        found.unexplained,
    )  # fmt: skip
    row |= {f"{name}_krw": value.krw for name, value in zip(ACCOUNT_PARTS, values, strict=True)}
    row |= {f"{name}_usdt": value.usdt for name, value in zip(ACCOUNT_PARTS, values, strict=True)}
    row |= {"is_in_flight": is_in_flight(turn), "time_ns": turn.wall_ns()}
    turn.record(Table.ACCOUNT, f"account-{turn.memory.run_digest}-{turn.memory.seq}-{occasion}", 0, None, row)


def _balance_rows(turn: Turn, fx_mid: Decimal, kst_day: int) -> None:
    """What every wallet holds at midnight in Korea, coins of no pair included, contracts by their open result."""
    holdings, marks = turn.memory.ledger.holdings, turn.memory.ledger.account.marks
    for venue, balances in holdings.balances.items():
        for asset, balance in balances.items():
            if balance.total:
                mark = marks.get(key_of(venue, asset))
                _balance_row(turn, kst_day, (venue, asset, "spot"), balance.total, mark, fx_mid)
    for instrument, held in holdings.contracts.items():
        if held.qty:
            _contract_row(turn, kst_day, instrument, fx_mid)


def _balance_row(
    turn: Turn, kst_day: int, what: tuple[str, str, str], qty: Decimal, mark: KeyMark | None, fx_mid: Decimal
) -> None:
    worth = valued_at(EXACT.multiply(qty, mark.price), mark.quote, fx_mid).krw if mark is not None else None
    row: dict[str, Cell] = {
        "wallet": what[0], "asset": what[1], "kind": what[2], "qty": qty,
        "price": mark.price if mark is not None else None, "price_currency": mark.quote if mark is not None else None,
        "fx_mid": fx_mid, "krw_value": booked(worth) if worth is not None else None, "time_kst": kst_day * DAY_NS,
        "time_ns": turn.wall_ns(),
    }  # fmt: skip
    turn.record(Table.BALANCES_DAILY, f"{what[0]}/{what[1]}-{kst_day}", 0, None, row)


def _contract_row(turn: Turn, kst_day: int, instrument: InstrumentId, fx_mid: Decimal) -> None:
    """A contract is worth its open result; its price column is its mark."""
    held = turn.memory.ledger.holdings.contracts[instrument]
    mark = mark_price(turn.memory, instrument) or None
    worth = EXACT.multiply(held.qty, mark - held.entry_price) if mark is not None else None
    venue, _, symbol = instrument.partition(":")
    row: dict[str, Cell] = {
        "wallet": venue, "asset": symbol, "kind": InstrumentKind.PERPETUAL.value, "qty": held.qty, "price": mark,
        "price_currency": USDT, "fx_mid": fx_mid, "krw_value": booked(worth * fx_mid) if worth is not None else None,
        "time_kst": kst_day * DAY_NS, "time_ns": turn.wall_ns(),
    }  # fmt: skip
    turn.record(Table.BALANCES_DAILY, f"{instrument}-{kst_day}", 0, None, row)
