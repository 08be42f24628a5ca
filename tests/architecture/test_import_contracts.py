"""The import contracts name every room and folder they are for, and break when a wrong import is planted."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import rules
from tests.architecture.source_tree import ROOT

MAY_DO_IO = {"arb.venues.wire"}


def contracts() -> dict[str, dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def rooms_in_layers() -> set[str]:
    layers = contracts()["Layers point inward"]["layers"]
    return {room.strip(" ()") for layer in layers for room in layer.split("|")}


def modules_below(folder: Path) -> set[str]:
    """Name what can be imported from a folder, files and packages alike."""
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return packages | {path.stem for path in folder.glob("*.py")}


def test_every_room_stands_in_a_layer():
    rooms = {f"arb.{name}" for name in modules_below(ROOT / "arb") - {"__init__", "__main__"}}

    assert rooms <= rooms_in_layers()


def test_everything_in_venues_but_wire_is_held_to_sans_io():
    below = {f"arb.venues.{name}" for name in modules_below(ROOT / "arb" / "venues") - {"__init__"}}

    assert below - MAY_DO_IO == set(contracts()["Venue folders are sans-IO"]["source_modules"])


def test_core_of_the_contract_is_the_core_of_the_rules():
    assert set(contracts()["The core performs no I/O and reads no clock"]["source_modules"]) == set(rules.CORE)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Build the rooms with nothing in them, under the project's own contracts."""
    named = rooms_in_layers() | {
        name for contract in contracts().values() for name in contract.get("source_modules", ()) if "venues." in name
    }
    for room in named:
        folder = tmp_path.joinpath(*room.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    (tmp_path / "arb" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    line = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_skeleton_keeps_every_contract(skeleton: Path):
    code, output = lint(skeleton)

    assert code == 0, output


# File, import, the contract that it breaks.
PLANTED = (
    ("arb/domain/__init__.py", "import arb.state", "Layers point inward"),
    ("arb/strategy/__init__.py", "import arb.risk", "Layers point inward"),
    ("arb/storage/__init__.py", "import arb.telemetry", "Layers point inward"),
    ("arb/engine/__init__.py", "import time", "The core performs no I/O and reads no clock"),
    ("arb/telemetry/__init__.py", "import arb.engine", "Edges do not know the engine"),
    ("arb/venues/upbit/__init__.py", "from trio import sleep", "Venue folders are sans-IO"),
)


def test_each_planted_import_breaks_its_contract(skeleton: Path):
    for path, text, _ in PLANTED:
        with (skeleton / path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    code, output = lint(skeleton)

    assert code == 1, output
    for path, text, contract in PLANTED:
        importer = path.removesuffix("/__init__.py").replace("/", ".")
        imported = text.split()[1]
        assert f"{contract} BROKEN" in output
        assert f"{importer} -> {imported}" in output
