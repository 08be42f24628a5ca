"""A short soak of live trading, and that its verdict can fail: planted differences and planted secrets are found."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from arb.engine import Engine
from arb.venues.simulated.models import FaultKind
from tools.soak import schedule
from tools.soak_truth import (
    Stories,
    fill_differences,
    holding_differences,
    order_differences,
    profit_differences,
    report_differences,
    secret_leaks,
)

ROOT = Path(__file__).parents[2]
OURS = "arb" + "a" * 25
"""As long and as spelt as an order id of ours."""
ORDER = {"client_order_id": OURS, "qty": "0.5"}
FILL = {"client_order_id": OURS, "side": "buy", "qty": "0.5", "price": "4700000", "fee": "1175"}
ORDERS = "id,rev,venue,client_order_id,qty,outcome\n"
FILLS = "id,rev,venue,client_order_id,side,qty,price,fee\n"
POSITIONS = "id,rev,closed,pnl_krw,pnl_usdt,spread_krw,spread_usdt,fees_krw,fees_usdt\n"


def test_orders_faults_kills_and_restarts_leave_one_truth() -> None:
    line = [sys.executable, str(ROOT / "tools" / "soak.py"), "--seed", "2026", "--minutes", "0.5", "--json"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=400, check=False)

    assert ended.stdout, ended.stderr
    found = json.loads(ended.stdout)
    assert found["differences"] == []
    assert found["agree"] is True
    assert ended.returncode == 0
    assert found["fills"]["upbit"] >= 1


def test_the_same_seed_is_the_same_schedule_and_every_fault_comes_once_before_any_comes_twice() -> None:
    long = schedule(5, 3_600.0)
    faults = [stroke.fault for stroke in long if stroke.kind == "fault"]

    assert long == schedule(5, 3_600.0) != schedule(6, 3_600.0)
    assert sorted(faults[: len(FaultKind)]) == sorted(kind.value for kind in FaultKind)
    assert {stroke.kind for stroke in long} == {"fault", "kill", "term", "freeze", "pause", "look"}
    assert all(stroke.at_s < 3_600.0 for stroke in long)


def test_a_secret_is_found_in_plain_files_and_in_compressed_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "errors.log").write_text("signed with s3cr3t-word\n")
    (tmp_path / "old.journal.gz").write_bytes(gzip.compress(b"\x00s3cr3t-word\x00"))
    (tmp_path / "clean.csv").write_text("id,rev\n")

    assert secret_leaks(tmp_path, ["s3cr3t-word", "another"]) == [
        "logs/errors.log holds a secret",
        "old.journal.gz holds a secret",
    ]


@pytest.fixture
def stories(tmp_path: Path) -> Stories:
    """One order, one fill, one closed position, told alike by everybody."""
    (tmp_path / "orders.csv").write_text(f"{ORDERS}1,0,upbit,{OURS},,new\n1,1,upbit,{OURS},0.50,filled\n")
    (tmp_path / "fills.csv").write_text(f"{FILLS}1,0,upbit,{OURS},buy,0.50,4700000,1175\n")
    (tmp_path / "positions.csv").write_text(f"{POSITIONS}1,0,2026-11-21,100,0.07,150,0.10,-50,-0.03\n")
    account = {
        "orders": [ORDER], "fills": [FILL], "positions": [{"symbol": "KRW-ETH", "qty": "0"}], "duplicated_ids": 0,
        "balances": {"KRW": {"free": "7", "locked": "3"}},
    }  # fmt: skip
    believed = {"upbit": {"KRW": SimpleNamespace(total=Decimal(10))}}
    holdings = SimpleNamespace(balances=believed, contracts={})
    engine = SimpleNamespace(memory=SimpleNamespace(ledger=SimpleNamespace(holdings=holdings)), differences=tuple)
    report: dict[str, Any] = {"faults": [], "notes": [], "total": {"krw": {"total": "100"}}}
    return Stories(ledgers={"upbit": account}, tables=tmp_path, engine=cast(Engine, engine), report=report)


def test_stories_that_agree_have_no_differences(stories: Stories) -> None:
    checks = (order_differences, fill_differences, holding_differences, profit_differences, report_differences)

    assert [found for check in checks for found in check(stories)] == []


def test_an_order_that_came_twice_or_is_in_no_table_is_a_difference(stories: Stories) -> None:
    ledger = stories.ledgers["upbit"]
    ledger["orders"] = [ORDER, ORDER, ORDER | {"client_order_id": "arb" + "b" * 25}]
    ledger["duplicated_ids"] = 1

    assert len(order_differences(stories)) == 3


def test_an_order_of_unknown_fate_is_a_difference(stories: Stories) -> None:
    with (stories.tables / "orders.csv").open("a") as file:
        file.write(f"1,2,upbit,{OURS},0.50,unknown\n")

    assert order_differences(stories) == [f"upbit: order {OURS} ended as 'unknown'"]


def test_a_lost_fill_and_one_that_was_made_up_are_differences(stories: Stories) -> None:
    stories.ledgers["upbit"]["fills"] = [FILL | {"price": "4700001"}]

    assert len(fill_differences(stories)) == 2


def test_money_and_contracts_believed_but_not_held_are_differences(stories: Stories) -> None:
    stories.ledgers["upbit"]["balances"]["KRW"]["free"] = "6.99"
    stories.ledgers["upbit"]["positions"] = [{"symbol": "KRW-ETH", "qty": "0.1"}]

    assert len(holding_differences(stories)) == 2


def test_parts_that_do_not_add_up_and_a_report_that_says_otherwise_are_differences(stories: Stories) -> None:
    (stories.tables / "positions.csv").write_text(f"{POSITIONS}1,0,2026-11-21,101,0.07,150,0.10,-50,-0.03\n")
    stories.report["faults"] = ["a row does not add"]

    assert len(profit_differences(stories)) == 1
    assert len(report_differences(stories)) == 2
