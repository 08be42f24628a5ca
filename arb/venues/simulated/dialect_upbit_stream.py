"""One Upbit WebSocket connection, server side: what it subscribed to and the frames that follow.

Owns: the subscription of the connection and its unsent frames. A new request replaces everything subscribed before.
Never: checks tokens (the dialect did, at the handshake) or waits.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import attrs

from arb.domain.ids import symbol_of
from arb.venues.simulated import dialect_upbit_private as private
from arb.venues.simulated import dialect_upbit_public as public
from arb.venues.simulated.dialect import Out
from arb.venues.simulated.facts import BalanceChanged, BookImage, Executed, Fact, OrderChanged, PublicTrade
from arb.venues.simulated.quota import SECOND_NS, Quota
from arb.venues.simulated.tape import Tape

UNITS = (1, 5, 15, 30)
PUBLIC_TYPES = ("orderbook", "ticker", "trade")
PRIVATE_TYPES = ("myOrder", "myAsset")
STATUS_NS = 10 * SECOND_NS


@attrs.frozen(kw_only=True)
class StreamWish:
    """One type object of a request."""

    type: str
    codes: Mapping[str, int]
    """Order book units by code; empty: all codes (private types)."""
    level: Decimal
    wants_snapshot: bool
    wants_realtime: bool


@attrs.frozen
class BadRequest:
    """What the error frame says."""

    name: str
    message: str


@attrs.define(eq=False)
class UpbitSession:
    """State of one connection."""

    tapes: Mapping[str, Tape]
    account: str | None
    """None: a public connection."""
    wishes: tuple[StreamWish, ...] = ()
    format: str = "DEFAULT"
    out: list[Out] = attrs.field(factory=list)
    per_second: Quota = attrs.field(factory=lambda: Quota(5, SECOND_NS))
    per_minute: Quota = attrs.field(factory=lambda: Quota(100, 60 * SECOND_NS))
    next_status_ns: int | None = None

    def take(self) -> tuple[Out, ...]:
        """Frames that wait to be sent."""
        out = tuple(self.out)
        self.out.clear()
        return out

    def receive(self, text: str, now_ns: int) -> None:
        """A subscription, a listing or an application ping."""
        if text.strip() == "PING":
            self.next_status_ns = now_ns + STATUS_NS
            self.out.append(b'{"status":"UP"}')
            return
        allowed = self.per_second.take(1, now_ns) & self.per_minute.take(1, now_ns)
        found = parse_request(text) if allowed else BadRequest("TOO_MANY_REQUEST", "요청이 너무 많습니다.")
        if isinstance(found, BadRequest):
            self._fail(found)
            return
        ticket, wishes, spelled, is_listing = found
        self.format = spelled or ("DEFAULT" if not is_listing else self.format)
        if is_listing:
            self._list(ticket)
            return
        wanted = PUBLIC_TYPES if self.account is None else PRIVATE_TYPES
        if any(one.type not in wanted for one in wishes):
            known = any(one.type in PRIVATE_TYPES for one in wishes)
            self._fail(
                BadRequest("INVALID_AUTH", "인증 정보가 올바르지 않습니다.")
                if known
                else BadRequest("WRONG_FORMAT", "지원하지 않는 타입입니다.")
            )
            return
        self.wishes = wishes
        for wish in wishes:
            if wish.wants_snapshot and self.account is None:
                self._snapshot(wish)

    def publish(self, fact: Fact) -> None:
        """Frames for one fact, as far as it is subscribed."""
        for wish in self.wishes:
            if wish.wants_realtime:
                self._realtime(wish, fact)

    def due_ns(self) -> int | None:
        """When `turn` has something to do."""
        return self.next_status_ns

    def turn(self, now_ns: int) -> None:
        """Repeat the status that a text ping asked for."""
        if self.next_status_ns is not None and now_ns >= self.next_status_ns:
            self.next_status_ns = now_ns + STATUS_NS
            self.out.append(b'{"status":"UP"}')

    def _fail(self, fault: BadRequest) -> None:
        self.out.append(public.ENCODER.encode({"error": {"name": fault.name, "message": fault.message}}))

    def _list(self, ticket: str) -> None:
        rows: list[public.Row] = [
            {"type": one.type, "codes": list(one.codes), "level": one.level} for one in self.wishes
        ]
        body: public.Row = {"method": "LIST_SUBSCRIPTIONS", "result": rows, "ticket": ticket}
        self.out.append(public.ENCODER.encode(body))

    def _snapshot(self, wish: StreamWish) -> None:
        for code, units in wish.codes.items():
            tape = self.tapes.get(code)
            if tape is None:
                continue
            if wish.type == "orderbook" and tape.image is not None:
                self._book(wish, tape, tape.image, units, "SNAPSHOT")
            elif wish.type == "ticker" and tape.last_at_ns:
                self._send(public.ticker_frame(tape, "SNAPSHOT"))
            elif wish.type == "trade" and tape.trades:
                self._send(public.trade_frame(tape, tape.trades[-1], "SNAPSHOT"))

    def _realtime(self, wish: StreamWish, fact: Fact) -> None:
        match fact:
            case BookImage(instrument=instrument) if wish.type == "orderbook":
                code = symbol_of(instrument)
                if code in wish.codes:
                    self._book(wish, self.tapes[code], fact, wish.codes[code], "REALTIME")
            case PublicTrade(instrument=instrument) if wish.type in ("trade", "ticker"):
                code = symbol_of(instrument)
                if code in wish.codes:
                    tape = self.tapes[code]
                    is_trade = wish.type == "trade"
                    self._send(
                        public.trade_frame(tape, fact, "REALTIME")
                        if is_trade
                        else public.ticker_frame(tape, "REALTIME")
                    )
            case OrderChanged() | Executed() if wish.type == "myOrder" and fact.view.account == self.account:
                code = symbol_of(fact.view.order.instrument)
                if not wish.codes or code in wish.codes:
                    self._send(private.order_frame(fact))
            case BalanceChanged() if wish.type == "myAsset" and fact.account == self.account:
                self._send(private.asset_frame(fact))

    def _book(self, wish: StreamWish, tape: Tape, image: BookImage, units: int, stream: str) -> None:
        if wish.level and f"{wish.level.normalize():f}" not in public.supported_levels(tape):
            return  # an unsupported level gives no data, silently
        self._send(public.orderbook_frame(image, tape.instrument.symbol, units, wish.level, stream))

    def _send(self, row: public.Row) -> None:
        body: object = public.shortened(row) if self.format.startswith("SIMPLE") else row
        if self.format.endswith("_LIST"):
            body = [body]
        self.out.append(public.ENCODER.encode(body))


Parsed = tuple[str, tuple[StreamWish, ...], str, bool]
"""Ticket, wishes, format (empty: not given), whether it asks for a listing."""


def parse_request(text: str) -> Parsed | BadRequest:
    """Read a request; the format object may stand anywhere after the ticket."""
    try:
        parts = json.loads(text)
    except ValueError:
        return BadRequest("WRONG_FORMAT", "Format이 맞지 않습니다.")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return BadRequest("WRONG_FORMAT", "Format이 맞지 않습니다.")
    tickets = [part["ticket"] for part in parts if "ticket" in part]
    if not tickets:
        return BadRequest("NO_TICKET", "티켓이 존재하지 않습니다.")
    formats = [str(part["format"]) for part in parts if "format" in part]
    if any(one not in ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST") for one in formats):
        return BadRequest("INVALID_PARAM", "지원하지 않는 format입니다.")
    spelled = formats[-1] if formats else ""
    if any(part.get("method") == "LIST_SUBSCRIPTIONS" for part in parts):
        return str(tickets[0]), (), spelled, True
    typed = [part for part in parts if "type" in part]
    if not typed:
        return BadRequest("NO_TYPE", "타입이 존재하지 않습니다.")
    wishes: list[StreamWish] = []
    for part in typed:
        wish = _wish(part)
        if isinstance(wish, BadRequest):
            return wish
        wishes.append(wish)
    return str(tickets[0]), tuple(wishes), spelled, False


def _wish(part: dict[str, object]) -> StreamWish | BadRequest:
    kind, codes = str(part["type"]), part.get("codes")
    if kind == "myAsset" and codes is not None:
        return BadRequest("WRONG_FORMAT", "myAsset은 codes를 지원하지 않습니다.")
    if kind in PUBLIC_TYPES and not codes:
        return BadRequest("NO_CODES", "코드가 존재하지 않습니다.")
    if codes is not None and not (isinstance(codes, list) and all(isinstance(code, str) for code in codes)):
        return BadRequest("WRONG_FORMAT", "Format이 맞지 않습니다.")
    try:
        level = Decimal(str(part.get("level", 0)))
    except InvalidOperation:
        return BadRequest("INVALID_PARAM", "level이 올바르지 않습니다.")
    only_snapshot = bool(part.get("is_only_snapshot", part.get("isOnlySnapshot", False)))
    only_realtime = bool(part.get("is_only_realtime", part.get("isOnlyRealtime", False)))
    return StreamWish(
        type=kind,
        codes=dict(_code_and_units(code) for code in codes or ()),
        level=level,
        wants_snapshot=not only_realtime,
        wants_realtime=not only_snapshot,
    )


def _code_and_units(text: str) -> tuple[str, int]:
    code, _, units = text.partition(".")
    count = int(units) if units.isdigit() else public.MAX_UNITS
    return code, count if count in UNITS else public.MAX_UNITS
