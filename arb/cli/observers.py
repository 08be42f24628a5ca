"""What watches a run: metrics, health board, tap and sight, made together.

Owns: their construction, the same for a real run and a simulated one.
"""

from __future__ import annotations

import attrs
from rich.console import Console

from arb.cli.schema import Mode, Settings
from arb.cli.sight import Sight
from arb.cli.venue_access import wanted_instruments
from arb.domain.ids import RunId
from arb.ports import Clock
from arb.supervision.decision import LoopMeter
from arb.telemetry.health import HealthBoard, RunFacts
from arb.telemetry.metrics import Metrics
from arb.telemetry.tap import FeedTap


@attrs.frozen(kw_only=True)
class Observers:
    """Everything that only looks."""

    metrics: Metrics
    tap: FeedTap
    meter: LoopMeter
    sight: Sight


def observers(settings: Settings, clock: Clock, *, run_id: RunId, build: str, console: Console) -> Observers:
    """The observers of one run."""
    venues = tuple(wanted_instruments(settings))
    size = settings.monitoring.buffer_size
    meter = LoopMeter(size)
    pairs = [pair.name for pair in settings.pairs]
    metrics = Metrics(
        clock,
        venues=venues,
        pairs=pairs,
        data_source=settings.data_source.value,
        buffer_size=size,
        loop_times=meter.statistics,
    )
    facts = RunFacts(
        mode=settings.mode.value,
        env=settings.env,
        data_source=settings.data_source.value,
        build=build,
        run_id=run_id,
        live_enabled=settings.mode is Mode.LIVE,
    )
    sight = Sight(clock=clock, console=console, metrics=metrics, board=HealthBoard(clock, facts), venues=venues)
    return Observers(metrics=metrics, tap=FeedTap(clock, metrics), meter=meter, sight=sight)
