"""Binance spot in its own protocol, server side: REST, market streams and the WebSocket API of one simulated venue.

Owns: weight and order budgets, depth update ids and the open sessions of the venue.
Never: waits or reads a clock.
Units: `now_ns` UTC nanoseconds; weights as the venue counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

import attrs

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_spot_rows as rows
from arb.venues.simulated.auth_binance import UNKNOWN_KEY, BinanceFault, BinanceGuard, parameters
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Ask, Closing, HttpAnswer, Later, Session, StreamRules
from arb.venues.simulated.dialect_binance_found import Found
from arb.venues.simulated.dialect_binance_front import BinanceTapes, Budgets, open_market
from arb.venues.simulated.dialect_binance_spot_api import ApiSession
from arb.venues.simulated.dialect_binance_spot_rest import PRIVATE
from arb.venues.simulated.dialect_binance_stream import MarketSession
from arb.venues.simulated.facts import Fact
from arb.venues.simulated.models import FaultKind
from arb.venues.simulated.quota import SECOND_NS, Quota
from arb.venues.simulated.tape import Tape
from arb.venues.simulated.weather import Weather

RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
]
Sent = Mapping[str, str]


RULES = StreamRules(ping_every_s=20.0, pong_within_s=60.0, idle_close_s=None)


@attrs.define(eq=False)
class BinanceSpotDialect:
    """One simulated Binance spot."""

    desk: Desk
    weather: Weather
    paced_ns: int = SECOND_NS
    """Between two frames of streams that come by the clock, such as marks."""
    guard: BinanceGuard = attrs.field(init=False)
    market: BinanceTapes = attrs.field(init=False)
    budgets: Budgets = attrs.field(init=False)
    connects: Quota = attrs.field(factory=lambda: Quota(300, 300 * SECOND_NS))
    streams: list[MarketSession] = attrs.field(factory=list)
    calls: list[ApiSession] = attrs.field(factory=list)
    subscriptions: int = 0
    rules: StreamRules = RULES

    def __attrs_post_init__(self) -> None:
        """Open books of record and budgets."""
        self.guard = BinanceGuard(self.desk.key, self.desk.secret)
        self.market = open_market(tuple(self.desk.instruments.values()), shared_ids=0)
        orders = (
            ("X-MBX-ORDER-COUNT-10S", Quota(100, 10 * SECOND_NS)),
            ("X-MBX-ORDER-COUNT-1D", Quota(200_000, 86_400 * SECOND_NS)),
        )
        self.budgets = Budgets(Quota(6_000, 60 * SECOND_NS), orders)

    @property
    def venue(self) -> str:
        """The venue folder it speaks for."""
        return "binance_spot"

    # --- REST ---

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        """Answer an HTTP request."""
        bad = self.budgets.bad_weather(self.weather, ask, now_ns)
        if bad is not None:
            return bad
        sent = parameters(ask)
        weight = self._weight(ask, sent)
        refused = self.budgets.take(weight, now_ns)
        if refused is not None:
            return refused
        found = self._route(ask, sent, now_ns)
        if isinstance(found, BinanceFault):
            found = binance.fault_answer(found)
        return self.weather.delayed(self.budgets.stamped(found, now_ns, is_order=_is_order(ask)), now_ns, ask.path)

    def _weight(self, ask: Ask, sent: Sent) -> int:
        name = ask.path.removeprefix("/api/v3/")
        if name == "depth":
            limit = int(sent.get("limit") or 100) if (sent.get("limit") or "100").isdigit() else 100
            return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1_000 else 250
        many = {"ticker/24hr": (2, 80), "ticker/price": (2, 4), "ticker/bookTicker": (2, 4), "openOrders": (6, 80)}
        if name in many and ask.method == "GET":
            return many[name][0 if "symbol" in sent else 1]
        fixed = {"exchangeInfo": 20, "trades": 25, "historicalTrades": 25, "aggTrades": 4, "klines": 2, "avgPrice": 2,
                 "allOrders": 20, "myTrades": 20, "account": 20, "account/commission": 20,
                 "rateLimit/order": 40}  # fmt: skip
        return 4 if name == "order" and ask.method == "GET" else fixed.get(name, 1)

    def _route(self, ask: Ask, sent: Sent, now_ns: int) -> Found:
        public = self._public(ask, sent, now_ns) if ask.method == "GET" else None
        if public is not None:
            return public
        if (ask.method, ask.path) == ("GET", "/api/v3/rateLimit/order"):
            return self._key_fault(ask, now_ns) or self._order_counts(now_ns)
        private = PRIVATE.get((ask.method, ask.path))
        if private is None:
            return binance.answer({"code": -1100, "msg": "Not found"}, status=404)
        fault = self._key_fault(ask, now_ns)
        if fault is None and _is_order(ask):
            fault = self.budgets.take_order(now_ns)
        return fault or private(self.desk, sent, now_ns)

    def _key_fault(self, ask: Ask, now_ns: int) -> BinanceFault | None:
        is_refused = self.desk.is_faulty(FaultKind.KEY_REFUSED, now_ns)
        return UNKNOWN_KEY if is_refused else self.guard.check(ask, now_ns // 1_000_000)

    def _order_counts(self, now_ns: int) -> HttpAnswer:
        spent = [quota.spent(now_ns) for _, quota in self.budgets.orders]
        counts = [{**limit, "count": count} for limit, count in zip(RATE_LIMITS[1:3], spent, strict=True)]
        return binance.answer(counts)

    def _public(self, ask: Ask, sent: Sent, now_ns: int) -> Found | None:
        match ask.path:
            case "/api/v3/ping":
                return binance.answer({})
            case "/api/v3/time":
                return binance.answer({"serverTime": now_ns // 1_000_000})
            case "/api/v3/exchangeInfo":
                return self._exchange_info(sent, now_ns)
            case "/sapi/v1/system/status":
                is_shut = self.desk.is_faulty(FaultKind.MAINTENANCE, now_ns)
                return binance.answer({"status": int(is_shut), "msg": "system_maintenance" if is_shut else "normal"})
            case "/dapi/v1/exchangeInfo" | "/fapi/v1/exchangeInfo" | "/eapi/v1/exchangeInfo":
                return binance.answer(
                    {
                        "timezone": "UTC",
                        "serverTime": now_ns // 1_000_000,
                        "rateLimits": [],
                        "exchangeFilters": [],
                        "symbols": [],
                    }
                )
            case "/api/v3/ticker/24hr":
                return self.market.rows(sent, lambda tape: rows_day(tape, now_ns))
            case "/api/v3/ticker/price":
                return self.market.rows(
                    sent, lambda tape: {"symbol": tape.instrument.symbol, "price": binance.text(tape.last_price)}
                )
            case "/api/v3/ticker/bookTicker":
                return self.market.rows(sent, binance.best_row)
        return (
            self.market.common(ask.path.removeprefix("/api/v3/"), sent, now_ns)
            if ask.path.startswith("/api/v3/")
            else None
        )

    def _exchange_info(self, sent: Sent, now_ns: int) -> Found:
        names = (
            [sent["symbol"]]
            if "symbol" in sent
            else [one.strip('" ') for one in sent.get("symbols", "").strip("[]").split(",") if one]
        )
        known = self.desk.instruments
        if any(name not in known for name in names):
            return BinanceFault(400, -1121, "Invalid symbol.")
        listed = [rows.symbol_row(known[name]) for name in names or known]
        return binance.answer(
            {
                "timezone": "UTC",
                "serverTime": now_ns // 1_000_000,
                "rateLimits": RATE_LIMITS,
                "exchangeFilters": [],
                "symbols": listed,
            }
        )

    # --- streams ---

    def open(self, ask: Ask, now_ns: int) -> Session | HttpAnswer:
        """Accept `/ws/<name>`, `/stream?streams=` or the WebSocket API."""
        if self.weather.refuses_streams(now_ns):
            return HttpAnswer(status=503, body=b"")
        if not self.connects.take(1, now_ns):
            return HttpAnswer(status=429, body=b"")
        if ask.path.rstrip("/") == "/ws-api/v3":
            call = ApiSession(self.desk, self.guard, self.next_subscription)
            self.calls.append(call)
            return call
        is_combined = ask.path.rstrip("/") == "/stream"
        if not is_combined and ask.path.partition("/ws")[0] != "":
            return HttpAnswer(status=404, body=b"")
        session = MarketSession(
            self.market.tapes,
            self.market.logs,
            is_future=False,
            serves=bool,
            is_combined=is_combined,
            per_second=Quota(5, SECOND_NS),
            paced_ns=self.paced_ns,
        )
        names = parse_qs(ask.query).get("streams", [""])[0] if is_combined else ask.path.removeprefix("/ws").strip("/")
        session.add([name for name in names.split("/") if name], now_ns)
        self.streams.append(session)
        return session

    def next_subscription(self) -> int:
        """A fresh subscription number."""
        self.subscriptions += 1
        return self.subscriptions - 1

    def close(self, session: Session) -> None:
        """The connection of this session is gone."""
        self.streams = [one for one in self.streams if one is not session]
        self.calls = [one for one in self.calls if one is not session]

    def due_ns(self) -> int | None:
        """When `advance` is wanted at the latest."""
        own = (self.desk.due_ns(), self.weather.due_ns(), self.market.due_ns() if self.streams else None)
        waiting = [at for at in (*own, *(one.due_ns() for one in self.streams)) if at is not None]
        return min(waiting) if waiting else None

    def advance(self, facts: tuple[Fact, ...], now_ns: int) -> None:
        """Bring tapes and sessions up to `now_ns`."""
        is_silent = self.weather.is_silent(now_ns)
        self.market.advance(facts, self.streams, self.weather, now_ns)
        codes = self.weather.breaks(now_ns)
        garbage = ['{"e":garbage'] if self.weather.wants_garbage(now_ns) else []
        for call in self.calls:
            for fact in () if is_silent else facts:
                call.publish(fact)
        for out in (*(one.out for one in self.streams), *(one.out for one in self.calls)):
            out += garbage
            out += [Closing(code, "going away") for code in codes]

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when."""
        return self.weather.frozen_until_ns(now_ns)


def rows_day(tape: Tape, now_ns: int) -> binance.Row:
    """One row of ticker/24hr."""
    return binance.spot_day_row(tape, now_ns)


def _is_order(ask: Ask) -> bool:
    return (ask.method, ask.path) == ("POST", "/api/v3/order")
