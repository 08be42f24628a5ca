"""Dunamu's bank rate in its own protocol, server side: GET /v1/forex/recent?codes=FRX.KRWUSD.

Owns: the shape of the answer; the rate is the world's. The code is written KRWUSD, the value is KRW per USD.
Never: waits or reads a clock.
Units: `now_ns` UTC nanoseconds; date and time Korean; prices KRW per USD.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qs

import attrs
import msgspec

from arb.venues.simulated.dialect import Ask, HttpAnswer, Later, Session, StreamRules
from arb.venues.simulated.facts import Fact
from arb.venues.simulated.weather import Weather

KST = timezone(timedelta(hours=9))
ENCODER = msgspec.json.Encoder(decimal_format="number")
CASH_SPREAD = Decimal("0.0175")


RULES = StreamRules(ping_every_s=None, pong_within_s=60.0, idle_close_s=60.0)


@attrs.define(eq=False)
class DunamuDialect:
    """One simulated bank rate."""

    rate: Callable[[], Decimal]
    weather: Weather
    rules: StreamRules = RULES

    @property
    def venue(self) -> str:
        """The venue folder it speaks for."""
        return "dunamu"

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        """Answer an HTTP request."""
        status = self.weather.status(now_ns, ask.path)
        if status is not None:
            return HttpAnswer(status=status, body=b"")
        if ask.path != "/v1/forex/recent":
            return HttpAnswer(status=404, body=b"[]")
        codes = [code for value in parse_qs(ask.query).get("codes", []) for code in value.split(",")]
        body = ENCODER.encode([self._row(now_ns) for code in codes if code == "FRX.KRWUSD"])
        return self.weather.delayed(HttpAnswer(status=200, body=body), now_ns, ask.path)

    def _row(self, now_ns: int) -> dict[str, object]:
        base = self.rate()
        moment = datetime.fromtimestamp(now_ns // 1_000_000_000, KST)
        cash = (base * CASH_SPREAD).quantize(Decimal("0.01"))
        return {
            "code": "FRX.KRWUSD", "currencyCode": "USD", "currencyName": "달러", "country": "미국",
            "name": "미국 (KRW/USD)",
            "date": moment.strftime("%Y-%m-%d"), "time": moment.strftime("%H:%M:%S"), "recurrenceCount": 1,
            "basePrice": base, "openingPrice": base, "highPrice": base, "lowPrice": base, "change": "EVEN",
            "changePrice": 0, "cashBuyingPrice": base + cash, "cashSellingPrice": base - cash,
            "ttBuyingPrice": base - cash,
            "ttSellingPrice": base + cash, "currencyUnit": 1, "provider": "하나은행", "timestamp": now_ns // 1_000_000,
            "changeRate": 0, "signedChangePrice": 0, "signedChangeRate": 0,
        }  # fmt: skip

    def open(self, _ask: Ask, _now_ns: int) -> Session | HttpAnswer:
        """There are no streams."""
        return HttpAnswer(status=404, body=b"")

    def close(self, _session: Session) -> None:
        """There are no streams."""

    def advance(self, _facts: tuple[Fact, ...], _now_ns: int) -> None:
        """There are no streams."""

    def due_ns(self) -> int | None:
        """Nothing happens by itself."""
        return None

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when."""
        return self.weather.frozen_until_ns(now_ns)
