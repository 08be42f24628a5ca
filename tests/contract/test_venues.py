"""What every venue folder promises of its public half and its inspector; the folders are found by listing."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arb.venues
from arb.domain.errors import ConfigError, ProtocolError, VenueUnavailable
from arb.domain.ids import FeedId, InstrumentId
from arb.venues import load_venue
from arb.venues.spec import Fault, HttpResponse, MarketProtocol, VenueSpec
from tests.venues.markets import instrument

ROOT = Path(arb.venues.__file__).parent
GOLDEN = Path(__file__).parent.parent / "golden"
NOT_VENUES = {"wire", "simulated", "spec", "__pycache__"}
VENUES = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in NOT_VENUES)
SYMBOLS = {
    "upbit": ("KRW-BTC", "KRW-XRP"),
    "binance_spot": ("BTCUSDT", "BNBBTC", "BNBUSDT"),
    "binance_usdm": ("BTCUSDT",),
}
STREAMING = sorted(SYMBOLS)
INSPECTED = [name for name in VENUES if load_venue(name).inspect is not None]


def spec(name: str) -> VenueSpec:
    return load_venue(name)


def protocols(name: str) -> list[tuple[InstrumentId, MarketProtocol]]:
    market = spec(name).market
    assert market is not None
    items = tuple(instrument(name, symbol) for symbol in SYMBOLS[name])
    return [(items[0].id, plan.protocol) for plan in market.streams(items, name)]


def golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name / "public.jsonl").read_text("utf-8").splitlines()]


CASES = [(name, case) for name in INSPECTED for case in golden(name)]
FRAMES = {name: [case["frame"].encode() for case in golden(name)] for name in INSPECTED}


def test_every_folder_exports_a_venue_of_its_own_name() -> None:
    assert [spec(name).venue for name in VENUES] == VENUES
    assert {
        name for name in VENUES if (market := spec(name).market) and market.streams((instrument(name, "X"),), name)
    } == set(STREAMING)
    assert STREAMING == INSPECTED


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}: {case['name']}" for name, case in CASES])
def test_golden_frames_are_decoded_exactly(name: str, case: dict[str, Any]) -> None:
    inspector = spec(name).inspect
    assert inspector is not None
    if case.get("error"):
        with pytest.raises(ProtocolError):
            inspector.decode(case["frame"])
    else:
        assert [dict(event.values) for event in inspector.decode(case["frame"])] == case["events"]


@pytest.mark.parametrize("name", VENUES)
def test_every_request_names_a_bucket_that_exists(name: str) -> None:
    venue = spec(name)
    assert venue.market is not None
    symbols = SYMBOLS.get(name, ())
    requests = [*venue.market.instruments_requests(symbols), *venue.market.status_requests(symbols)]
    requests += [venue.market.depth_request(symbol, 15) for symbol in symbols]
    requests += [asked] if (asked := venue.market.time_request()) is not None else []
    buckets = {bucket.name: bucket for bucket in venue.rate.buckets}
    assert requests
    for request in requests:
        assert request.method == "GET"
        assert 0 < request.weight <= buckets[request.bucket].capacity - buckets[request.bucket].reserve


@pytest.mark.parametrize("name", VENUES)
def test_rates_read_any_answer(name: str) -> None:
    rate = spec(name).rate
    for status in (200, 400, 403, 418, 429, 500, 503):
        for body in (b"", b"{}", b"\xff\x00", b'{"code":-1003,"msg":"banned until soon"}'):
            response = HttpResponse(
                status=status, headers={"retry-after": "soon", "x-mbx-used-weight-1m": "many"}, body=body
            )
            assert rate.reports(response) == () or status == 429
            wait = rate.back_off(response, 1795000000000)
            assert wait is None or 0 <= wait.wait_s < 86_400
    assert len({bucket.name for bucket in rate.buckets}) == len(rate.buckets)


@pytest.mark.parametrize("name", STREAMING)
def test_feeds_and_instruments_of_a_plan_are_whole(name: str) -> None:
    market = spec(name).market
    assert market is not None
    items = tuple(instrument(name, symbol) for symbol in SYMBOLS[name])
    plans = market.streams(items, "x")
    assert len({plan.feed for plan in plans}) == len(plans)
    assert all(plan.feed.startswith("x/") for plan in plans)
    assert {found for plan in plans for found in plan.instruments} == {item.id for item in items}
    again = market.streams(items, "x")
    assert all(first.protocol is not second.protocol for first, second in zip(plans, again, strict=True))


def survive(name: str, frame: bytes) -> None:
    """A frame gives events, a body gives a value or one of our errors; nothing else."""
    for first, protocol in protocols(name):
        for events in (
            protocol.receive(frame, 1),
            protocol.receive_snapshot(first, frame, 2),
            protocol.receive(frame, 3),
        ):
            assert isinstance(events, tuple)
            assert events
        depth = protocol.depth(first, 15)
        assert depth is None or all(value >= 0 for value in depth.bids + depth.asks)
    venue = spec(name)
    assert venue.market is not None
    assert venue.inspect is not None
    with suppress(ProtocolError):
        venue.inspect.decode(frame.decode("utf-8", "replace"))
    response = HttpResponse(status=200, headers={}, body=frame)
    for parse in (
        lambda: venue.market.parse_depth(first, FeedId("f"), response, 1),
        lambda: venue.market.parse_instruments(SYMBOLS[name], (response, response, response)),
        lambda: venue.market.parse_status(SYMBOLS[name], (response,) * 9, 1),
        lambda: venue.market.parse_time(response),
    ):
        with suppress(ConfigError, ProtocolError, VenueUnavailable):
            parse()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["-1", "1e999", "NaN", "Infinity", "orderbook", "trade", "KRW-BTC", "BTCUSDT", "depthUpdate"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["type", "ty", "code", "cd", "timestamp", "tms", "orderbook_units", "obu", "e", "E", "s", "U", "u", "pu",
            "b", "a", "p", "q", "T", "m", "stream", "data", "result", "id", "error", "code", "msg", "status",
            "lastUpdateId", "bids", "asks", "event", "subscriptionId", "symbol", "market", "trade_price", "orderId",
            "clientOrderId", "symbols", "o", "B", "P"]
        ),
        inner,
        max_size=8,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("name", STREAMING)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_arbitrary_input_gives_an_event_or_a_fault(name: str, data: st.DataObject) -> None:
    survive(name, data.draw(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())))


@pytest.mark.parametrize("name", STREAMING)
@given(data=st.data())
@settings(deadline=None, max_examples=120)
def test_damaged_frames_give_an_event_or_a_fault(name: str, data: st.DataObject) -> None:
    frame = data.draw(st.sampled_from(FRAMES[name]))
    at = data.draw(st.integers(0, len(frame) - 1))
    length = data.draw(st.integers(0, 12))
    patch = data.draw(
        st.sampled_from(
            [
                b"",
                b"null",
                b"-1",
                b"1e400",
                b"1e-400",
                b"NaN",
                b"-Infinity",
                b'"x"',
                b"{}",
                b"[]",
                b"9" * 400,
                b"\xff",
                b'":',
            ]
        )
        | st.binary(max_size=4)
    )
    survive(name, frame[:at] + patch + frame[at + length :])


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize(
    "frame",
    [
        b"[" * 200_000,
        b'{"data":' * 50_000,
        b'{"type":"orderbook","code":"KRW-BTC","x":' + b"[" * 200_000,
        b'{"stream":"btcusdt@depth@100ms","data":' + b"[" * 200_000,
        b'{"stream":"btcusdt@depth@100ms',
        b'{"stream":"btcusdt@depth@100ms","data":{"E":1,"U":1,"u":1,"b":[["-1","1"]],"a":[]}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"E":1,"U":1,"u":1,"b":[["inf","1"]],"a":[]}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"E":1,"U":1,"u":1e30,"b":[],"a":[]}}',
        b'{"type":"orderbook","code":"KRW-BTC","timestamp":-5,"orderbook_units":[]}',
        b"",
        b"\x00",
    ],
    ids=range(11),
)
def test_hostile_frames_give_a_fault(name: str, frame: bytes) -> None:
    survive(name, frame)
    assert all(isinstance(event, Fault) for _, protocol in protocols(name) for event in protocol.receive(frame, 1))


@pytest.mark.parametrize("name", INSPECTED)
def test_the_feed_and_the_inspector_read_the_same_numbers(name: str) -> None:
    """Float for the feed, Decimal for the inspector, from the same text."""
    inspector = spec(name).inspect
    assert inspector is not None
    for case in golden(name):
        for event in case.get("events", ()):
            if event["channel"] != "book" or not event["snapshot"]:
                continue
            for _, protocol in protocols(name):
                protocol.receive(case["frame"].encode(), 1)
                depth = protocol.depth(InstrumentId(f"{name}:{event['symbol']}"), 30)
                if depth is not None:
                    flat = [float(Decimal(value)) for level in event["bids"] for value in level]
                    assert list(depth.bids) == flat
