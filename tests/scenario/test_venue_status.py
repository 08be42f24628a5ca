"""What a venue allows reaches the core: silence it asked for, wallets, maintenance; and nobody overwrites anybody."""

from __future__ import annotations

from pathlib import Path

from arb.domain.effects import Submit
from arb.domain.events import Event, VenueCondition, VenueStatus
from tests.scenario.whole import Whole, effects_named, run_whole

WALLETS = ("risk.wallet_poll_s=5",)


def told(whole: Whole, venue: str) -> list[VenueStatus]:
    events = [step.event for step in whole.steps()]
    return [event for event in events if isinstance(event, VenueStatus) and event.venue == venue]


def is_closed(event: Event) -> bool:
    return isinstance(event, VenueStatus) and any(wallet.withdraw is False for wallet in event.wallets)


def test_a_venue_that_wants_silence_gets_it_and_keeps_its_wallets(tmp_path: Path) -> None:
    whole = run_whole(tmp_path, WALLETS, seconds=20.0, faults=[(8.0, "upbit", "ban", 60.0)])

    before, banned = told(whole, "upbit")[-2:]
    assert banned.condition is VenueCondition.RATE_LIMITED
    assert banned.until_ns is not None
    assert banned.until_ns - banned.at_ns > 50_000_000_000
    assert banned.wallets == before.wallets
    silent_seq = next(step.seq for step in whole.steps() if step.event == banned)
    assert not [seq for seq, _ in effects_named(whole.steps(), Submit.__name__) if seq > silent_seq]


def test_wallets_of_a_venue_in_maintenance_are_closed_and_open_again(tmp_path: Path) -> None:
    whole = run_whole(tmp_path, WALLETS, seconds=40.0, faults=[(8.0, "upbit", "maintenance", 12.0)])

    states = [{wallet.deposit for wallet in status.wallets} for status in told(whole, "upbit") if status.wallets]
    assert [states[0], states[-1]] == [{True}, {True}]
    assert {False} in states
    closed_seq = next(step.seq for step in whole.steps() if is_closed(step.event))
    opened = [int(row["seq"]) for row in whole.rows("trades") if row["kind"] == "OPEN"]
    assert opened
    assert max(opened) < closed_seq, "nothing opens before the cooldown after the reopening is over"
