"""What the core is told before anything else.

Owns: the first events of a run, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from arb.cli.schema import BankChoice, Mode, Settings
from arb.cli.surroundings import Surroundings
from arb.cli.venue_access import VenueAccess
from arb.domain.events import ArmingSeen, Event, FxSeen, InstrumentSeen, RunStarted
from arb.engine import EngineConfig
from arb.storage.codec import encode_value


def beginning(
    settings: Settings, around: Surroundings, config: EngineConfig, venues: Iterable[VenueAccess]
) -> Iterator[Event]:
    """Run, arming, the rules of every instrument, and the bank rate where it is fixed.

    With real orders the word on arming comes later: when the books agree with the venues.
    """
    parameters = encode_value(config).decode()
    now_ns, wall_ns = around.clock.monotonic_ns(), around.clock.wall_ns()
    yield RunStarted(at_ns=now_ns, wall_ns=wall_ns, run_id=around.run_id, build=around.build, parameters=parameters)
    if settings.mode is not Mode.LIVE:
        yield ArmingSeen(at_ns=now_ns, is_armed=True)
    for access in venues:
        for instrument in access.instruments.values():
            yield InstrumentSeen(at_ns=now_ns, instrument=instrument)
    fx = settings.fx
    if fx.bank is BankChoice.STATIC and fx.bank_rate is not None:
        yield FxSeen(at_ns=now_ns, rate=fx.bank_rate, source="static", published_ms=wall_ns // 1_000_000)
