"""Client order ids: a pure function of run, sequence and leg, so that a retry cannot double an order.

Form: `arb`, 11 characters of the run's digest, 12 of the journal sequence, 2 of the order in its step, of `a-z2-7`.
The sequence and number can be read back, so an order found at a venue after a crash leads to the step that made it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from arb.domain.ids import ClientOrderId, RunId, Seq

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
PREFIX: Final = "arb"
LENGTH: Final = 28
RUN_CHARS: Final = 11
SEQ_CHARS: Final = 12
NUMBER_CHARS: Final = 2
_VALUE: Final = {letter: index for index, letter in enumerate(ALPHABET)}


class OrderOrigin(NamedTuple):
    """Where an id comes from."""

    run_digest: str
    seq: Seq
    number: int
    """Of the order within its step, from 0."""


def _spelled(value: int, width: int) -> str:
    return "".join([ALPHABET[value >> shift & 31] for shift in range(5 * width - 5, -5, -5)])


def _read(text: str) -> int:
    value = 0
    for letter in text:
        value = value * 32 + _VALUE[letter]
    return value


def run_digest(run_id: RunId) -> str:
    """The part of every id of a run that names the run."""
    return _spelled(int.from_bytes(blake2b(run_id.encode(), digest_size=7).digest(), "big") >> 1, RUN_CHARS)


def client_order_id(digest: str, seq: int, number: int) -> ClientOrderId:
    """The id of the `number`-th order of step `seq` of the run with this digest."""
    return ClientOrderId(PREFIX + digest + _spelled(seq, SEQ_CHARS) + _spelled(number, NUMBER_CHARS))


def is_ours(client_order_id: str) -> bool:
    """Whether an id has the form that only this program gives."""
    has_form = len(client_order_id) == LENGTH and client_order_id.startswith(PREFIX)
    return has_form and all(letter in _VALUE for letter in client_order_id)


def origin_of(client_order_id: ClientOrderId) -> OrderOrigin:
    """Run digest, sequence and number of an id that `is_ours`."""
    run_end = len(PREFIX) + RUN_CHARS
    seq_end = run_end + SEQ_CHARS
    return OrderOrigin(
        client_order_id[len(PREFIX) : run_end],
        Seq(_read(client_order_id[run_end:seq_end])),
        _read(client_order_id[seq_end:]),
    )
