"""Dunamu's quotation server: an undocumented public address, so it is asked gently.

Owns: its one budget.
Units: requests per second.
"""

from __future__ import annotations

from typing import Final

import attrs

from arb.venues.answers import shown
from arb.venues.spec import BackOff, Bucket, HttpResponse, RateReport

BUCKETS: Final = (Bucket(name="forex", capacity=1, window_s=1.0, reserve=0),)
_SILENCE_S: Final = 60.0


@attrs.frozen
class DunamuRate:
    """One request a second; silence for a minute when refused."""

    buckets: tuple[Bucket, ...] = BUCKETS

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """A refusal empties the budget; nothing else is told."""
        return (RateReport(bucket="forex", remaining=0),) if response.status == 429 else ()

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """403, 418 and 429 are refusals."""
        if response.status not in (403, 418, 429):
            return None
        until = f"refused at {wall_ms}: {shown(response.body)}"
        return BackOff(wait_s=_SILENCE_S, is_ban=response.status != 429, reason=until)
