"""What every strategy's folder keeps: its four names, a kernel that a compiler could take, a state that comes back."""

from __future__ import annotations

import ast
from pathlib import Path

import attrs
import pytest

import arb.strategy
from arb.engine.config import PairConfig, StrategyParams
from arb.engine.memory import Lane
from arb.storage.codec import decode_value, encode_value
from arb.strategy import load_strategy
from tests import strategies as make
from tests.strategy.inventory_views import inventory_params

ROOM = Path(arb.strategy.__path__[0])
NAMES = sorted(path.parent.name for path in ROOM.glob("*/__init__.py"))
PARAMS: dict[str, StrategyParams] = {"convergence": make.convergence_params(), "inventory": inventory_params()}
FORBIDDEN = (ast.Try, ast.Raise, ast.With, ast.Lambda, ast.Global, ast.Nonlocal, ast.Await, ast.Yield, ast.Import)


def kernel_of(name: str) -> ast.Module:
    return ast.parse((ROOM / name / "kernel.py").read_text(encoding="utf-8"))


def test_every_strategy_is_tried_here() -> None:
    assert set(NAMES) == PARAMS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_has_its_names_and_is_loaded_by_its_own(name: str) -> None:
    assert {"params.py", "kernel.py", "decide.py", "__init__.py"} <= {path.name for path in (ROOM / name).iterdir()}
    assert isinstance(PARAMS[name], load_strategy(name).params_class)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_says_its_unit_and_its_range(name: str) -> None:
    bare = [field.name for field in attrs.fields(type(PARAMS[name])) if "range" not in field.metadata]

    assert bare in ([], ["fair_bps"])


@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_holds_scalar_functions_over_floats_ints_and_named_tuples(name: str) -> None:
    tree = kernel_of(name)
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}

    assert imported == {"__future__", "typing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, FORBIDDEN)]
    assert all([getattr(base, "id", "") for base in node.bases] == ["NamedTuple"] for node in classes)
    assert called <= own | {"abs", "float"}


@pytest.mark.parametrize("name", NAMES)
def test_own_state_and_parameters_come_back_from_what_the_journal_keeps(name: str) -> None:
    lane = Lane(own=load_strategy(name).initial(), strategy=name)
    item = PairConfig(attrs.evolve(make.pair(), strategy=name), PARAMS[name])

    assert decode_value(encode_value(lane), Lane) == lane
    assert decode_value(encode_value(item), PairConfig) == item
