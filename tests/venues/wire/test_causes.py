from __future__ import annotations

from arb.domain.errors import FeedSilent, VenueUnavailable
from arb.venues.wire.causes import plain_cause

DOWN, SILENT, BUG = VenueUnavailable("v", "down"), FeedSilent("v", "silent"), TypeError("a bug")


def test_a_lone_error_comes_out_of_however_many_groups():
    assert plain_cause(ExceptionGroup("", [ExceptionGroup("", [BUG])])) is BUG


def test_of_transient_errors_the_first_counts():
    assert plain_cause(ExceptionGroup("", [ExceptionGroup("", [SILENT]), DOWN])) is SILENT


def test_a_bug_among_others_keeps_the_whole_group():
    group = ExceptionGroup("", [DOWN, BUG])
    assert plain_cause(group) is group
