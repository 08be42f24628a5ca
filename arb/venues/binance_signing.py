"""Binance's HMAC-SHA256 signatures, for spot and futures, REST and WebSocket API.

Owns: the secret's key schedule, hashed once, and the shape of a signed request.
Never: reads a clock; `timestamp` is the stamp's wall time, already in the venue's time.

REST signs the query exactly as sent (percent-encoded), `signature` last. The WebSocket API signs the parameters sorted
by name, `apiKey` among them, as raw UTF-8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from arb.venues.spec import Credentials, HttpRequest, Stamp

RECV_WINDOW_MS: Final = 5000
"""The venue drops requests that reach it later than this after their timestamp."""

_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


def encoded(value: str) -> str:
    """Percent-encoded where it must be: symbols may be any UTF-8."""
    return value if value.isascii() and value.isalnum() else quote(value, safe="")


class BinanceSigner:
    """Signs for one key."""

    __slots__ = ("_headers", "_inner", "_key", "_outer")

    def __init__(self, credentials: Credentials) -> None:
        secret = credentials.secret.encode()
        if len(secret) > _BLOCK_BYTES:
            secret = hashlib.sha256(secret).digest()
        block = secret.ljust(_BLOCK_BYTES, b"\0")
        self._key = credentials.key
        self._headers = (("X-MBX-APIKEY", credentials.key),)
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def signature(self, payload: str) -> str:
        """Hex HMAC-SHA256 of a payload."""
        inner = self._inner.copy()
        inner.update(payload.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()

    def signed(self, method: str, path: str, query: str, stamp: Stamp, *, bucket: str, weight: int) -> HttpRequest:
        """A request with timestamp, window and signature; `query` is percent-encoded already and may be empty."""
        head = f"{query}&" if query else ""
        payload = f"{head}recvWindow={RECV_WINDOW_MS}&timestamp={stamp.wall_ms}"
        return HttpRequest(
            method=method,
            path=path,
            query=f"{payload}&signature={self.signature(payload)}",
            headers=self._headers,
            bucket=bucket,
            weight=weight,
        )

    def keyed(self, method: str, path: str, query: str, *, bucket: str, weight: int) -> HttpRequest:
        """A request that needs the key and no signature (listen keys)."""
        return HttpRequest(method=method, path=path, query=query, headers=self._headers, bucket=bucket, weight=weight)

    def signed_params(self, params: Mapping[str, str | int], stamp: Stamp) -> dict[str, str | int]:
        """Parameters of a WebSocket API request, with key, timestamp, window and signature."""
        whole: dict[str, str | int] = {
            **params,
            "apiKey": self._key,
            "recvWindow": RECV_WINDOW_MS,
            "timestamp": stamp.wall_ms,
        }
        payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
        return {**whole, "signature": self.signature(payload)}
