"""What is declared, what is locked and what is shipped agree."""

import re
import tomllib
from importlib.metadata import version
from typing import Any

import arb
from tests.architecture.source_tree import ROOT, Module, read_tree

LOCK = (ROOT / "tools" / "requirements.lock").read_text(encoding="utf-8")
PINNED = set(re.findall(r"^([A-Za-z0-9._-]+)==", LOCK, re.MULTILINE))


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower()


def identifiers(module: Module) -> set[str]:
    """Collect every word that the code itself uses: names, attributes, parameters, modules, keys."""
    words = set(module.name.split("."))
    for node in module.nodes:
        words |= {str(getattr(node, field)) for field in ("id", "attr", "arg", "name", "value") if hasattr(node, field)}
    return words


def test_every_declared_requirement_is_locked():
    declared = project()["dependencies"] + project()["optional-dependencies"]["dev"]

    assert {name_of(requirement) for requirement in declared} <= PINNED


def test_every_locked_requirement_carries_a_hash_and_no_address():
    entries = re.split(r"\n(?=\S)", LOCK.strip())

    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_what_is_installed_here_is_what_is_locked():
    pins = set(re.findall(r"^([A-Za-z0-9._-]+)==([^ ]+)", LOCK, re.MULTILINE))
    declared = project()["dependencies"] + project()["optional-dependencies"]["dev"]

    installed = {(name, version(name)) for name in map(name_of, declared)}

    assert installed <= pins


def test_version_is_a_plain_release_number():
    assert re.fullmatch(r"\d+\.\d+\.\d+", arb.__version__)


def test_every_code_name_of_the_glossary_is_a_name_in_the_program():
    rows = re.findall(
        r"^\|[^|]+\|[^|]+\|([^|]+)\|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    promised = {name for cell in rows for name in re.findall(r"`(\w+)`", cell) if not name.startswith("_")}

    spoken = {name for module in read_tree("arb") for name in identifiers(module)}

    assert len(promised) > 50
    assert promised - spoken == set()


def test_decisions_are_numbered_without_gap_and_answer_four_questions():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]

    assert numbers == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], record.name
