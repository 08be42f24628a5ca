"""The fair level: a median of `d` over a moving window, as a frozen value.

Owns: the samples in time order and in order of size, both in chunks so that one more sample copies little.
Never: decides what is sampled.
Units: buckets are whole sample spacings since the clock's zero; values in bps.

Invariant: both orders hold the same samples (tests/strategy/test_fair.py).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import attrs

CHUNK: Final = 256
"""Most samples in one chunk."""

Chunks = tuple[tuple[float, ...], ...]


@attrs.frozen
class FairWindow:
    """Samples of the last `fair_window_s`, at most one per bucket."""

    timeline: tuple[tuple[tuple[int, float], ...], ...] = ()
    """(bucket, value), oldest first."""
    ordered: Chunks = ()
    """The same values, ascending."""
    count: int = 0

    def with_sample(self, bucket: int, value: float, oldest_bucket: int) -> FairWindow:
        """One more sample, and none older than `oldest_bucket`."""
        timeline, ordered, count = self.timeline, self.ordered, self.count
        while timeline and timeline[0][0][0] < oldest_bucket:
            ordered = _without(ordered, timeline[0][0][1])
            timeline = (timeline[0][1:], *timeline[1:]) if len(timeline[0]) > 1 else timeline[1:]
            count -= 1
        if timeline and len(timeline[-1]) < CHUNK:
            timeline = (*timeline[:-1], (*timeline[-1], (bucket, value)))
        else:
            timeline = (*timeline, ((bucket, value),))
        return FairWindow(timeline, _with(ordered, value), count + 1)

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two middle ones; 0.0 of no samples."""
        if not self.count:
            return 0.0
        upper = _at(self.ordered, self.count // 2)
        return upper if self.count % 2 else (_at(self.ordered, self.count // 2 - 1) + upper) / 2


def _with(chunks: Chunks, value: float) -> Chunks:
    if not chunks:
        return ((value,),)
    index = _chunk_of(chunks, value)
    chunk = chunks[index]
    place = bisect_left(chunk, value)
    grown = (*chunk[:place], value, *chunk[place:])
    if len(grown) <= CHUNK:
        return (*chunks[:index], grown, *chunks[index + 1 :])
    half = CHUNK // 2
    return (*chunks[:index], grown[:half], grown[half:], *chunks[index + 1 :])


def _without(chunks: Chunks, value: float) -> Chunks:
    index = _chunk_of(chunks, value)
    chunk = chunks[index]
    place = bisect_left(chunk, value)
    left = (*chunk[:place], *chunk[place + 1 :])
    return (*chunks[:index], left, *chunks[index + 1 :]) if left else (*chunks[:index], *chunks[index + 1 :])


def _chunk_of(chunks: Chunks, value: float) -> int:
    for index, chunk in enumerate(chunks):
        if value <= chunk[-1]:
            return index
    return len(chunks) - 1


def _at(chunks: Chunks, rank: int) -> float:
    for chunk in chunks:
        if rank < len(chunk):
            return chunk[rank]
        rank -= len(chunk)
    return chunks[-1][-1]
