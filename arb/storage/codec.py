"""How events, effects and configuration become bytes and come back.

Owns: the schema version, the tag of every member of the two closed unions, and the canonical text of a configuration.
Never: touches a file. Persisted names are for ever: fields may be added with a default, never renamed or retyped.
Units: a step is one MessagePack array `[seq, tag, event, [[tag, effect], …]]`; Decimals travel as their exact text.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Final, get_args

import attrs
import cattrs
import msgspec
from cattrs.preconf.json import make_converter

from arb.domain.effects import Effect
from arb.domain.errors import ProtocolError
from arb.domain.events import Event

SCHEMA: Final = 1
"""Bumped when a persisted name changes its meaning."""

_TOLD: Final = 3
"""Of many things wrong with a value, so many are told."""
_EVENT_TYPES: Final[dict[str, type]] = {cls.__name__: cls for cls in get_args(Event)}
_ENCODER: Final = msgspec.msgpack.Encoder(decimal_format="string")
_STEP: Final = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw, list[tuple[str, msgspec.Raw]]])
_EVENT_DECODERS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    name: msgspec.msgpack.Decoder(cls) for name, cls in _EVENT_TYPES.items()
}


@attrs.frozen
class Step:
    """One consumed event and what the engine answered, the effects as their encoded bytes."""

    seq: int
    event: Event
    effects: tuple[tuple[str, bytes], ...]


def encode_effects(effects: tuple[Effect, ...]) -> tuple[tuple[str, bytes], ...]:
    """Effects in the form in which a replay compares them: tag and bytes."""
    return tuple((type(effect).__name__, _ENCODER.encode(effect)) for effect in effects)


def encode_step(seq: int, event: Event, effects: tuple[Effect, ...]) -> bytes:
    """The journal's record of one step."""
    return _ENCODER.encode((seq, type(event).__name__, event, [(type(effect).__name__, effect) for effect in effects]))


def decode_step(payload: bytes) -> Step:
    """Read a step back; a step that another schema wrote and this one cannot read is an error.

    Raises:
        ProtocolError: the bytes are not a step of a known schema.
    """
    try:
        seq, tag, raw, effects = _STEP.decode(payload)
        event = _EVENT_DECODERS[tag].decode(raw)
    except (msgspec.MsgspecError, KeyError) as error:
        raise ProtocolError("journal", f"a step cannot be read: {error}") from error
    return Step(seq, event, tuple((name, bytes(body)) for name, body in effects))


def decode_record(body: bytes) -> dict[str, Any]:
    """A `Record` effect as plain values, for the stores that apply it again: cells keep their printed text."""
    return msgspec.msgpack.decode(body, type=dict[str, Any])


def _make_converter() -> cattrs.Converter:
    converter: cattrs.Converter = make_converter(
        forbid_extra_keys=False, unstruct_collection_overrides={AbstractSet: sorted}
    )
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(str(value)))
    converter.register_unstructure_hook(float, lambda value: value if isfinite(value) else str(value))
    converter.register_structure_hook(float, lambda value, _: float(value))
    converter.register_unstructure_hook(Enum, lambda value: value.value)
    return converter


CONVERTER: Final = _make_converter()
"""Structures snapshots and configurations; sets and tuples of attrs values included."""


def encode_value(value: object) -> bytes:
    """JSON of an attrs value: sets sorted, dictionaries in their own order, which a replay may depend on."""
    return msgspec.json.encode(CONVERTER.unstructure(value))


def decode_value(payload: bytes | str, cls: type) -> Any:
    """The attrs value that `encode_value` wrote.

    Raises:
        ProtocolError: the text does not describe such a value.
    """
    try:
        return CONVERTER.structure(msgspec.json.decode(payload), cls)
    except cattrs.BaseValidationError as error:
        words = "; ".join(cattrs.transform_error(error)[:_TOLD])
        raise ProtocolError("storage", f"this is not a {cls.__name__}: {words}") from error
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        raise ProtocolError("storage", f"this is not a {cls.__name__}: {error}") from error
