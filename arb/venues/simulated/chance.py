"""Chance as an explicit value: a splitmix64 stream from a seed and a name.

Owns: every random number of the simulated world; two streams of different names are independent.
Never: draws from the machine; the same seed and name give the same numbers on every machine.
Units: in each method's name.
"""

from __future__ import annotations

from math import cos, exp, log, pi, sqrt
from typing import Final

import attrs

_MASK: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15
_P99_SIGMAS: Final = 2.3263478740408408
"""Standard deviations between median and 99th percentile of a normal distribution."""


@attrs.define
class Chance:
    """A stream of random numbers; its whole memory is one 64-bit word."""

    state: int

    def word(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + _STEP) & _MASK
        word = self.state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        return word ^ (word >> 31)

    def uniform(self) -> float:
        """Evenly in [0, 1)."""
        return (self.word() >> 11) * (1.0 / (1 << 53))

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return (self.word() * limit) >> 64

    def normal(self) -> float:
        """Standard normal."""
        radius = sqrt(-2.0 * log(1.0 - self.uniform()))
        return radius * cos(2.0 * pi * self.uniform())

    def latency_ns(self, p50_ms: float, p99_ms: float) -> int:
        """Log-normal with the given median and 99th percentile; nothing when the median is 0."""
        if p50_ms <= 0.0:
            return 0
        sigma = log(max(p99_ms / p50_ms, 1.0)) / _P99_SIGMAS
        return int(p50_ms * 1e6 * exp(sigma * self.normal()))


def stream(seed: int, name: str) -> Chance:
    """The stream of `name` under `seed`."""
    state = Chance((seed ^ 0xD1B54A32D192ED03) & _MASK)
    for byte in name.encode():
        state.state ^= byte * 0xFF51AFD7ED558CCD & _MASK
        state.word()
    return Chance(state.word())
