"""The error tree; a class tells the program what to do next.

::

    ArbError
    ├─ TransientError          try again later; only these may restart a task
    │  └─ VenueUnavailable
    │     ├─ RateLimited
    │     ├─ CredentialsRefused
    │     └─ FeedSilent
    ├─ OrderUnknown            the order's fate is NOT known: ask before acting
    ├─ ProtocolError           the venue said something we do not understand
    ├─ ConfigError             a person must fix it; refuse to start
    ├─ UnsafeToTrade           something real is open or unexplained; refuse to start, exit 4
    ├─ JournalFull             the journal cannot take another event; CRITICAL
    └─ InvariantBroken         we are wrong about the world; CRITICAL
"""

from __future__ import annotations


class ArbError(Exception):
    """Root of everything raised on purpose."""


class TransientError(ArbError):
    """The world failed for now: the supervising wrapper restarts the task."""


class VenueUnavailable(TransientError):
    """A venue did not answer, refused the connection or answered 5xx to a read."""

    def __init__(self, venue: str, detail: str) -> None:
        super().__init__(f"{venue}: {detail}")
        self.venue = venue
        self.detail = detail


class RateLimited(VenueUnavailable):
    """The venue told us to slow down; wait `retry_after_s` before any further request."""

    def __init__(self, venue: str, detail: str, retry_after_s: float) -> None:
        super().__init__(venue, detail)
        self.retry_after_s = retry_after_s


class CredentialsRefused(VenueUnavailable):
    """The venue does not accept our key for this (any more): a person must look at it."""


class FeedSilent(VenueUnavailable):
    """The socket is open and nothing arrives: reconnect."""


class OrderUnknown(ArbError):
    """The order may or may not exist: query by client order id, never resubmit."""

    def __init__(self, client_order_id: str, venue: str, detail: str) -> None:
        super().__init__(f"{venue}: order {client_order_id} is unknown: {detail}")
        self.client_order_id = client_order_id
        self.venue = venue
        self.detail = detail


class ProtocolError(ArbError):
    """The venue said something we do not understand; the frame is kept for inspection."""

    def __init__(self, venue: str, detail: str) -> None:
        super().__init__(f"{venue}: {detail}")
        self.venue = venue
        self.detail = detail


class ConfigError(ArbError):
    """A person must fix the configuration; the message says what, where and what to do."""


class UnsafeToTrade(ArbError):
    """Something real is open or unexplained and the engine cannot take care of it: refuse before the first order."""


class JournalFull(ArbError):
    """The journal cannot accept another event (buffer or disk full): leave, CRITICAL."""


class InvariantBroken(ArbError):
    """We are wrong about the world: leave, CRITICAL."""
