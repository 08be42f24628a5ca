"""What is looked at once at the start and once a day: that both instruments are one asset, and where balances stand.

Owns: the disabling of a pair by name, and when a person is advised.
Never: trades, or moves anything between venues.
Units: days count from the risk day's start.
"""

from __future__ import annotations

from typing import Final

from arb.domain.effects import Cell, Severity
from arb.domain.pair import Pair
from arb.engine.advising import Advice, advice_of, spoken
from arb.engine.memory import Lane, Turn
from arb.engine.view import data_refusal, mid_of

EVERY_NS: Final = 60_000_000_000
"""Balances are compared with their bands this often; a pair is advised at most once a day."""


def look_after(turn: Turn) -> None:
    """Check identities that are due, and advise where balances have drifted."""
    memory, day = turn.memory, turn.memory.ledger.totals.day
    for item in turn.config.pairs:
        lane = memory.lanes[item.pair.id]
        if lane.identity_checked != (key := f"{memory.run_digest}/{day}"):
            _check_identity(turn, item.pair, lane, key)
    if memory.now_ns - memory.advised_ns < EVERY_NS:
        return
    memory.advised_ns = memory.now_ns
    for item in turn.config.pairs:
        if memory.lanes[item.pair.id].advised_day != day:
            _advise(turn, item.pair, day)


def _check_identity(turn: Turn, pair: Pair, lane: Lane, key: str) -> None:
    """|mid_A/(mid_B·f_m) − 1| on the first data that support a decision; beyond the limit the pair is disabled."""
    memory = turn.memory
    if data_refusal(memory, turn.config, pair):
        return
    lane.identity_checked = key
    deviation = abs(mid_of(memory, pair.a) / (mid_of(memory, pair.b) / float(pair.multiplier) * memory.fx.mid) - 1)
    lane.is_other_asset = deviation >= pair.identity_max_dev
    if lane.is_other_asset:
        fields: dict[str, Cell] = {"pair": pair.id, "deviation": deviation, "limit": pair.identity_max_dev}
        turn.alert(
            f"identity/{pair.id}", Severity.ERROR, "the instruments of a pair do not price one asset: disabled", fields
        )


def _advise(turn: Turn, pair: Pair, day: int) -> None:
    found = [advice for advice in advice_of(turn.memory, turn.config) if advice.pair == pair.id]
    if not found:
        return
    turn.memory.lanes[pair.id].advised_day = day
    text = "; ".join(spoken(advice) for advice in found)
    turn.alert(f"advice/{pair.id}", Severity.INFO, "balances of a pair have drifted", {"pair": pair.id, "advice": text})
    turn.publish(f"advice/{pair.id}", _cells(found[0]))


def _cells(advice: Advice) -> dict[str, Cell]:
    return {
        "asset": advice.asset, "amount": advice.amount, "source": advice.source, "target": advice.target,
        "why": advice.why, "cost_krw": advice.cost_krw, "trades_to_pay": advice.trades_to_pay,
        "notes": "; ".join(advice.notes),
    }  # fmt: skip
