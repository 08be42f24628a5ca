"""A day of the whole engine on a virtual clock; trades, outages; the same seed is the same day, bit for bit."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import trio

from arb.domain.events import FeedDown, FeedUp, FundingPaid
from arb.domain.tables import PARTS_KRW, PARTS_USDT
from arb.supervision.stopping import Stop
from arb.venues.simulated.market import MarketPlan
from tests.scenario.whole import deterministic, run_whole

DAY_S = 86_400.0
ONE_PAIR = (
    'pairs=[{name="BTC",a="upbit:KRW-BTC",b="binance_usdm:BTCUSDT",kind="spot_perp",multiplier=1,'
    'directions=["long_a"],identity_max_dev=0.1}]'
)
SLOW = (
    ONE_PAIR,
    "interval=600",
    "ws.silent_after_ms=120000",
    "watchdog.interval_s=120",
    "watchdog.max_ws_lag_ms=600000",
    "watchdog.warn_ws_lag_ms=300000",
    "watchdog.max_loop_latency_ms=600000",
    "watchdog.warn_loop_latency_ms=600000",
    "venues.upbit.heartbeat_interval=90",
    "venues.binance_usdm.heartbeat_interval=120",
    "fx.max_age_ms=120000",
    "risk.max_book_age_ms=60000",
    "risk.max_quiet_s=600",
    "risk.max_conn_silence_ms=60000",
    "risk.max_skew_ms=60000",
    "strategy.convergence.fair_min_samples=10",
    "strategy.convergence.confirm_ms=0",
    "execution.position_check_s=600",
    "risk.wallet_poll_s=900",
    "risk.wallet_unknown_s=3600",
)
"""One pair, and every limit and timer as wide as one message a minute needs."""
MARKET = MarketPlan(
    cadence_ms=59_000, mark_every_ms=59_000, period_s=3_600.0, vol_bps=0.1, levels=15, trade_probability=0.0
)
FAULTS = (
    (5_000.0, "upbit", "disconnect", 40.0),
    (12_000.0, "binance_usdm", "tcp_reset", 0.0),
    (20_000.0, "upbit", "http_5xx", 600.0),
    (31_000.0, "binance_usdm", "disconnect", 40.0),
    (40_000.0, "upbit", "half_open", 60.0),
    (52_000.0, "binance_usdm", "garbage", 30.0),
    (61_000.0, "upbit", "tcp_reset", 0.0),
    (70_000.0, "binance_usdm", "maintenance", 1_800.0),
)


@attrs.frozen
class Day:
    """What is left of a day."""

    stop: Stop
    journal: bytes
    ledgers: dict[str, Any]
    trades: list[dict[str, str]]
    positions: list[dict[str, str]]
    account: list[dict[str, str]]
    downs: tuple[FeedDown, ...]
    ups: tuple[FeedUp, ...]
    fundings: tuple[FundingPaid, ...]
    is_settled: bool


def day(seed: int, seconds: float = DAY_S) -> Day:
    """Live it."""
    with TemporaryDirectory() as directory:
        whole = run_whole(
            Path(directory),
            SLOW,
            seconds=seconds,
            seed=seed,
            market=MARKET,
            faults=FAULTS,
            check_s=120.0,
            status_every_s=900.0,
        )
        events = [step.event for step in whole.steps()]
        return Day(
            whole.reason.stop,
            whole.journal_bytes(),
            whole.ledgers(),
            whole.rows("trades"),
            whole.rows("positions"),
            whole.rows("account"),
            tuple(event for event in events if isinstance(event, FeedDown)),
            tuple(event for event in events if isinstance(event, FeedUp)),
            tuple(event for event in events if isinstance(event, FundingPaid)),
            whole.engine.is_settled(),
        )


@cache
def first_day() -> Day:
    """The day that the tests share."""
    return day(7)


def test_a_day_sees_whole_trades_outages_and_funding_and_ends_settled() -> None:
    lived = first_day()

    kinds = [row["kind"] for row in lived.trades]
    assert kinds.count("OPEN") >= 10
    assert kinds.count("CLOSE") >= 10
    assert lived.stop is Stop.GRACEFUL
    assert lived.is_settled
    assert {down.feed.partition("/")[0] for down in lived.downs} == {"upbit", "binance_usdm"}
    assert len(lived.fundings) >= 1


def test_a_day_leaves_no_result_and_no_account_unexplained() -> None:
    lived = first_day()

    assert {row["occasion"] for row in lived.account} >= {"hour", "day", "end"}
    calm = [row for row in lived.account if row["is_in_flight"] == "false"]
    assert len(calm) >= 20
    for row in calm:
        assert abs(Decimal(row["unexplained_krw"])) <= Decimal("1e-4"), row
        assert abs(Decimal(row["unexplained_usdt"])) <= Decimal("1e-6"), row
    assert len(lived.positions) >= 10
    for row in lived.positions:
        for parts, total in ((PARTS_KRW, "pnl_krw"), (PARTS_USDT, "pnl_usdt")):
            assert sum(Decimal(row[name]) for name in parts) == Decimal(row[total]), row["id"]


def test_every_feed_that_went_down_came_back_over_the_stream() -> None:
    lived = first_day()

    for down in lived.downs:
        later = [up for up in lived.ups if up.feed == down.feed and up.at_ns > down.at_ns and up.source == "ws"]
        assert {name for up in later for name in up.instruments} >= set(down.instruments)


def test_the_same_seed_lives_the_same_day_byte_for_byte() -> None:
    again = day(7)

    assert again.journal == first_day().journal
    assert again.ledgers == first_day().ledgers


def test_another_seed_lives_another_day() -> None:
    other, same = day(8, 7_200.0), day(7, 7_200.0)

    assert other.journal != same.journal
    assert other.ledgers != same.ledgers


def test_trio_still_has_the_switch_and_the_generator_that_make_its_scheduling_repeatable() -> None:
    async def finishing_order() -> list[int]:
        order: list[int] = []

        async def finish(number: int) -> None:
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(finish, number)
        return order

    found = []
    for seed in (1, 1, 2):
        with deterministic(seed):
            found.append(trio.run(finishing_order))

    assert found[0] == found[1]
    assert found[0] != found[2]
