"""How parameters describe themselves: unit and range stand on the field, never in a second list.

A parameter has no default here: what trades, sizes or loosens is said in the configuration.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen
class Range:
    """Closed interval of legal values and what the value is measured in."""

    low: float
    high: float
    unit: str


def param(unit: str, low: float, high: float) -> Any:
    """An attrs field that must lie in `[low, high]`; each element must, for a tuple.

    Raises:
        ValueError: at construction, naming the field, its unit and its range.
    """
    span = Range(low, high, unit)
    return attrs.field(metadata={"range": span}, validator=_inside)


def _inside(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    span: Range = attribute.metadata["range"]
    for item in value if isinstance(value, tuple) else (value,):
        if not span.low <= item <= span.high:
            raise ValueError(f"{attribute.name} = {item} is outside {span.low:g}..{span.high:g} {span.unit}".rstrip())
