"""A generated market: one efficient price per coin, one executable FX, and a premium that widens and narrows.

Owns: the prices of every listed instrument and the ambient books, trades and marks made from them.
Never: knows accounts; the same seed and plan give the same moves, step by step.
Units: prices float in USDT until they become ticks; book levels are counted in ticks and lots and only then Decimal.

1. The perpetual's mid is the efficient price; Binance spot stands a slow basis of a few bps beside it.
2. KRW-USDT reverts slowly to its level and is quoted one tick wide.
3. Upbit stands at perpetual × FX / (1 + premium): the fair level, noise, and excursions that make Upbit cheap.
   Each cycle is low, widens, holds, narrows; width and length vary a little. Coins are out of phase.
"""

from __future__ import annotations

from decimal import Decimal
from math import exp, sqrt
from typing import Final, Protocol

import attrs

from arb.domain.ids import InstrumentId
from arb.domain.instrument import Instrument, InstrumentKind
from arb.domain.money import decimal_of
from arb.domain.order import Side
from arb.venues.simulated.chance import Chance, stream
from arb.venues.simulated.facts import Levels
from arb.venues.simulated.listings import reference_usdt

_BPS: Final = 1e-4
_LEVEL_GAP_BPS: Final = 0.3
_SPREAD_BPS: Final = 0.1
_RISE_AT, _HIGH_AT, _FALL_AT, _LOW_AT = 0.42, 0.50, 0.85, 0.93
"""Phases of a cycle at which the excursion begins to widen, has widened, begins to narrow, has narrowed."""


@attrs.frozen(kw_only=True)
class MarketPlan:
    """Parameters of the generated market."""

    cadence_ms: int = 100
    """Between two images of every book."""
    mark_every_ms: int = 1_000
    speed: float = 1.0
    """Market seconds per second: scales processes and excursions, not the cadence."""
    vol_bps: float = 0.6
    """Of the efficient price per square root of a second."""
    fx: float = 1_450.5
    """KRW per USDT that the book reverts to."""
    fx_sd: float = 0.25
    """Of the executable FX around it, KRW."""
    fair_bps: float = 0.0
    """Fair level of the premium: how much cheaper Upbit stands, of its price."""
    noise_bps: float = 1.0
    basis_bps: float = 1.0
    """Standard deviation of the Binance spot basis."""
    low_width_bps: float = 56.0
    high_width_bps: float = 68.0
    """An excursion's width beyond fair is drawn between the two."""
    period_s: float = 13.0
    """Of a cycle, ± 8 %."""
    levels: int = 30
    trade_probability: float = 0.3
    """Of a public trade per step and instrument."""
    funding_rate: Decimal = Decimal("0.0001")


@attrs.frozen
class BookMove:
    """A new ambient image."""

    instrument: InstrumentId
    bids: Levels
    asks: Levels


@attrs.frozen
class TradeMove:
    """Others trade at the touch."""

    instrument: InstrumentId
    price: Decimal
    qty: Decimal
    is_buy: bool


@attrs.frozen
class MarkMove:
    """A perpetual's mark and index, and its predicted funding rate."""

    instrument: InstrumentId
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal


MarketMove = BookMove | TradeMove | MarkMove


class MarketSource(Protocol):
    """Where the world's market comes from."""

    def next_due_ns(self) -> int | None:
        """When the next moves happen; None: never again."""

    def advance(self) -> tuple[MarketMove, ...]:
        """The moves that are due then, in order; steps on."""


@attrs.define
class Reverting:
    """A level that is drawn back to zero: exact for any step."""

    sd: float
    time_s: float
    value: float = 0.0

    def step(self, chance: Chance, span_s: float) -> None:
        """Let `span_s` pass."""
        decay = exp(-span_s / self.time_s)
        self.value = self.value * decay + self.sd * sqrt(1.0 - decay * decay) * chance.normal()


@attrs.define
class Excursion:
    """The scheduled part of a coin's premium, bps."""

    plan: MarketPlan
    chance: Chance
    phase: float
    """Of the current cycle, 0–1."""
    length_s: float = 0.0
    width_bps: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.length_s = self.plan.period_s * (0.92 + 0.16 * self.chance.uniform())
        span = self.plan.high_width_bps - self.plan.low_width_bps
        self.width_bps = self.plan.low_width_bps + span * self.chance.uniform()

    def step(self, span_s: float) -> None:
        """Let `span_s` pass; a new cycle draws its length and width."""
        self.phase += span_s / self.length_s
        if self.phase >= 1.0:
            self.phase %= 1.0
            self._draw()

    @property
    def value(self) -> float:
        """Widening now, bps."""
        if self.phase < _RISE_AT or self.phase >= _LOW_AT:
            return 0.0
        if self.phase < _HIGH_AT:
            return self.width_bps * _smooth((self.phase - _RISE_AT) / (_HIGH_AT - _RISE_AT))
        if self.phase < _FALL_AT:
            return self.width_bps
        return self.width_bps * _smooth((_LOW_AT - self.phase) / (_LOW_AT - _FALL_AT))


@attrs.define
class Coin:
    """One coin's prices."""

    price_usdt: float
    chance: Chance
    noise: Reverting
    basis: Reverting
    excursion: Excursion

    def step(self, plan: MarketPlan, span_s: float) -> None:
        """Let `span_s` pass."""
        sigma = plan.vol_bps * _BPS * sqrt(span_s)
        self.price_usdt *= exp(sigma * self.chance.normal() - sigma * sigma / 2.0)
        self.noise.step(self.chance, span_s)
        self.basis.step(self.chance, span_s)
        self.excursion.step(span_s)

    def spot_usdt(self) -> float:
        """Where Binance spot stands."""
        return self.price_usdt / (1.0 + self.basis.value * _BPS)

    def krw(self, plan: MarketPlan, fx: float) -> float:
        """Where Upbit stands."""
        premium = plan.fair_bps + self.noise.value + self.excursion.value
        return self.price_usdt * fx / (1.0 + premium * _BPS)


