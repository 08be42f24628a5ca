"""A simulated world driven by hand: requests go straight to a dialect and time passes when a test says so.

Owns: the stepping of the world; no stream, no task.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from urllib.parse import urlsplit

from arb.domain.ids import InstrumentId
from arb.domain.instrument import Instrument
from arb.venues import load_venue
from arb.venues.simulated.dialect import Ask, HttpAnswer, Out, Session
from arb.venues.simulated.listings import listing
from arb.venues.simulated.models import FaultScript
from arb.venues.simulated.world import WorldPlan
from arb.venues.spec import Credentials, HttpRequest, HttpResponse, PrivateTarget, Stamp, VenueSpec
from arb.venues.wire.simulation import SimParams, Simulation, credentials_of, open_simulation

START_NS = 1_760_000_000_000_000_000
NAMES = ("upbit:KRW-BTC", "upbit:KRW-USDT", "binance_spot:BTCUSDT", "binance_usdm:BTCUSDT")
SEED = 7


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def monotonic_ns(self) -> int:
        return self.now_ns - START_NS

    def wall_ns(self) -> int:
        return self.now_ns


class Floor:
    """One venue of a world, and a client's means to reach it."""

    def __init__(self, venue: str, *, faults: tuple[FaultScript, ...] = (), names: tuple[str, ...] = NAMES) -> None:
        self.venue = venue
        self.clock = HandClock()
        plan = WorldPlan(
            seed=SEED,
            start_ns=START_NS,
            instruments=tuple(listing(InstrumentId(name)) for name in names),
            faults=faults,
        )
        self.simulation: Simulation = open_simulation(SimParams(world=plan), self.clock)
        self.front = self.simulation.fronts[venue]
        self.credentials: Credentials = credentials_of(venue, SEED)
        self.spec: VenueSpec = load_venue(venue)
        self.instruments: tuple[Instrument, ...] = tuple(one for one in plan.instruments if one.venue == venue)
        self.nonces = count(1)
        self.run(0.5)

    @property
    def now_ns(self) -> int:
        return self.clock.now_ns

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.clock.now_ns + int(seconds * 1e9)
        self.simulation.advance(self.clock.now_ns)
        while self.clock.now_ns < end_ns:
            assert self.simulation.due_ns() > self.clock.now_ns, "something is due and never done"
            self.clock.now_ns = min(end_ns, max(self.simulation.due_ns(), self.clock.now_ns + 1))
            self.simulation.advance(self.clock.now_ns)

    def stamp(self) -> Stamp:
        return Stamp(wall_ms=self.clock.now_ns // 1_000_000, nonce=f"nonce-{next(self.nonces)}")

    def http(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> HttpResponse | None:
        """Ask and wait; None: never answered."""
        parts = urlsplit(target)
        ask = Ask(method=method, path=parts.path, query=parts.query, headers=headers or {}, body=body)
        found = self.front.control(ask, self.now_ns) or self.front.dialect.ask(ask, self.now_ns)
        if not isinstance(found, HttpAnswer):
            self.run(max(0, found.ready_ns - self.now_ns) / 1e9)
            answer = found.resolve()
            self.simulation.advance(self.now_ns)
            if answer is None:
                return None
            found = answer
        return HttpResponse(
            status=found.status, headers={name.lower(): value for name, value in found.headers}, body=found.body
        )

    def send(self, request: HttpRequest) -> HttpResponse:
        """A client's request, answered."""
        headers = {name.lower(): value for name, value in request.headers}
        answer = self.http(request.method, request.target, headers, request.body)
        assert answer is not None, f"{request.target} was never answered"
        return answer

    def open(self, target: str, headers: tuple[tuple[str, str], ...] = ()) -> Session | HttpAnswer:
        """A WebSocket handshake."""
        parts = urlsplit(target)
        lower = {name.lower(): value for name, value in headers}
        return self.front.dialect.open(
            Ask(method="GET", path=parts.path, query=parts.query, headers=lower), self.now_ns
        )

    def session(self, target: str, *opening: str, headers: tuple[tuple[str, str], ...] = ()) -> Session:
        """An accepted handshake with its first frames sent."""
        session = self.open(target, headers)
        assert not isinstance(session, HttpAnswer), f"{target} was refused with {session.status}"
        for text in opening:
            session.receive(text, self.now_ns)
        return session

    def private(self, base: str, target: PrivateTarget) -> Session:
        """The private stream as the client wants it."""
        return self.session(base + target.path, *target.opening, headers=target.headers)


def frames(session: Session) -> tuple[bytes, ...]:
    """Data frames that wait, as bytes; the end of a stream is left out."""
    return tuple(
        out if isinstance(out, bytes) else out.encode() for out in session.take() if isinstance(out, str | bytes)
    )


def outs(session: Session) -> tuple[Out, ...]:
    """Everything that waits."""
    return session.take()
