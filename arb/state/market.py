"""The newest market data of every instrument, and whether it may be believed.

Owns: newest book per instrument, liveness of every connection, funding rates, rules, fees and venue conditions.
Never: walks a book or judges an edge.
Units: times monotonic `_ns` of this run; `wall_ns`, `venue_ns` UTC; prices floats in the instrument's quote.

A book is *as of* the newest frame on its connection minus the measured latency, while it is itself younger than
`max_quiet_s` and the connection younger than `max_conn_silence_ms`. Every freshness clock starts at never.
Invariant (I8): nothing is called fresh that is older than its limit (tests/state/test_market.py).
"""

from __future__ import annotations

from typing import Final

import attrs

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
from arb.domain.fees import FeeSchedule
from arb.domain.ids import AssetId, FeedId, InstrumentId, VenueId, venue_of
from arb.domain.instrument import Instrument, InstrumentStatus
from arb.domain.params import param

NEVER_NS: Final = -(1 << 62)
"""Before everything: the start of every freshness clock."""

_MS: Final = 1_000_000
_WS: Final = DepthSource.WS


@attrs.frozen(kw_only=True)
class FreshnessLimits:
    """How old data may be; values come from `[risk]`."""

    max_book_age_ms: int = param("ms", 50, 60_000)
    max_quiet_s: float = param("s", 0.1, 600)
    max_conn_silence_ms: int = param("ms", 50, 60_000)
    max_feed_lag_ms: int = param("ms", 10, 60_000)
    max_skew_ms: int = param("ms", 1, 60_000)


@attrs.define(kw_only=True)
class MarketBook:
    """The newest image of one instrument and what was measured at its arrival."""

    depth: Depth
    mid: float
    lag_ns: int | None
    """Arrival minus the venue's own time; None: the venue prints none."""
    is_usable: bool
    """Two-sided and not crossed or locked."""


@attrs.define(kw_only=True)
class FeedLife:
    """One connection."""

    last_frame_ns: int = NEVER_NS
    latency_ns: int = 0
    is_up: bool = True
    """Until told otherwise: a feed that never said anything is silent, not down."""
    lost: tuple[InstrumentId, ...] = ()
    """Its books that are down, sorted: each comes back by its own word, not by its neighbour's."""
    is_final: bool = False
    reason: str = ""

    def serves(self, instrument: InstrumentId) -> bool:
        """Whether its word on a book is to be believed."""
        return self.is_up and instrument not in self.lost


