"""One connection to Binance spot's WebSocket API, server side: calls, and the user data stream of an HMAC key.

Owns: the subscription of the connection and its unsent frames.
Never: places orders: this simulator takes them over REST.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_spot_rows as rows
from arb.venues.simulated.auth_binance import UNKNOWN_KEY, BinanceFault, BinanceGuard
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Closing, Out
from arb.venues.simulated.facts import BalanceChanged, Executed, Fact, OrderChanged, Transferred
from arb.venues.simulated.models import FaultKind
from arb.venues.simulated.quota import SECOND_NS, Quota


@attrs.define(eq=False)
class ApiSession:
    """State of one connection."""

    desk: Desk
    guard: BinanceGuard
    next_subscription: Callable[[], int]
    per_second: Quota = attrs.field(factory=lambda: Quota(5, SECOND_NS))
    subscription: int | None = None
    out: list[Out] = attrs.field(factory=list)

    def take(self) -> tuple[Out, ...]:
        """Frames that wait to be sent."""
        out = tuple(self.out)
        self.out.clear()
        return out

    def receive(self, text: str, now_ns: int) -> None:
        """A call."""
        if not self.per_second.take(1, now_ns):
            self.out.append(Closing(1008, "Too many requests"))
            return
        try:
            call = json.loads(text)
        except ValueError:
            call = None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            self._fail(None, BinanceFault(400, -1000, "Invalid request."))
            return
        params = call.get("params")
        result = self._call(str(call["method"]), params if isinstance(params, dict) else {}, now_ns)
        if isinstance(result, BinanceFault):
            self._fail(call.get("id"), result)
        else:
            self._say({"id": call.get("id"), "status": 200, "result": result, "rateLimits": []})

    def _call(
        self, method: str, params: dict[str, object], now_ns: int
    ) -> binance.Row | list[binance.Row] | BinanceFault:
        match method:
            case "ping":
                return {}
            case "time":
                return {"serverTime": now_ns // 1_000_000}
            case "session.status":
                return {
                    "apiKey": None,
                    "authorizedSince": None,
                    "connectedSince": None,
                    "returnRateLimits": True,
                    "serverTime": now_ns // 1_000_000,
                    "userDataStream": False,
                }
            case "session.subscriptions":
                return [] if self.subscription is None else [{"subscriptionId": self.subscription}]
            case "session.logon":
                return BinanceFault(400, -2028, "This API key cannot be used for this request: Ed25519 keys only.")
            case "userDataStream.subscribe":
                return BinanceFault(400, -1193, "Session is not authenticated.")
            case "userDataStream.subscribe.signature":
                return self._subscribe(params, now_ns)
            case "userDataStream.unsubscribe":
                self.subscription = None
                return {}
        return BinanceFault(400, -1000, f"Unknown method '{method}'.")

    def _subscribe(self, params: dict[str, object], now_ns: int) -> binance.Row | BinanceFault:
        is_refused = self.desk.is_faulty(FaultKind.KEY_REFUSED, now_ns)
        fault = UNKNOWN_KEY if is_refused else self.guard.check_call(params, now_ns // 1_000_000)
        if fault is not None:
            return fault
        if self.subscription is not None:
            return BinanceFault(400, -2035, "User Data Stream is already subscribed.")
        self.subscription = self.next_subscription()
        return {"subscriptionId": self.subscription}

    def publish(self, fact: Fact) -> None:
        """Events of the account, wrapped."""
        match fact:
            case OrderChanged() | Executed() if fact.view.account == self.desk.account:
                self._event(rows.report(fact))
            case Transferred() if fact.account == self.desk.account:
                self._event(rows.balance_update(fact))
            case BalanceChanged() if fact.account == self.desk.account:
                self._event(rows.account_position(fact))

    def _event(self, event: binance.Row) -> None:
        if self.subscription is not None:
            self._say({"subscriptionId": self.subscription, "event": event})

    def _fail(self, number: object, fault: BinanceFault) -> None:
        self._say(
            {
                "id": number,
                "status": fault.status,
                "error": {"code": fault.code, "msg": fault.message},
                "rateLimits": [],
            }
        )

    def _say(self, body: object) -> None:
        self.out.append(binance.ENCODER.encode(body).decode())
