"""The book against a plain dict."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from arb.state.book import Book, Ladder, is_crossed

PRICES = st.integers(1, 120).map(lambda tick: tick / 10)
PAIRS = st.lists(st.tuples(PRICES, st.sampled_from([0.0, 0.0, 0.25, 1.5, 7.0])), max_size=12)
COUNTS = st.sampled_from([1, 3, 15])


def best(levels: dict[float, float], count: int, is_bid: bool) -> tuple[float, ...]:
    return tuple(value for price in sorted(levels, reverse=is_bid)[:count] for value in (price, levels[price]))


def changed(levels: dict[float, float], pairs: list[tuple[float, float]]) -> dict[float, float]:
    merged = {**levels, **dict(pairs)}
    return {price: size for price, size in merged.items() if size}


class BookAgainstDict(RuleBasedStateMachine):
    """Random snapshots, updates, losses and reads."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.is_synced = False

    @rule(bids=PAIRS, asks=PAIRS, sequence=st.integers(0, 10**12))
    def load(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]], sequence: int) -> None:
        self.book.load(bids, asks, sequence)
        self.bids, self.asks, self.is_synced = changed({}, bids), changed({}, asks), True
        assert self.book.sequence == sequence

    @precondition(lambda self: self.is_synced)
    @rule(bids=PAIRS, asks=PAIRS)
    def apply(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
        self.book.apply(bids, asks, self.book.sequence + 1)
        self.bids, self.asks = changed(self.bids, bids), changed(self.asks, asks)

    @rule()
    def lose(self) -> None:
        self.book.lose()
        self.is_synced = False

    @rule(count=COUNTS)
    def read(self, count: int) -> None:
        sides = self.book.top(count)
        if not self.is_synced:
            assert sides is None
        else:
            assert sides == (best(self.bids, count, True), best(self.asks, count, False))

    @invariant()
    def lost_book_yields_no_depth(self) -> None:
        """I4."""
        if not self.is_synced:
            assert self.book.top(1) is None


TestBookAgainstDict = BookAgainstDict.TestCase
TestBookAgainstDict.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@given(st.lists(st.lists(st.tuples(PRICES, st.sampled_from([0.0, 1.0, 2.0])), max_size=60), max_size=30), COUNTS)
@settings(deadline=None, max_examples=30)
def test_reading_seldom_gives_what_reading_often_gives(updates: list[list[tuple[float, float]]], count: int) -> None:
    often, seldom = Ladder(True), Ladder(True)
    for pairs in updates:
        often.apply(pairs)
        often.top(count)
        seldom.apply(pairs)
    assert often.top(count) == seldom.top(count)


def test_many_updates_between_reads_are_not_remembered_one_by_one() -> None:
    ladder = Ladder(False)
    ladder.load([(float(price), 1.0) for price in range(1, 200)])
    ladder.top(5)
    for number in range(2_000):
        ladder.apply([(1.0 + number % 7 / 10, 1.0 + number)])
    assert len(ladder._touched) <= 512
    assert ladder.top(2)[0] == 1.0


def test_crossed_and_locked_sides_are_told() -> None:
    assert is_crossed((10.0, 1.0), (9.0, 1.0))
    assert is_crossed((10.0, 1.0), (10.0, 1.0))
    assert not is_crossed((10.0, 1.0), (10.1, 1.0))
    assert not is_crossed((), (10.0, 1.0))
