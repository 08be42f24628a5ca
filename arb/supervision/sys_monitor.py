"""What the process takes: CPU, memory, descriptors, threads.

Owns: the newest sample.
Units: percent of one core, bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Never

import attrs
import psutil
import trio

SETTLE_S: Final = 5.0
"""A CPU share over less than this says nothing."""


@attrs.frozen(kw_only=True)
class ProcessSample:
    """One reading of the process."""

    cpu_percent: float
    rss_bytes: int
    fds_count: int
    threads_count: int


def sampler() -> Callable[[], ProcessSample]:
    """A function that reads this process; the CPU share is since the last call."""
    process = psutil.Process()
    process.cpu_percent()

    def sample() -> ProcessSample:
        with process.oneshot():
            return ProcessSample(
                cpu_percent=process.cpu_percent(),
                rss_bytes=process.memory_info().rss,
                fds_count=process.num_fds(),
                threads_count=process.num_threads(),
            )

    return sample


async def monitor(
    sample: Callable[[], ProcessSample], interval_s: float, on_sample: Callable[[ProcessSample], None]
) -> Never:
    """Sample soon, once a share of CPU means something, and then every `interval_s`."""
    await trio.sleep(min(SETTLE_S, interval_s))
    while True:
        on_sample(sample())
        await trio.sleep(interval_s)
