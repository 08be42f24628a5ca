"""Documents name only what exists: paths, functions, commands and keys of the configuration."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from arb.cli.main import COMMANDS
from arb.domain.tables import COLUMNS
from arb.risk.trading_state import Cause

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = tuple(
    sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
)
COMING = frozenset({"init", "watch"} | {"migrate", "record", "backtest", "replay", "tune"})
"""Commands that a document may name as coming later."""

_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"^(?:arb|tools|config|docs|tests)(?:/[\w.-]+)*/?(?::[\w.]+)?$")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(r"(?:-m arb|\barb) ([a-z]+)\b")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def quoted(document: str) -> Iterator[str]:
    """Everything in backticks, blocks of code left out."""
    yield from _QUOTED.findall(re.sub(r"```.*?```", "", text_of(document), flags=re.DOTALL))


@cache
def names_in(path: Path) -> frozenset[str]:
    """Classes, functions and constants of a module, methods with their class in front."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.ClassDef():
                found.add(node.name)
                inner = (item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))
                found.update(f"{node.name}.{item.name}" for item in inner)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return frozenset(found)


def wrong_path(words: str) -> str | None:
    """What is wrong with a path in a document, None if nothing."""
    path, _, name = words.partition(":")
    if not (ROOT / path).exists():
        return f"{words}: there is no {path}"
    if name and name not in names_in(ROOT / path):
        return f"{words}: {path} has no {name}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_and_function_in_a_document_exists(document: str) -> None:
    paths = [words for words in quoted(document) if "/" in words and _PATH.match(words) and "PROGRAM" not in words]

    assert [fault for words in paths if (fault := wrong_path(words))] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent

    assert [link for link in _LINK.findall(text_of(document)) if not (folder / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_document_exists_or_is_said_to_come(document: str) -> None:
    shown = [*quoted(document), *re.findall(r"```.*?```", text_of(document), flags=re.DOTALL)]
    named = {word for text in shown for word in _COMMAND.findall(text)}

    assert named - COMMANDS.keys() - COMING == set()


def test_a_wrong_path_and_a_wrong_function_are_found() -> None:
    assert wrong_path("arb/engine/core.py:Engine.step") is None
    assert wrong_path("arb/engine/core.py:Engine.stop") is not None
    assert wrong_path("arb/engine/nowhere.py") is not None
    assert not COMING & COMMANDS.keys()


def test_the_runbook_has_a_line_for_every_cause_of_the_trading_state_and_every_table() -> None:
    words = set(quoted("docs/runbook.md"))

    assert {cause.value for cause in Cause} - words == set()
    assert {f"{table.value}.csv" for table in COLUMNS} - words == set()


def literals(pattern: str, *folders: str) -> set[str]:
    """What a pattern's group finds in the program's text."""
    paths = (path for folder in folders for path in (ROOT / "arb" / folder).rglob("*.py"))
    return {name for path in paths for name in re.findall(pattern, path.read_text(encoding="utf-8"))}


def test_the_runbook_explains_every_reason_the_gate_can_give() -> None:
    reasons = literals(r"\b(?:waiting|unsafe)\(\"([a-z_]+)\"\)", "risk") | literals(r"return \"(fx_[a-z]+)\"", "state")

    assert len(reasons) > 40
    assert reasons - set(quoted("docs/runbook.md")) == set()


def test_the_runbook_explains_every_warning_and_every_alert() -> None:
    rooms = ("cli", "venues/wire", "telemetry", "storage")
    events = literals(r"(?i)(?:\b|_)log\.(?:warning|error)\(\s*\"([a-z_]+)\"", *rooms)
    events |= literals(r"\b(?:sources|root|safety)\.(?:warning|error)\(\s*\"([a-z_]+)\"", "cli")
    keys = {f"{key}/…" for key in literals(r"\balert\(\s*f\"([a-z]+)/", "engine")}

    assert len(events) > 10
    assert len(keys) > 4
    assert (events | keys) - set(quoted("docs/runbook.md")) == set()


def test_keys_named_in_the_runbook_are_keys_of_the_shipped_configuration() -> None:
    tree = tomllib.loads((ROOT / "config" / "live.toml").read_text(encoding="utf-8"))
    sections = {name for name, section in tree.items() if isinstance(section, dict)}
    named = {words.split(" ")[0] for words in quoted("docs/runbook.md")}
    keys = {tuple(words.split(".")) for words in named if re.fullmatch(r"[a-z_]+\.(?!log\b)[a-z_]+", words)}

    assert [key for key in keys if key[0] in sections and key[1] not in tree[key[0]]] == []
