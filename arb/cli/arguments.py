"""Arguments that many commands share: the configuration, its overrides, the mode, JSON.

Owns: their spelling, so that a person learns them once.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, *, mode: str | None = None, json: str | None = None) -> None:
    """The configuration file and `--set`; `--mode` and `--json` where there are words for them."""
    parser.add_argument("config", type=Path, help="configuration file (TOML)")
    if mode is not None:
        parser.add_argument("--mode", help=mode)
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a key; may be repeated",
    )
    if json is not None:
        parser.add_argument("--json", action="store_true", help=json)
