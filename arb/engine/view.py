"""What a strategy looks at, gathered from memory.

Owns: reservations, exposure, headroom and the strategy's view of a pair.
Never: changes memory.
Units: KRW, USDT and base units as named; floats where a wish is bounded, Decimal where money is compared.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from arb.domain.costs import FxRates, fx_rates
from arb.domain.fees import FeeAsset, FeeSchedule
from arb.domain.headroom import Headroom
from arb.domain.ids import AssetId, InstrumentId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.intent import IntentKind
from arb.domain.money import decimal_of
from arb.domain.order import Side
from arb.domain.pair import Direction, Pair, PairKind
from arb.engine.config import EngineConfig, PairConfig
from arb.engine.memory import Lane, Memory
from arb.execution.legs import LegPair, LegRules, tradable
from arb.risk.checks import position_limit_krw
from arb.state.positions import KRW, USDT, PairPosition
from arb.strategy.api import HeldBalances, PairView
from arb.strategy.inventory.params import InventoryParams
from arb.strategy.sizing import SizingRules

ZERO: Final = Decimal(0)
MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 3_600_000_000_000

NOT_HELD: Final = HeldBalances(0.0, 0.0, 0.0, 0.0)
NO_ROOM: Final = Headroom(
    notional_krw=0.0,
    limit="has_position",
    quote_a_krw=0.0,
    base_a_qty=0.0,
    quote_b_usdt=0.0,
    base_b_qty=0.0,
    leverage_b=1.0,
)
"""For a pair that holds or has orders in hand: nothing is added to it, so nobody asks."""


class Reserved(NamedTuple):
    """What orders in hand may still use up on one venue."""

    quote: Decimal
    base: Decimal


def rates_of(memory: Memory, config: EngineConfig, kind: PairKind) -> FxRates:
    """Executable FX as a pair of this kind uses it."""
    fx = memory.fx
    return fx_rates(kind, config.fx.hedge, fx.bid, fx.ask, config.fx.conversion_fee_bps / 1e4)


def fees_of(memory: Memory, config: EngineConfig, instrument: InstrumentId) -> FeeSchedule:
    """What the venue reported, else what the configuration says."""
    return memory.market.fees.get(instrument) or config.fees[venue_of(instrument)]


def mid_of(memory: Memory, instrument: InstrumentId) -> float:
    """Newest mid; 0.0 when there is none."""
    book = memory.market.book(instrument)
    return book.mid if book is not None else 0.0


def leg_instrument(pair: Pair, leg: str) -> InstrumentId:
    """The instrument of a leg."""
    return pair.a if leg == "a" else pair.b


def leg_rules(memory: Memory, config: EngineConfig, pair: Pair, leg: str) -> LegRules:
    """What a leg's venue accepts now, in base units."""
    instrument = memory.market.instruments[leg_instrument(pair, leg)]
    multiplier = Decimal(1) if leg == "a" else pair.multiplier
    mid = mid_of(memory, instrument.id)
    least = max(instrument.min_qty, instrument.lot)
    if mid > 0 and instrument.kind is InstrumentKind.SPOT:
        least = max(least, instrument.min_notional / decimal_of(mid))
    fees = fees_of(memory, config, instrument.id)
    is_base = instrument.kind is InstrumentKind.SPOT and (
        fees.fee_asset is FeeAsset.RECEIVED
        or (fees.fee_asset is FeeAsset.BNB and not is_bnb_covering(memory, config, instrument))
    )
    return LegRules(
        step=instrument.lot * multiplier,
        min_qty=least * multiplier,
        multiplier=multiplier,
        received_fee_rate=fees.taker_rate if is_base else ZERO,
    )


def is_dust(memory: Memory, config: EngineConfig, pair: Pair, position: PairPosition) -> bool:
    """Whether neither venue would take an order over what is left of a position."""
    left_a = tradable(position.a.net_qty, leg_rules(memory, config, pair, "a"))
    left_b = tradable(position.b.net_qty, leg_rules(memory, config, pair, "b"))
    return not left_a and not left_b


def is_naked(memory: Memory, config: EngineConfig, pair: Pair, position: PairPosition) -> bool:
    """Whether the legs of a position differ by what a venue would trade; less is dust and counts in delta only."""
    if not position.net_qty:
        return False
    rules = (leg_rules(memory, config, pair, leg) for leg in ("a", "b"))
    return any(tradable(position.net_qty, rule) for rule in rules)


