"""Requests, answers and rate budgets: what every half of a venue speaks of.

Never: waits, opens, reads a clock or draws a nonce: time and nonces are arguments (`Stamp`).
Units: `wall_ms` UTC milliseconds already corrected by the venue's measured offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import attrs


class Priority(Enum):
    """Who takes a rate token first, in this order."""

    CANCEL = 0
    HEDGE = 1
    QUERY = 2
    EXIT = 3
    ENTRY = 4


@attrs.frozen(kw_only=True)
class HttpRequest:
    """A request ready to be sent, signature included."""

    method: str
    path: str
    query: str = ""
    """Without `?`, already percent-encoded."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    bucket: str
    """Name of the rate bucket of this venue that it is taken from."""
    weight: int = 1

    @property
    def target(self) -> str:
        """Path and query as they go on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@attrs.frozen(kw_only=True)
class HttpResponse:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes


def unauthorised(answer: HttpResponse) -> bool:
    """Whether the status says so; some venues say it in the body only."""
    return answer.status == 401


@attrs.frozen(kw_only=True)
class Stamp:
    """The outside facts a signature needs."""

    wall_ms: int
    nonce: str
    """Fresh and unique (a UUID) per request."""


@attrs.frozen(kw_only=True)
class Credentials:
    """An API key pair; the secret never appears in a repr."""

    key: str = attrs.field(repr=lambda value: f"{value[:4]}…" if len(value) > 8 else "…")
    secret: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Bucket:
    """One rate budget: `capacity` units refilled evenly or at once each `window_s`."""

    name: str
    capacity: int
    window_s: float
    reserve: int
    """Units kept back for cancels and hedges, half of them for queries."""
    is_for_orders: bool = False
    """Each new order takes one unit."""


@attrs.frozen(kw_only=True)
class RateReport:
    """What response headers say of a bucket."""

    bucket: str
    used: int | None = None
    remaining: int | None = None


@attrs.frozen(kw_only=True)
class BackOff:
    """The venue wants silence: no request of any kind for `wait_s`."""

    wait_s: float
    is_ban: bool
    reason: str


class RateRules(Protocol):
    """Buckets of a venue and how to read its answers about them."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Budgets as documented."""

    def reports(self, response: HttpResponse) -> tuple[RateReport, ...]:
        """Usage that the headers tell."""

    def back_off(self, response: HttpResponse, wall_ms: int) -> BackOff | None:
        """How long to be silent after this answer; None: not at all."""
