"""Fault scripts on their time line."""

from __future__ import annotations

from arb.domain.ids import VenueId
from arb.venues.simulated.faults import FaultBoard
from arb.venues.simulated.models import FaultKind, FaultScript

UPBIT, SPOT = VenueId("upbit"), VenueId("binance_spot")
S = 1_000_000_000
START_NS = 5 * S


def script(at_s: float, kind: FaultKind, duration_s: float = 0.0, venue: VenueId = UPBIT) -> FaultScript:
    return FaultScript(at_s=at_s, venue=venue, kind=kind, duration_s=duration_s)


BOARD = FaultBoard(
    (
        script(10, FaultKind.SILENCE, 5),
        script(12, FaultKind.SLOW, 1),
        script(11, FaultKind.TCP_RESET, 60),
        script(10, FaultKind.BAN, 2, SPOT),
    ),
    START_NS,
)


def test_a_fault_lasts_from_its_beginning_until_just_before_its_end() -> None:
    assert BOARD.active(START_NS + 10 * S - 1, UPBIT) == frozenset()
    assert BOARD.active(START_NS + 10 * S, UPBIT) == {FaultKind.SILENCE}
    assert BOARD.active(START_NS + 12 * S, UPBIT) == {FaultKind.SILENCE, FaultKind.SLOW}
    assert BOARD.active(START_NS + 15 * S, UPBIT) == frozenset()


def test_venues_do_not_share_faults() -> None:
    assert BOARD.active(START_NS + 10 * S, SPOT) == {FaultKind.BAN}


def test_what_happens_once_is_seen_as_an_edge_only() -> None:
    begun = BOARD.edges(START_NS + 10 * S, START_NS + 12 * S, UPBIT)
    assert [each.kind for each in begun] == [FaultKind.TCP_RESET, FaultKind.SLOW]
    assert FaultKind.TCP_RESET not in BOARD.active(START_NS + 11 * S, UPBIT)


def test_changes_are_announced_in_order_and_end() -> None:
    at_ns, changes = 0, []
    while (found := BOARD.next_change_ns(at_ns)) is not None:
        changes.append((found - START_NS) // S)
        at_ns = found
    assert changes == [10, 11, 12, 13, 15]
