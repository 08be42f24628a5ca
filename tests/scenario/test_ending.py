"""What the end of a run leaves to the next start: whole steps only, and no order that never left."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arb.cli.recovery import recover
from arb.domain.errors import InvariantBroken
from arb.domain.order import OrderState
from arb.engine import Engine
from arb.supervision.stopping import Stop
from tests.scenario.whole import Whole, effects_named, run_whole


def recovered(whole: Whole, directory: Path) -> Engine:
    """What the next start would know."""
    config = whole.engine.config
    found = recover(directory / "journal", config, "whole")
    assert found is not None
    return Engine(config, found.memory)


def test_a_step_that_failed_half_way_is_not_what_the_next_start_believes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arb.state.ledger.Ledger.book_fill", _refusing)
    whole = run_whole(tmp_path, seconds=60.0, seed=11)
    assert whole.reason.stop is Stop.CRITICAL
    assert "InvariantBroken" in whole.reason.text
    monkeypatch.undo()

    engine = recovered(whole, tmp_path)

    (line,) = engine.open_orders()
    assert line.filled_qty == Decimal(0)
    assert line.state in (OrderState.SUBMITTED, OrderState.OPEN)
    assert not engine.memory.ledger.positions or engine.has_open()


def _refusing(*_words: Any, **_named: Any) -> None:
    raise InvariantBroken("the books do not add up")


def test_no_order_is_made_once_trading_has_ended(tmp_path: Path) -> None:
    whole = run_whole(tmp_path, seconds=30.0, seed=11)
    steps = whole.steps()
    ended = next(step.seq for step in steps if type(step.event).__name__ == "RunEnding")

    assert [seq for seq, _ in effects_named(steps, "Submit") if seq >= ended] == []
