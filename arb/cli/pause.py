"""`arb pause CONFIG`: nothing opens any more, on one pair or on all; what is open is closed by plan."""

from __future__ import annotations

import argparse

from arb.cli.operator import asked, carry_out, configure_operator


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "pause", has_pair=True)


def run(args: argparse.Namespace) -> int:
    """Tell the engine."""
    return carry_out(asked(args, "pause"))
