"""OUTSIDE WORLD: one sans-IO folder per venue, and one room (`wire`) that does all the waiting."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from arb.domain.errors import ConfigError
from arb.venues.spec import VenueSpec


def load_venue(name: str) -> VenueSpec:
    """Import `arb.venues.<name>` and return its `VENUE`.

    Raises:
        ConfigError: there is no such folder.
    """
    if not name.isidentifier() or find_spec(f"arb.venues.{name}") is None:
        raise ConfigError(f"venue {name!r} is unknown: there is no folder arb/venues/{name}")
    module = import_module(f"arb.venues.{name}")
    if not isinstance(spec := getattr(module, "VENUE", None), VenueSpec):
        raise ConfigError(f"{name!r} is not a venue: arb/venues/{name} exports no VENUE")
    return spec
