"""What the server of a simulated venue and the venue's dialect say to one another.

Owns: requests and answers as values, and the shape of a dialect and of one streaming session.
Never: waits, opens or reads a clock: every call is given the time.
Units: `now_ns` and `ready_ns` are UTC nanoseconds of the simulated world; `_s` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from arb.venues.simulated.facts import Fact


@attrs.frozen(kw_only=True)
class Ask:
    """An HTTP request (or a WebSocket handshake) as it arrived."""

    method: str
    path: str
    query: str = ""
    """Without `?`, as sent: still percent-encoded."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Lower-case names."""
    body: bytes = b""


@attrs.frozen(kw_only=True)
class HttpAnswer:
    """An HTTP answer, whole."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Later:
    """The answer exists only from `ready_ns` on (order latency, a slow venue); None from `resolve`: it never comes."""

    ready_ns: int
    resolve: Callable[[], HttpAnswer | None]


@attrs.frozen
class Closing:
    """End this stream: with a close frame, or (code 0) by resetting the connection."""

    code: int
    reason: str = ""


Out = str | bytes | Closing
"""What a session sends: a text frame, a binary frame, or its end."""


@attrs.frozen(kw_only=True)
class StreamRules:
    """How a venue keeps its WebSocket connections."""

    ping_every_s: float | None
    """The server's pings; None: it sends none."""
    pong_within_s: float
    """A connection whose last pong is older is closed."""
    idle_close_s: float | None
    """Closed when nothing travelled in either direction for so long; None: never."""
    max_connection_s: float = 86_400.0
    max_queued_frames: int = 2_048
    """A client that does not read is dropped when so many frames wait for it."""


class Session(Protocol):
    """One WebSocket connection as the venue sees it."""

    def receive(self, text: str, now_ns: int) -> None:
        """A data frame from the client."""

    def take(self) -> tuple[Out, ...]:
        """Frames that wait to be sent, oldest first; they are handed over once."""


class Dialect(Protocol):
    """One simulated venue in the venue's own protocol."""

    @property
    def venue(self) -> str:
        """Name of the venue folder it speaks for."""

    @property
    def rules(self) -> StreamRules:
        """How its streams are kept."""

    def ask(self, ask: Ask, now_ns: int) -> HttpAnswer | Later:
        """Answer an HTTP request."""

    def open(self, ask: Ask, now_ns: int) -> Session | HttpAnswer:
        """Accept a WebSocket handshake, or refuse it with an answer."""

    def close(self, session: Session) -> None:
        """The connection of this session is gone."""

    def advance(self, facts: tuple[Fact, ...], now_ns: int) -> None:
        """Bring sessions up to what the exchange has done until now."""

    def due_ns(self) -> int | None:
        """When `advance` is wanted at the latest; None: only after new facts."""

    def frozen_until_ns(self, now_ns: int) -> int | None:
        """While half-open: until when connections neither answer nor end; None: they work."""
