"""One Binance market data connection, server side: streams by name, raw or combined, and control messages.

Owns: the streams of the connection and its unsent frames.
Never: waits; `turn` is called when `due_ns` says so.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import attrs

from arb.domain.ids import symbol_of
from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated.dialect import Closing, Out
from arb.venues.simulated.facts import BookImage, Fact, PublicTrade
from arb.venues.simulated.quota import SECOND_NS, Quota
from arb.venues.simulated.tape import Tape

MAX_STREAMS = 1_024


@attrs.frozen
class StreamName:
    """`btcusdt@depth@100ms` in its parts."""

    symbol: str
    kind: str
    """`depth`, `depth5`, `trade`, …"""
    suffix: str = ""


def parse_name(name: str) -> StreamName:
    """Take a stream name apart; an unknown one gives a kind that nothing is published for."""
    head, _, rest = name.partition("@")
    kind, _, suffix = rest.partition("@")
    return StreamName(head.upper(), kind, suffix)


@attrs.define(eq=False)
class MarketSession:
    """State of one connection."""

    tapes: Mapping[str, Tape]
    logs: Mapping[str, binance.DepthLog]
    is_future: bool
    serves: Callable[[str], bool]
    """Whether this path carries a stream kind; the others are acknowledged and stay silent."""
    is_combined: bool
    per_second: Quota
    paced_ns: int = SECOND_NS
    """Between two frames of streams that come by the clock."""
    streams: dict[str, StreamName] = attrs.field(factory=dict)
    out: list[Out] = attrs.field(factory=list)
    next_second_ns: int | None = None
    next_partial_ns: int | None = None

    def take(self) -> tuple[Out, ...]:
        """Frames that wait to be sent."""
        out = tuple(self.out)
        self.out.clear()
        return out

    def add(self, names: list[str], now_ns: int) -> None:
        """Subscribe."""
        for name in names:
            self.streams[name] = parse_name(name)
        self._plan(now_ns)

    def receive(self, text: str, now_ns: int) -> None:
        """A control message; too many of them end the connection."""
        if not self.per_second.take(1, now_ns):
            self.out.append(Closing(1008, "Too many requests"))
            return
        try:
            call = json.loads(text)
        except ValueError:
            call = None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            self._say({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        self._control(str(call["method"]), call.get("params"), call.get("id"), now_ns)

    def _control(self, method: str, params: object, number: object, now_ns: int) -> None:
        names = [str(one) for one in params] if isinstance(params, list) else []
        if method == "LIST_SUBSCRIPTIONS":
            self._say({"result": list(self.streams), "id": number})
        elif method == "SUBSCRIBE" and names and len(self.streams) + len(names) <= MAX_STREAMS:
            self._say({"result": None, "id": number})
            self.add(names, now_ns)
        elif method == "UNSUBSCRIBE" and names:
            for name in names:
                self.streams.pop(name, None)
            self._plan(now_ns)
            self._say({"result": None, "id": number})
        elif method == "SET_PROPERTY" and isinstance(params, list) and len(params) == 2:
            self.is_combined = bool(params[1])
            self._say({"result": None, "id": number})
        elif method == "GET_PROPERTY":
            self._say({"result": self.is_combined, "id": number})
        else:
            self._say({"error": {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}, "id": number})

    def publish(self, fact: Fact) -> None:
        """Frames in real time: trades and best quotes."""
        match fact:
            case PublicTrade(instrument=instrument):
                symbol = symbol_of(instrument)
                self._send(symbol, "trade", lambda: binance.trade_frame(symbol, fact, is_future=self.is_future))
                self._send(symbol, "aggTrade", lambda: binance.aggregate_frame(symbol, fact, is_future=self.is_future))
            case BookImage(instrument=instrument):
                symbol = symbol_of(instrument)
                tape, log = self.tapes[symbol], self.logs[symbol]
                self._send(symbol, "bookTicker", lambda: binance.best_frame(tape, log, is_future=self.is_future))

    def publish_depth(self, symbol: str, delta: binance.DepthDelta) -> None:
        """A depth difference whose time has come."""
        self._send(symbol, "depth", lambda: binance.depth_frame(symbol, delta, is_future=self.is_future))
        if self.is_future:
            for levels in (5, 10, 20):
                self._send(symbol, f"depth{levels}", lambda levels=levels: self._future_partial(symbol, delta, levels))  # type: ignore[misc]

    def due_ns(self) -> int | None:
        """When `turn` has something to do."""
        waiting = [at for at in (self.next_second_ns, self.next_partial_ns) if at is not None]
        return min(waiting) if waiting else None

    def turn(self, now_ns: int) -> None:
        """Frames that come by the clock."""
        if self.next_partial_ns is not None and now_ns >= self.next_partial_ns:
            self.next_partial_ns = now_ns - now_ns % binance.DEPTH_NS + binance.DEPTH_NS
            self._turn_partials()
        if self.next_second_ns is not None and now_ns >= self.next_second_ns:
            self.next_second_ns = now_ns - now_ns % self.paced_ns + self.paced_ns
            self._turn_second(now_ns)

    def _plan(self, now_ns: int) -> None:
        kinds = {name.kind for name in self.streams.values() if self.serves(name.kind)}
        timed = any(kind in ("ticker", "miniTicker", "markPrice") or kind.startswith("kline_") for kind in kinds)
        partial = not self.is_future and bool(kinds & {"depth5", "depth10", "depth20"})
        self.next_second_ns = (self.next_second_ns or now_ns) if timed else None
        self.next_partial_ns = (self.next_partial_ns or now_ns) if partial else None

    def _turn_partials(self) -> None:
        for symbol, log in self.logs.items():
            image = log.image
            if image is None:
                continue
            for levels in (5, 10, 20):
                row: binance.Row = {
                    "lastUpdateId": log.update_id,
                    "bids": binance.pairs_of(image.bids, levels),
                    "asks": binance.pairs_of(image.asks, levels),
                }
                self._send(symbol, f"depth{levels}", lambda row=row: row)  # type: ignore[misc]

    def _turn_second(self, now_ns: int) -> None:
        for name, stream in self.streams.items():
            tape = self.tapes.get(stream.symbol)
            if tape is None or not self.serves(stream.kind):
                continue
            row = self._timed(stream, tape, now_ns)
            if row is not None:
                self._frame(name, row)

    def _timed(self, stream: StreamName, tape: Tape, now_ns: int) -> binance.Row | None:
        match stream.kind:
            case "ticker":
                return binance.day_frame(tape, now_ns)
            case "miniTicker":
                return binance.mini_frame(tape, now_ns)
            case "markPrice":
                is_turn = stream.suffix == "1s" or now_ns // SECOND_NS % 3 == 0
                return binance.mark_frame(tape) if is_turn else None
        interval = stream.kind.removeprefix("kline_")
        unit_ms = binance.interval_ms(interval) if interval != stream.kind else None
        return None if unit_ms is None else binance.candle_frame(tape, now_ns, interval, unit_ms)

    def _future_partial(self, symbol: str, delta: binance.DepthDelta, levels: int) -> binance.Row:
        image = self.logs[symbol].image
        row = binance.depth_frame(symbol, delta, is_future=True)
        if image is not None:
            row |= {"b": binance.pairs_of(image.bids, levels), "a": binance.pairs_of(image.asks, levels)}
        return row

    def _send(self, symbol: str, kind: str, row: Callable[[], binance.Row]) -> None:
        for name, stream in self.streams.items():
            if stream.symbol == symbol and stream.kind == kind and self.serves(kind):
                self._frame(name, row())

    def _frame(self, name: str, row: binance.Row) -> None:
        self._say({"stream": name, "data": row} if self.is_combined else row)

    def _say(self, body: object) -> None:
        self.out.append(binance.ENCODER.encode(body).decode())