def stuck_leg(memory: Memory, config: EngineConfig, pair: Pair, position: PairPosition) -> str:
    """The only leg that could still be ordered, of a position whose other leg is too small; empty: none."""
    if is_naked(memory, config, pair, position):
        return ""
    left_a = tradable(position.a.net_qty, leg_rules(memory, config, pair, "a"))
    left_b = tradable(position.b.net_qty, leg_rules(memory, config, pair, "b"))
    if bool(left_a) is bool(left_b):
        return ""
    return "a" if left_a else "b"


def reserved_on(memory: Memory, config: EngineConfig, venue: VenueId, base: AssetId) -> Reserved:
    """Unfinished orders of a venue and planned second legs: what they may still lock."""
    quote = coins = ZERO
    for line in memory.orders.working():
        request = line.request
        if request.venue != venue or request.reduce_only:
            continue
        instrument = memory.market.instruments[request.instrument]
        lock = _lock(memory, config, instrument, request.side, line.open_qty, request.price or request.expected_price)
        quote, coins = quote + lock.quote, coins + (lock.base if instrument.base == base else ZERO)
    for legs in planned_entries(memory):
        if legs.intent is None or venue_of(legs.intent.b.instrument) != venue:
            continue
        plan, unsent = legs.intent.b, unfilled_b(memory, legs, is_open_left_out=True)
        instrument = memory.market.instruments[plan.instrument]
        if unsent:
            lock = _lock(memory, config, instrument, plan.side, unsent, plan.limit_price)
            quote, coins = quote + lock.quote, coins + (lock.base if instrument.base == base else ZERO)
    return Reserved(quote, coins)


def _lock(
    memory: Memory, config: EngineConfig, instrument: Instrument, side: Side, qty: Decimal, price: Decimal
) -> Reserved:
    """What an order over `qty` contract units uses up: a spot sale its coins, everything else quote."""
    if side is Side.SELL and instrument.kind is InstrumentKind.SPOT:
        return Reserved(ZERO, qty)
    rate = fees_of(memory, config, instrument.id).taker_rate
    return Reserved(locked_quote(instrument, qty, price, rate, config), ZERO)


def planned_entries(memory: Memory) -> tuple[LegPair, ...]:
    """Entries in hand that follow their plan."""
    found = (memory.legs[key] for key in memory.orders.held if key in memory.legs)
    return tuple(legs for legs in found if legs.is_open and legs.intent is not None and legs.kind is IntentKind.ENTER)


def unfilled_b(memory: Memory, legs: LegPair, *, is_open_left_out: bool = False) -> Decimal:
    """What of an entry's second leg has not traded yet, contract units; without what its orders may still trade."""
    if legs.intent is None:
        return ZERO
    lines = [memory.orders.lines[key] for key in legs.orders_b]
    mine = [line for line in lines if line.request.side is legs.intent.b.side]
    done = sum((line.filled_qty + (line.open_qty if is_open_left_out else ZERO) for line in mine), ZERO)
    return max(legs.intent.b.qty - done, ZERO)


def spendable(memory: Memory, config: EngineConfig, venue: VenueId, asset: AssetId) -> Decimal:
    """What a venue says is free, less what executions have taken that its last word on balances does not know yet."""
    holdings = memory.ledger.holdings
    tally = holdings.tallies.get(f"{venue}/{asset}")
    untold = holdings.total(venue, asset) - tally.closing if tally is not None else ZERO
    margin = ZERO
    for name, own in holdings.own_contracts.items():
        instrument = memory.market.instruments.get(name)
        if instrument is not None and instrument.venue == venue and instrument.quote == asset:
            grown = max(abs(own.qty) - abs(memory.ledger.contract_qty(name)), ZERO)
            margin += grown * decimal_of(mid_of(memory, name)) / config.risk.leverage
    return holdings.free(venue, asset) - max(untold, ZERO) - margin


def locked_quote(
    instrument: Instrument, qty: Decimal, price: Decimal, fee_rate: Decimal, config: EngineConfig
) -> Decimal:
    """What the venue locks for an order: margin and fee of a contract, the whole and the fee of a spot buy."""
    notional = qty * price
    if instrument.kind is InstrumentKind.PERPETUAL:
        return notional / config.risk.leverage + notional * fee_rate
    return notional * (1 + fee_rate)


