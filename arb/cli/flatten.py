"""`arb flatten CONFIG`: close every open position, or those of one pair; nothing opens until `arb resume`.

Owns: the progress on the screen, and how long is waited.
Never: closes anything itself; the engine does, or one that is started for it and leaves when all is closed.
Units: seconds; quantities in base units.
"""

from __future__ import annotations

import argparse
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from arb.cli.console import number
from arb.cli.control import reach
from arb.cli.errand import Errand
from arb.cli.errand_start import start_for
from arb.cli.offline import last_view
from arb.cli.operator import (
    DONE,
    NOT_DONE,
    Asked,
    asked,
    audited_self,
    configure_operator,
    say,
    say_positions,
    say_state,
)
from arb.domain.errors import TransientError
from arb.domain.events import CommandKind
from arb.domain.ids import PairId
from arb.engine import Engine
from arb.supervision.control import would_be
from arb.supervision.control_view import control_view, is_flat
from arb.supervision.control_words import STATUS, ControlAnswer, PositionTold

DEFAULT_S: Final = 120.0
POLL_S: Final = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    configure_operator(parser, "flatten", has_pair=True)
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_S, metavar="S", help="how long to wait until all is closed (120)"
    )


def run(args: argparse.Namespace) -> int:
    """Tell the engine and watch it, or start one for it."""
    what = asked(args, "flatten")
    answer = trio.run(reach, what.root, what.request)
    is_running = answer is not None
    if answer is None and not what.request.dry_run:
        return start_for(what, errand_of(what, args.timeout))
    if answer is None:
        answer = would_be(what.request, trio.run(last_view, what.loaded, what.root))
    if not answer.ok:
        say(what, answer, is_running=is_running)
        return NOT_DONE
    if what.request.dry_run:
        return _dry(what, answer, is_running=is_running)
    what.screen().print(f"{answer.applied} (step {answer.seq} of run {answer.run_id})", soft_wrap=True)
    say_positions(what.screen(), answer, what.request.pair)
    return ended(what, trio.run(_watch, what, answer, args.timeout))


def _dry(what: Asked, answer: ControlAnswer, *, is_running: bool) -> int:
    if what.as_json:
        return what.document(answer, DONE)
    what.console.print(answer.applied, soft_wrap=True)
    if not is_running:
        what.console.print(f"no engine runs on {what.root}: one would be started for it", soft_wrap=True)
    say_positions(what.console, answer, what.request.pair)
    return DONE


def ended(what: Asked, last: ControlAnswer) -> int:
    """How it stands when the waiting is over, and the exit code."""
    is_done = is_flat(last, what.request.pair)
    if what.as_json:
        return what.document(last, DONE if is_done else NOT_DONE)
    if is_done:
        what.console.print("all is closed; nothing opens until 'arb resume'")
        return DONE
    what.console.print("not everything could be closed in time; 'arb flatten' once more goes on with it")
    say_positions(what.console, last, what.request.pair)
    say_state(what.console, last)
    return NOT_DONE


# --- a running engine


async def _watch(what: Asked, first: ControlAnswer, timeout_s: float) -> ControlAnswer:
    """Ask how it stands until nothing is open or the time is over; the last answer.

    Raises:
        TransientError: the engine is gone.
    """
    if is_flat(first, what.request.pair):
        return first
    status = msgspec.structs.replace(what.request, command=STATUS)
    last = first
    with _progress(what.screen()) as progress:
        bars = _Bars(progress, first, what.request.pair)
        with trio.move_on_after(timeout_s):
            while not is_flat(last, what.request.pair):
                await trio.sleep(POLL_S)
                answer = await reach(what.root, status)
                if answer is None or not answer.ok:
                    raise TransientError("the engine ended before everything was closed; see its exit code and its log")
                bars.show(last := answer)
    return last


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=console.is_terminal)


class _Bars:
    """One bar for each position: how much of it is closed."""

    def __init__(self, progress: Progress, first: ControlAnswer, pair: str | None) -> None:
        self._progress = progress
        self._pair = pair
        self._whole: dict[str, Decimal] = {}
        self._bars: dict[str, TaskID] = {}
        self.show(first)

    def show(self, answer: ControlAnswer) -> None:
        """Move every bar to what is left."""
        left = {item.pair: item for item in answer.positions or () if self._pair in (None, item.pair)}
        for pair, item in left.items():
            qty = _held(item)
            if pair not in self._bars:
                self._whole[pair] = qty
                self._bars[pair] = self._progress.add_task(f"{pair} {item.direction}", total=float(qty), left="")
            self._whole[pair] = max(self._whole[pair], qty)
        for pair, bar in self._bars.items():
            item_left = left.get(pair)
            qty = Decimal(0) if item_left is None else _held(item_left)
            words = "closed" if item_left is None else _left(item_left)
            whole = self._whole[pair]
            self._progress.update(bar, total=float(whole), completed=float(whole - qty), left=words)


def _left(item: PositionTold) -> str:
    waits = f", waits: {item.waits_for}" if item.waits_for else ""
    return f"left {number(item.qty_a)} / {number(item.qty_b)}{waits}"


def _held(item: PositionTold) -> Decimal:
    return abs(item.qty_a) + abs(item.qty_b)


# --- an engine started for it


def errand_of(what: Asked, timeout_s: float) -> Errand:
    """The engine's one thing: close, and leave."""
    pair = what.request.pair
    return Errand(
        name="flatten",
        kinds=(CommandKind.FLATTEN,),
        operator=audited_self(what.request),
        needs_trading=True,
        within_s=timeout_s,
        is_done=partial(_is_closed, pair),
        report=partial(_report, what),
        pair=PairId(pair) if pair is not None else None,
        reason=what.request.reason,
    )


def _is_closed(pair: str | None, engine: Engine) -> bool:
    if pair is None:
        return not engine.has_open()
    return engine.memory.ledger.position(PairId(pair)) is None and pair not in engine.unbalanced()


def _report(what: Asked, engine: Engine, console: Console, is_done: bool) -> int:
    """What the venues and the books hold at the end counts, whatever ended the run."""
    view = control_view(engine)
    code = ended(what, view.answer("flatten" if is_done else "flatten, not done in time", view.seq))
    if view.differences:
        console.print("venues and books differ: 'arb reconcile' says where")
    return code
