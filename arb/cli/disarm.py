"""`arb disarm CONFIG`: the permission for real orders is taken back; a running live engine opens nothing from now on.

Owns: the removal of the permission file, which alone disarms too.
Never: closes anything; `arb flatten` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from arb.cli.operator import Asked, asked, carry_out, configure_operator
from arb.cli.schema import Mode
from arb.domain.errors import ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "disarm", has_pair=False)


def run(args: argparse.Namespace) -> int:
    """Remove the file, then tell the engine."""
    what = asked(args, "disarm")
    if what.loaded.settings.mode is Mode.LIVE:
        _remove(what)
    return carry_out(what)


def _remove(what: Asked) -> None:
    path = Path(what.loaded.settings.arm.file).absolute()
    words = f"{path} is not there" if not path.exists() else f"{path} is removed"
    if what.request.dry_run:
        words = words.replace("is removed", "would be removed")
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; remove it by hand") from error
    if not what.as_json:
        what.console.print(words, soft_wrap=True)
