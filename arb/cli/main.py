"""The command line: one parser, one way to say what is wrong, one table of exit codes.

Owns: the list of commands, `--help`, `--debug`, and the translation of errors into one sentence and a code.
Never: does the work of a command; each lives in a module of its own, imported only when it is called.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn, Protocol, cast

from arb import __version__
from arb.domain.errors import ArbError, ConfigError, UnsafeToTrade

USAGE_ERROR: Final = 2
FAILED: Final = 1
REFUSED: Final = 4
COMMANDS: Final = {
    "run": "run the engine: mock, paper, shadow or live",
    "check": "validate a configuration and show its effective values",
    "doctor": "look at everything a run needs and say what to do",
    "health": "ask a running engine how its parts are",
    "inspect": "decode captured raw frames to normalised events",
    "sim": "serve the simulated venues alone, for rehearsals and other programs",
    "bench": "measure the program on this machine",
    "report": "show what was earned and where it came from; facts for a tax return",
    "why": "say why there was no trade: refusals, best edge, what it missed",
    "advice": "say which balances have drifted, and what to move where",
    "pause": "open nothing any more, on one pair or on all",
    "resume": "end what only a person may end: a pause, a flatten, a loss limit",
    "freeze": "cancel only: neither entries, nor exits, nor incidents",
    "flatten": "close every open position, or those of one pair",
    "reconcile": "read every venue's account and compare it with the books",
    "arm": "permit real orders",
    "disarm": "take the permission for real orders back",
}
"""Name and one line of help; the module is `arb.cli.<name>`."""


class Subcommand(Protocol):
    """What a command's module exports."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Exit 2."""
        sys.stderr.write(f"{self.prog}: {message}; see '{self.prog} --help'\n")
        raise SystemExit(USAGE_ERROR)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(
        prog="arb",
        description="Cross-exchange arbitrage: Upbit against Binance.",
        epilog="Example: arb run config/live.toml",
    )
    parser.add_argument("--version", action="version", version=f"arb {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == next((word for word in words if not word.startswith("-")), None):
            _module(name).configure(sub)
    args = parser.parse_args(words)
    return _guarded(args)


def _guarded(args: argparse.Namespace) -> int:
    try:
        return _module(args.command).run(args)
    except ConfigError as error:
        return _told(args, error, USAGE_ERROR)
    except UnsafeToTrade as error:
        return _told(args, error, REFUSED)
    except ArbError as error:
        return _told(args, error, FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _told(args: argparse.Namespace, error: ArbError, code: int) -> int:
    if args.debug:
        raise error
    for line in str(error).splitlines():
        sys.stderr.write(f"arb {args.command}: {line}\n")
    return code


def _module(name: str) -> Subcommand:
    return cast(Subcommand, import_module(f"arb.cli.{name}"))


def entry() -> NoReturn:
    """The console script and `python -m arb`."""
    raise SystemExit(main())