def pair_krw(memory: Memory, lane: Lane, pair: Pair) -> Decimal:
    """Open and planned notional of a pair, at entry prices."""
    position = memory.ledger.position(pair.id)
    total = open_krw(position) if position is not None else ZERO
    legs = memory.legs.get(lane.legs)
    if legs is not None and legs.intent is not None and legs.kind is IntentKind.ENTER:
        planned = legs.qty * legs.intent.a.expected_price
        total = total + planned if legs.position != legs.id else max(total, planned)
    return total


def open_krw(position: PairPosition) -> Decimal:
    """What is still open of a position, at the average price of its entries."""
    a = position.a
    price = a.bought_price if position.direction is Direction.LONG_A else a.sold_price
    return abs(a.net_qty) * price


def total_krw(memory: Memory, config: EngineConfig) -> Decimal:
    """All pairs together."""
    return sum((pair_krw(memory, memory.lanes[item.pair.id], item.pair) for item in config.pairs), ZERO)


def coin_krw(memory: Memory, config: EngineConfig, coin: AssetId) -> Decimal:
    """All pairs that trade a coin together."""
    rules, total = memory.market.instruments, ZERO
    for item in config.pairs:
        known = rules.get(item.pair.a)
        if known is not None and known.base == coin:
            total += pair_krw(memory, memory.lanes[item.pair.id], item.pair)
    return total


def net_delta_krw(memory: Memory, config: EngineConfig) -> Decimal:
    """Naked base of every pair, residues and coins held to be traded included, at A's mid."""
    total = ZERO
    for item in config.pairs:
        naked = held_delta(memory, item) if item.params.trades_inventory else naked_qty(memory, item.pair)
        if naked:
            total += naked * decimal_of(mid_of(memory, item.pair.a))
    return total


def naked_qty(memory: Memory, pair: Pair) -> Decimal:
    """Base that the two legs of a pair do not offset, what it left over included."""
    position = memory.ledger.position(pair.id)
    return memory.ledger.residual_qty(pair.id) + (position.net_qty if position is not None else ZERO)


def held_delta(memory: Memory, item: PairConfig) -> Decimal:
    """Coins of the pair on both venues less what is sold short against them here or elsewhere, base units."""
    a, b = memory.market.instruments.get(item.pair.a), memory.market.instruments.get(item.pair.b)
    if a is None or b is None:
        return ZERO
    offset = decimal_of(item.params.offset_coin) if isinstance(item.params, InventoryParams) else ZERO
    return memory.ledger.holdings.total(a.venue, a.base) + held_b(memory, item.pair, b) - offset


def held_b(memory: Memory, pair: Pair, b: Instrument) -> Decimal:
    """What B holds of the coin: its balance, or the contract, in base units."""
    if b.kind is InstrumentKind.PERPETUAL:
        return memory.ledger.contract_qty(b.id) * pair.multiplier
    return memory.ledger.holdings.total(b.venue, b.base)


def held_balances(memory: Memory, pair: Pair, a: Instrument, b: Instrument) -> HeldBalances:
    """The four balances of a pair, as its venues tell them."""
    holdings = memory.ledger.holdings
    return HeldBalances(
        float(holdings.total(a.venue, KRW)), float(holdings.total(a.venue, a.base)),
        float(holdings.total(b.venue, USDT)), float(held_b(memory, pair, b)),
    )  # fmt: skip


def residual_krw(memory: Memory, pair: Pair) -> Decimal:
    """What a pair has left over on both legs, unsigned, at A's mid."""
    left = sum((abs(item.qty) for item in memory.ledger.residuals.values() if item.pair == pair.id), ZERO)
    return left * decimal_of(mid_of(memory, pair.a)) if left else ZERO


def open_marks_krw(memory: Memory) -> Decimal:
    """What open positions would bring now, by the newest look at each."""
    total = 0.0
    for key, position in memory.ledger.positions.items():
        shown = memory.lanes[key].look
        if shown is not None:
            total += (shown.value_bps + shown.fx_value_bps) / 1e4 * float(position.entry_a_krw)
    return decimal_of(total)


def is_bnb_covering(memory: Memory, config: EngineConfig, instrument: Instrument) -> bool:
    """Whether the BNB held pays the fees of the coming trades."""
    mid = mid_of(memory, InstrumentId(f"{instrument.venue}:BNBUSDT"))
    if mid <= 0 or memory.fx.mid <= 0:
        return False
    rate = float(fees_of(memory, config, instrument.id).taker_rate)
    fee_usdt = float(config.risk.max_position_krw) / memory.fx.mid * rate
    held = float(memory.ledger.holdings.total(instrument.venue, AssetId("BNB")))
    return held * mid >= config.execution.bnb_cover_trades * fee_usdt


