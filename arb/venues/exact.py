"""Amounts of money as a venue prints them, and the limits of a sane one.

Owns: the check that a decoded amount can be calculated with.
Never: rounds or goes by way of float.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

_LARGEST_EXPONENT: Final = 40
_SMALLEST_EXPONENT: Final = -64


def check_amounts(struct: msgspec.Struct) -> None:
    """Refuse NaN, infinities and absurd magnitudes in a struct's fields; to be called by its `__post_init__`.

    Raises:
        ValueError: names the field; msgspec turns it into its own error.
    """
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, Decimal) and not _is_sane(value):
            raise ValueError(f"{name} is no usable number")


def _is_sane(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _SMALLEST_EXPONENT and value.adjusted() <= _LARGEST_EXPONENT
