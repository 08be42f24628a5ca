"""What the fronts of Binance's venues share: weight and order budgets, and the public half of REST and streams.

Owns: budgets with their headers, tapes and depth logs of one venue.
Never: knows accounts.
Units: `now_ns` UTC nanoseconds; weights as the venue counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from arb.domain.ids import symbol_of
from arb.domain.instrument import Instrument
from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated.auth_binance import BinanceFault, missing
from arb.venues.simulated.dialect import Ask, HttpAnswer, Later
from arb.venues.simulated.dialect_binance_stream import MarketSession
from arb.venues.simulated.facts import BookImage, Fact, MarkChanged, PublicTrade
from arb.venues.simulated.models import FaultKind
from arb.venues.simulated.quota import Offences, Quota
from arb.venues.simulated.tape import Tape, open_tapes
from arb.venues.simulated.weather import Weather

FIRST_UPDATE_ID = 1_000_000
UNKNOWN = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
Sent = Mapping[str, str]


@attrs.define(eq=False)
class Budgets:
    """Weight per address and orders per account."""

    weight: Quota
    orders: tuple[tuple[str, Quota], ...]
    """Each with the header that tells its use."""
    offences: Offences = attrs.field(factory=lambda: Offences(20, 120))

    def bad_weather(self, weather: Weather, ask: Ask, now_ns: int) -> HttpAnswer | None:
        """The answer while a fault script has the whole front down."""
        status = weather.status(now_ns, ask.path)
        if status == 418:
            left_s = weather.left_s(FaultKind.BAN, now_ns)
            return _limited(
                418,
                left_s,
                f"Way too much request weight used; IP banned until {now_ns // 1_000_000 + left_s * 1_000}.",
            )
        if status == 429:
            return _limited(429, weather.left_s(FaultKind.RATE_LIMIT, now_ns), "Too much request weight used.")
        return None if status is None else HttpAnswer(status=status, body=UNKNOWN)

    def take(self, weight: int, now_ns: int) -> HttpAnswer | None:
        """Count a request; an answer when the budget refuses it."""
        banned_s = self.offences.ban_left_s(now_ns)
        if banned_s:
            until_ms = now_ns // 1_000_000 + banned_s * 1_000
            return _limited(
                418,
                banned_s,
                f"Way too much request weight used; IP banned until {until_ms}.",
            )
        if self.weight.take(weight, now_ns):
            return None
        self.offences.offend(now_ns)
        return _limited(
            429,
            self.weight.wait_s(now_ns),
            f"Too much request weight used; current limit is {self.weight.limit} request weight per 1 MINUTE.",
        )

    def take_order(self, now_ns: int) -> BinanceFault | None:
        """Count an order; a fault when there have been too many."""
        allowed = [quota.take(1, now_ns) for _, quota in self.orders]
        return None if all(allowed) else BinanceFault(429, -1015, "Too many new orders; current limit is exceeded.")

    def stamped(self, found: HttpAnswer | Later, now_ns: int, *, is_order: bool) -> HttpAnswer | Later:
        """The answer with the headers that tell what was used."""
        headers = [("X-MBX-USED-WEIGHT-1M", str(self.weight.spent(now_ns)))]
        if is_order:
            headers += [(name, str(quota.spent(now_ns))) for name, quota in self.orders]
        if isinstance(found, HttpAnswer):
            return attrs.evolve(found, headers=(*found.headers, *headers))
        later = found

        def resolve() -> HttpAnswer | None:
            answer = later.resolve()
            return None if answer is None else attrs.evolve(answer, headers=(*answer.headers, *headers))

        return Later(later.ready_ns, resolve)


def _limited(status: int, wait_s: int, message: str) -> HttpAnswer:
    return binance.answer({"code": -1003, "msg": message}, (("Retry-After", str(wait_s)),), status)


@attrs.define(eq=False)
class BinanceTapes:
    """The public half of one venue."""

    tapes: dict[str, Tape]
    logs: dict[str, binance.DepthLog]
    shared_ids: int

    def rows(self, sent: Sent, row: Callable[[Tape], binance.Row]) -> HttpAnswer | BinanceFault:
        """One row for `symbol`, several for `symbols`, else all."""
        if "symbol" in sent:
            tape = self.tapes.get(sent["symbol"])
            return BinanceFault(400, -1121, "Invalid symbol.") if tape is None else binance.answer(row(tape))
        names = [one.strip('" ') for one in sent.get("symbols", "").strip("[]").split(",") if one]
        return binance.answer([row(tape) for name, tape in self.tapes.items() if not names or name in names])

    def common(self, name: str, sent: Sent, now_ns: int) -> HttpAnswer | BinanceFault | None:
        """Calls that both venues answer alike; None: none of them."""
        if name not in ("depth", "trades", "historicalTrades", "aggTrades", "klines", "avgPrice"):
            return None
        if not sent.get("symbol"):
            return missing("symbol")
        tape = self.tapes.get(sent["symbol"])
        if tape is None:
            return BinanceFault(400, -1121, "Invalid symbol.")
        limit = int(sent["limit"]) if sent.get("limit", "").isdigit() and int(sent["limit"]) else 500
        match name:
            case "depth":
                return self._depth(tape, limit if "limit" in sent else 100)
            case "trades" | "historicalTrades":
                return binance.answer([binance.trade_row(one) for one in list(tape.trades)[-limit:]])
            case "aggTrades":
                return binance.answer([binance.aggregate_row(one) for one in list(tape.trades)[-limit:]])
            case "avgPrice":
                return binance.answer(
                    {"mins": 5, "price": binance.text(tape.last_price), "closeTime": now_ns // 1_000_000}
                )
        unit_ms = binance.interval_ms(sent.get("interval", ""))
        return (
            BinanceFault(400, -1120, "Invalid interval.")
            if unit_ms is None
            else binance.answer([binance.candle_row(tape, now_ns, unit_ms)])
        )

    def _depth(self, tape: Tape, limit: int) -> HttpAnswer:
        log = self.logs[tape.instrument.symbol]
        bids, asks = (log.image.bids, log.image.asks) if log.image is not None else ((), ())
        row: binance.Row = {"lastUpdateId": log.update_id}
        if self.shared_ids:
            at_ms = (log.image.at_ns if log.image is not None else 0) // 1_000_000
            row |= {"E": at_ms, "T": at_ms}
        return binance.answer({**row, "bids": binance.pairs_of(bids, limit), "asks": binance.pairs_of(asks, limit)})

    def due_ns(self) -> int | None:
        """When the next depth update may go."""
        waiting = [at for log in self.logs.values() if (at := log.due_ns()) is not None]
        return min(waiting) if waiting else None

    def advance(self, facts: Iterable[Fact], sessions: list[MarketSession], weather: Weather, now_ns: int) -> None:
        """Fold facts, then say what is due."""
        is_silent = weather.is_silent(now_ns)
        for fact in facts:
            if isinstance(fact, BookImage | PublicTrade | MarkChanged):
                self.tapes[symbol_of(fact.instrument)].fold(fact)
            if isinstance(fact, BookImage):
                self.logs[symbol_of(fact.instrument)].fold(fact)
            for session in () if is_silent else sessions:
                session.publish(fact)
        for symbol, log in self.logs.items():
            if log.is_due(now_ns):
                delta = log.publish(now_ns)
                if delta is None or is_silent or weather.loses(symbol, now_ns):
                    continue
                for session in sessions:
                    session.publish_depth(symbol, delta)
        for session in sessions:
            said = len(session.out)
            session.turn(now_ns)
            if is_silent:
                del session.out[said:]


def open_market(instruments: tuple[Instrument, ...], shared_ids: int) -> BinanceTapes:
    """Empty tapes and logs."""
    logs = {one.symbol: binance.DepthLog(FIRST_UPDATE_ID, shared_ids) for one in instruments}
    return BinanceTapes(open_tapes(instruments), logs, shared_ids)
