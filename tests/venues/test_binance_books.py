"""Images and diffs: both rules of continuity, gaps, overflow, and a random venue against a plain dict."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arb.domain.ids import InstrumentId
from arb.venues.binance_books import MAX_CROSSED, MAX_WAITING
from arb.venues.spec import Alive, BookChanged, BookLost, Fault, Inbound, MarketProtocol, NeedSnapshot
from tests.venues.markets import diff, image, protocol

SPOT = InstrumentId("binance_spot:BTCUSDT")
USDM = InstrumentId("binance_usdm:BTCUSDT")
STREAM = "btcusdt@depth@100ms"
BID, ASK = [["100.0", "1"]], [["101.0", "2"]]


def kinds(events: tuple[Inbound, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def spot_at(last: int) -> MarketProtocol:
    stream = protocol("binance_spot", "BTCUSDT")
    stream.receive(diff(STREAM, last - 4, last, [], []), 1)
    assert kinds(stream.receive_snapshot(SPOT, image(last, BID, ASK), 2)) == ["BookChanged"]
    return stream


def usdm_at(last: int) -> MarketProtocol:
    stream = protocol("binance_usdm", "BTCUSDT")
    stream.receive(diff(STREAM, last - 4, last, [], [], last - 9), 1)
    assert kinds(stream.receive_snapshot(USDM, image(last, BID, ASK), 2)) == ["BookChanged"]
    return stream


def test_first_diff_asks_once_for_an_image_and_no_depth_is_given_before_it() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    first = stream.receive(diff(STREAM, 1, 5, BID, []), 1)
    assert kinds(first) == ["NeedSnapshot"]
    assert isinstance(first[0], NeedSnapshot)
    assert first[0].request.target == "/api/v3/depth?symbol=BTCUSDT&limit=1000"
    assert kinds(stream.receive(diff(STREAM, 6, 7, BID, []), 2)) == ["Alive"]
    assert stream.depth(SPOT, 15) is None


def test_spot_joins_where_the_first_diff_begins_right_after_the_image() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    stream.receive(diff(STREAM, 1, 5, [["99.0", "9"]], []), 1)
    stream.receive(diff(STREAM, 6, 8, [["99.5", "3"]], [["101.0", "0"], ["102.0", "4"]]), 7)
    assert kinds(stream.receive_snapshot(SPOT, image(5, BID, ASK), 9)) == ["BookChanged"]
    depth = stream.depth(SPOT, 15)
    assert depth is not None
    assert depth.bids == (100.0, 1.0, 99.5, 3.0)
    assert depth.asks == (102.0, 4.0)
    assert (depth.sequence, depth.received_ns, depth.venue_ns) == (8, 7, 1795000000008 * 10**6)


def test_spot_image_older_than_every_diff_is_asked_for_again_and_the_diffs_are_kept() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    stream.receive(diff(STREAM, 10, 12, [["99.0", "9"]], []), 1)
    assert kinds(stream.receive_snapshot(SPOT, image(8, BID, ASK), 2)) == ["BookLost", "NeedSnapshot"]
    assert stream.depth(SPOT, 15) is None
    assert kinds(stream.receive_snapshot(SPOT, image(9, BID, ASK), 3)) == ["BookChanged"]
    depth = stream.depth(SPOT, 15)
    assert depth is not None
    assert depth.bids == (100.0, 1.0, 99.0, 9.0)


@pytest.mark.parametrize(
    ("first", "final", "expected"),
    [(16, 20, ["BookChanged"]), (14, 16, ["BookChanged"]), (12, 15, ["Alive"]), (17, 20, ["BookLost", "NeedSnapshot"])],
)
def test_spot_continuity_is_first_id_at_most_one_after_the_last(first: int, final: int, expected: list[str]) -> None:
    assert kinds(spot_at(15).receive(diff(STREAM, first, final, [["99.0", "1"]], []), 5)) == expected


@pytest.mark.parametrize(
    ("first", "final", "previous", "expected"),
    [
        (13, 18, 12, ["BookChanged"]),
        (15, 15, 14, ["BookChanged"]),
        (40, 44, 15, ["BookChanged"]),
        (18, 20, 13, ["BookChanged"]),
        (9, 14, 8, ["Alive"]),
        (18, 20, 17, ["BookLost", "NeedSnapshot"]),
    ],
)
def test_usdm_joins_an_image_by_its_own_rule(first: int, final: int, previous: int, expected: list[str]) -> None:
    stream = protocol("binance_usdm", "BTCUSDT")
    stream.receive(diff(STREAM, 1, 3, [], [], 0), 1)
    stream.receive_snapshot(USDM, image(15, BID, ASK), 2)
    assert kinds(stream.receive(diff(STREAM, first, final, [["99.0", "1"]], [], previous), 5)) == expected


def test_usdm_follows_the_chain_of_previous_ids_and_nothing_else() -> None:
    stream = usdm_at(15)
    assert kinds(stream.receive(diff(STREAM, 900, 950, [["99.0", "1"]], [], 15), 5)) == ["BookChanged"]
    assert kinds(stream.receive(diff(STREAM, 951, 960, [["98.0", "1"]], [], 949), 6)) == ["BookLost", "NeedSnapshot"]


@pytest.mark.parametrize(("name", "previous"), [("binance_spot", None), ("binance_usdm", 17)])
def test_gap_hides_depth_until_resync(name: str, previous: int | None) -> None:
    """I4."""
    stream = spot_at(15) if name == "binance_spot" else usdm_at(15)
    instrument = SPOT if name == "binance_spot" else USDM
    assert stream.depth(instrument, 15) is not None
    lost = stream.receive(diff(STREAM, 18, 20, [["99.0", "1"]], [], previous), 5)
    assert isinstance(lost[0], BookLost)
    assert stream.depth(instrument, 15) is None
    assert isinstance(
        stream.receive(diff(STREAM, 21, 25, [["98.0", "1"]], [], None if previous is None else 20), 6)[0], Alive
    )
    assert stream.depth(instrument, 15) is None
    assert kinds(stream.receive_snapshot(instrument, image(20, BID, ASK), 7)) == ["BookChanged"]
    depth = stream.depth(instrument, 15)
    assert depth is not None
    assert depth.bids[-2:] == (98.0, 1.0)


def test_too_many_waiting_diffs_start_over_with_one_new_request() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    asked = 0
    for number in range(3 * MAX_WAITING):
        events = stream.receive(diff(STREAM, number, number, [], []), number)
        asked += kinds(events) == ["NeedSnapshot"]
    assert asked == 3


def test_image_that_cannot_be_read_is_asked_for_again() -> None:
    stream = protocol("binance_spot", "BTCUSDT")
    stream.receive(diff(STREAM, 1, 5, BID, []), 1)
    assert kinds(stream.receive_snapshot(SPOT, b'{"code":-1003}', 2)) == ["Fault", "NeedSnapshot"]


def test_image_that_nobody_waits_for_changes_nothing() -> None:
    stream = spot_at(15)
    assert kinds(stream.receive_snapshot(SPOT, image(99, [["50.0", "1"]], []), 3)) == ["Alive"]
    assert isinstance(stream.receive_snapshot(InstrumentId("binance_spot:ETHUSDT"), image(1, [], []), 3)[0], Fault)


def test_crossed_book_is_flagged_and_given_up_when_it_stays_crossed() -> None:
    stream = spot_at(15)
    stream.receive(diff(STREAM, 16, 16, [["101.5", "1"]], []), 5)
    depth = stream.depth(SPOT, 15)
    assert depth is not None
    assert depth.is_crossed
    seen = [kinds(stream.receive(diff(STREAM, 17 + n, 17 + n, [], []), 6)) for n in range(MAX_CROSSED)]
    assert seen[:-1] == [["BookChanged"]] * (MAX_CROSSED - 1)
    assert seen[-1] == ["BookLost", "NeedSnapshot"]
    assert stream.depth(SPOT, 15) is None


def test_partial_books_are_taken_whole_and_older_ones_dropped() -> None:
    stream = protocol("binance_spot", "BTCUSDT")

    def pushed(last: int, bid: str) -> tuple[Inbound, ...]:
        data = {"lastUpdateId": last, "bids": [[bid, "1"]], "asks": ASK}
        return stream.receive(
            json.dumps({"stream": "btcusdt@depth20@100ms", "data": data}, separators=(",", ":")).encode(), last
        )

    assert pushed(10, "100.0") == (BookChanged(SPOT),)
    assert kinds(pushed(9, "99.0")) == ["Alive"]
    depth = stream.depth(SPOT, 15)
    assert depth is not None
    assert (depth.bids, depth.sequence) == ((100.0, 1.0), 10)


LEVEL = st.tuples(st.integers(90, 110), st.integers(0, 3))


@given(
    st.lists(st.tuples(st.lists(LEVEL, max_size=4), st.lists(LEVEL, max_size=4)), min_size=1, max_size=40),
    st.data(),
)
@settings(deadline=None, max_examples=25)
def test_whatever_is_lost_a_synchronised_book_equals_the_venues(
    changes: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]], data: st.DataObject
) -> None:
    """A venue whose frames get lost at random, whose images arrive late: depth is right or absent."""
    for name, instrument in (("binance_spot", SPOT), ("binance_usdm", USDM)):
        stream = protocol(name, "BTCUSDT")
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        last = 100
        wanted: bytes | None = None
        for at_ns, (bid_changes, ask_changes) in enumerate(changes):
            previous, last = last, last + data.draw(st.integers(1, 5))
            for side, pairs in ((bids, bid_changes), (asks, ask_changes)):
                side.update(pairs)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
            frame = diff(
                STREAM,
                previous + 1,
                last,
                [[str(price), str(size)] for price, size in dict(bid_changes).items()],
                [[str(price), str(size)] for price, size in dict(ask_changes).items()],
                previous if name == "binance_usdm" else None,
            )
            is_lost = data.draw(st.sampled_from([False, False, False, True]))
            events = () if is_lost else stream.receive(frame, at_ns)
            if wanted is not None and data.draw(st.booleans()):
                events += stream.receive_snapshot(instrument, wanted, at_ns)
                wanted = None
            if any(isinstance(event, NeedSnapshot) for event in events):
                wanted = image(
                    last, [[str(p), str(s)] for p, s in bids.items()], [[str(p), str(s)] for p, s in asks.items()]
                )
            depth = stream.depth(instrument, 50)
            if depth is not None and not is_lost and depth.sequence == last:
                assert depth.bids == tuple(float(v) for p in sorted(bids, reverse=True) for v in (p, bids[p]))
                assert depth.asks == tuple(float(v) for p in sorted(asks) for v in (p, asks[p]))