@attrs.define
class Market:
    """What the engine believes of the markets; one `see_…` per event, then questions."""

    limits: FreshnessLimits
    books: dict[InstrumentId, MarketBook] = attrs.field(factory=dict)
    feeds: dict[FeedId, FeedLife] = attrs.field(factory=dict)
    instruments: dict[InstrumentId, Instrument] = attrs.field(factory=dict)
    fees: dict[InstrumentId, FeeSchedule] = attrs.field(factory=dict)
    funding: dict[InstrumentId, FundingRateSeen] = attrs.field(factory=dict)
    venues: dict[VenueId, VenueStatus] = attrs.field(factory=dict)
    anchor_ns: int = 0
    anchor_wall_ns: int = 0
    trusted_from_ns: int = NEVER_NS
    """Data received before this is of unknown age (the clock jumped)."""

    # --- folding

    def anchor(self, at_ns: int, wall_ns: int) -> None:
        """Tie the two readings of the clock together."""
        self.anchor_ns = at_ns
        self.anchor_wall_ns = wall_ns

    def jump(self, event: ClockJumped) -> None:
        """The wall clock moved: no age is believed until fresh data arrives."""
        self.anchor(event.at_ns, event.wall_ns)
        self.trusted_from_ns = event.at_ns

    def see_depth(self, event: DepthSeen) -> bool:
        """Take a newer image; False: it is older than what is known, and ignored."""
        depth = event.depth
        known, received_ns = self.books.get(depth.instrument), depth.received_ns
        if known is not None and received_ns < known.depth.received_ns:
            return False
        venue_ns, bids, asks = depth.venue_ns, depth.bids, depth.asks
        lag_ns = None if venue_ns is None else self.anchor_wall_ns + received_ns - self.anchor_ns - venue_ns
        usable = bool(bids and asks) and bids[0] < asks[0]
        mid = (bids[0] + asks[0]) / 2 if usable else 0.0
        if known is None:
            self.books[depth.instrument] = MarketBook(depth=depth, mid=mid, lag_ns=lag_ns, is_usable=usable)
        else:
            known.depth, known.mid, known.lag_ns, known.is_usable = depth, mid, lag_ns, usable
        if depth.source is _WS:
            feed = self.feeds.get(depth.feed) or self._feed(depth.feed)
            if received_ns > feed.last_frame_ns:
                feed.last_frame_ns = received_ns
        return True

    def see_feed(self, event: FeedSeen) -> None:
        """A frame of any kind arrived on a connection."""
        feed = self._feed(event.feed)
        feed.last_frame_ns = max(feed.last_frame_ns, event.last_frame_ns)
        feed.latency_ns = event.latency_ns

    def feed_up(self, event: FeedUp) -> None:
        """A connection serves these books again."""
        feed = self._feed(event.feed)
        feed.lost = tuple(name for name in feed.lost if name not in event.instruments)
        feed.is_up, feed.is_final, feed.reason = True, False, ""

    def feed_down(self, event: FeedDown) -> None:
        """A connection serves these books no longer (none named: nothing at all); not to be believed until up again."""
        feed = self._feed(event.feed)
        feed.lost = tuple(sorted({*feed.lost, *event.instruments}))
        feed.is_up = feed.is_up and bool(event.instruments)
        feed.is_final, feed.reason = event.is_final, event.reason

    def see_funding(self, event: FundingRateSeen) -> None:
        """A new prediction; past rates are kept when the event brings none."""
        known = self.funding.get(event.instrument)
        if known is not None and not event.past_rates:
            event = attrs.evolve(event, past_rates=known.past_rates)
        self.funding[event.instrument] = event

    def see_instrument(self, event: InstrumentSeen) -> None:
        """A venue's rules, whole."""
        self.instruments[event.instrument.id] = event.instrument

    def see_fees(self, event: FeesSeen) -> None:
        """Fee rates in force."""
        self.fees[event.instrument] = event.fees

    def see_venue(self, event: VenueStatus) -> None:
        """Condition, wallets and rate budget of a venue, whole."""
        self.venues[event.venue] = event

    # --- questions

    def wall_ns(self, at_ns: int) -> int:
        """UTC of a monotonic time, by the newest anchor."""
        return self.anchor_wall_ns + at_ns - self.anchor_ns

    def book(self, instrument: InstrumentId) -> MarketBook | None:
        """The newest image, believable or not."""
        return self.books.get(instrument)

    def staleness(self, instrument: InstrumentId, now_ns: int) -> str:
        """Why the book is not to be believed, by name; empty when it is fresh."""
        book = self.books.get(instrument)
        if book is None:
            return "no_book"
        if not book.is_usable:
            return "crossed" if book.depth.is_crossed else "one_sided"
        depth = book.depth
        if depth.received_ns < self.trusted_from_ns:
            return "clock_jumped"
        limits = self.limits
        if now_ns - depth.received_ns > limits.max_quiet_s * 1e9:
            return "quiet"
        if book.lag_ns is not None and book.lag_ns > limits.max_feed_lag_ms * _MS:
            return "lag"
        if depth.source is DepthSource.WS:
            feed = self._feed(depth.feed)
            if not feed.serves(instrument):
                return "feed_down"
            if now_ns - feed.last_frame_ns > limits.max_conn_silence_ms * _MS:
                return "silent"
        if now_ns - self.as_of_ns(instrument) > limits.max_book_age_ms * _MS:
            return "stale"
        return ""

    def as_of_ns(self, instrument: InstrumentId) -> int:
        """The moment the book describes; NEVER_NS when there is none."""
        book = self.books.get(instrument)
        if book is None:
            return NEVER_NS
        depth = book.depth
        if depth.source is DepthSource.REST:
            return depth.received_ns
        feed = self._feed(depth.feed)
        return max(feed.last_frame_ns, depth.received_ns) - feed.latency_ns

    def pair_refusal(self, a: InstrumentId, b: InstrumentId, fx: InstrumentId | None, now_ns: int) -> str:
        """Why the data of a pair supports no decision (`stale_a`, `lag_b`, `silent_fx`, `skew`); empty when it does.

        `fx` is the executable FX book; None where the rate is static.
        """
        for instrument, suffix in ((a, "_a"), (b, "_b"), (fx, "_fx")):
            if instrument is not None:
                found = self.staleness(instrument, now_ns)
                if found:
                    return found + suffix
        return "skew" if self._is_skewed(a, b, fx) else ""

    def _is_skewed(self, a: InstrumentId, b: InstrumentId, fx: InstrumentId | None) -> bool:
        """Whether two of the books lie too far apart in time, the uncertainty of REST images included."""
        limit_ns = self.limits.max_skew_ms * _MS
        at_a, off_a, at_b, off_b = self.as_of_ns(a), self._uncertainty_ns(a), self.as_of_ns(b), self._uncertainty_ns(b)
        if abs(at_a - at_b) + off_a + off_b > limit_ns:
            return True
        if fx is None:
            return False
        at_fx, off_fx = self.as_of_ns(fx), self._uncertainty_ns(fx)
        return abs(at_a - at_fx) + off_a + off_fx > limit_ns or abs(at_b - at_fx) + off_b + off_fx > limit_ns

    def is_tradable(self, instrument: InstrumentId) -> bool:
        """Whether the venue is up, takes orders for it, and its feed serves."""
        rules = self.instruments.get(instrument)
        status = self.venues.get(venue_of(instrument))
        if rules is None or rules.status not in (InstrumentStatus.TRADING, InstrumentStatus.DELISTING):
            return False
        return (status is None or status.condition is VenueCondition.UP) and self.is_served(instrument)

    def is_served(self, instrument: InstrumentId) -> bool:
        """Whether the connection of its newest book is up; REST images serve while they come."""
        book = self.books.get(instrument)
        if book is None:
            return False
        return book.depth.source is DepthSource.REST or self._feed(book.depth.feed).serves(instrument)

    def wallet(self, venue: VenueId, asset: AssetId) -> WalletState:
        """What is known of an asset's deposits and withdrawals."""
        status = self.venues.get(venue)
        for wallet in status.wallets if status is not None else ():
            if wallet.asset == asset:
                return wallet
        return WalletState(asset=asset, deposit=None, withdraw=None)

    def _feed(self, feed: FeedId) -> FeedLife:
        found = self.feeds.get(feed)
        if found is None:
            found = self.feeds[feed] = FeedLife()
        return found

    def _uncertainty_ns(self, instrument: InstrumentId) -> int:
        book = self.books.get(instrument)
        return book.depth.uncertainty_ns if book is not None else 0
