"""Which balances have drifted, and what moving them back would take: advice for a person, never a transfer.

Owns: how far balances are from where a strategy wants them, and the words of the advice.
Never: moves anything, or keeps a trade from being made.
Units: amounts in the asset named; KRW at the executable FX mid.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

import attrs

from arb.domain.ids import AssetId, PairId, VenueId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import decimal_of
from arb.domain.pair import Direction
from arb.engine.config import EngineConfig, PairConfig
from arb.engine.memory import Memory
from arb.engine.view import headroom_of, held_b, mid_of
from arb.state.flows import KRW, USDT
from arb.strategy.inventory.params import InventoryParams

OUTSIDE: Final = "outside"
"""A bank, or a place that the engine does not know."""
BPS: Final = Decimal(10_000)
TRAVEL_RULE_KRW: Final = 1_000_000
TRAVEL_RULE: Final = (
    f"travel rule: a transfer of {TRAVEL_RULE_KRW:,} KRW or more leaves Upbit only for an address that is registered "
    "there as your own"
)
HOLD: Final = "Upbit holds withdrawals for 24 h after a KRW deposit, 72 h after the first one"
NETWORK: Final = "take a network that both venues list as open; each shows its fee and its smallest withdrawal"


@attrs.frozen(kw_only=True)
class Advice:
    """One movement that would bring balances back."""

    pair: PairId
    asset: AssetId
    amount: Decimal
    source: str
    """A venue, or `outside`."""
    target: str
    why: str
    cost_krw: Decimal | None
    """What is known of its cost; None: nothing is."""
    trades_to_pay: int | None
    """How many trades at the least profit pay for it."""
    notes: tuple[str, ...]


class _Place(NamedTuple):
    """One balance against its band."""

    name: str
    held: Decimal
    target: Decimal
    band: Decimal

    @property
    def off(self) -> Decimal:
        return self.held - self.target

    @property
    def is_high(self) -> bool:
        return self.off > self.band

    @property
    def is_low(self) -> bool:
        return -self.off > self.band


def advice_of(memory: Memory, config: EngineConfig) -> tuple[Advice, ...]:
    """What should be moved for every pair, as balances and prices stand; empty while they are not known."""
    found: list[Advice] = []
    for item in config.pairs:
        a, b = memory.market.instruments.get(item.pair.a), memory.market.instruments.get(item.pair.b)
        told = memory.ledger.holdings.balances
        if a is None or b is None or memory.fx.mid <= 0 or mid_of(memory, a.id) <= 0:
            continue
        if a.venue not in told or b.venue not in told:
            continue
        params = item.params
        if isinstance(params, InventoryParams):
            found.extend(_of_inventory(memory, config, item, params, a, b))
        else:
            found.extend(_of_convergence(memory, config, item, a, b))
    return tuple(found)


def _of_inventory(
    memory: Memory, config: EngineConfig, item: PairConfig, params: InventoryParams, a: Instrument, b: Instrument
) -> list[Advice]:
    holdings = memory.ledger.holdings
    values = (
        ("KRW on A", holdings.total(a.venue, KRW), params.target_krw_a, params.band_krw_a),
        ("coins on A", holdings.total(a.venue, a.base), params.target_coin_a, params.band_coin_a),
        ("USDT on B", holdings.total(b.venue, USDT), params.target_usdt_b, params.band_usdt_b),
        ("coins on B", held_b(memory, item.pair, b), params.target_coin_b, params.band_coin_b),
    )
    krw_a, coin_a, usdt_b, coin_b = (
        _Place(name, held, decimal_of(target), decimal_of(band)) for name, held, target, band in values
    )
    found = []
    moved = _coins(a, b, coin_a, coin_b)
    if moved is not None:
        fee = decimal_of(params.transfer_fee_coin) * decimal_of(mid_of(memory, a.id))
        found.append(_advice(memory, config, item, a.base, moved, fee))
    moved = _cash(a, b, krw_a, usdt_b, decimal_of(memory.fx.mid))
    if moved is not None:
        asset = KRW if moved.source == OUTSIDE and moved.target == a.venue else USDT
        fee = decimal_of(params.transfer_fee_usdt * memory.fx.mid) + _exchange_krw(memory, config, moved.amount)
        found.append(_advice(memory, config, item, asset, moved, fee if asset == USDT else None))
    return found


class _Move(NamedTuple):
    amount: Decimal
    source: str
    target: str
    why: str


def _coins(a: Instrument, b: Instrument, on_a: _Place, on_b: _Place) -> _Move | None:
    """From the venue that has too many to the one that has too few."""
    if b.kind is InstrumentKind.PERPETUAL:
        if on_a.is_low:
            return _Move(-on_a.off, OUTSIDE, a.venue, _told(on_a))
        return _Move(on_a.off, a.venue, OUTSIDE, _told(on_a)) if on_a.is_high else None
    if on_a.is_high or on_b.is_low:
        first = on_a if on_a.is_high else on_b
        return _Move(min(abs(first.off), on_a.held), a.venue, b.venue, _told(first))
    if on_a.is_low or on_b.is_high:
        first = on_a if on_a.is_low else on_b
        return _Move(min(abs(first.off), on_b.held), b.venue, a.venue, _told(first))
    return None


def _cash(a: Instrument, b: Instrument, krw_a: _Place, usdt_b: _Place, fx_mid: Decimal) -> _Move | None:
    """KRW becomes USDT on A and goes to B, or USDT comes back and becomes KRW; in USDT, but KRW from outside."""
    if usdt_b.is_low or krw_a.is_high:
        first = usdt_b if usdt_b.is_low else krw_a
        amount = -usdt_b.off if usdt_b.is_low else krw_a.off / fx_mid
        return _Move(amount, a.venue if krw_a.off > 0 else OUTSIDE, b.venue, _told(first))
    if krw_a.is_low and usdt_b.off <= 0:
        return _Move(-krw_a.off, OUTSIDE, a.venue, _told(krw_a))
    if krw_a.is_low or usdt_b.is_high:
        first = krw_a if krw_a.is_low else usdt_b
        amount = -krw_a.off / fx_mid if krw_a.is_low else usdt_b.off
        return _Move(min(amount, usdt_b.held), b.venue, a.venue, _told(first))
    return None


def _told(place: _Place) -> str:
    side, edge = ("above", place.target + place.band) if place.off > 0 else ("below", place.target - place.band)
    return f"{place.name}: {place.held.normalize():f} is {side} {edge.normalize():f}, the edge of its band"


def _of_convergence(
    memory: Memory, config: EngineConfig, item: PairConfig, a: Instrument, b: Instrument
) -> list[Advice]:
    """KRW on A or margin on B that covers no further position although the limits leave room for one."""
    lane = memory.lanes[item.pair.id]
    if Direction.LONG_A not in item.pair.directions or lane.legs or memory.ledger.position(item.pair.id) is not None:
        return []
    room, fx_mid = headroom_of(memory, config, item, lane), decimal_of(memory.fx.mid)
    want_krw = decimal_of(room.notional_krw)
    if want_krw < config.risk.min_position_krw:
        return []
    found = []
    spare_usdt = decimal_of(room.quote_b_usdt) - want_krw / fx_mid / decimal_of(room.leverage_b)
    spare_krw = decimal_of(room.quote_a_krw) - want_krw
    is_contract = b.kind is InstrumentKind.PERPETUAL
    if spare_krw < 0:
        why = f"KRW on A: {-spare_krw:,.0f} short of one more position of {want_krw:,.0f}"
        if is_contract and spare_usdt * fx_mid >= -spare_krw:
            moved = _Move(-spare_krw / fx_mid, b.venue, a.venue, why)
            found.append(_advice(memory, config, item, USDT, moved, _exchange_krw(memory, config, moved.amount)))
        else:
            found.append(_advice(memory, config, item, KRW, _Move(-spare_krw, OUTSIDE, a.venue, why), None))
    if is_contract and spare_usdt < 0:
        why = f"margin on B: {-spare_usdt:,.2f} USDT short of one more position of {want_krw:,.0f} KRW"
        moved = _Move(-spare_usdt, a.venue if spare_krw >= -spare_usdt * fx_mid else OUTSIDE, b.venue, why)
        found.append(_advice(memory, config, item, USDT, moved, _exchange_krw(memory, config, moved.amount)))
    return found


def _exchange_krw(memory: Memory, config: EngineConfig, usdt: Decimal) -> Decimal:
    """What changing KRW into USDT or back costs: half the spread and the fee of the FX book."""
    half = decimal_of((memory.fx.ask - memory.fx.bid) / 2)
    return abs(usdt) * (half + decimal_of(memory.fx.mid * config.fx.conversion_fee_bps / 1e4))


def _advice(
    memory: Memory, config: EngineConfig, item: PairConfig, asset: AssetId, moved: _Move, cost_krw: Decimal | None
) -> Advice:
    gain = config.risk.max_position_krw * decimal_of(item.params.min_profit_bps) / BPS
    trades = int((cost_krw / gain).to_integral_value(ROUND_CEILING)) if cost_krw is not None and gain > 0 else None
    return Advice(
        pair=item.pair.id,
        asset=asset,
        amount=moved.amount,
        source=moved.source,
        target=moved.target,
        why=moved.why,
        cost_krw=cost_krw.quantize(Decimal(1)) if cost_krw is not None else None,
        trades_to_pay=trades,
        notes=_notes(memory, item, asset, moved),
    )


def _notes(memory: Memory, item: PairConfig, asset: AssetId, moved: _Move) -> tuple[str, ...]:
    """What a person has to know before moving it."""
    if asset == KRW:
        return (HOLD,)
    notes = []
    for venue, way in ((moved.source, "withdrawals"), (moved.target, "deposits")):
        if venue != OUTSIDE:
            state = memory.market.wallet(VenueId(venue), asset)
            is_open = state.withdraw if way == "withdrawals" else state.deposit
            notes.append(f"{venue}: {way} of {asset} are {'not known' if is_open is None else _state(is_open)}")
    price = memory.fx.mid if asset == USDT else mid_of(memory, item.pair.a)
    if moved.source == "upbit":
        notes.append(HOLD)
        if moved.amount * decimal_of(price) >= TRAVEL_RULE_KRW:
            notes.append(TRAVEL_RULE)
    return (*notes, NETWORK)


def _state(is_open: bool) -> str:
    return "open" if is_open else "closed now"


def spoken(advice: Advice) -> str:
    """One sentence."""
    amount = (
        f"{advice.amount:,.0f}"
        if advice.asset == KRW
        else f"{advice.amount.quantize(Decimal('0.00000001')).normalize():f}"
    )
    cost = f"costs about {advice.cost_krw:,} KRW" if advice.cost_krw is not None else "its cost is not known"
    pays = f", paid by {advice.trades_to_pay} trades" if advice.trades_to_pay is not None else ""
    return f"move {amount} {advice.asset} from {advice.source} to {advice.target} ({advice.why}); {cost}{pays}"
