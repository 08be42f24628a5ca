"""The moving median equals the plain one, at any history."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from arb.strategy.convergence.fair import CHUNK, FairWindow


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(-1e4, 1e4)), max_size=80), st.integers(1, 60))
def test_median_of_the_window(steps: list[tuple[int, float]], width: int) -> None:
    plain: list[tuple[int, float]] = []
    window, bucket = FairWindow(), 0
    for wait, value in steps:
        bucket += wait
        window = window.with_sample(bucket, value, bucket - width)
        plain = [pair for pair in [*plain, (bucket, value)] if pair[0] >= bucket - width]

        assert window.count == len(plain)
        assert window.median == median(value for _, value in plain)
        assert sorted(value for _, value in plain) == [value for chunk in window.ordered for value in chunk]
        assert [pair for chunk in window.timeline for pair in chunk] == plain


def test_a_long_window_stays_chunked_and_bounded() -> None:
    window = FairWindow()
    values = [(i * 7919) % 4001 / 10 for i in range(6000)]
    for bucket, value in enumerate(values):
        window = window.with_sample(bucket, value, bucket - 3999)

    assert window.count == 4000
    assert window.median == median(values[-4000:])
    assert max(len(chunk) for chunk in window.ordered + window.timeline) <= CHUNK


def test_no_samples_no_level() -> None:
    assert FairWindow().median == 0.0
