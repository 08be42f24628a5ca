"""Every parameter is read by somebody: a setting that nothing reads is a lie to the operator."""

from __future__ import annotations

import re
from inspect import getsourcefile
from pathlib import Path

import attrs
import pytest

import arb
from arb.domain.fx import FxParams
from arb.execution.params import ExecutionParams
from arb.risk.limits import RiskLimits
from arb.strategy.convergence.params import ConvergenceParams
from arb.strategy.inventory.params import InventoryParams

CLASSES = (RiskLimits, ExecutionParams, FxParams, ConvergenceParams, InventoryParams)
SOURCES = {path: path.read_text(encoding="utf-8") for path in Path(arb.__path__[0]).rglob("*.py")}


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, field.name) for owner in CLASSES for field in attrs.fields(owner)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_every_parameter_is_read_outside_its_class(owner: type, name: str) -> None:
    home = Path(getsourcefile(owner) or "")
    read = re.compile(rf"\.{name}\b")
    assert any(read.search(text) for path, text in SOURCES.items() if path != home), f"{owner.__name__}.{name}"
