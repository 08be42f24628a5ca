"""The program as text: every module of a package with its syntax tree, and who imports whom.

Owns: reading the sources, and turning a name in a module into what it stands for.
Never: imports the program itself, judges it, or knows a rule.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen(slots=False)
class Module:
    """One source file."""

    path: str
    # posix, from the root of the checkout: "arb/domain/money.py"
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """What each imported name stands for, dotted: `from time import monotonic as m` gives m -> time.monotonic."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.AST) -> str | None:
        """What an expression such as `t.monotonic` stands for, or None where it is not a plain dotted name."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return None if owner is None else f"{owner}.{node.attr}"
        return None

    def place(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@attrs.frozen(slots=False)
class SourceTree:
    """All modules of the program, by dotted name."""

    modules: Mapping[str, Module]

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> "SourceTree":
        """Make a tree of path -> text, as the tests of the rules plant them."""
        modules = (Module(path, text) for path, text in texts.items())
        return cls({module.name: module for module in modules})

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def within(self, *rooms: str) -> Iterator[Module]:
        """Yield the modules of some rooms: `arb.engine` is one, so is `arb.domain` with all below it."""
        for module in self:
            if any(module.name == room or module.name.startswith(f"{room}.") for room in rooms):
                yield module

    def imports(self, module: Module) -> frozenset[str]:
        """Name the modules of this tree that one imports, the packages they stand in included."""
        named = {name for node in module.nodes for name in _imported_names(node)}
        return frozenset(name for given in named for name in self._with_packages(given))

    def _with_packages(self, name: str) -> Iterator[str]:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            candidate = ".".join(parts[:end])
            if candidate in self.modules:
                yield candidate


def _imported_names(node: ast.AST) -> Iterator[str]:
    """Name what a node imports; a string that spells a module, as the loaders' tables do, counts as an import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("arb."):
        yield node.value.partition(":")[0]


def read_tree(folder: str) -> SourceTree:
    """Read every Python file below a folder of the checkout."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return SourceTree.of({path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths})
