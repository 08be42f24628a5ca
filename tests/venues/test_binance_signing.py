import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.venues.binance_signing import BinanceSigner, encoded
from arb.venues.spec import Credentials, Stamp
from tests.venues.private import KEYS, STAMP, VECTORS, vectors

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SPOT = Credentials(key=KEY, secret=SECRET)
FUTURES = Credentials(
    key="dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83",
    secret="2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
)
PUBLISHED = [
    (
        SPOT,
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    ),
    (
        SPOT,
        (
            "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1"
            "&price=0.1&recvWindow=5000&timestamp=1499827319559"
        ),
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    (
        SPOT,
        (
            f"apiKey={KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC"
            "&timestamp=1645423376532&type=LIMIT"
        ),
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    ),
    (
        SPOT,
        (
            f"apiKey={KEY}&price=0.10000000&quantity=1.00000000&recvWindow=5000&side=BUY&symbol=１２３４５６&timeInForce=GTC"
            "&timestamp=1645423376532&type=LIMIT"
        ),
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
    ),
    (SPOT, "timestamp=1578963600000", "d84e6641b1e328e7b418fff030caed655c266299c9355e36ce801ed14631eed4"),
    (
        FUTURES,
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
            "&timestamp=1591702613943"
        ),
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
]


@pytest.mark.parametrize(("credentials", "payload", "signature"), PUBLISHED)
def test_published_payloads_have_the_published_signatures(credentials, payload, signature):
    assert BinanceSigner(credentials).signature(payload) == signature


def test_signed_request_reproduces_the_published_order():
    request = BinanceSigner(SPOT).signed(
        "POST",
        "/api/v3/order",
        f"symbol={encoded('１２３４５６')}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1",
        Stamp(wall_ms=1499827319559, nonce="unused"),
        bucket="orders-10s",
        weight=1,
    )

    assert request.query == f"{PUBLISHED[1][1]}&signature={PUBLISHED[1][2]}"
    assert request.headers == (("X-MBX-APIKEY", KEY),)
    assert request.body == b""


def test_websocket_parameters_are_signed_sorted_with_the_key_among_them():
    params = BinanceSigner(SPOT).signed_params(
        {"symbol": "BTCUSDT", "side": "SELL", "price": "52000.00"}, Stamp(wall_ms=1645423376532, nonce="unused")
    )

    payload = f"apiKey={KEY}&price=52000.00&recvWindow=5000&side=SELL&symbol=BTCUSDT&timestamp=1645423376532"
    assert params["signature"] == hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert list(params)[-1] == "signature"
    assert params["timestamp"] == 1645423376532


def test_signature_comes_last_and_covers_everything_before_it():
    request = BinanceSigner(KEYS).signed("GET", "/x", "", STAMP, bucket="weight", weight=1)

    payload, _, signature = request.query.rpartition("&signature=")
    assert payload == "recvWindow=5000&timestamp=1795000000000"
    assert signature == hmac.new(KEYS.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


@given(secret=st.text(max_size=150), payload=st.text(max_size=200))
def test_signature_is_hmac_sha256_whatever_the_secret(secret, payload):
    signature = BinanceSigner(Credentials(key="k", secret=secret)).signature(payload)

    assert signature == hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


if VECTORS.exists():

    @pytest.mark.parametrize("row", vectors("binance", "hmac_sha256"))
    def test_recorded_vectors_verify(row):
        raw = json.loads(row["raw"])
        credentials = Credentials(key=raw.get("apiKey", ""), secret=raw["secretKey"])

        assert BinanceSigner(credentials).signature(raw["payload"]) == row["expected"]["signature"]
