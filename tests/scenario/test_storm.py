"""A reconnect storm: backoff 1 → 30 s doubling under full jitter, then the budget is spent and REST goes on alone."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from arb.domain.errors import VenueUnavailable
from arb.domain.events import DepthSeen, FeedDown, FeedUp
from arb.domain.ids import FeedId, VenueId
from arb.supervision.clock import AnchoredClock
from arb.supervision.restart import Backoff, BudgetSpent, Restart, RestartBudget, restart
from arb.supervision.stopping import Stop
from arb.venues.simulated.market import MarketPlan
from tests.scenario.whole import run_whole

MARKET = MarketPlan(cadence_ms=500, trade_probability=0.0)
CALM = ("watchdog.max_live_errors_per_minute=1000", "sys_monitor.sample_interval_sec=3600")


class WholeJitter(Random):
    """Waits as long as it may."""

    def uniform(self, a: float, b: float) -> float:
        """The upper end."""
        return max(a, b)


async def test_waits_double_from_one_to_thirty_seconds_and_the_budget_ends_them(autojump_clock: MockClock) -> None:
    told: list[Restart] = []
    began: list[float] = []

    async def fail() -> None:
        began.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        raise VenueUnavailable(VenueId("upbit"), "refused")

    with pytest.raises(BudgetSpent):
        await restart(
            fail,
            name="upbit/public/0",
            backoff=Backoff(initial_s=1.0, max_s=30.0, multiplier=2.0),
            budget=RestartBudget(restarts=8, window_s=900.0),
            random=WholeJitter(),
            clock=AnchoredClock(),
            on_restart=told.append,
        )

    assert [one.wait_s for one in told] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert began == [0, 1, 3, 7, 15, 31, 61, 91, 121]


def test_a_storm_on_every_feed_ends_with_rest_alone_and_no_restart_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flapping = [(at, venue, "disconnect", 400.0) for at, venue in ((10.0, "upbit"), (10.0, "binance_usdm"))]
    overrides = (
        *CALM,
        "ws.restart_budget.restarts=4",
        "watchdog.consecutive_errors=100",
        "ws.reconnect_backoff.max=8.0",
    )
    with caplog.at_level(logging.WARNING):
        whole = run_whole(tmp_path, overrides, seconds=90.0, market=MARKET, faults=flapping)

    assert whole.reason.stop is Stop.GRACEFUL
    events = [step.event for step in whole.steps()]
    for feed in (FeedId("upbit/public/0"), FeedId("binance_usdm/public/0")):
        finals = [event for event in events if isinstance(event, FeedDown) and event.feed == feed and event.is_final]
        assert len(finals) == 1
        later = [event for event in events if isinstance(event, FeedUp) and event.feed == feed]
        assert later[-1].source == "rest"
        assert later[-1].at_ns >= finals[0].at_ns
        restarts = [record for record in caplog.records if record.getMessage() == "restart"]
        waits = [vars(record)["wait_s"] for record in restarts if vars(record)["task"] == feed]
        assert len(waits) == 4
        assert all(0.0 <= wait <= cap for wait, cap in zip(waits, (1.0, 2.0, 4.0, 8.0), strict=True))
    given_up = [vars(record)["task"] for record in caplog.records if record.getMessage() == "given_up"]
    assert {"upbit/public/0", "binance_usdm/public/0"} <= set(given_up)
    newest = [event for event in events if isinstance(event, DepthSeen)][-1]
    assert newest.depth.source.value == "rest"
    assert newest.at_ns > 85_000_000_000


def test_feeds_that_flap_all_at_once_come_back_over_the_stream(tmp_path: Path) -> None:
    flapping = [(at, venue, "disconnect", 2.0) for at in (8.0, 14.0, 20.0, 26.0) for venue in ("upbit", "binance_usdm")]
    whole = run_whole(tmp_path, CALM, seconds=60.0, market=MARKET, faults=flapping)

    assert whole.reason.stop is Stop.GRACEFUL
    assert whole.engine.is_settled()
    last: dict[str, str] = {}
    for step in whole.steps():
        if isinstance(step.event, FeedUp):
            last |= dict.fromkeys(step.event.instruments, step.event.source)
    assert last
    assert set(last.values()) == {"ws"}
