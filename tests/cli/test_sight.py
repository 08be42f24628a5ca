"""What the observers make of what they are told."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from arb.cli.observers import observers
from arb.cli.settings import load_settings
from arb.cli.sight import Sight
from arb.domain.errors import VenueUnavailable
from arb.domain.ids import RunId, VenueId
from arb.supervision.restart import Restart

LIVE = Path(__file__).parents[2] / "config" / "live.toml"
UPBIT = VenueId("upbit")


class StoppedClock:
    def monotonic_ns(self) -> int:
        return 0

    def wall_ns(self) -> int:
        return 1_795_242_816_000_000_000


def sight() -> Sight:
    settings = load_settings(LIVE, environ={}).settings
    console = Console(file=StringIO())
    return observers(settings, StoppedClock(), run_id=RunId("r1"), build="0", console=console).sight


def restart(failures: int) -> Restart:
    error = VenueUnavailable(UPBIT, "websocket handshake answered 503")
    return Restart(name="upbit/public/0", error=error, failures=failures, wait_s=1.0)


def test_a_storm_of_reconnects_is_one_error_of_its_venue() -> None:
    seen = sight()

    for failures in range(1, 15):
        seen.restarted(restart(failures))

    assert seen.venue_errors[UPBIT].count() == 1


def test_every_new_outage_counts() -> None:
    seen = sight()

    for _ in range(6):
        seen.restarted(restart(1))

    assert seen.venue_errors[UPBIT].count() == 6
