"""Binance's authentication, server side: API key header, HMAC-SHA256 over what was sent, time window.

Written from the venue's documents alone; shares nothing with the client's signing.
Never: reads a clock: the server time is an argument.
Units: `now_ms`, `timestamp` and `recvWindow` UTC milliseconds (`timestamp` may come in microseconds).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl

import attrs

from arb.venues.simulated.dialect import Ask

MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000


@attrs.frozen
class BinanceFault:
    """Why a request is refused: HTTP status, Binance's code and message."""

    status: int
    code: int
    message: str


BAD_KEY = BinanceFault(401, -2014, "API-key format invalid.")
UNKNOWN_KEY = BinanceFault(401, -2015, "Invalid API-key, IP, or permissions for action.")
BAD_SIGNATURE = BinanceFault(400, -1022, "Signature for this request is not valid.")
OUTSIDE_WINDOW = BinanceFault(400, -1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD = BinanceFault(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def missing(name: str) -> BinanceFault:
    """A mandatory parameter that was not sent."""
    return BinanceFault(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def parameters(ask: Ask) -> dict[str, str]:
    """Query and form body together; where a name is repeated the query wins."""
    body = ask.body.decode("utf-8", "replace")
    found = dict(parse_qsl(body, keep_blank_values=True))
    found.update(parse_qsl(ask.query, keep_blank_values=True))
    return found


@attrs.frozen
class BinanceGuard:
    """Checks requests of one API key."""

    key: str
    secret: str = attrs.field(repr=False)

    def check_key(self, ask: Ask) -> BinanceFault | None:
        """The header alone, for calls that need no signature."""
        found = ask.headers.get("x-mbx-apikey", "")
        if not found:
            return BAD_KEY
        return None if found == self.key else UNKNOWN_KEY

    def check(self, ask: Ask, now_ms: int) -> BinanceFault | None:
        """Key, time window and signature of a signed REST call; None when it is authentic."""
        sent = parameters(ask)
        fault = self.check_key(ask) or _check_window(sent, now_ms)
        if fault is not None:
            return fault
        signature = sent.get("signature", "")
        if not signature:
            return missing("signature")
        return None if self._matches(_signed_text(ask), signature) else BAD_SIGNATURE

    def check_call(self, sent: Mapping[str, object], now_ms: int) -> BinanceFault | None:
        """A WebSocket API call: its parameters sorted by name, not percent-encoded."""
        texts = {name: _plain(value) for name, value in sent.items()}
        key = texts.get("apiKey", "")
        if key != self.key:
            return UNKNOWN_KEY if key else BAD_KEY
        fault = _check_window(texts, now_ms)
        if fault is not None:
            return fault
        signature = texts.pop("signature", "")
        text = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
        return None if self._matches(text, signature) else BAD_SIGNATURE

    def _matches(self, text: str, signature: str) -> bool:
        wanted = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, signature.lower().encode("ascii", "replace").decode("ascii"))


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _signed_text(ask: Ask) -> str:
    """Query and body as sent, without the signature wherever it stands."""
    kept = (_without_signature(ask.query), _without_signature(ask.body.decode("utf-8", "replace")))
    return "".join(kept)


def _without_signature(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _check_window(sent: Mapping[str, str], now_ms: int) -> BinanceFault | None:
    try:
        stamp = Decimal(sent.get("timestamp", ""))
        window = Decimal(sent.get("recvWindow", "5000"))
    except InvalidOperation:
        return missing("timestamp")
    if not 0 < window <= MAX_WINDOW_MS:
        return BinanceFault(400, -1131, "recvWindow must be less than 60000.")
    if stamp > 100_000_000_000_000:
        stamp = stamp / 1000
    if stamp >= now_ms + AHEAD_MS:
        return AHEAD
    return OUTSIDE_WINDOW if now_ms - stamp > window else None
