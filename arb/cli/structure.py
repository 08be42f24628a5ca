"""TOML values become frozen attrs classes through cattrs, and every fault becomes one sentence.

Owns: the converter of configurations (strict about types, ranges and unknown keys) and the wording of its faults.
Never: reads a file or the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from functools import partial
from typing import Any, Final, get_type_hints

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from arb.domain.errors import ConfigError
from arb.domain.params import Range

MISSING: Final = "is missing and has no default"


class Unfit(ValueError):
    """A value is not what its key wants; the message is for people."""


def structure(value: object, cls: type, prefix: str = "") -> Any:
    """`value` as `cls`.

    Raises:
        ConfigError: one line per fault: dotted key, what is wrong, the legal range or the nearest known key.
    """
    try:
        return CONVERTER.structure(value, cls)
    except (cattrs.BaseValidationError, Unfit) as error:
        told = cattrs.transform_error(error, path=prefix or "$", format_exception=_sentence)
        raise ConfigError("\n".join(_readable(line) for line in told)) from error


def _readable(line: str) -> str:
    text, _, where = line.rpartition(" @ ")
    return f"{where.removeprefix('$').lstrip('.') or 'top level'}: {text}"


def _sentence(error: BaseException, _type: Any) -> str:
    match error:
        case cattrs.ForbiddenExtraKeysError():
            known = [key_of(field) for field in attrs.fields(error.cl)]
            return "; ".join(_unknown(key, known) for key in sorted(error.extra_fields))
        case KeyError():
            return f"the key {error.args[0]!r} {MISSING}"
        case cattrs.IterableValidationError() | cattrs.ClassValidationError():
            return error.message
        case _:
            return str(error)


def _unknown(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}")


def key_of(field: attrs.Attribute[Any]) -> str:
    """The key of a field in TOML."""
    return str(field.metadata.get("key", field.name))


def _scalar(accepted: tuple[type, ...], convert: Callable[[Any], Any], wanted: str, value: Any, _cls: Any) -> Any:
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise Unfit(f"expected {wanted}, found {value!r}")
    return convert(value)


def _choice(value: Any, cls: type[Enum]) -> Enum:
    known = [str(member.value) for member in cls]
    if value in known:
        return cls(value)
    near = get_close_matches(str(value), known, n=1)
    raise Unfit(f"{value!r} is not one of {', '.join(known)}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _sequence(converter: cattrs.Converter, value: Any, cls: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise Unfit(f"expected a list, found {value!r}")
    wanted = cls.__args__
    if wanted[-1] is not Ellipsis and len(wanted) != len(value):
        raise Unfit(f"expected {len(wanted)} values, found {len(value)}")
    return tuple(converter.structure(list(value), list[wanted[0]]))  # type: ignore[valid-type]  # a type only known at run time


def _moment(value: Any, _cls: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Unfit(f"expected a time with its offset, such as 2026-11-22T02:00:00+09:00, found {value!r}")
    return value


def _within(span: Range, structure_value: Callable[[Any], Any], value: Any, _cls: Any) -> Any:
    found = structure_value(value)
    for item in found if isinstance(found, tuple) else (found,):
        if not span.low <= item <= span.high:
            raise Unfit(f"{item} is outside its range, {span.low:g} to {span.high:g} {span.unit}".rstrip())
    return found


def _section(converter: cattrs.Converter, cls: Any) -> Callable[[Any, Any], Any]:
    hints = get_type_hints(cls)
    overrides: dict[str, Any] = {}
    for field in attrs.fields(cls):
        span = field.metadata.get("range")
        hook: Callable[[Any, Any], Any] | None = (
            None if span is None else partial(_within, span, partial(_structured, converter, hints[field.name]))
        )
        rename = field.metadata.get("key")
        if field.metadata.get("secret"):
            hook = _secret
        if hook is not None or rename is not None:
            overrides[field.name] = override(struct_hook=hook, rename=rename)
    made = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **overrides)

    def section(value: Any, _cls: Any) -> Any:
        if not isinstance(value, dict):
            raise Unfit(f"expected a section, found a value of type {type(value).__name__}")
        return made(value, cls)

    return section


def _secret(value: Any, _cls: Any) -> str | None:
    """What is wrong with a secret is said without it."""
    if value is None or isinstance(value, str):
        return value
    raise Unfit("expected text in quotes")


def _structured(converter: cattrs.Converter, hint: Any, value: Any) -> Any:
    return converter.structure(value, hint)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(bool, partial(_scalar, (bool,), bool, "true or false"))
    converter.register_structure_hook(int, partial(_scalar, (int,), int, "a whole number"))
    converter.register_structure_hook(float, partial(_scalar, (int, float, Decimal), float, "a number"))
    converter.register_structure_hook(Decimal, partial(_scalar, (int, Decimal), Decimal, "a number"))
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook(str, partial(_scalar, (str,), str, "text in quotes"))
    converter.register_structure_hook_func(lambda cls: isinstance(cls, type) and issubclass(cls, Enum), _choice)
    converter.register_structure_hook_func(
        lambda cls: getattr(cls, "__origin__", None) is tuple, partial(_sequence, converter)
    )
    converter.register_structure_hook_factory(attrs.has, partial(_section, converter))
    return converter


CONVERTER: Final = _make_converter()
