"""How things are timed: the clocks of a measurement, samples, and what becomes of them.

Owns: the only clock reads of measurements, and the shape of a result.
Never: chooses what is measured.
Units: `now_ns` CLOCK_MONOTONIC, the same in every process of the machine; `cpu_ns` this process's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import attrs

T = TypeVar("T")

now_ns: Final = time.perf_counter_ns
cpu_ns: Final = time.process_time_ns


@attrs.frozen(kw_only=True)
class Effort:
    """How much time a measure may take."""

    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        """A count by effort."""
        return quick if self.is_quick else full


@attrs.frozen(kw_only=True)
class BenchResult:
    """One measured name."""

    name: str
    unit: str
    median: float
    p99: float
    n: int
    """Samples behind them."""
    reference: str = ""
    """What it is compared with, measured in the same run; empty: nothing."""
    reference_median: float = 0.0
    notes: Mapping[str, float | str] = attrs.field(factory=dict)

    @property
    def ratio(self) -> float:
        """Median over the reference's; 0.0 without one."""
        return self.median / self.reference_median if self.reference_median else 0.0

    def as_row(self) -> dict[str, object]:
        """As it stands in the JSON document."""
        row: dict[str, object] = {
            "name": self.name, "unit": self.unit, "median": _rounded(self.median), "p99": _rounded(self.p99),
            "n": self.n,
        }  # fmt: skip
        if self.reference:
            row |= {
                "reference": self.reference, "reference_median": _rounded(self.reference_median),
                "ratio": _rounded(self.ratio),
            }  # fmt: skip
        return row | {name: _rounded(note) if isinstance(note, float) else note for name, note in self.notes.items()}


@attrs.frozen
class Measure:
    """Something that can be measured: the names it gives, and how."""

    names: tuple[str, ...]
    run: Callable[[Effort], list[BenchResult]]


def quantile(samples: Sequence[float], part: float) -> float:
    """The sample that `part` (0–1) of the others stay below."""
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


def result(name: str, unit: str, samples: Sequence[float], **notes: float | str) -> BenchResult:
    """Median and 99th percentile of samples."""
    return BenchResult(
        name=name, unit=unit, median=quantile(samples, 0.5), p99=quantile(samples, 0.99), n=len(samples), notes=notes
    )


def against(found: BenchResult, reference: str, samples: Sequence[float]) -> BenchResult:
    """The result beside the reference of the same run."""
    return attrs.evolve(found, reference=reference, reference_median=quantile(samples, 0.5))


def timed_each(function: Callable[[T], object], items: Sequence[T]) -> list[float]:
    """Microseconds of each call."""
    found = []
    for item in items:
        began_ns = now_ns()
        function(item)
        found.append((now_ns() - began_ns) / 1e3)
    return found


def interleaved(candidates: Mapping[str, Callable[[], list[float]]], rounds: int) -> dict[str, list[float]]:
    """Samples of every candidate, all of them in every round, so that a slow moment of the machine hits all alike."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            samples[name] += candidate()
    return samples


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
