"""Frames to books: what a feed task does with each message, beside msgspec's typed decoding alone.

Owns: the measures `decode/…`, `book/…` and `sign/…`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from arb.cli.measures.frames import binance_diffs, binance_images, binance_snapshot, upbit_books
from arb.cli.measures.timing import BenchResult, Effort, Measure, against, interleaved, result, timed_each
from arb.domain.ids import FeedId, InstrumentId
from arb.venues.binance_frames import DepthDiff, DepthImage, StreamFrame
from arb.venues.binance_signing import BinanceSigner
from arb.venues.binance_spot.protocol import spot_stream
from arb.venues.binance_streams import BinanceStream
from arb.venues.simulated.listings import listing
from arb.venues.spec import Credentials, HttpRequest
from arb.venues.upbit.frames import UpbitBook
from arb.venues.upbit.protocol import UpbitStream
from arb.venues.upbit.signing import UpbitSigner

TYPED: Final = "msgspec typed decode alone"
KRW_BTC: Final = InstrumentId("upbit:KRW-BTC")
SPOT_BTC: Final = InstrumentId("binance_spot:BTCUSDT")
_KEYS: Final = Credentials(key="k" * 40, secret="s" * 40)
_NONCE: Final = "2b1ed1f5-6a0f-4e0b-9f5a-0f4f4d1c9a11"
_QUERY: Final = (
    "market=KRW-BTC&side=bid&volume=0.01340000&price=149402000&ord_type=limit"
    "&identifier=7v9q0m3k2c1d8e5f6g4h2i1j0kla&time_in_force=ioc"
)
_ORDER: Final = (
    "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&quantity=0.013&price=103000.10"
    "&newClientOrderId=7v9q0m3k2c1d8e5f6g4h2i1j0klb&recvWindow=5000&timestamp=1787727947526"
)


def _upbit(units: int, effort: Effort) -> list[BenchResult]:
    name = f"decode/upbit/orderbook{units}"
    frames = upbit_books(200, units)
    typed = msgspec.json.Decoder(UpbitBook[float]).decode

    def images() -> list[float]:
        stream = UpbitStream(FeedId("upbit/public/0"), ("KRW-BTC",))
        return timed_each(lambda frame: stream.receive(frame, 1), frames)

    def flattened() -> list[float]:
        stream = UpbitStream(FeedId("upbit/public/0"), ("KRW-BTC",))

        def both(frame: bytes) -> None:
            stream.receive(frame, 1)
            stream.depth(KRW_BTC, units)

        return timed_each(both, frames)

    found = interleaved(
        {TYPED: partial(timed_each, typed, frames), name: images, f"{name}/flatten": flattened}, effort.of(60, 6)
    )
    return [against(result(each, "us", found[each]), TYPED, found[TYPED]) for each in (name, f"{name}/flatten")]


def _fresh_spot() -> BinanceStream:
    """A connection's protocol for BTCUSDT."""
    return spot_stream(
        FeedId("binance_spot/public/0"), (listing(SPOT_BTC),),
        lambda symbol: HttpRequest(method="GET", path="/api/v3/depth", query=f"symbol={symbol}", bucket="requests"),
    )  # fmt: skip


def _binance_image(effort: Effort) -> list[BenchResult]:
    frames = binance_images(200, 20)
    typed = msgspec.json.Decoder(StreamFrame[DepthImage[float]], strict=False).decode
    name = "decode/binance_spot/depth20"

    def books() -> list[float]:
        stream = _fresh_spot()
        return timed_each(lambda frame: stream.receive(frame, 1), frames)

    def flattened() -> list[float]:
        stream = _fresh_spot()

        def whole(frame: bytes) -> None:
            stream.receive(frame, 1)
            stream.depth(SPOT_BTC, 20)

        return timed_each(whole, frames)

    found = interleaved(
        {TYPED: partial(timed_each, typed, frames), name: books, f"{name}/flatten": flattened}, effort.of(60, 6)
    )
    return [against(result(each, "us", found[each]), TYPED, found[TYPED]) for each in (name, f"{name}/flatten")]


def synced_spot(levels: int, first_id: int) -> BinanceStream:
    """A protocol whose book has been loaded and waits for the diff after `first_id`."""
    stream = _fresh_spot()
    (opening,) = binance_diffs(1, 1, first_id - 2)
    stream.receive(opening, 1)
    stream.receive_snapshot(SPOT_BTC, binance_snapshot(first_id, levels), 1)
    return stream


def _binance_diff(effort: Effort) -> list[BenchResult]:
    first_id = 1_000_000
    frames = list(binance_diffs(400, 30, first_id))
    typed = msgspec.json.Decoder(StreamFrame[DepthDiff[float]], strict=False).decode
    name = "book/binance/depth_update"

    def applied(levels: int) -> list[float]:
        stream = synced_spot(1_000, first_id)

        def apply(frame: bytes) -> None:
            stream.receive(frame, 1)
            if levels:
                stream.depth(SPOT_BTC, levels)

        found = timed_each(apply, frames)
        assert stream.books["BTCUSDT"].sequence == first_id + 400 * 60
        return found

    candidates: dict[str, Callable[[], list[float]]] = {
        TYPED: partial(timed_each, typed, frames), name: partial(applied, 0), f"{name}/top15": partial(applied, 15),
    }  # fmt: skip
    found = interleaved(candidates, effort.of(30, 3))
    return [against(result(each, "us", found[each]), TYPED, found[TYPED]) for each in (name, f"{name}/top15")]


def _signing(effort: Effort) -> list[BenchResult]:
    """Beside the standard library's `hmac` over the same bytes, its key set up each time."""
    upbit, binance = UpbitSigner(_KEYS), BinanceSigner(_KEYS)
    secret = _KEYS.secret.encode()
    plain_sha512, plain_sha256 = "hmac SHA-512 of the query", "hmac SHA-256 of the query"
    candidates: dict[str, Callable[[], list[float]]] = {
        "sign/upbit": lambda: timed_each(lambda query: upbit.token_for(_NONCE, query), [_QUERY] * 500),
        plain_sha512: lambda: timed_each(
            lambda query: hmac.new(secret, query.encode(), hashlib.sha512).hexdigest(), [_QUERY] * 500
        ),
        "sign/binance": lambda: timed_each(binance.signature, [_ORDER] * 500),
        plain_sha256: lambda: timed_each(
            lambda query: hmac.new(secret, query.encode(), hashlib.sha256).hexdigest(), [_ORDER] * 500
        ),
    }
    found = interleaved(candidates, effort.of(40, 4))
    return [
        against(result("sign/upbit", "us", found["sign/upbit"]), plain_sha512, found[plain_sha512]),
        against(result("sign/binance", "us", found["sign/binance"]), plain_sha256, found[plain_sha256]),
    ]


def measures() -> list[Measure]:
    """Everything here."""
    found = []
    for units in (15, 30):
        name = f"decode/upbit/orderbook{units}"
        found.append(Measure((name, f"{name}/flatten"), partial(_upbit, units)))
    found.append(Measure(("decode/binance_spot/depth20", "decode/binance_spot/depth20/flatten"), _binance_image))
    found.append(Measure(("book/binance/depth_update", "book/binance/depth_update/top15"), _binance_diff))
    found.append(Measure(("sign/upbit", "sign/binance"), _signing))
    return found
