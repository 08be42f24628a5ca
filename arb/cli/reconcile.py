"""`arb reconcile CONFIG`: every venue's account is read and compared with the books; `--adopt`, `--ignore` decide.

Owns: the exit code: 0 all agrees, 4 something is unexplained and undecided.
Never: decides without being told to.
Units: seconds.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Final

import msgspec
import trio
from rich.console import Console

from arb.cli.control import reach
from arb.cli.errand import Errand
from arb.cli.errand_start import start_for
from arb.cli.offline import last_view
from arb.cli.operator import (
    DONE,
    NOT_DONE,
    UNEXPLAINED,
    Asked,
    asked,
    audited_self,
    configure_operator,
    say,
    say_positions,
    say_state,
)
from arb.domain.errors import TransientError
from arb.engine import Engine
from arb.supervision.control_view import control_view, is_read_since
from arb.supervision.control_words import KINDS, RECONCILE, ControlAnswer

WITHIN_S: Final = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, RECONCILE, has_pair=False)
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument(
        "--adopt", action="store_true", help="what differs is ours: take the venues' quantities into the books"
    )
    decision.add_argument(
        "--ignore", action="store_true", help="what differs is somebody else's: leave it out of every comparison"
    )


def run(args: argparse.Namespace) -> int:
    """Ask the running engine, or start one that reads, decides and leaves."""
    what = asked(args, RECONCILE)
    decision = "adopt" if args.adopt else "ignore" if args.ignore else None
    if what.request.dry_run:
        return _dry(what, decision)
    answer = trio.run(_ask, what, decision)
    if answer is None:
        return start_for(what, errand_of(what, decision))
    return ended(what, answer, is_complete=True)


def _dry(what: Asked, decision: str | None) -> int:
    """A running engine is only read; a stopped one is not started: the books as they are must do."""
    read = msgspec.structs.replace(what.request, dry_run=False)
    answer = trio.run(reach, what.root, read)
    plan = "nothing would be decided" if decision is None else f"'{decision}' would follow"
    if answer is not None:
        what.screen().print(f"dry run: {plan}", soft_wrap=True)
        return ended(what, answer, is_complete=True)
    what.screen().print(f"dry run: an engine would be started to read the venues; {plan}", soft_wrap=True)
    last = trio.run(last_view, what.loaded, what.root).answer("as the last run left the books", None)
    if what.as_json:
        return what.document(last, DONE)
    say_positions(what.console, last, None)
    say_state(what.console, last)
    return DONE


async def _ask(what: Asked, decision: str | None) -> ControlAnswer | None:
    """Read, decide where asked for and needed, and read again: the venues have the last word."""
    answer = await reach(what.root, what.request)
    if answer is None or not answer.ok or decision is None or not answer.differences:
        return answer
    decided = await reach(what.root, msgspec.structs.replace(what.request, command=decision))
    if decided is None:
        raise TransientError("the engine ended before it took the decision")
    return await reach(what.root, what.request) if decided.ok else decided


def ended(what: Asked, answer: ControlAnswer, *, is_complete: bool) -> int:
    """What differs, and the exit code; `is_complete`: the venues have been read."""
    code = NOT_DONE if not answer.ok else UNEXPLAINED if answer.differences else DONE if is_complete else NOT_DONE
    if what.as_json:
        return what.document(answer, code)
    if not answer.ok:
        say(what, answer, is_running=True)
        return code
    if is_complete:
        what.console.print("venues and books differ" if answer.differences else "venues and books agree")
    say_positions(what.console, answer, None)
    say_state(what.console, answer)
    if answer.differences:
        what.console.print("'arb reconcile' with --adopt or --ignore decides about the differences", soft_wrap=True)
    return code


# --- an engine started for it


def errand_of(what: Asked, decision: str | None) -> Errand:
    """The engine's one thing: read every venue, take the decision, read again, and leave."""
    return Errand(
        name=RECONCILE,
        kinds=() if decision is None else (KINDS[decision],),
        operator=audited_self(what.request),
        needs_trading=False,
        within_s=WITHIN_S,
        is_done=_is_read,
        report=partial(_report, what),
        reason=what.request.reason,
    )


def _is_read(engine: Engine) -> bool:
    """Whether every venue has been read and compared, after a decision once more."""
    decided_ns = engine.memory.accepted_ns
    return is_read_since(engine, 0 if decided_ns is None else decided_ns + 1)


def _report(what: Asked, engine: Engine, console: Console, is_done: bool) -> int:
    view = control_view(engine)
    if not is_done:
        console.print("not every venue could be read and compared in time; see errors.log")
    return ended(what, view.answer(RECONCILE, view.seq), is_complete=is_done)
