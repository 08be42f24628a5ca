"""The private stream of Binance USD-M futures, server side: the listen key and one connection that used it.

Owns: the key's life and the connection's unsent frames. Only events on the connection's list are ever sent.
Never: waits.
Units: `now_ns` UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from arb.venues.simulated import dialect_binance as binance
from arb.venues.simulated import dialect_binance_usdm_rows as rows
from arb.venues.simulated.auth_binance import BinanceFault
from arb.venues.simulated.desk import Desk
from arb.venues.simulated.dialect import Closing, HttpAnswer, Out
from arb.venues.simulated.facts import BalanceChanged, Executed, Fact, OrderChanged, PositionChanged
from arb.venues.simulated.quota import SECOND_NS

NO_KEY = BinanceFault(400, -1125, "This listenKey does not exist.")
LIFE_NS = 3_600 * SECOND_NS
REASONS = {
    "order": "ORDER",
    "funding": "FUNDING_FEE",
    "transfer": "DEPOSIT",
    "withdrawal": "WITHDRAW",
    "adl": "ORDER",
    "liquidation": "ORDER",
}


@attrs.define
class ListenKey:
    """The account's key; one at a time."""

    key: str = ""
    expires_ns: int | None = None
    made: int = 0

    def is_valid(self, key: str, now_ns: int) -> bool:
        """Whether streams may be opened with it."""
        return bool(key) and key == self.key and self.expires_ns is not None and now_ns < self.expires_ns

    def start(self, now_ns: int) -> str:
        """A fresh key, or the active one extended."""
        if not self.is_valid(self.key, now_ns):
            self.made += 1
            self.key = f"simulatedListenKey{self.made:046d}"
        self.expires_ns = now_ns + LIFE_NS
        return self.key

    def extend(self, now_ns: int) -> bool:
        """Another hour; False: there is no key."""
        if not self.is_valid(self.key, now_ns):
            return False
        self.expires_ns = now_ns + LIFE_NS
        return True

    def end(self) -> None:
        """Close the key."""
        self.key, self.expires_ns = "", None


@attrs.define(eq=False)
class UserSession:
    """One private connection."""

    desk: Desk
    events: frozenset[str]
    """Allow-list; empty: everything but `listenKeyExpired`."""
    key: str
    is_expired: bool = False
    out: list[Out] = attrs.field(factory=list)

    def take(self) -> tuple[Out, ...]:
        """Frames that wait to be sent."""
        out = tuple(self.out)
        self.out.clear()
        return out

    def receive(self, text: str, now_ns: int) -> None:
        """Requests are no longer understood here; a client that sends any is told so."""
        self.out.append(
            binance.ENCODER.encode(
                {"error": {"code": 2, "msg": f"Invalid request at {now_ns // 1_000_000}: {text[:40]}"}}
            ).decode()
        )

    def publish(self, facts: tuple[Fact, ...]) -> None:
        """Events of the account; what one moment changed on it is one ACCOUNT_UPDATE after the orders' events."""
        own = [
            one
            for one in facts
            if isinstance(one, BalanceChanged | PositionChanged) and one.account == self.desk.account
        ]
        for fact in facts:
            if isinstance(fact, OrderChanged | Executed) and fact.view.account == self.desk.account:
                self._send("ORDER_TRADE_UPDATE", rows.order_event(fact))
        for at_ns, reason in dict.fromkeys((one.at_ns, one.reason) for one in own):
            same = [one for one in own if (one.at_ns, one.reason) == (at_ns, reason)]
            self._account(at_ns, reason, same)

    def _account(self, at_ns: int, reason: str, same: list[BalanceChanged | PositionChanged]) -> None:
        positions = [rows.changed_position(one) for one in same if isinstance(one, PositionChanged)]
        changes = [one for one in same if isinstance(one, BalanceChanged)]
        if not positions and reason == "order":
            return  # a resting order only locks margin: no event
        balances = rows.changed_balance(changes[-1], self.desk.wallet()) if changes else []
        self._send("ACCOUNT_UPDATE", rows.account_event(at_ns, REASONS.get(reason, "ORDER"), balances, positions))

    def expire(self, key: ListenKey, now_ns: int) -> None:
        """Say once that the key is gone, then end."""
        if self.is_expired or key.is_valid(self.key, now_ns):
            return
        self.is_expired = True
        body: binance.Row = {"e": "listenKeyExpired", "E": now_ns // 1_000_000, "listenKey": self.key}
        if "listenKeyExpired" in self.events:
            self.out.append(binance.ENCODER.encode(body).decode())
        self.out.append(Closing(1000, "listenKey expired"))

    def _send(self, name: str, body: binance.Row) -> None:
        if not self.events or name in self.events:
            self.out.append(binance.ENCODER.encode(body).decode())


# --- listen key -----------------------------------------------------------------------------------


def start_key(key: ListenKey, now_ns: int) -> HttpAnswer | BinanceFault:
    """POST listenKey"""
    return binance.answer({"listenKey": key.start(now_ns)})


def extend_key(key: ListenKey, now_ns: int) -> HttpAnswer | BinanceFault:
    """PUT listenKey"""
    return binance.answer({"listenKey": key.key}) if key.extend(now_ns) else NO_KEY


def end_key(key: ListenKey, _now_ns: int) -> HttpAnswer | BinanceFault:
    """DELETE listenKey"""
    key.end()
    return binance.answer({})


KEYED: dict[tuple[str, str], Callable[[ListenKey, int], HttpAnswer | BinanceFault]] = {
    ("POST", "/fapi/v1/listenKey"): start_key,
    ("PUT", "/fapi/v1/listenKey"): extend_key,
    ("DELETE", "/fapi/v1/listenKey"): end_key,
}
