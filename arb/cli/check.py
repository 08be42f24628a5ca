"""`arb check CONFIG`: validate, and show what is in force and why.

Never: prints a secret; connects to anything.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
import msgspec

from arb.cli.arguments import add_config
from arb.cli.schema import Settings
from arb.cli.settings import Loaded, load_settings
from arb.cli.structure import key_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Example: arb check config/live.toml --show"
    add_config(parser, mode="check as if run in this mode", json="one JSON document")
    parser.add_argument(
        "--show", action="store_true", help="print the effective values, each with its origin, secrets masked"
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the configuration is legal; a fault is raised as ConfigError."""
    loaded = load_settings(args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ)
    rows = list(_rows(loaded.settings, loaded)) if args.show else []
    if args.json:
        body: dict[str, object] = {"valid": True, "path": str(args.config), "mode": loaded.settings.mode.value}
        if args.show:
            body["values"] = [{"key": key, "value": value, "origin": origin} for key, value, origin in rows]
        sys.stdout.write(msgspec.json.encode(body, enc_hook=str).decode() + "\n")
        return 0
    for key, value, origin in rows:
        sys.stdout.write(f"{key} = {value}  # {origin}\n")
    sys.stdout.write(f"{args.config}: valid; mode {loaded.settings.mode.value}, {len(loaded.settings.pairs)} pairs\n")
    return 0


def _rows(settings: Settings, loaded: Loaded) -> Iterator[tuple[str, object, str]]:
    for where, value, is_secret in leaves(settings, ()):
        origin = loaded.origins.get(where, "default")
        shown = "***" if is_secret and value is not None else value
        yield ".".join(where), shown, origin


def leaves(
    value: Any, where: tuple[str, ...], is_secret: bool = False
) -> Iterator[tuple[tuple[str, ...], object, bool]]:
    """Every leaf of a settings tree with its path, values ready to print."""
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from leaves(getattr(value, field.name), (*where, key_of(field)), bool(field.metadata.get("secret")))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*where, str(key)))
    elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
        for index, item in enumerate(value):
            yield from leaves(item, (*where, str(getattr(item, "name", index))))
    else:
        yield where, _plain(value), is_secret


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return f"{value:f}" if isinstance(value, Decimal) else value