def headroom_of(memory: Memory, config: EngineConfig, item: PairConfig, lane: Lane) -> Headroom:
    """Room for one more position of the pair."""
    limits, pair = config.risk, item.pair
    a, b = memory.market.instruments[pair.a], memory.market.instruments[pair.b]
    most = position_limit_krw(limits, a, b, is_dislocated=lane.dislocated_ns is not None)
    rooms = (
        (most, "max_position"),
        (limits.max_pair_krw - pair_krw(memory, lane, pair), "max_pair"),
        (limits.max_pair_krw - coin_krw(memory, config, a.base), "max_coin"),
        (limits.max_total_krw - total_krw(memory, config), "max_total"),
    )
    room, name = min(rooms, key=lambda room: room[0])
    on_a, on_b = reserved_on(memory, config, a.venue, a.base), reserved_on(memory, config, b.venue, b.base)
    is_contract = b.kind is InstrumentKind.PERPETUAL
    return Headroom(
        notional_krw=max(float(room), 0.0),
        limit=name,
        quote_a_krw=max(float(spendable(memory, config, a.venue, KRW) - on_a.quote - limits.min_krw_reserve), 0.0),
        base_a_qty=max(float(spendable(memory, config, a.venue, a.base) - on_a.base), 0.0),
        quote_b_usdt=max(float(spendable(memory, config, b.venue, USDT) - on_b.quote - limits.min_usdt_reserve), 0.0),
        base_b_qty=max(float(spendable(memory, config, b.venue, b.base) - on_b.base), 0.0) if not is_contract else 0.0,
        leverage_b=float(limits.leverage) if is_contract else 1.0,
    )


def data_refusal(memory: Memory, config: EngineConfig, pair: Pair) -> str:
    """Why books or FX support no decision now."""
    wall_ns = memory.market.wall_ns(memory.now_ns)
    found = memory.market.pair_refusal(pair.a, pair.b, config.fx.executable, memory.now_ns)
    return found or memory.fx.refusal(memory.now_ns, wall_ns)


def view_of(memory: Memory, config: EngineConfig, item: PairConfig, lane: Lane) -> PairView | None:
    """The strategy's view; None while rules or a book are missing altogether."""
    pair, market = item.pair, memory.market
    book_a, book_b = market.book(pair.a), market.book(pair.b)
    a, b = market.instruments.get(pair.a), market.instruments.get(pair.b)
    if book_a is None or book_b is None or a is None or b is None or memory.fx.mid <= 0:
        return None
    execution, limits = config.execution, config.risk
    position, trades_inventory = memory.ledger.position(pair.id), item.params.trades_inventory
    has_room = not lane.legs and (position is None or trades_inventory)
    return PairView(
        pair=pair,
        now_ns=memory.now_ns,
        wall_ns=market.wall_ns(memory.now_ns),
        a=book_a.depth,
        b=book_b.depth,
        fx=rates_of(memory, config, pair.kind),
        fx_received_ns=memory.fx.received_ns,
        data_refusal=data_refusal(memory, config, pair),
        instrument_a=a,
        instrument_b=b,
        fees_a=fees_of(memory, config, pair.a),
        fees_b=fees_of(memory, config, pair.b),
        funding=market.funding.get(pair.b),
        held=held_balances(memory, pair, a, b) if trades_inventory else NOT_HELD,
        headroom=headroom_of(memory, config, item, lane) if has_room else NO_ROOM,
        rules=SizingRules(
            depth_fraction=execution.depth_fraction,
            collar_bps=execution.escalated_cap_bps if lane.is_emergency else execution.collar_bps,
            max_tick_bps=limits.max_tick_bps,
            min_position_krw=limits.min_position_krw,
            exit_price_shock=limits.exit_price_shock,
            is_bnb_covering=is_bnb_covering(memory, config, b),
        ),
        position=position,
        is_busy=bool(lane.legs),
        is_exit_tradable=market.is_tradable(pair.a) and market.is_tradable(pair.b),
        is_fx_hedged=config.fx.hedge.value == "per_trade",
        risk_exit=lane.risk_exit,
        stop_loss_cap_bps=limits.wallet_closed_stop_bps if lane.wallet_closed_ns is not None else float("inf"),
    )


def recent(times: tuple[int, ...], now_ns: int, window_ns: int) -> tuple[int, ...]:
    """Those of `times` that lie within the window."""
    return tuple(at_ns for at_ns in times if now_ns - at_ns < window_ns)
