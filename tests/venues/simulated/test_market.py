"""The generated and the recorded market."""

from __future__ import annotations

import itertools
from decimal import Decimal as D

import attrs
import pytest

from arb.domain.errors import ConfigError
from arb.domain.ids import InstrumentId
from arb.domain.money import is_multiple
from arb.venues.simulated.listings import listing
from arb.venues.simulated.market import BookMove, GeneratedMarket, MarketPlan, MarkMove, TradeMove
from arb.venues.simulated.recorded import RecordedMarket

S = 1_000_000_000
START_NS = 1_760_000_000 * S
NAMES = (
    "upbit:KRW-BTC",
    "upbit:KRW-ETH",
    "upbit:KRW-USDT",
    "binance_usdm:BTCUSDT",
    "binance_usdm:ETHUSDT",
    "binance_spot:BTCUSDT",
)
INSTRUMENTS = tuple(listing(InstrumentId(name)) for name in NAMES)


def market(seed: int = 1, plan: MarketPlan | None = None) -> GeneratedMarket:
    return GeneratedMarket(seed, INSTRUMENTS, plan or MarketPlan(), START_NS)


def mids(made: GeneratedMarket, steps: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(steps):
        for move in made.advance():
            if isinstance(move, BookMove):
                found[move.instrument].append(float(move.bids[0][0] + move.asks[0][0]) / 2)
    return found


def premia(found: dict[str, list[float]], coin: str) -> list[float]:
    rows = zip(found[f"upbit:KRW-{coin}"], found[f"binance_usdm:{coin}USDT"], found["upbit:KRW-USDT"], strict=True)
    return [(b * fx / a - 1.0) * 1e4 for a, b, fx in rows]


def test_every_level_lies_on_tick_and_lot_and_books_are_never_crossed() -> None:
    made = market()
    rules = {each.id: each for each in INSTRUMENTS}
    for _ in range(20):
        for move in made.advance():
            if not isinstance(move, BookMove):
                continue
            instrument = rules[move.instrument]
            assert len(move.bids) == len(move.asks) == 30
            assert move.bids[0][0] < move.asks[0][0]
            assert list(move.bids) == sorted(move.bids, reverse=True)
            assert list(move.asks) == sorted(move.asks)
            for price, size in (*move.bids, *move.asks):
                assert is_multiple(price, instrument.ticks.tick_at(price))
                assert is_multiple(size, instrument.lot)
                assert size > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_a_minute_holds_several_excursions_that_widen_and_narrow(seed: int, coin: str) -> None:
    found = premia(mids(market(seed), 600), coin)
    wide, narrow = [premium > 45.0 for premium in found], [premium < 6.0 for premium in found]
    widenings = sum(1 for before, after in itertools.pairwise(wide) if after and not before)
    assert widenings >= 3
    assert sum(wide) >= 150, "plateaus are held for seconds"
    assert sum(narrow) > 250, "the median of the premium stays near fair"


@pytest.mark.parametrize("seed", range(2))
def test_executable_fx_is_one_tick_wide_and_never_jumps(seed: int) -> None:
    made = market(seed)
    fx = mids(made, 1_000)["upbit:KRW-USDT"]
    assert max(fx) - min(fx) <= 3.0
    for early, late in zip(fx, fx[100:], strict=False):
        assert abs(late / early - 1.0) * 1e4 < 30.0


def test_seed_decides_everything() -> None:
    assert mids(market(7), 30) == mids(market(7), 30)
    assert mids(market(7), 30) != mids(market(8), 30)


def test_another_instrument_does_not_change_the_prices_of_the_first() -> None:
    alone = GeneratedMarket(7, INSTRUMENTS[:1], MarketPlan(), START_NS)
    assert mids(alone, 50)[NAMES[0]] == mids(market(7), 50)[NAMES[0]]


def test_marks_come_every_second_and_trades_at_the_touch() -> None:
    made = market()
    marks, trades = 0, 0
    touch: dict[str, tuple[D, D]] = {}
    for _ in range(100):
        for move in made.advance():
            match move:
                case BookMove():
                    touch[move.instrument] = (move.bids[0][0], move.asks[0][0])
                case MarkMove():
                    marks += 1
                case TradeMove():
                    trades += 1
                    assert move.price == touch[move.instrument][1 if move.is_buy else 0]
                    assert move.qty > 0
    assert marks == 2 * 10
    assert 100 < trades < 260


def test_cadence_and_speed_are_apart() -> None:
    slow = market(plan=MarketPlan(cadence_ms=60_000))
    slow.advance()
    assert slow.next_due_ns() == START_NS + 60 * S
    quick = market(plan=MarketPlan(speed=10.0))
    narrow = premia(mids(quick, 600), "BTC")
    assert sum(1 for a, b in itertools.pairwise(narrow) if a < 45.0 <= b) >= 30


def test_fair_level_moves_the_whole_premium() -> None:
    quiet = attrs.evolve(MarketPlan(), fair_bps=-30.0, low_width_bps=0.0, high_width_bps=0.0)
    found = premia(mids(market(plan=quiet), 100), "BTC")
    assert sum(found) / len(found) == pytest.approx(-30.0, abs=3.0)


# --- recorded ---------------------------------------------------------------------------------------------------------

LINES = (
    '{"ts_ms": 1000, "instrument": "upbit:KRW-BTC", "bids": [["148790000", "0.31"]], "asks": [[148800000, 0.1]]}',
    '{"ts_ms": 1500, "instrument": "upbit:KRW-DOGE", "bids": [], "asks": []}',
    '{"ts_ms": 2000, "instrument": "binance_usdm:BTCUSDT", "mark": "103000.1", "rate": "0.0001"}',
    '{"ts_ms": 2000, "instrument": "upbit:KRW-BTC", "bids": [["148790000", "0.3"]], "asks": [["148800000", "0.2"]]}',
)


def test_a_recording_plays_at_its_speed_with_exact_numbers_and_then_is_silent() -> None:
    made = RecordedMarket(iter(LINES), INSTRUMENTS, 2.0, START_NS)
    assert made.next_due_ns() == START_NS
    first = made.advance()
    assert first == (
        BookMove(InstrumentId("upbit:KRW-BTC"), ((D(148790000), D("0.31")),), ((D(148800000), D("0.1")),)),
    )
    assert made.next_due_ns() == START_NS + S // 2
    second = made.advance()
    perpetual = InstrumentId("binance_usdm:BTCUSDT")
    assert second[0] == MarkMove(perpetual, D("103000.1"), D("103000.1"), D("0.0001"))
    assert len(second) == 2
    assert made.next_due_ns() is None


@pytest.mark.parametrize("line", ["", "{}", '{"ts_ms": "x", "instrument": "a"}', "[1]", "\x00"])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match="recorded market"):
        RecordedMarket((line,), INSTRUMENTS, 1.0, START_NS)
