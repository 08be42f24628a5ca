"""A whole run that trades balances: loops open and close, the venues' own ledgers agree, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest

from arb.domain.ids import AssetId, VenueId
from arb.engine import Engine
from arb.storage.codec import Step, encode_effects
from arb.venues.simulated.market import MarketPlan
from tests.scenario.whole import CONFIG, Whole, config_of, run_whole

INVENTORY = CONFIG.with_name("inventory.toml")
AGAINST_PERPETUAL = (
    "pairs.BTC.b=binance_usdm:BTCUSDT",
    "pairs.BTC.kind=spot_perp",
    "fx.home_usdt=15000",
    "paper.holdings=[]",
)
PARTS = ("spread_krw", "slippage_krw", "fees_krw", "funding_krw", "fx_krw", "rounding_krw")
KINDS = pytest.mark.parametrize("kind", ["spot_spot", "spot_perp"])
D = Decimal


@attrs.frozen
class Ran:
    """A run that has ended, with what stood in its directory."""

    whole: Whole
    steps: list[Step]
    tables: dict[str, list[dict[str, str]]]


@cache
def ran(kind: str) -> Ran:
    """The shipped configuration for half a minute, as it is or against the perpetual."""
    words = AGAINST_PERPETUAL if kind == "spot_perp" else ()
    with TemporaryDirectory() as directory:
        whole = run_whole(Path(directory), words, seconds=32.0, market=MarketPlan(fair_bps=-31.0), config=INVENTORY)
        tables = {table: whole.rows(table) for table in ("trades", "positions", "incidents", "fills")}
        return Ran(whole, whole.steps(), tables)


@KINDS
def test_loops_open_grow_and_close_in_both_directions_without_an_incident(kind: str) -> None:
    tables = ran(kind).tables
    kinds = [row["kind"] for row in tables["trades"]]

    seen = Counter((row["direction"], row["kind"]) for row in tables["trades"])
    assert {("long_a", "OPEN"), ("long_a", "CLOSE"), ("short_a", "OPEN"), ("short_a", "CLOSE")} <= seen.keys()
    assert ("OPEN", "OPEN") in pairwise(kinds)
    assert tables["incidents"] == []


@KINDS
def test_every_trade_says_what_it_caught_and_a_closed_loop_what_it_realised(kind: str) -> None:
    tables, totals = ran(kind).tables, ran(kind).whole.engine.memory.ledger.totals
    closed = [row for row in tables["positions"] if row["status"] == "closed"]
    assert closed
    for row in closed:
        caught = [D(trade["captured_krw"]) for trade in tables["trades"] if trade["position"] == row["id"]]
        assert sum((D(row[part]) for part in PARTS), D(0)) == D(row["pnl_krw"])
        assert len(caught) >= 2
        assert all(caught)
        assert sum(caught) <= D(row["pnl_krw"]) + abs(D(row["residual_krw"])) + abs(D(row["fx_krw"]))

    assert totals.realised_krw == sum((D(row["pnl_krw"]) for row in closed), D(0))


@KINDS
def test_the_venues_hold_what_the_books_say(kind: str) -> None:
    whole = ran(kind).whole
    holdings, ledgers = whole.engine.memory.ledger.holdings, whole.ledgers()
    places = [("upbit", "KRW"), ("upbit", "BTC")]
    places += [("binance_spot", "USDT"), ("binance_spot", "BTC")] if kind == "spot_spot" else [("binance_usdm", "USDT")]
    for venue, asset in places:
        told = ledgers[venue]["balances"][asset]
        expected = holdings.tallies[f"{venue}/{asset}"].closing
        margin = sum((D(held["margin"]) for held in ledgers[venue].get("positions", ()) if asset == "USDT"), D(0))
        assert abs(D(told["free"]) + D(told["locked"]) + margin - expected) < D("1e-7"), (venue, asset)
        assert abs(holdings.total(VenueId(venue), AssetId(asset)) - expected) < D("1e-7")


def test_coins_only_change_places_but_for_the_fees_taken_in_them() -> None:
    ledgers, fills = ran("spot_spot").whole.ledgers(), ran("spot_spot").tables["fills"]
    coins = sum((D(ledgers[venue]["balances"]["BTC"]["free"]) for venue in ("upbit", "binance_spot")), D(0))
    bought = sum((D(row["qty"]) * (1 if row["side"] == "buy" else -1) for row in fills), D(0))
    fees = sum((D(row["fee"]) for row in fills if row["fee_currency"] == "BTC"), D(0))

    assert coins == D("0.2") + bought - fees
    assert fees > 0
    ledger = ran("spot_spot").whole.engine.memory.ledger
    naked = sum((position.net_qty for position in ledger.positions.values()), D(0))
    residual = sum((item.qty for item in ledger.residuals.values()), D(0))
    assert coins - D("0.2") == naked + residual


@KINDS
def test_a_replay_decides_the_same(kind: str) -> None:
    steps = ran(kind).steps
    engine = Engine(config_of(steps))

    assert all(encode_effects(engine.step(step.event)) == step.effects for step in steps)
