"""Frames as the venues print them, made up from a seed: sizes and digits of the real ones, prices at random.

Owns: the texts that measurements decode. Never: leaves the process.
Units: prices KRW on Upbit, USDT on Binance; `stamp` venue time, any unit the venue uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

STAMP: Final = 1_787_727_947_526
KRW_TICK: Final = 1_000
MID_KRW: Final = 149_401_500
"""BTC at 103,000 USDT and 1,450.5 KRW, on Upbit's tick."""
MID_USDT: Final = 103_000.0
_TICK_USDT: Final = 0.01


def upbit_book(symbol: str, units: int, stamp: int, random: Random, mid: int = MID_KRW) -> bytes:
    """An order book message in Upbit's own spelling."""
    best = mid // KRW_TICK * KRW_TICK
    levels = ",".join(
        f'{{"ask_price":{best + (i + 1) * KRW_TICK}.0,"bid_price":{best - i * KRW_TICK}.0,'
        f'"ask_size":{random.uniform(0.001, 2):.8f},"bid_size":{random.uniform(0.001, 2):.8f}}}'
        for i in range(units)
    )
    return (
        f'{{"type":"orderbook","code":"{symbol}","timestamp":{stamp},"total_ask_size":{random.uniform(1, 9):.8f},'
        f'"total_bid_size":{random.uniform(1, 9):.8f},"orderbook_units":[{levels}],"stream_type":"REALTIME","level":0}}'
    ).encode()


def upbit_books(count: int, units: int, seed: int = 1, symbol: str = "KRW-BTC") -> list[bytes]:
    """So many different messages of one book, in time."""
    random = Random(seed)
    return [
        upbit_book(symbol, units, STAMP + i, random, MID_KRW + random.randrange(-9, 9) * KRW_TICK) for i in range(count)
    ]


def binance_images(count: int, levels: int, seed: int = 2) -> list[bytes]:
    """Spot partial books in their envelope."""
    random = Random(seed)
    return [
        f'{{"stream":"btcusdt@depth{levels}@100ms","data":{_image(i + 1, levels, random)}}}'.encode()
        for i in range(count)
    ]


def binance_snapshot(last_id: int, levels: int, seed: int = 3) -> bytes:
    """A whole book over REST."""
    return _image(last_id, levels, Random(seed)).encode()


def binance_diffs(count: int, changes: int, first_id: int, seed: int = 4) -> Iterator[bytes]:
    """Spot diffs that follow one another after `first_id`: `changes` levels a side, one in five removed."""
    random = Random(seed)
    last = first_id
    for i in range(count):
        start, last = last + 1, last + 2 * changes
        bids, asks = (_changes(side, changes, random) for side in (-1, 1))
        yield (
            f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{STAMP + 100 * i},"s":"BTCUSDT",'
            f'"U":{start},"u":{last},"b":[{bids}],"a":[{asks}]}}}}'
        ).encode()


def _image(last_id: int, levels: int, random: Random) -> str:
    bids = ",".join(_level(MID_USDT - (i + 1) * _TICK_USDT, random.uniform(0.001, 5)) for i in range(levels))
    asks = ",".join(_level(MID_USDT + (i + 1) * _TICK_USDT, random.uniform(0.001, 5)) for i in range(levels))
    return f'{{"lastUpdateId":{last_id},"bids":[{bids}],"asks":[{asks}]}}'


def _changes(side: int, count: int, random: Random) -> str:
    places = sorted(random.sample(range(1, 500), count))
    return ",".join(
        _level(MID_USDT + side * place * _TICK_USDT, 0.0 if random.random() < 0.2 else random.uniform(0.001, 5))
        for place in places
    )


def _level(price: float, size: float) -> str:
    return f'["{price:.8f}","{size:.8f}"]'