@attrs.define(eq=False, init=False)
class GeneratedMarket:
    """Prices of all instruments, one step of the cadence at a time."""

    plan: MarketPlan
    instruments: tuple[Instrument, ...]
    start_ns: int
    steps: int
    fx_noise: Reverting
    fx_chance: Chance
    coins: dict[str, Coin]
    book_chances: dict[InstrumentId, Chance]

    def __init__(self, seed: int, instruments: tuple[Instrument, ...], plan: MarketPlan, start_ns: int) -> None:
        self.plan = plan
        self.instruments = instruments
        self.start_ns = start_ns
        self.steps = 0
        self.fx_noise = Reverting(plan.fx_sd, 600.0)
        self.fx_chance = stream(seed, "fx")
        names = sorted({each.base for each in instruments if each.base != "USDT"})
        self.coins = {name: _coin(seed, name, index, plan) for index, name in enumerate(names)}
        self.book_chances = {each.id: stream(seed, f"book {each.id}") for each in instruments}

    def next_due_ns(self) -> int:
        """The time of the next step; the first one is the start."""
        return self.start_ns + self.steps * self.plan.cadence_ms * 1_000_000

    def advance(self) -> tuple[MarketMove, ...]:
        """One step: every book, some trades, marks at their own cadence."""
        if self.steps:
            self._pass(self.plan.cadence_ms * self.plan.speed / 1_000.0)
        marks_every = max(1, self.plan.mark_every_ms // self.plan.cadence_ms)
        moves: list[MarketMove] = []
        for instrument in self.instruments:
            if instrument.kind is InstrumentKind.PERPETUAL and self.steps % marks_every == 0:
                moves.append(self._mark(instrument))
            moves.extend(self._book_and_trade(instrument))
        self.steps += 1
        return tuple(moves)

    def mid(self, instrument: Instrument) -> float:
        """The unrounded mid price of an instrument now."""
        fx = self.plan.fx + self.fx_noise.value
        if instrument.base == "USDT":
            return fx
        coin = self.coins[instrument.base]
        if instrument.quote == "KRW":
            return coin.krw(self.plan, fx)
        return coin.price_usdt if instrument.kind is InstrumentKind.PERPETUAL else coin.spot_usdt()

    def _pass(self, span_s: float) -> None:
        self.fx_noise.step(self.fx_chance, span_s)
        for coin in self.coins.values():
            coin.step(self.plan, span_s)

    def _mark(self, instrument: Instrument) -> MarkMove:
        coin = self.coins[instrument.base]
        mark, index = (decimal_of(round(price, 8)) for price in (coin.price_usdt, coin.spot_usdt()))
        return MarkMove(instrument.id, mark, index, self.plan.funding_rate)

    def _book_and_trade(self, instrument: Instrument) -> list[MarketMove]:
        chance = self.book_chances[instrument.id]
        bids, asks = ladder(instrument, self.mid(instrument), self.plan.levels, chance)
        moves: list[MarketMove] = [BookMove(instrument.id, bids, asks)]
        if chance.uniform() < self.plan.trade_probability:
            is_buy = chance.below(2) == 1
            price, size = (asks if is_buy else bids)[0]
            lots = max(1, int(size / instrument.lot) * (1 + chance.below(20)) // 100)
            moves.append(TradeMove(instrument.id, price, lots * instrument.lot, is_buy))
        return moves


def ladder(instrument: Instrument, mid: float, levels: int, chance: Chance) -> tuple[Levels, Levels]:
    """Both sides of a book around `mid`, best first, counted in ticks and lots."""
    tick = instrument.ticks.tick_at(Decimal(mid))
    step = float(tick)
    half = (1 + chance.below(max(1, round(_SPREAD_BPS * _BPS * mid / step)))) / 2.0
    best_bid = int(mid / step - half + 0.5)
    best_ask = max(best_bid + 1, int(mid / step + half + 0.5))
    gap = max(1, int(_LEVEL_GAP_BPS * _BPS * mid / step))
    usdt_price = mid if instrument.quote != "KRW" or instrument.base != "USDT" else 1.0
    lot_notional = float(instrument.lot) * (
        reference_usdt(instrument.base) if instrument.base != "USDT" else usdt_price
    )
    smallest = max(1, int(8_000.0 / lot_notional))
    bids = _side(Side.BUY, best_bid, gap, levels, tick, instrument.lot, smallest, chance)
    asks = _side(Side.SELL, best_ask, gap, levels, tick, instrument.lot, smallest, chance)
    return bids, asks


def _side(
    side: Side, best: int, gap: int, levels: int, tick: Decimal, lot: Decimal, smallest: int, chance: Chance
) -> Levels:
    made = []
    ticks = best
    for index in range(levels):
        word = chance.word()
        lots = smallest * (16 + (word & 63) + 4 * index) // 16
        made.append((ticks * tick, lots * lot))
        ticks -= side.sign * (1 + ((word >> 8) % gap))
        if ticks <= 0:
            break
    return tuple(made)


def _smooth(part: float) -> float:
    return part * part * (3.0 - 2.0 * part)


def _coin(seed: int, name: str, index: int, plan: MarketPlan) -> Coin:
    return Coin(
        price_usdt=reference_usdt(name),
        chance=stream(seed, f"coin {name}"),
        noise=Reverting(plan.noise_bps, 5.0),
        basis=Reverting(plan.basis_bps, 60.0),
        excursion=Excursion(plan, stream(seed, f"excursion {name}"), 0.37 * index % _RISE_AT),
    )
