"""Client order ids (I7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arb.domain.ids import RunId
from arb.execution.order_ids import ALPHABET, LENGTH, client_order_id, is_ours, origin_of, run_digest

runs = st.text(min_size=1, max_size=40).map(RunId)
seqs, numbers = st.integers(1, 2**50), st.integers(0, 1000)


@given(runs, seqs, numbers)
def test_an_id_is_legal_everywhere_and_leads_back_to_its_step(run: RunId, seq: int, number: int) -> None:
    made = client_order_id(run_digest(run), seq, number)
    assert len(made) == LENGTH == 28
    assert set(made) <= set(ALPHABET)
    assert is_ours(made)
    assert origin_of(made) == (run_digest(run), seq, number)
    assert made == client_order_id(run_digest(run), seq, number)


@given(runs, st.lists(st.tuples(seqs, numbers), unique=True, max_size=50))
def test_ids_of_one_run_never_repeat(run: RunId, places: list[tuple[int, int]]) -> None:
    assert len({client_order_id(run_digest(run), seq, number) for seq, number in places}) == len(places)


def test_foreign_ids_are_not_ours() -> None:
    assert not is_ours("web_abcdef")
    assert not is_ours("arb")
    assert not is_ours("x" * 28)
    assert not is_ours("arb" + "1" * 25)
