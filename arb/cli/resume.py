"""`arb resume CONFIG`: ends the causes that only a person may end, all of them or those of one pair."""

from __future__ import annotations

import argparse

from arb.cli.operator import asked, carry_out, configure_operator


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "resume", has_pair=True)


def run(args: argparse.Namespace) -> int:
    """Tell the engine."""
    return carry_out(asked(args, "resume"))
