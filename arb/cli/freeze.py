"""`arb freeze CONFIG`: cancels only; not even an incident is worked until `arb resume`."""

from __future__ import annotations

import argparse

from arb.cli.operator import asked, carry_out, configure_operator


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "freeze", has_pair=False)


def run(args: argparse.Namespace) -> int:
    """Tell the engine."""
    return carry_out(asked(args, "freeze"))
