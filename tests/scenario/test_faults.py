"""Every fault of the script amid a session: the engine goes on, trades on nothing stale, and ends settled."""

from __future__ import annotations

import logging
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest

from arb.domain.effects import Submit
from arb.domain.events import DepthSeen, FeedDown, FeedUp
from arb.domain.ids import FeedId
from arb.execution.order_ids import is_ours
from arb.storage.codec import Step, decode_record
from arb.supervision.stopping import Stop
from arb.venues.simulated.market import MarketPlan
from arb.venues.simulated.models import FaultKind
from tests.scenario.whole import run_whole

MARKET = MarketPlan(cadence_ms=200, trade_probability=0.05)
AT_S, FOR_S, UNTIL_S = 8.0, 7.0, 40.0
FX = "upbit:KRW-USDT"
LEGS = {"BTC": ("upbit:KRW-BTC", "binance_usdm:BTCUSDT"), "ETH": ("upbit:KRW-ETH", "binance_usdm:ETHUSDT")}
MAX_QUIET_NS, MAX_FX_NS = 10_000_000_000, 3_000_000_000
"""`risk.max_quiet_s` and `fx.max_age_ms`."""
CASES = [
    (kind, venue)
    for kind in FaultKind
    for venue in (("binance_usdm",) if kind is FaultKind.ADL else ("upbit", "binance_usdm"))
]


@attrs.frozen(kw_only=True)
class Lived:
    """What is left of a session."""

    stop: Stop
    text: str
    is_settled: bool
    unbalanced: tuple[str, ...]
    steps: tuple[Step, ...]
    ledgers: dict[str, Any]
    fills: list[dict[str, str]]
    trades: list[dict[str, str]]


@cache
def session(kind: FaultKind, venue: str) -> Lived:
    """Forty seconds with one fault in their middle."""
    with TemporaryDirectory() as directory:
        whole = run_whole(
            Path(directory), seconds=UNTIL_S, market=MARKET, faults=[(AT_S, venue, kind.value, FOR_S)], seed=5
        )
        return Lived(
            stop=whole.reason.stop,
            text=whole.reason.text,
            is_settled=whole.engine.is_settled(),
            unbalanced=tuple(whole.engine.unbalanced()),
            steps=tuple(whole.steps()),
            ledgers=whole.ledgers(),
            fills=whole.rows("fills"),
            trades=whole.rows("trades"),
        )


@pytest.mark.parametrize(("kind", "venue"), CASES)
def test_the_engine_survives_and_ends_settled_with_ledgers_agreeing(kind: FaultKind, venue: str) -> None:
    lived = session(kind, venue)

    assert lived.is_settled
    assert (lived.stop, lived.text) == (Stop.GRACEFUL, f"{UNTIL_S:g} s are over")
    assert lived.unbalanced == ()
    told = sorted(
        (name, fill["client_order_id"], Decimal(fill["qty"]), Decimal(fill["price"]))
        for name, ledger in lived.ledgers.items()
        for fill in ledger["fills"]
    )
    rows = sorted(
        (row["venue"], row["client_order_id"], Decimal(row["qty"]), Decimal(row["price"])) for row in lived.fills
    )
    assert rows == told
    for ledger in lived.ledgers.values():
        ids = [order["client_order_id"] for order in ledger["orders"] if is_ours(order["client_order_id"])]
        assert ids
        assert len(ids) == len(set(ids))
        assert ledger["duplicated_ids"] == 0


@pytest.mark.parametrize(("kind", "venue"), CASES)
def test_no_entry_stands_on_stale_or_crossed_books_or_stale_fx(kind: FaultKind, venue: str) -> None:
    newest: dict[str, DepthSeen] = {}
    entries = 0
    for step in session(kind, venue).steps:
        if isinstance(step.event, DepthSeen):
            newest[step.event.depth.instrument] = step.event
        for tag, body in step.effects:
            for order in decode_record(body)["orders"] if tag == Submit.__name__ else ():
                if order["request"]["purpose"] != "entry":
                    continue
                entries += 1
                check_fresh(newest, LEGS[order["request"]["pair"]], step.event.at_ns)
    assert entries


def check_fresh(newest: dict[str, DepthSeen], legs: tuple[str, str], now_ns: int) -> None:
    """I8 for one entry."""
    for name in legs:
        depth = newest[name].depth
        assert now_ns - depth.received_ns <= MAX_QUIET_NS, name
        assert depth.bids[0] < depth.asks[0], name
    assert now_ns - newest[FX].depth.received_ns <= MAX_FX_NS


@pytest.mark.parametrize("venue", ["upbit", "binance_usdm"])
@pytest.mark.parametrize("kind", [FaultKind.SILENCE, FaultKind.DISCONNECT])
def test_a_lost_stream_falls_back_to_rest_and_returns_by_itself(kind: FaultKind, venue: str) -> None:
    feed = FeedId(f"{venue}/public/0")
    told = [step.event for step in session(kind, venue).steps if isinstance(step.event, FeedUp | FeedDown)]
    begun_ns = int(AT_S * 1e9)
    after = [event for event in told if event.feed == feed and event.at_ns >= begun_ns]

    assert isinstance(after[0], FeedDown)
    ups = [event.source for event in after if isinstance(event, FeedUp)]
    assert ups[0] == "rest"
    assert ups[-1] == "ws"


def test_falling_back_to_rest_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "arb.source"):
        run_whole(tmp_path, seconds=12.0, market=MARKET, faults=[(5.0, "upbit", "disconnect", 5.0)])

    told = [record for record in caplog.records if record.getMessage() == "feed_up"]
    assert {getattr(record, "source", "") for record in told if record.levelno == logging.WARNING} == {"rest"}


@pytest.mark.parametrize("venue", ["upbit", "binance_usdm"])
def test_an_order_that_was_taken_without_an_answer_is_not_sent_twice(venue: str) -> None:
    ledger = session(FaultKind.TIMEOUT_THEN_ACCEPT, venue).ledgers[venue]

    opened = [order for order in ledger["orders"] if not order["reduce_only"]]
    assert opened
    assert ledger["duplicated_ids"] == 0
    assert len({order["created_ns"] // 1_000_000_000 for order in opened}) >= len(opened) - 2
