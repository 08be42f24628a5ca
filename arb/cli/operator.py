"""What all operator commands share: their arguments, the way to the engine, and how its answer is said.

Owns: the words on the screen and the exit code of a command.
Never: decides; the engine does, or the next one that starts.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

import attrs
import trio
from rich.console import Console
from rich.table import Table as Grid

from arb.cli.arguments import add_config
from arb.cli.console import KST_S, number
from arb.cli.control import operator_name, reach
from arb.cli.offline import tell_next_start
from arb.cli.schema import Mode
from arb.cli.settings import Loaded, load_settings
from arb.domain.errors import ConfigError
from arb.supervision.control import Peer, audited_name
from arb.supervision.control_words import ControlAnswer, ControlRequest, cause_name, encoded, read_request

DONE: Final = 0
NOT_DONE: Final = 1
UNEXPLAINED: Final = 4


@attrs.frozen(kw_only=True)
class Asked:
    """A command as it was typed."""

    loaded: Loaded
    root: Path
    request: ControlRequest
    as_json: bool
    out: TextIO
    """Standard output, for the document."""
    console: Console

    def document(self, answer: ControlAnswer, code: int) -> int:
        """The answer as one JSON document; the exit code it is given."""
        self.out.write(encoded(answer).decode())
        self.out.flush()
        return code

    def screen(self) -> Console:
        """Where progress and remarks go: standard output holds the document alone where one is asked for."""
        return Console(highlight=False, stderr=True) if self.as_json else self.console


def configure_operator(parser: argparse.ArgumentParser, command: str, *, has_pair: bool) -> None:
    """Arguments that every operator command takes."""
    parser.epilog = f'Example: arb {command} config/live.toml --mode live --reason "news at 15:00"'
    add_config(parser, mode="the engine of this mode", json="the answer as one JSON document")
    if has_pair:
        parser.add_argument("--pair", help="only this pair")
    parser.add_argument("--reason", default="", help="why, for the audit")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def asked(args: argparse.Namespace, command: str) -> Asked:
    """The command as a request; what the protocol would refuse is refused here, before anything is reached.

    Raises:
        ConfigError: the configuration, the pair or the words are not lawful.
    """
    loaded = load_settings(args.config, overrides=args.overrides, flags={"mode": args.mode}, environ=os.environ)
    settings = loaded.settings
    request = ControlRequest(
        command=command,
        operator=operator_name(),
        pair=getattr(args, "pair", None),
        reason=args.reason,
        dry_run=args.dry_run,
    )
    checked = read_request(encoded(request).rstrip(b"\n"), tuple(pair.name for pair in settings.pairs))
    if isinstance(checked, ControlAnswer):
        raise ConfigError(checked.why)
    root = Path(settings.data_dir.format(mode=settings.mode.value))
    console = Console(highlight=False)
    return Asked(loaded=loaded, root=root, request=request, as_json=args.json, out=sys.stdout, console=console)


def audited_self(request: ControlRequest) -> str:
    """This process as the audit of an engine that it starts shows it."""
    return audited_name(request, Peer(os.getpid(), os.geteuid()))


def carry_out(what: Asked) -> int:
    """Ask the running engine, or leave it in the journal for the next start; say what came of it."""
    answer, is_running = tell(what)
    return ended(what, answer, is_running=is_running)


def tell(what: Asked) -> tuple[ControlAnswer, bool]:
    """The answer, and whether a running engine gave it."""
    answer = trio.run(reach, what.root, what.request)
    if answer is not None:
        return answer, True
    return trio.run(tell_next_start, what.loaded, what.root, what.request), False


def ended(what: Asked, answer: ControlAnswer, *, is_running: bool) -> int:
    """Say what came of it; the exit code."""
    say(what, answer, is_running=is_running)
    return DONE if answer.ok else NOT_DONE


def say(what: Asked, answer: ControlAnswer, *, is_running: bool) -> None:
    """The answer on the screen, or as JSON."""
    if what.as_json:
        what.document(answer, DONE)
        return
    if not answer.ok:
        sys.stderr.write(f"arb {what.request.command}: {answer.why}\n")
        return
    step = "" if answer.seq is None else f" (step {answer.seq} of run {answer.run_id})"
    what.console.print(f"{answer.applied}{step}", soft_wrap=True)
    if not is_running:
        when = "would be in force" if what.request.dry_run else "is in force"
        since = f"it {when} from the next start on"
        if what.loaded.settings.mode is Mode.MOCK:
            since = "in mock nothing is in force from the next start on: it begins anew"
        what.console.print(f"no engine runs on {what.root}; {since}", soft_wrap=True)
    say_state(what.console, answer)


def say_state(console: Console, answer: ControlAnswer) -> None:
    """Trading state and what stands behind it."""
    console.print(f"trading state {answer.state}")
    for told in answer.causes or ():
        because = f": {told.text}" if told.text else ""
        console.print(f"  {cause_name(told)} ({told.state}) ends {told.ends}{because}", soft_wrap=True)
    if answer.missing:
        console.print(f"not armed: {'; '.join(answer.missing)}", soft_wrap=True)
    for words in answer.differences or ():
        console.print(f"differs: {words}", soft_wrap=True)


def say_positions(console: Console, answer: ControlAnswer, pair: str | None) -> None:
    """Open positions, with what closing each would mean on the books as they are."""
    rows = [item for item in answer.positions or () if pair in (None, item.pair)]
    if not rows:
        console.print("nothing is open" if pair is None else f"nothing is open on {pair}")
        return
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("pair", "direction", "qty A", "qty B", "exit A\nKRW", "exit B\nUSDT", "cost\nKRW", "result\nKRW"):
        grid.add_column(name, justify="left" if name in ("pair", "direction") else "right", no_wrap=True)
    for item in rows:
        prices = (_short(value) for value in (item.exit_a, item.exit_b, item.cost_krw, item.result_krw))
        grid.add_row(item.pair, item.direction, number(item.qty_a), number(item.qty_b), *prices)
    console.print(grid)
    if answer.seen_ns is not None:
        seen = datetime.fromtimestamp(answer.seen_ns // 1_000_000_000 + KST_S, UTC)
        console.print(f"estimated on the books of {seen:%Y-%m-%d %H:%M:%S} KST", style="dim")


def _short(value: Decimal | None) -> str:
    """Enough digits to judge by."""
    return number(None if value is None else Decimal(f"{value:.8g}"))
