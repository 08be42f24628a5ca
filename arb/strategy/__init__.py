"""Wanting: pure functions from view to intents."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from arb.domain.errors import ConfigError
from arb.strategy.api import Strategy


def load_strategy(name: str) -> Strategy[Any, Any, Any]:
    """The strategy of a folder of this room.

    Raises:
        ConfigError: there is no such folder.
    """
    if not name.isidentifier():
        raise ConfigError(f"strategy {name!r} is not a name")
    try:
        module = import_module(f"arb.strategy.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"there is no strategy {name!r}: its folder under arb/strategy is missing") from error
    found: Strategy[Any, Any, Any] | None = getattr(module, "STRATEGY", None)
    if found is None:
        raise ConfigError(f"{name!r} is not a strategy: arb/strategy/{name} exports no STRATEGY")
    return found
