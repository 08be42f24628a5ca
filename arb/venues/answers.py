"""What every venue folder does alike: units of venue time, unreadable input, HTTP answers into bodies.

Owns: the list of exceptions that mean "this cannot be read", and the mapping of answers to our errors.
Never: knows a venue's field; waits.
Units: venue times are UTC; `_ns` nanoseconds, `_ms` milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec

from arb.domain.errors import ProtocolError, VenueUnavailable
from arb.venues.spec import HttpResponse

T = TypeVar("T")

Measure = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
"""A price or size of the feed: finite and not negative."""
Exact = Decimal
"""A price or size digit for digit."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An id, sequence or time as venues print them."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding arbitrary bytes may raise."""

_SHOWN_BYTES: Final = 120


def shown(raw: bytes) -> str:
    """The beginning of a frame, for messages."""
    return raw[:_SHOWN_BYTES].decode("utf-8", "replace")


def ns_of(stamp: int) -> int:
    """A venue's time in nanoseconds, whether it printed milliseconds, microseconds or nanoseconds."""
    if stamp < 100_000_000_000_000:
        return stamp * 1_000_000
    return stamp * 1_000 if stamp < 100_000_000_000_000_000 else stamp


def ms_of(stamp: int) -> int:
    """A venue's time in milliseconds, whatever unit it printed."""
    return ns_of(stamp) // 1_000_000


def plain(number: Decimal) -> str:
    """A decimal as digits without exponent."""
    return format(number, "f")


def body_of(venue: str, answer: HttpResponse, decoder: msgspec.json.Decoder[T]) -> T:
    """The decoded body of a good answer.

    Raises:
        VenueUnavailable: the venue answered with an HTTP error.
        ProtocolError: the body cannot be understood.
    """
    if answer.status >= 400:
        raise VenueUnavailable(venue, f"HTTP {answer.status}: {shown(answer.body)}")
    return decoded(venue, answer.body, decoder)


def decoded(venue: str, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A decoded body.

    Raises:
        ProtocolError: it cannot be understood.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise ProtocolError(venue, f"{error}: {shown(body)}") from error
