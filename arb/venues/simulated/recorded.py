"""A recorded market, replayed: JSON Lines, one book image a line, in the order of time.

    {"ts_ms": 1760000000, "instrument": "upbit:KRW-BTC", "bids": [["148790000", "0.3"]], "asks": [["148800000", 1]]}
    {"ts_ms": 1760001000, "instrument": "binance_usdm:BTCUSDT", "mark": "103000.1", "index": 102998, "rate": "0.0001"}

Owns: the place in the recording. Numbers may be JSON strings or numbers; they stay exact.
Lines of instruments that the world does not list are left out.
Never: opens a file: it is given lines, and takes them one at a time. When they end the market is silent.
Units: `ts_ms` UTC milliseconds of the recording; the first line plays at the start of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import attrs
import msgspec

from arb.domain.errors import ConfigError
from arb.domain.ids import InstrumentId
from arb.domain.instrument import Instrument
from arb.venues.simulated.market import BookMove, MarketMove, MarkMove


class RecordedLine(msgspec.Struct):
    """One line as written."""

    ts_ms: int
    instrument: str
    bids: list[tuple[Decimal, Decimal]] | None = None
    asks: list[tuple[Decimal, Decimal]] | None = None
    mark: Decimal | None = None
    index: Decimal | None = None
    rate: Decimal = Decimal(0)


@attrs.define(eq=False, init=False)
class RecordedMarket:
    """Plays lines at `speed`."""

    lines: Iterator[RecordedLine]
    start_ns: int
    speed: float
    first_ms: int | None
    waiting: RecordedLine | None

    def __init__(self, lines: Iterable[str], instruments: tuple[Instrument, ...], speed: float, start_ns: int) -> None:
        known = frozenset(str(each.id) for each in instruments)
        self.lines = (line for line in map(_parsed, lines) if line.instrument in known)
        self.start_ns = start_ns
        self.speed = speed
        self.first_ms = None
        self.waiting = None
        self._fetch()

    def next_due_ns(self) -> int | None:
        """The time of the next line; None: the recording is over."""
        return None if self.waiting is None else self._due_ns(self.waiting)

    def advance(self) -> tuple[MarketMove, ...]:
        """All lines of the moment that is due."""
        moves: list[MarketMove] = []
        due_ns = self.next_due_ns()
        while self.waiting is not None and self._due_ns(self.waiting) == due_ns:
            moves.append(_move(self.waiting))
            self._fetch()
        return tuple(moves)

    def _due_ns(self, line: RecordedLine) -> int:
        return self.start_ns + int((line.ts_ms - (self.first_ms or 0)) * 1_000_000 / self.speed)

    def _fetch(self) -> None:
        self.waiting = next(self.lines, None)
        if self.first_ms is None and self.waiting is not None:
            self.first_ms = self.waiting.ts_ms


def _parsed(text: str) -> RecordedLine:
    try:
        return msgspec.json.decode(text, type=RecordedLine, strict=False)
    except (msgspec.DecodeError, UnicodeError) as problem:
        raise ConfigError(f"[sim] data: not a line of a recorded market ({problem}): {text[:120]!r}") from problem


def _move(line: RecordedLine) -> MarketMove:
    instrument = InstrumentId(line.instrument)
    if line.mark is not None:
        return MarkMove(instrument, line.mark, line.mark if line.index is None else line.index, line.rate)
    return BookMove(instrument, tuple(line.bids or ()), tuple(line.asks or ()))
