"""Upbit's authentication, server side: JSON Web Tokens with a hash of what was asked.

Owns: the nonces already used. Written from the venue's documents alone; shares nothing with the client's signing.
Never: reads a clock: the tokens carry no time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from urllib.parse import unquote

import attrs

from arb.venues.simulated.dialect import Ask

DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
MAX_NONCES = 200_000


@attrs.frozen
class AuthFault:
    """Why a request is not let in: Upbit's error name and message."""

    name: str
    message: str


@attrs.define
class UpbitGuard:
    """Checks tokens of one API key."""

    key: str
    secret: str = attrs.field(repr=False)
    nonces: dict[str, None] = attrs.field(factory=dict)

    def check(self, ask: Ask) -> AuthFault | None:
        """None when the request is authentic."""
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return AuthFault("no_authorization_token", "인증 토큰이 없습니다.")
        claims = self._verified(token.strip())
        if claims is None:
            return AuthFault("jwt_verification", "Jwt 토큰 검증에 실패했습니다.")
        if claims.get("access_key") != self.key:
            return AuthFault("invalid_access_key", "잘못된 엑세스 키입니다.")
        return self._check_query(ask, claims) or self._use_nonce(claims)

    def _verified(self, token: str) -> dict[str, object] | None:
        head, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        header, claims = _json_part(head), _json_part(body)
        digest = DIGESTS.get(str((header or {}).get("alg")))
        if digest is None or claims is None:
            return None
        wanted = hmac.new(self.secret.encode(), f"{head}.{body}".encode(), digest).digest()
        return claims if hmac.compare_digest(_b64(signature) or b"", wanted) else None

    def _check_query(self, ask: Ask, claims: dict[str, object]) -> AuthFault | None:
        text = hashed_text(ask)
        if text is None:
            return AuthFault("invalid_query_payload", "요청 본문을 읽을 수 없습니다.")
        algorithm = str(claims.get("query_hash_alg", "SHA512")).lower().replace("-", "")
        if not text and "query_hash" not in claims:
            return None
        if algorithm not in ("sha512", "sha256", "sha384"):
            return AuthFault("invalid_query_payload", "Jwt의 query를 검증하는데 실패하였습니다.")
        wanted = hashlib.new(algorithm, text.encode()).hexdigest()
        if claims.get("query_hash") != wanted:
            return AuthFault("invalid_query_payload", "Jwt의 query를 검증하는데 실패하였습니다.")
        return None

    def _use_nonce(self, claims: dict[str, object]) -> AuthFault | None:
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not nonce:
            return AuthFault("jwt_verification", "nonce가 없습니다.")
        if nonce in self.nonces:
            return AuthFault("nonce_used", "이미 요청한 nonce값이 다시 사용되었습니다.")
        self.nonces[nonce] = None
        if len(self.nonces) > MAX_NONCES:
            del self.nonces[next(iter(self.nonces))]
        return None


def hashed_text(ask: Ask) -> str | None:
    """What the token's hash is of: the query un-percent-encoded, or the JSON body as `k=v&k=v` in its order."""
    if ask.method != "POST":
        return unquote(ask.query)
    if not ask.body:
        return unquote(ask.query)
    fields = json_fields(ask.body)
    return None if fields is None else "&".join(_pairs(fields))


def json_fields(body: bytes) -> dict[str, object] | None:
    """A JSON object with its numbers as they were printed; None: it is none."""
    try:
        found = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _pairs(fields: dict[str, object]) -> list[str]:
    pairs: list[str] = []
    for name, value in fields.items():
        if isinstance(value, list):
            pairs += [f"{name}[]={_text(item)}" for item in value]
        else:
            pairs.append(f"{name}={_text(value)}")
    return pairs


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _json_part(part: str) -> dict[str, object] | None:
    raw = _b64(part)
    try:
        found = json.loads(raw) if raw is not None else None
    except (ValueError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _b64(part: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return None
