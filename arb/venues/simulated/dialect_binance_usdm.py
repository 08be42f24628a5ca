"""Binance USD-M futures in its own protocol, server side: REST, market streams by path, and the listen key.

Owns: weight and order budgets, depth update ids, the listen key, dead-man timers and the open sessions of the venue.
Never: waits or reads a clock.
Units: `now_ns` UTC nanoseconds; weights as the venue counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

import attrs

from arb.domain.order import OrderState
from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_usdm_rows as rows
from arb.venues.simulated.auth_binance import UNKNOWN_KEY, BinanceFault, BinanceGuard, parameters
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Ask, Closing, HttpAnswer, Later, Session, StreamRules
from arb.venues.simulated.dialect_binance_found import Found
from arb.venues.simulated.dialect_binance_front import BinanceTapes, Budgets, open_market
from arb.venues.simulated.dialect_binance_stream import MarketSession
from arb.venues.simulated.dialect_binance_usdm_rest import ROUTES
from arb.venues.simulated.dialect_binance_usdm_stream import KEYED, ListenKey, UserSession
from arb.venues.simulated.facts import Fact
from arb.venues.simulated.models import FaultKind
from arb.venues.simulated.quota import SECOND_NS, Quota
from arb.venues.simulated.tape import Tape
from arb.venues.simulated.weather import Weather

PUBLIC_KINDS = ("depth", "bookTicker", "trade", "rpiDepth")
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]
Sent = Mapping[str, str]


def is_public_kind(kind: str) -> bool:
    """Whether the matching engine pushes it: `/public`."""
    return kind.startswith(PUBLIC_KINDS)


def is_market_kind(kind: str) -> bool:
    """Whether it is aggregated: `/market`."""
    return not is_public_kind(kind)


RULES = StreamRules(ping_every_s=180.0, pong_within_s=600.0, idle_close_s=None)


@attrs.define(eq=False)
class BinanceUsdmDialect:
    """One simulated Binance USD-M futures."""

    desk: Desk
    weather: Weather
    paced_ns: int = SECOND_NS
    """Between two frames of streams that come by the clock, such as marks."""
    guard: BinanceGuard = attrs.field(init=False)
    market: BinanceTapes = attrs.field(init=False)
    budgets: Budgets = attrs.field(init=False)
    listen_key: ListenKey = attrs.field(factory=ListenKey)
    connects: Quota = attrs.field(factory=lambda: Quota(300, 300 * SECOND_NS))
    streams: list[MarketSession] = attrs.field(factory=list)
    users: list[UserSession] = attrs.field(factory=list)
    cancel_at_ns: dict[str, int] = attrs.field(factory=dict)
    """Dead-man timers by symbol."""
    rules: StreamRules = RULES

    def __attrs_post_init__(self) -> None:
        """Open books of record and budgets."""
        self.guard = BinanceGuard(self.desk.key, self.desk.secret)
        self.market = open_market(tuple(self.desk.instruments.values()), shared_ids=binance.SHARED_IDS)
        orders = (
            ("X-MBX-ORDER-COUNT-10S", Quota(300, 10 * SECOND_NS)),
            ("X-MBX-ORDER-COUNT-1M", Quota(1_200, 60 * SECOND_NS)),
        )
        self.budgets = Budgets(Quota(2_400, 60 * SECOND_NS), orders)

    @property
    def venue(self) -> str:
        """The venue folder it speaks for."""
        return "binance_usdm"

    # --- REST ---

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        """Answer an HTTP request."""
        bad = self.budgets.bad_weather(self.weather, ask, now_ns)
        if bad is not None:
            return bad
        sent = parameters(ask)
        refused = self.budgets.take(self._weight(ask, sent), now_ns)
        if refused is not None:
            return refused
        found = self._route(ask, sent, now_ns)
        if isinstance(found, BinanceFault):
            found = binance.fault_answer(found)
        is_order = (ask.method, ask.path) == ("POST", "/fapi/v1/order")
        return self.weather.delayed(self.budgets.stamped(found, now_ns, is_order=is_order), now_ns, ask.path)

    def _weight(self, ask: Ask, sent: Sent) -> int:
        name = ask.path.rpartition("/")[2]
        if name == "depth":
            limit = int(sent["limit"]) if sent.get("limit", "").isdigit() else 500
            return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20
        many = {"24hr": (1, 40), "price": (1, 2), "bookTicker": (2, 5), "premiumIndex": (1, 10), "openOrders": (1, 40)}
        if name in many:
            return many[name][0 if "symbol" in sent else 1]
        fixed = {"account": 5, "balance": 5, "positionRisk": 5, "allOrders": 5, "userTrades": 5, "commissionRate": 20,
                 "income": 30, "countdownCancelAll": 10, "trades": 5, "aggTrades": 20,
                 "fundingInfo": 0, "fundingRate": 0}  # fmt: skip
        return 0 if (ask.method, name) == ("POST", "order") else fixed.get(name, 1)

    def _route(self, ask: Ask, sent: Sent, now_ns: int) -> Found:
        public = self._public(ask.path, sent, now_ns) if ask.method == "GET" else None
        if public is not None:
            return public
        keyed = KEYED.get((ask.method, ask.path))
        if keyed is not None:
            return self._key_fault(ask, now_ns, self.guard.check_key) or keyed(self.listen_key, now_ns)
        is_countdown = (ask.method, ask.path) == ("POST", "/fapi/v1/countdownCancelAll")
        route = (
            (lambda _desk, sent, now_ns: self._count_down(sent, now_ns))
            if is_countdown
            else ROUTES.get((ask.method, ask.path))
        )
        if route is None:
            return binance.answer(
                {"code": -5000, "msg": f"Path {ask.path}, Method {ask.method} is invalid"}, status=404
            )
        fault = self._key_fault(ask, now_ns, lambda asked: self.guard.check(asked, now_ns // 1_000_000))
        if fault is None and (ask.method, ask.path) == ("POST", "/fapi/v1/order"):
            fault = self.budgets.take_order(now_ns)
        return fault or route(self.desk, sent, now_ns)

    def _key_fault(self, ask: Ask, now_ns: int, check: Callable[[Ask], BinanceFault | None]) -> BinanceFault | None:
        return UNKNOWN_KEY if self.desk.is_faulty(FaultKind.KEY_REFUSED, now_ns) else check(ask)

    def _public(self, path: str, sent: Sent, now_ns: int) -> HttpAnswer | BinanceFault | None:
        name = path.removeprefix("/fapi/v1/").removeprefix("/fapi/v2/")
        match name:
            case "ping":
                return binance.answer({})
            case "time":
                return binance.answer({"serverTime": now_ns // 1_000_000})
            case "exchangeInfo":
                return self._exchange_info(now_ns)
            case "ticker/24hr":
                return self.market.rows(sent, lambda tape: binance.day_row(tape, now_ns))
            case "ticker/price":
                return self.market.rows(
                    sent,
                    lambda tape: {
                        "symbol": tape.instrument.symbol,
                        "price": binance.bare(tape.last_price),
                        "time": tape.last_at_ns // 1_000_000,
                    },
                )
            case "ticker/bookTicker":
                return self.market.rows(
                    sent, lambda tape: {**binance.best_row(tape), "time": tape.last_at_ns // 1_000_000}
                )
            case "premiumIndex":
                return self.market.rows(sent, _premium)
            case "fundingRate":
                return self._funding(sent, now_ns)
            case "fundingInfo":
                return binance.answer([])
        if path in ("/api/v3/exchangeInfo", "/dapi/v1/exchangeInfo"):
            return binance.answer(
                {
                    "timezone": "UTC",
                    "serverTime": now_ns // 1_000_000,
                    "rateLimits": [],
                    "exchangeFilters": [],
                    "symbols": [],
                }
            )
        return self.market.common(name, {"limit": "500", **sent}, now_ns)

    def _exchange_info(self, now_ns: int) -> HttpAnswer:
        assets = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
        return binance.answer({
            "timezone": "UTC", "serverTime": now_ns // 1_000_000, "futuresType": "U_MARGINED",
            "rateLimits": RATE_LIMITS,
            "exchangeFilters": [], "assets": assets,
            "symbols": [rows.symbol_row(one) for one in self.desk.instruments.values()],
        })  # fmt: skip

    def _funding(self, sent: Sent, now_ns: int) -> HttpAnswer | BinanceFault:
        tape = self.market.tapes.get(sent.get("symbol", ""))
        if tape is None:
            return BinanceFault(400, -1121, "Invalid symbol.") if "symbol" in sent else binance.answer([])
        if tape.mark is None:
            return binance.answer([])
        interval_ns = self.desk.model.funding_interval_s * SECOND_NS
        limit = min(int(sent["limit"]) if sent.get("limit", "").isdigit() else 100, 1_000)
        last_ns = now_ns // interval_ns * interval_ns
        rate, price = binance.text(tape.mark.funding_rate), binance.text(tape.mark.mark_price)
        times = [(last_ns - back * interval_ns) // 1_000_000 for back in range(limit - 1, -1, -1)]
        return binance.answer(
            [
                {"symbol": tape.instrument.symbol, "fundingRate": rate, "fundingTime": at, "markPrice": price}
                for at in times
            ]
        )

    def _count_down(self, sent: Sent, now_ns: int) -> Found:
        instrument = binance.find(self.desk.instruments, sent)
        if isinstance(instrument, BinanceFault):
            return instrument
        wait = sent.get("countdownTime", "")
        if not wait.isdigit():
            return BinanceFault(
                400, -1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed."
            )
        self.cancel_at_ns.pop(instrument.symbol, None)
        if int(wait):
            self.cancel_at_ns[instrument.symbol] = now_ns + int(wait) * 1_000_000
        return binance.answer({"symbol": instrument.symbol, "countdownTime": wait})

    # --- streams ---

    def open(self, ask: Ask, now_ns: int) -> Session | HttpAnswer:
        """Accept `/public`, `/market` or `/private`; a path without any of them is served as `/public`."""
        if self.weather.refuses_streams(now_ns):
            return HttpAnswer(status=503, body=b"")
        if not self.connects.take(1, now_ns):
            return HttpAnswer(status=429, body=b"")
        query = parse_qs(ask.query)
        head, _, rest = ask.path.lstrip("/").partition("/")
        if head == "private":
            return self._open_private(query, now_ns)
        if head not in ("public", "market"):
            head, rest = "public", ask.path.lstrip("/")
        is_combined = rest.rstrip("/") == "stream"
        if not is_combined and not (rest + "/").startswith("ws/"):
            return HttpAnswer(status=404, body=b"")
        serves = is_public_kind if head == "public" else is_market_kind
        session = MarketSession(
            self.market.tapes,
            self.market.logs,
            is_future=True,
            serves=serves,
            is_combined=is_combined,
            per_second=Quota(10, SECOND_NS),
            paced_ns=self.paced_ns,
        )
        names = query.get("streams", [""])[0] if is_combined else rest.removeprefix("ws").strip("/")
        session.add([name for name in names.split("/") if name], now_ns)
        self.streams.append(session)
        return session

    def _open_private(self, query: dict[str, list[str]], now_ns: int) -> Session | HttpAnswer:
        key = query.get("listenKey", [""])[0]
        if not self.listen_key.is_valid(key, now_ns):
            return binance.answer({"code": -1125, "msg": "This listenKey does not exist."}, status=400)
        events = frozenset(name for name in query.get("events", [""])[0].split("/") if name)
        session = UserSession(self.desk, events, key)
        self.users.append(session)
        return session

    def close(self, session: Session) -> None:
        """The connection of this session is gone."""
        self.streams = [one for one in self.streams if one is not session]
        self.users = [one for one in self.users if one is not session]

    def due_ns(self) -> int | None:
        """When `advance` is wanted at the latest."""
        own = (self.desk.due_ns(), self.weather.due_ns(), self.market.due_ns() if self.streams else None)
        keyed = self.listen_key.expires_ns if self.users else None
        streams = (one.due_ns() for one in self.streams)
        waiting = [at for at in (*own, keyed, *self.cancel_at_ns.values(), *streams) if at is not None]
        return min(waiting) if waiting else None

    def advance(self, facts: tuple[Fact, ...], now_ns: int) -> None:
        """Bring tapes and sessions up to `now_ns`."""
        is_silent = self.weather.is_silent(now_ns)
        self.market.advance(facts, self.streams, self.weather, now_ns)
        self._dead_man(now_ns)
        for user in self.users:
            if not is_silent:
                user.publish(facts)
            user.expire(self.listen_key, now_ns)
        codes = self.weather.breaks(now_ns)
        garbage = ['{"e":garbage'] if self.weather.wants_garbage(now_ns) else []
        for out in (*(one.out for one in self.streams), *(one.out for one in self.users)):
            out += garbage
            out += [Closing(code, "going away") for code in codes]

    def _dead_man(self, now_ns: int) -> None:
        for symbol in [symbol for symbol, at in self.cancel_at_ns.items() if at <= now_ns]:
            del self.cancel_at_ns[symbol]
            for view in self.desk.open_orders(self.desk.instruments[symbol].id):
                if view.state is OrderState.OPEN:
                    self.desk.cancel(view.order_id, now_ns)

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when."""
        return self.weather.frozen_until_ns(now_ns)


def _premium(tape: Tape) -> binance.Row:
    mark = tape.mark
    last = binance.text(tape.last_price)
    return {
        "symbol": tape.instrument.symbol,
        "markPrice": binance.text(mark.mark_price) if mark else last,
        "indexPrice": binance.text(mark.index_price) if mark else last,
        "estimatedSettlePrice": binance.text(mark.mark_price) if mark else last,
        "lastFundingRate": binance.text(mark.funding_rate) if mark else "0.00000000",
        "interestRate": "0.00010000",
        "nextFundingTime": mark.next_funding_ns // 1_000_000 if mark else 0,
        "time": (mark.at_ns if mark else tape.last_at_ns) // 1_000_000,
    }
