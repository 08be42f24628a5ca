"""Upbit's JSON Web Token, built by hand.

Owns: the secret's key schedule and the token's constant beginning, hashed once.
Never: decodes the secret (it is raw text, not base64), draws a nonce.

The payload is `{"access_key":"…","nonce":"…","query_hash":"…","query_hash_alg":"SHA512"}`; without a query only the
first two. `query_hash` is the hex SHA-512 of the query *before* percent-encoding, in the order sent; a POST hashes its
body's `k=v` joined by `&`. Spaces after the first comma stretch the constant beginning to a multiple of three bytes, so
that its base64 and its part of the HMAC are computed once.
"""

from __future__ import annotations

import binascii
import hashlib
from typing import Final

import msgspec

from arb.venues.spec import Credentials

_BLOCK_BYTES: Final = 128
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_HEADER: Final = b'{"alg":"HS512","typ":"JWT"}'
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


def base64_url(data: bytes) -> bytes:
    """Base64 with the URL alphabet and no padding."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


class UpbitSigner:
    """Makes HS512 tokens for one key."""

    __slots__ = ("_beginning", "_inner", "_outer")

    def __init__(self, credentials: Credentials) -> None:
        secret = credentials.secret.encode()
        if len(secret) > _BLOCK_BYTES:
            secret = hashlib.sha512(secret).digest()
        block = secret.ljust(_BLOCK_BYTES, b"\0")
        opening = b'{"access_key":' + msgspec.json.encode(credentials.key) + b","
        nonce_key = b'"nonce":"'
        opening += b" " * (-(len(opening) + len(nonce_key)) % 3) + nonce_key
        self._beginning = base64_url(_HEADER) + b"." + base64_url(opening)
        self._inner = hashlib.sha512(block.translate(_INNER_PAD))
        self._inner.update(self._beginning)
        self._outer = hashlib.sha512(block.translate(_OUTER_PAD))

    def token(self, nonce: str) -> str:
        """For a request without parameters, and for the private stream."""
        return self._signed(base64_url(b'%b"}' % nonce.encode()))

    def token_for(self, nonce: str, query: str) -> str:
        """For a request with parameters; `query` as it was before percent-encoding."""
        digest = hashlib.sha512(query.encode()).hexdigest()
        return self._signed(base64_url(f'{nonce}","query_hash":"{digest}","query_hash_alg":"SHA512"}}'.encode()))

    def _signed(self, ending: bytes) -> str:
        inner = self._inner.copy()
        inner.update(ending)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return (b"%b%b.%b" % (self._beginning, ending, base64_url(outer.digest()))).decode("ascii")
