"""One plain error out of a nursery's group.

Owns: the rule which of several errors counts.
Never: swallows; a group that holds a bug or a cancellation stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from arb.domain.errors import TransientError


def plain_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The only error of the group, or the first when all are transient; else the group itself."""
    errors = list(_leaves(group))
    if len(errors) == 1 or all(isinstance(error, TransientError) for error in errors):
        return errors[0]
    return group


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
