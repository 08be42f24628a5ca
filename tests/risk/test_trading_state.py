"""Causes and what each state lets through."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from arb.domain.order import Purpose
from arb.risk.trading_state import ALLOWED, RULES, Cause, Causes, TradingState

moves = st.lists(
    st.tuples(st.sampled_from(["add", "end", "resume", "clean"]), st.sampled_from(list(Cause))), max_size=40
)


def test_every_cause_has_a_rule_and_every_state_a_list() -> None:
    assert set(RULES) == set(Cause)
    assert set(ALLOWED) == set(TradingState)


def test_worse_states_allow_less() -> None:
    order = sorted(TradingState, key=lambda state: state.value)
    for milder, worse in itertools.pairwise(order):
        assert ALLOWED[worse] < ALLOWED[milder]
    assert Purpose.ENTRY not in ALLOWED[TradingState.REDUCING]
    assert not ALLOWED[TradingState.FROZEN]


@given(moves)
def test_the_worst_cause_wins_and_only_resume_ends_what_is_not_automatic(steps: list[tuple[str, Cause]]) -> None:
    causes, expected, clean_ns = Causes(), dict[Cause, int](), -1
    for now_ns, (kind, cause) in enumerate(steps):
        if kind == "add":
            causes.add(cause, "", now_ns)
            expected.setdefault(cause, now_ns)
        elif kind == "end":
            causes.end(cause, "")
            if RULES[cause].is_automatic:
                expected.pop(cause, None)
        elif kind == "clean":
            causes.reconciled(now_ns, True)
            clean_ns = now_ns
        else:
            causes.resume()
            keep = [
                c for c, at in expected.items() if RULES[c].is_automatic or (RULES[c].needs_clean and clean_ns < at)
            ]
            expected = {c: expected[c] for c in keep}
        assert {item.cause for item in causes.in_force} == set(expected)
        assert causes.state.value == max((RULES[c].state.value for c in expected), default=0)
