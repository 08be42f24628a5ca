"""Evaluations at the tick of the interval: counting them, waiting until there is something to evaluate, and saying
what came of them.

Owns: `--once`, `--loops` and the readiness that `/health/ready` shows.
Never: decides.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid

from arb.cli.errand_run import ErrandRun
from arb.cli.sight import Sight
from arb.domain.events import Event, Tick
from arb.engine import Engine
from arb.ports import Clock
from arb.supervision.root import Drain
from arb.supervision.stopping import Stop, StopRequest


class Evaluations:
    """Told of every turn of the decision loop."""

    def __init__(
        self,
        engine: Engine,
        drain: Drain,
        sight: Sight,
        stop: StopRequest,
        clock: Clock,
        *,
        limit: int | None,
        must_be_ready: bool,
        ready_within_s: float,
        errand: ErrandRun | None = None,
    ) -> None:
        self._engine = engine
        self._drain = drain
        self._sight = sight
        self._stop = stop
        self._clock = clock
        self._limit = limit
        self._must_be_ready = must_be_ready
        self._errand = errand
        self._deadline_ns = clock.monotonic_ns() + round(ready_within_s * 1e9)
        self._count = 0
        self._was_ready = False

    def after_turn(self, event: Event) -> None:
        """Let the drain look; count an evaluation at the tick."""
        self._drain.after_turn()
        if self._errand is not None:
            self._errand.after_turn(event)
        if not isinstance(event, Tick) or not event.is_loop:
            return
        self._sight.turned()
        is_ready = self._engine.is_ready()
        self._sight.board.ready(is_ready)
        if is_ready and not self._was_ready:
            self._was_ready = True
            self._sight.became_ready(fx_words(self._engine, self._clock))
        if self._must_be_ready and not is_ready:
            if self._clock.monotonic_ns() >= self._deadline_ns:
                self._stop.ask(
                    Stop.FAILED,
                    "the feeds were not ready in time (watchdog.startup_grace_s): " + "; ".join(self._engine.missing()),
                )
            return
        self._count += 1
        if self._limit is not None and self._count >= self._limit:
            self._stop.ask(Stop.GRACEFUL, f"{self._count} evaluation{'s' if self._count > 1 else ''} done")


def fx_words(engine: Engine, clock: Clock) -> str:
    """The executable FX as it stands, with its source and age."""
    fx = engine.memory.fx
    if fx.params.executable is None:
        return f"FX {fx.mid:,.2f} KRW per USDT, static by configuration"
    age_s = (clock.monotonic_ns() - fx.received_ns) / 1e9
    return f"FX {fx.bid:,.1f} / {fx.ask:,.1f} KRW per USDT, {fx.params.executable}, {age_s:.1f} s old"


def explain(console: Console, engine: Engine) -> None:
    """What was decided last for each pair, and why."""
    grid = Grid("pair", "direction", "d, bps", "fair", "gross", "expected", "missed by", "why no entry", box=None)
    for pair, look in sorted(engine.looks().items()):
        numbers = (look.d_bps, look.fair_bps, look.gross_bps, look.best_bps, look.missed_by_bps)
        grid.add_row(pair, look.direction.value, *(_bps(number) for number in numbers), look.refusal or "intent made")
    console.print(grid)


def _bps(value: float | None) -> str:
    return "–" if value is None or value in (float("inf"), float("-inf")) else f"{value:+.2f}"
