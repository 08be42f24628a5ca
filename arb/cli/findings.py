"""One thing that was looked at, and how a list of them is shown.

Owns: the shape of a finding, on screen and as JSON.
Never: looks at anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from arb.telemetry.health import ComponentState

_STYLES: Final = {
    ComponentState.OK: "green",
    ComponentState.WARN: "yellow",
    ComponentState.ERROR: "bold red",
    ComponentState.SKIP: "dim",
    ComponentState.DISABLED: "dim",
}


@attrs.frozen(kw_only=True)
class Finding:
    """What was looked at, how it is, and what a person does about it."""

    check: str
    """`clock`, `key`, `data_dir`, …"""
    subject: str
    """Of which venue, pair or file; empty: of the whole."""
    state: ComponentState
    detail: str
    remedy: str = ""
    """Empty: nothing is to be done."""

    def as_row(self) -> dict[str, str]:
        """For JSON."""
        return {
            "check": self.check,
            "subject": self.subject,
            "status": self.state.value,
            "detail": self.detail,
            "remedy": self.remedy,
        }


def fine(check: str, subject: str, detail: str) -> Finding:
    """Nothing to be done."""
    return Finding(check=check, subject=subject, state=ComponentState.OK, detail=detail)


def doubtful(check: str, subject: str, detail: str, remedy: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(check=check, subject=subject, state=ComponentState.WARN, detail=detail, remedy=remedy)


def wrong(check: str, subject: str, detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check=check, subject=subject, state=ComponentState.ERROR, detail=detail, remedy=remedy)


def unasked(check: str, subject: str, detail: str) -> Finding:
    """It does not apply, or could not be looked at for a reason that stands elsewhere in the list."""
    return Finding(check=check, subject=subject, state=ComponentState.SKIP, detail=detail)


def has_error(findings: Iterable[Finding]) -> bool:
    """Whether anything does not work."""
    return any(one.state is ComponentState.ERROR for one in findings)


def overall(findings: Sequence[Finding]) -> ComponentState:
    """The worst of them."""
    states = {one.state for one in findings}
    return next((state for state in (ComponentState.ERROR, ComponentState.WARN) if state in states), ComponentState.OK)


def shown(console: Console, findings: Sequence[Finding]) -> None:
    """One line each: state, what, how it is; the remedy below it. On a terminal long lines are folded."""
    width = max((len(_name(one)) for one in findings), default=0)
    if not console.is_terminal:
        for one in findings:
            console.print(f"{_word(one):<8}  {_name(one):<{width}}  {one.detail}", markup=False, soft_wrap=True)
            if one.remedy:
                console.print(f"{'':<8}  {'':<{width}}  → {one.remedy}", markup=False, soft_wrap=True)
        return
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for fold in (False, False, True):
        grid.add_column(no_wrap=not fold, overflow="fold")
    for one in findings:
        grid.add_row(Text(_word(one), _STYLES[one.state]), Text(_name(one)), Text(one.detail))
        if one.remedy:
            grid.add_row("", "", Text(f"→ {one.remedy}", "italic"))
    console.print(grid)


def _name(finding: Finding) -> str:
    return f"{finding.check} {finding.subject}".rstrip()


def _word(finding: Finding) -> str:
    return finding.state.value.upper()
