"""Upbit in its own protocol, server side: REST and WebSocket of one simulated venue.

Owns: the budgets and the open sessions of the venue. Private paths are in `dialect_upbit_rest`.
Never: waits or reads a clock.
Units: `now_ns` UTC nanoseconds; rate windows in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import attrs

from arb.domain.ids import symbol_of
from arb.venues.simulated import dialect_upbit_public as public
from arb.venues.simulated.auth_upbit import AuthFault, UpbitGuard
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Ask, Closing, HttpAnswer, Later, Session, StreamRules
from arb.venues.simulated.dialect_upbit_private import UpbitFault
from arb.venues.simulated.dialect_upbit_rest import GROUPS, ROUTES, body_answer, fault_answer, first, many, query_of
from arb.venues.simulated.dialect_upbit_stream import UpbitSession
from arb.venues.simulated.facts import BookImage, Fact, PublicTrade
from arb.venues.simulated.models import FaultKind
from arb.venues.simulated.quota import SECOND_NS, Offences, Quota
from arb.venues.simulated.tape import Tape, open_tapes
from arb.venues.simulated.weather import Weather

PUBLIC_GROUPS = {
    "market": "market",
    "ticker": "ticker",
    "orderbook": "orderbook",
    "trades": "trade",
    "candles": "candle",
}
LIMITS = {
    "default": (30, 1),
    "order": (12, 1),
    "order-test": (8, 1),
    "order-cancel-all": (1, 2),
    "websocket-connect": (5, 1),
}
CANDLE_S = {"seconds": 1, "days": 86_400, "weeks": 604_800, "months": 2_592_000, "years": 31_536_000}


RULES = StreamRules(ping_every_s=None, pong_within_s=60.0, idle_close_s=120.0)


@attrs.define(eq=False)
class UpbitDialect:
    """One simulated Upbit."""

    desk: Desk
    weather: Weather
    guard: UpbitGuard = attrs.field(init=False)
    tapes: dict[str, Tape] = attrs.field(init=False)
    quotas: dict[str, Quota] = attrs.field(init=False)
    offences: Offences = attrs.field(factory=lambda: Offences(60, 10))
    sessions: list[UpbitSession] = attrs.field(factory=list)
    rules: StreamRules = RULES

    def __attrs_post_init__(self) -> None:
        """Open tapes and budgets."""
        self.guard = UpbitGuard(self.desk.key, self.desk.secret)
        self.tapes = open_tapes(tuple(self.desk.instruments.values()))
        self.quotas = {name: Quota(limit, window * SECOND_NS) for name, (limit, window) in LIMITS.items()}
        self.quotas |= {name: Quota(10, SECOND_NS) for name in PUBLIC_GROUPS.values()}

    @property
    def venue(self) -> str:
        """The venue folder it speaks for."""
        return "upbit"

    # --- REST ---

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        """Answer an HTTP request."""
        if self.weather.status(now_ns, ask.path) is not None:
            return self._bad_weather(ask, now_ns)
        parts = ask.path.split("/")
        group = PUBLIC_GROUPS.get(parts[2] if len(parts) > 2 else "")
        found = (
            self._private(ask, now_ns)
            if group is None
            else self._counted(group, now_ns, True, lambda: self._public(ask, now_ns))
        )
        return self.weather.delayed(found, now_ns, ask.path)

    def _bad_weather(self, ask: Ask, now_ns: int) -> HttpAnswer:
        status = self.weather.status(now_ns, ask.path)
        if status == 429:
            return fault_answer(UpbitFault(429, "too_many_requests", "요청 수 제한을 초과했습니다."))
        if status == 418:
            return fault_answer(
                UpbitFault(
                    418, "too_many_requests", f"{self.weather.left_s(FaultKind.BAN, now_ns)}초 동안 차단되었습니다."
                )
            )
        return HttpAnswer(status=status or 503, body=b"<html><body>Service Temporarily Unavailable</body></html>")

    def _counted(
        self, group: str, now_ns: int, is_public: bool, answer: Callable[[], HttpAnswer | Later]
    ) -> HttpAnswer | Later:
        banned_s = self.offences.ban_left_s(now_ns)
        if banned_s:
            return fault_answer(UpbitFault(418, "too_many_requests", f"{banned_s}초 동안 차단되었습니다."))
        quota = self.quotas[group]
        if not quota.take(1, now_ns):
            self.offences.offend(now_ns)
            body = {"error": {"name": 429 if is_public else "too_many_requests", "message": "Too many requests"}}
            return body_answer(body, 429)
        header = ("Remaining-Req", f"group={group}; min=1800; sec={quota.left(now_ns)}")
        return _with_header(answer(), header)

    def _private(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        route = ROUTES.get((ask.method, ask.path))
        if route is None:
            return fault_answer(UpbitFault(404, "not_found", "요청하신 경로를 찾을 수 없습니다."))
        fault = self._key_fault(ask, now_ns)
        if fault is not None:
            return fault_answer(UpbitFault(401, fault.name, fault.message))
        group = GROUPS.get((ask.method, ask.path), "default")
        return self._counted(group, now_ns, False, lambda: route(self.desk, ask, now_ns))

    def _key_fault(self, ask: Ask, now_ns: int) -> AuthFault | None:
        if self.desk.is_faulty(FaultKind.KEY_REFUSED, now_ns):
            return AuthFault("invalid_access_key", "잘못된 엑세스 키입니다.")
        return self.guard.check(ask)

    def _public(self, ask: Ask, now_ns: int) -> HttpAnswer:
        sent = query_of(ask)
        match ask.path.split("/")[2:]:
            case ["market", "all"]:
                details = first(sent, "is_details") or first(sent, "isDetails")
                return body_answer(
                    [
                        public.market_row(
                            tape,
                            with_details=details == "true",
                            is_warned=self.desk.is_faulty(FaultKind.CAUTION, now_ns, tape.instrument.symbol),
                        )
                        for tape in self.tapes.values()
                    ]
                )
            case ["ticker", "all"]:
                quotes = many(sent, "quote_currencies")
                return body_answer(
                    [
                        public.ticker_row(tape)
                        for tape in self.tapes.values()
                        if not quotes or tape.instrument.quote in quotes
                    ]
                )
            case ["ticker"]:
                return self._rows(many(sent, "markets"), public.ticker_row)
            case ["orderbook"]:
                return self._books(many(sent, "markets"), first(sent, "level"), first(sent, "count"))
            case ["orderbook", "instruments"]:
                return self._rows(many(sent, "markets"), public.instrument_row)
            case ["orderbook", "supported_levels"]:
                return self._rows(
                    many(sent, "markets"),
                    lambda tape: {"market": tape.instrument.symbol, "supported_levels": public.supported_levels(tape)},
                )
            case ["trades", "ticks"]:
                return self._trades(first(sent, "market"), first(sent, "count"))
            case ["candles", kind, *unit]:
                unit_s = CANDLE_S.get(kind) or (int(unit[0]) * 60 if unit and unit[0].isdigit() else 60)
                return self._rows([first(sent, "market")], lambda tape: public.candle_row(tape, now_ns, unit_s))
        return _quotation_fault(404)

    def _rows(self, codes: list[str], row: Callable[[Tape], public.Row]) -> HttpAnswer:
        if not codes or any(code not in self.tapes for code in codes):
            return _quotation_fault(404 if codes else 400)
        return body_answer([row(self.tapes[code]) for code in codes])

    def _books(self, codes: list[str], level: str, count: str) -> HttpAnswer:
        try:
            step = Decimal(level or 0)
        except InvalidOperation:
            return _quotation_fault(400)
        units = min(int(count), public.MAX_UNITS) if count.isdigit() and int(count) else public.MAX_UNITS

        def row(tape: Tape) -> public.Row:
            image = tape.image or BookImage(id=0, at_ns=0, instrument=tape.instrument.id, bids=(), asks=())
            return public.orderbook_row(image, tape.instrument.symbol, units, step)

        return self._rows(codes, row)

    def _trades(self, code: str, count: str) -> HttpAnswer:
        tape = self.tapes.get(code)
        if tape is None:
            return _quotation_fault(404)
        wanted = min(int(count), 500) if count.isdigit() and int(count) else 1
        return body_answer([public.trade_row(tape, one) for one in list(tape.trades)[-wanted:][::-1]])

    # --- streams ---

    def open(self, ask: Ask, now_ns: int) -> Session | HttpAnswer:
        """Accept a handshake on `/websocket/v1` or `/websocket/v1/private`."""
        if self.weather.refuses_streams(now_ns):
            return HttpAnswer(status=503, body=b"")
        if not self.quotas["websocket-connect"].take(1, now_ns):
            return HttpAnswer(status=429, body=b"")
        path = ask.path.rstrip("/")
        is_private = path == "/websocket/v1/private"
        if not is_private and path != "/websocket/v1":
            return HttpAnswer(status=404, body=b"")
        if is_private and (fault := self._key_fault(ask, now_ns)) is not None:
            return body_answer({"error": {"name": fault.name, "message": fault.message}}, 401)
        session = UpbitSession(self.tapes, self.desk.account if is_private else None)
        self.sessions.append(session)
        return session

    def close(self, session: Session) -> None:
        """The connection of this session is gone."""
        self.sessions = [one for one in self.sessions if one is not session]

    def due_ns(self) -> int | None:
        """When `advance` is wanted at the latest."""
        own = (self.desk.due_ns(), self.weather.due_ns())
        waiting = [at for at in (*own, *(one.due_ns() for one in self.sessions)) if at is not None]
        return min(waiting) if waiting else None

    def advance(self, facts: tuple[Fact, ...], now_ns: int) -> None:
        """Bring tapes and sessions up to `now_ns`."""
        is_silent = self.weather.is_silent(now_ns)
        for fact in facts:
            if isinstance(fact, BookImage | PublicTrade):
                self.tapes[symbol_of(fact.instrument)].fold(fact)
            for session in () if is_silent else self.sessions:
                session.publish(fact)
        codes = self.weather.breaks(now_ns)
        garbage = [b"\xff\xfe{garbage"] if self.weather.wants_garbage(now_ns) else []
        for session in self.sessions:
            said = len(session.out)
            session.turn(now_ns)
            if is_silent:
                del session.out[said:]
            session.out += garbage
            session.out += [Closing(code, "going away") for code in codes]

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when."""
        return self.weather.frozen_until_ns(now_ns)


def _quotation_fault(status: int) -> HttpAnswer:
    message = "Code not found" if status == 404 else "Invalid parameter. Check the given value!"
    return body_answer({"error": {"name": status, "message": message}}, status)


def _with_header(found: HttpAnswer | Later, header: tuple[str, str]) -> HttpAnswer | Later:
    if isinstance(found, HttpAnswer):
        return attrs.evolve(found, headers=(*found.headers, header))
    later = found

    def resolve() -> HttpAnswer | None:
        answer = later.resolve()
        return None if answer is None else attrs.evolve(answer, headers=(*answer.headers, header))

    return Later(found.ready_ns, resolve)
