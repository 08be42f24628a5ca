import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.venues.spec import Credentials
from arb.venues.upbit.signing import UpbitSigner, base64_url
from tests.venues.private import VECTORS, vectors

DOCUMENTED_QUERIES = {
    "market=KRW-BTC&limit=10": "d8214a07d0b7181a",
    "market=KRW-BTC&states[]=wait&states[]=watch": "c01bbcb80094d222",
    "market=KRW-BTC&side=bid&volume=0.01&price=100.0&ord_type=limit": "1db802a392c559d5",
}
DOCUMENTED_HEADER = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9"


def unpacked(token: str, secret: str) -> tuple[dict[str, str], dict[str, str]]:
    """Header and payload of a token whose signature is right."""
    header, payload, signature = token.split(".")
    expected = hmac.new(secret.encode(), f"{header}.{payload}".encode(), hashlib.sha512).digest()
    assert base64.urlsafe_b64decode(signature + "==") == expected
    return tuple(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload))


@pytest.mark.parametrize(("query", "beginning"), DOCUMENTED_QUERIES.items())
def test_query_hash_is_that_of_the_documented_queries(query, beginning):
    signer = UpbitSigner(Credentials(key="a7Xd92LmQW3vBtRzYpMj5CxNKeT1HuVs0fFgJcAw", secret="s3cret"))

    header, payload = unpacked(signer.token_for("b2f1e3f8-2dc1-4d6f-a838-c74c49b0e39a", query), "s3cret")

    assert header == {"alg": "HS512", "typ": "JWT"}
    assert payload["query_hash"].startswith(beginning)
    assert payload["query_hash"] == hashlib.sha512(query.encode()).hexdigest()
    assert {name: value for name, value in payload.items() if name != "query_hash"} == {
        "access_key": "a7Xd92LmQW3vBtRzYpMj5CxNKeT1HuVs0fFgJcAw",
        "nonce": "b2f1e3f8-2dc1-4d6f-a838-c74c49b0e39a",
        "query_hash_alg": "SHA512",
    }


def test_header_is_the_documented_one():
    assert UpbitSigner(Credentials(key="k", secret="s")).token("n").split(".")[0] == DOCUMENTED_HEADER


def test_token_without_parameters_carries_key_and_nonce_only():
    token = UpbitSigner(Credentials(key="k", secret="s")).token("n")

    assert unpacked(token, "s")[1] == {"access_key": "k", "nonce": "n"}


@given(
    key=st.text(min_size=1, max_size=60),
    secret=st.text(max_size=200),
    nonce=st.uuids().map(str),
    query=st.text(max_size=80),
)
def test_every_token_verifies_whatever_the_key(key, secret, nonce, query):
    signer = UpbitSigner(Credentials(key=key, secret=secret))

    _, payload = unpacked(signer.token_for(nonce, query), secret)

    assert (payload["access_key"], payload["nonce"]) == (key, nonce)
    assert payload["query_hash"] == hashlib.sha512(query.encode()).hexdigest()
    assert unpacked(signer.token(nonce), secret)[1] == {"access_key": key, "nonce": nonce}


@given(data=st.binary(max_size=100))
def test_base64_is_that_of_tokens(data):
    assert base64_url(data) == base64.urlsafe_b64encode(data).rstrip(b"=")


if VECTORS.exists():

    @pytest.mark.parametrize("row", vectors("upbit", "query_hash"))
    def test_recorded_query_strings_hash_as_stated(row):
        signer = UpbitSigner(Credentials(key="k", secret="s"))

        _, payload = unpacked(signer.token_for("n", json.loads(row["raw"])["query_string"]), "s")

        assert payload["query_hash"] == row["expected"]["query_hash"]

    @pytest.mark.parametrize("row", vectors("upbit", "jwt_example"))
    def test_published_token_has_our_header_and_our_payload_keys(row):
        parts = json.loads(row["raw"])["token"].split(".")
        _, payload = unpacked(UpbitSigner(Credentials(key="k", secret="s")).token_for("n", "q=1"), "s")

        assert parts[0] == DOCUMENTED_HEADER
        assert list(payload) == list(row["expected"]["payload"])
