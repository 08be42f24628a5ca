"""What may be believed of the markets, and what may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arb.domain.depth import Depth, DepthSource
from arb.domain.events import (
    ClockJumped,
    DepthSeen,
    FeedDown,
    FeedSeen,
    FeedUp,
    FeesSeen,
    FundingRateSeen,
    InstrumentSeen,
    VenueCondition,
    VenueStatus,
    WalletState,
)
from arb.domain.ids import FeedId, VenueId
from arb.state.market import NEVER_NS, FreshnessLimits, Market
from tests import strategies as make

MS = 1_000_000
FEED = FeedId("feed")
LIMITS = FreshnessLimits(
    max_book_age_ms=1500, max_quiet_s=10.0, max_conn_silence_ms=1500, max_feed_lag_ms=700, max_skew_ms=400
)


def image(at_ms: int = 0, **changes: Any) -> Depth:
    values: dict[str, Any] = {"at_ns": at_ms * MS}
    return make.depth(make.A_BTC, (100.0, 1.0), (101.0, 1.0), **(values | changes))


def market(*depths: Depth) -> Market:
    found = Market(LIMITS)
    found.anchor(0, 0)
    for depth in depths:
        assert found.see_depth(DepthSeen(at_ns=depth.received_ns, depth=depth))
    return found


def beat(found: Market, at_ms: int, latency_ms: int = 0) -> None:
    found.see_feed(FeedSeen(at_ns=at_ms * MS, feed=FEED, last_frame_ns=at_ms * MS, latency_ns=latency_ms * MS))


def test_freshness_starts_at_never() -> None:
    found = Market(LIMITS)

    assert found.staleness(make.A_BTC, 0) == "no_book"
    assert found.as_of_ns(make.A_BTC) == NEVER_NS


def test_a_quiet_book_on_a_live_connection_is_fresh_until_it_is_too_quiet() -> None:
    found = market(image())
    for at_ms in (1000, 5000, 9900, 10_100):
        beat(found, at_ms)

        assert found.staleness(make.A_BTC, at_ms * MS) == ("" if at_ms < 10_000 else "quiet")


def test_a_silent_connection_hides_its_books() -> None:
    found = market(image())

    assert found.staleness(make.A_BTC, 1500 * MS) == ""
    assert found.staleness(make.A_BTC, 1501 * MS) == "silent"


def test_another_book_of_the_feed_keeps_it_alive() -> None:
    found = market(image(), make.depth(make.FX_BOOK, (1450.0, 1.0), (1451.0, 1.0), at_ns=2000 * MS))

    assert found.staleness(make.A_BTC, 2100 * MS) == ""


def test_as_of_is_the_newest_frame_less_the_latency() -> None:
    found = market(image())
    beat(found, 300, latency_ms=20)

    assert found.as_of_ns(make.A_BTC) == 280 * MS
    assert found.staleness(make.A_BTC, 1490 * MS) == ""
    beat(found, 300, latency_ms=400)
    assert found.staleness(make.A_BTC, 1490 * MS) == "stale"


def test_a_rest_image_is_as_old_as_itself() -> None:
    found = market(image(source=DepthSource.REST, uncertainty_ns=30 * MS))
    beat(found, 2000)

    assert found.as_of_ns(make.A_BTC) == 0
    assert found.staleness(make.A_BTC, 1501 * MS) == "stale"


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [((101.0, 1.0), (101.0, 1.0), "crossed"), ((102.0, 1.0), (101.0, 1.0), "crossed"), ((), (101.0, 1.0), "one_sided")],
)
def test_crossed_locked_and_one_sided_books_are_unusable(
    bids: tuple[float, ...], asks: tuple[float, ...], reason: str
) -> None:
    found = market(make.depth(make.A_BTC, bids, asks))

    assert found.staleness(make.A_BTC, 1) == reason


def test_venue_time_lag_is_stale_whatever_the_receive_age() -> None:
    found = Market(LIMITS)
    found.anchor(1000 * MS, 5_000_000 * MS)

    for received_ms, printed_ms, reason in ((1000, 4_999_299, "lag"), (1001, 4_999_302, "")):
        found.see_depth(DepthSeen(at_ns=received_ms * MS, depth=image(received_ms, venue_ns=printed_ms * MS)))
        assert found.staleness(make.A_BTC, received_ms * MS) == reason


def test_a_clock_jump_makes_old_data_untrusted_until_fresh_data_comes() -> None:
    found = market(image())
    found.jump(ClockJumped(at_ns=100 * MS, wall_ns=10**18, jump_ns=10**18))

    assert found.staleness(make.A_BTC, 101 * MS) == "clock_jumped"
    found.see_depth(DepthSeen(at_ns=102 * MS, depth=image(102)))
    assert found.staleness(make.A_BTC, 103 * MS) == ""
    assert found.wall_ns(110 * MS) == 10**18 + 10 * MS


def test_a_feed_that_is_down_is_not_believed_until_it_is_up() -> None:
    found = market(image())
    found.see_instrument(InstrumentSeen(at_ns=0, instrument=make.instrument()))
    found.feed_down(FeedDown(at_ns=1, feed=FEED, instruments=(make.A_BTC,), reason="reset"))

    assert found.staleness(make.A_BTC, 2) == "feed_down"
    assert not found.is_tradable(make.A_BTC)
    found.feed_up(FeedUp(at_ns=3, feed=FEED, instruments=(make.A_BTC,), source="ws"))
    assert found.staleness(make.A_BTC, 4) == ""
    assert found.is_tradable(make.A_BTC)


def test_a_book_that_is_down_is_not_revived_by_its_neighbours_return() -> None:
    found = market(image())
    neighbour = make.FX_BOOK
    found.feed_down(FeedDown(at_ns=1, feed=FEED, instruments=(make.A_BTC, neighbour), reason="reset"))
    found.feed_up(FeedUp(at_ns=2, feed=FEED, instruments=(neighbour,), source="ws"))

    assert found.staleness(make.A_BTC, 3) == "feed_down"
    found.feed_up(FeedUp(at_ns=4, feed=FEED, instruments=(make.A_BTC,), source="ws"))
    assert found.staleness(make.A_BTC, 5) == ""


def test_older_images_are_ignored() -> None:
    found = market(image(10))

    assert not found.see_depth(DepthSeen(at_ns=20 * MS, depth=image(9)))
    book = found.book(make.A_BTC)
    assert book is not None
    assert book.depth.received_ns == 10 * MS
    assert book.mid == 100.5


def test_skew_counts_the_uncertainty_of_rest_and_fx_as_third() -> None:
    b = make.depth(
        make.B_BTC, (1.0, 1.0), (2.0, 1.0), at_ns=380 * MS, feed="b", source=DepthSource.REST, uncertainty_ns=30 * MS
    )
    fx = make.depth(make.FX_BOOK, (1450.0, 1.0), (1451.0, 1.0), at_ns=100 * MS, feed="fx")
    found = market(image(0), b, fx)

    assert found.pair_refusal(make.A_BTC, make.B_BTC, None, 400 * MS) == "skew"  # 380 + 30 against 400
    assert found.pair_refusal(make.A_BTC, make.B_BTC, make.FX_BOOK, 400 * MS) == "skew"
    beat(found, 30)
    assert found.pair_refusal(make.A_BTC, make.B_BTC, make.FX_BOOK, 400 * MS) == ""
    found.see_depth(DepthSeen(at_ns=0, depth=make.depth(make.B_BTC, (1.0, 1.0), (1.0, 1.0), at_ns=390 * MS, feed="b")))
    assert found.pair_refusal(make.A_BTC, make.B_BTC, None, 400 * MS) == "crossed_b"


def test_past_funding_is_kept_when_a_prediction_brings_none() -> None:
    found = Market(LIMITS)
    for past in ((Decimal("0.0002"), Decimal("0.0004"), Decimal("0.9")), ()):
        found.see_funding(
            FundingRateSeen(
                at_ns=1,
                instrument=make.B_BTC,
                rate=Decimal("0.0001"),
                interval_s=28800,
                next_settlement_ms=1,
                mark_price=Decimal(1),
                index_price=None,
                past_rates=past,
            )
        )

    assert found.funding[make.B_BTC].past_rates == (Decimal("0.0002"), Decimal("0.0004"), Decimal("0.9"))


def test_wallets_and_conditions_come_whole() -> None:
    found = market(image())
    found.see_instrument(InstrumentSeen(at_ns=0, instrument=make.instrument()))
    found.see_fees(FeesSeen(at_ns=0, instrument=make.A_BTC, fees=make.fees()))
    venue = VenueId("upbit")
    assert found.wallet(venue, make.BTC).deposit is None
    closed = WalletState(asset=make.BTC, deposit=False, withdraw=True)
    found.see_venue(VenueStatus(at_ns=1, venue=venue, condition=VenueCondition.MAINTENANCE, wallets=(closed,)))

    assert found.wallet(venue, make.BTC) == closed
    assert not found.is_tradable(make.A_BTC)
    assert found.fees[make.A_BTC] == make.fees()


@given(
    st.lists(st.tuples(st.sampled_from(["book", "beat"]), st.integers(0, 3000)), max_size=20), st.integers(0, 15_000)
)
def test_nothing_fresh_is_older_than_its_limits(steps: list[tuple[str, int]], wait_ms: int) -> None:
    found, now_ms, newest_book, newest_frame = market(), 0, None, None
    for kind, step_ms in steps:
        now_ms += step_ms
        newest_frame = now_ms
        if kind == "book":
            newest_book = now_ms
            found.see_depth(DepthSeen(at_ns=now_ms * MS, depth=image(now_ms)))
        else:
            beat(found, now_ms)
    now_ms += wait_ms

    is_fresh = found.staleness(make.A_BTC, now_ms * MS) == ""

    expected = newest_book is not None and newest_frame is not None
    if newest_book is not None and newest_frame is not None:
        expected = now_ms - newest_book <= 10_000 and now_ms - newest_frame <= 1500
    assert is_fresh == expected
