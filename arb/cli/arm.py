"""`arb arm CONFIG`: the operator permits real orders, for so many hours and within the limits typed back.

Owns: the question, and the permission file of live mode; other modes send nothing real and need no file.
Never: arms by itself: the engine looks at every condition (`arming.py`) and says what is missing.
Units: hours; KRW.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec
import trio

from arb.cli.control import AGAIN_S, reach
from arb.cli.operator import Asked, asked, configure_operator, ended, tell
from arb.cli.permission import Permission, permission_text, utc_text, write_permission
from arb.cli.schema import Mode
from arb.cli.venue_access import wanted_instruments
from arb.domain.errors import ConfigError
from arb.supervision.clock import AnchoredClock
from arb.supervision.control_words import STATUS, ControlAnswer

HOUR_NS: Final = 3_600_000_000_000
MAX_HOURS: Final = 720.0
LOOK_S: Final = 5.0
"""Longer than a running engine takes to look at the file again."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "arm", has_pair=False)
    parser.add_argument(
        "--hours", type=float, metavar="H", help="how long the permission is valid (default: arm.valid_hours)"
    )
    parser.add_argument(
        "--upbit-no-withdrawal",
        action="store_true",
        help="state that you have seen at Upbit that this key may not withdraw; Upbit does not tell",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for the limit to be typed back")


def run(args: argparse.Namespace) -> int:
    """Write the permission where real orders are meant, then tell the engine."""
    what = asked(args, "arm")
    if what.loaded.settings.mode is Mode.LIVE:
        _permit(what, args)
    elif not what.as_json:
        what.console.print(f"mode {what.loaded.settings.mode.value} sends no real orders: no permission file is needed")
    answer, is_running = tell(what)
    if is_running and answer.ok and what.loaded.settings.mode is Mode.LIVE and not what.request.dry_run:
        answer = trio.run(_looked_at, what, answer)
    return ended(what, answer, is_running=is_running)


async def _looked_at(what: Asked, told: ControlAnswer) -> ControlAnswer:
    """The engine looks at its conditions every few seconds: how it stands once it is armed, or has had the time."""
    status = msgspec.structs.replace(what.request, command=STATUS)
    now = told
    with trio.move_on_after(LOOK_S):
        while not now.is_armed:
            await trio.sleep(AGAIN_S)
            now = await reach(what.root, status) or told
    return msgspec.structs.replace(now, applied=told.applied, seq=told.seq)


def _permit(what: Asked, args: argparse.Namespace) -> None:
    settings = what.loaded.settings
    hours = settings.arm.valid_hours if args.hours is None else args.hours
    if not 0 < hours <= MAX_HOURS:
        raise ConfigError(f"--hours {hours:g}: above 0 and at most {MAX_HOURS:g}")
    now_ns = trio.run(_wall_ns)
    permission = Permission(
        valid_until_ns=now_ns + round(hours * HOUR_NS),
        venues=tuple(sorted(wanted_instruments(settings))),
        max_total_notional_krw=settings.risk.max_total_krw,
        upbit_no_withdrawal=args.upbit_no_withdrawal,
    )
    path = Path(settings.arm.file).absolute()
    if not what.as_json:
        what.console.print(f"{path}\n{permission_text(permission)}", soft_wrap=True, markup=False)
    if what.request.dry_run:
        return
    if not args.yes:
        _typed_back(permission)
    try:
        write_permission(path, permission)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; arm.file names where the permission is written") from error
    if not what.as_json:
        what.console.print(f"written; valid until {utc_text(permission.valid_until_ns)}", soft_wrap=True)


def _typed_back(permission: Permission) -> None:
    """The operator types the largest total; nothing else counts as yes.

    Raises:
        ConfigError: nobody is there to ask, or something else was typed.
    """
    wanted = f"{permission.max_total_notional_krw:f}"
    if not sys.stdin.isatty():
        raise ConfigError(f"the limit must be typed back, and this is no terminal; say --yes if {wanted} KRW is meant")
    sys.stderr.write(f"Real money. Type the total limit in KRW ({wanted}) to permit it: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().replace(",", "").replace("_", "") != wanted:
        raise ConfigError("that is not the limit; nothing was written")


async def _wall_ns() -> int:
    await trio.lowlevel.checkpoint()
    return AnchoredClock().wall_ns()
