"""The rules of the house: each a function from the program's text to a list of sentences, one per breach.

Owns: what is forbidden, where, and the few named exceptions with their reasons.
Never: imports the program, reads a file, or asserts; the tests beside it do.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.architecture.source_tree import Module, SourceTree

CORE = ("arb.domain", "arb.state", "arb.strategy", "arb.risk", "arb.execution", "arb.engine")

# Reading a clock, by what it reads. Waiting (trio.sleep, move_on_after) reads nothing and is free.
CLOCK_READS = frozenset(
    {
        *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
        *(f"time.{name}_ns" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
        *(f"time.{name}" for name in ("clock_gettime", "clock_gettime_ns")),
        *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
        "datetime.date.today",
        "trio.current_time",
        "trio.lowlevel.current_clock",
    }
)
# These read it only when called with nothing to convert.
CLOCK_READS_BY_DEFAULT = frozenset({"time.gmtime", "time.localtime", "time.ctime", "time.asctime"})
CLOCK_FILE = "arb/supervision/clock.py"

CHANCE = ("random", "secrets", "uuid.uuid1", "uuid.uuid4", "os.urandom", "numpy.random")

ONLY_BLIND_EXCEPT = "arb/supervision/restart.py"
BLIND = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})

ONLY_APPROVER = "arb/risk/gate.py"
ONLY_WITNESS = "arb/storage/journal.py"

# Modes live above the core; phases, tickets and versions live in the repository's history.
MODE_WORDS = frozenset({"paper", "live", "mock", "shadow", "backtest", "dryrun"})
HISTORY_WORDS = frozenset({"phase", "ticket", "sprint", "milestone", "legacy"})
VERSION_WORD = re.compile(r"^(v\d+|d\d{2,})$")

# Words that say who made a thing instead of what it is.
EMPTY_WORDS = frozenset(
    {"manager", "helper", "helpers", "util", "utils", "handler", "handlers", "service", "services", "misc"}
)

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+")


def synchronous_core(tree: SourceTree) -> list[str]:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    return [
        f"{module.place(node)}: the core never waits; async belongs to the shell"
        for module in tree.within(*CORE)
        for node in module.nodes
        if isinstance(node, waits)
    ]


def no_chance_in_core(tree: SourceTree) -> list[str]:
    return [
        f"{module.place(node)}: the core knows no chance ({name}); take a generator's value as an argument"
        for module in tree.within(*CORE)
        for node, name in _names_used(module)
        if any(name == source or name.startswith(f"{source}.") for source in CHANCE)
    ]


def one_clock(tree: SourceTree, exceptions: Mapping[str, frozenset[str]]) -> list[str]:
    """Find clock reads outside the clock's file; `exceptions` names a file's permitted reads."""
    return [
        f"{module.place(node)}: {name} is read in {CLOCK_FILE} only; take now_ns as an argument"
        for module in tree
        if module.path != CLOCK_FILE
        for node, name in _clock_reads(module)
        if name not in exceptions.get(module.path, frozenset())
    ]


def _clock_reads(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node, name in _names_used(module):
        if name in CLOCK_READS:
            yield node, name
    for node in module.nodes:
        if isinstance(node, ast.Call) and not node.args and module.dotted(node.func) in CLOCK_READS_BY_DEFAULT:
            yield node, module.dotted(node.func) or ""


def unused_clock_exceptions(tree: SourceTree, exceptions: Mapping[str, frozenset[str]]) -> list[str]:
    used = {module.path: {name for _, name in _clock_reads(module)} for module in tree}
    return [
        f"{path}: no longer reads {name}; take the exception away"
        for path, names in exceptions.items()
        for name in sorted(names - used.get(path, set()))
    ]


def unique_class_names(tree: SourceTree) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for module in tree:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module.place(node))
    return [f"class {name} stands twice: {', '.join(found)}" for name, found in places.items() if len(found) > 1]


def reachable(tree: SourceTree) -> list[str]:
    """Follow imports from the command line and from every folder that a loader can name."""
    roots = {"arb", "arb.__main__", "arb.cli.main", *loadable_folders(tree), *command_modules(tree)}
    seen: set[str] = set()
    todo = [name for name in roots if name in tree.modules]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(tree.imports(tree.modules[name]))
    return [f"{module.path}: nothing reaches it from arb.cli" for module in tree if module.name not in seen]


def loadable_folders(tree: SourceTree) -> set[str]:
    """Name the venue and strategy folders: load_venue and load_strategy import them by the configuration's word."""
    return {
        module.name
        for module in tree.within("arb.venues", "arb.strategy")
        if module.is_package and module.name.count(".") == 2 and module.name != "arb.venues.wire"
    }


def command_modules(tree: SourceTree) -> set[str]:
    """Name the modules behind the command table of arb.cli.main: one for each key of COMMANDS."""
    found = set()
    for module in tree.within("arb.cli.main"):
        for node in module.nodes:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict) and any(isinstance(t, ast.Name) and t.id == "COMMANDS" for t in targets):
                keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
                found |= {f"arb.cli.{key}" for key in keys if isinstance(key, str)}
    return found


def timeless_core_names(tree: SourceTree) -> list[str]:
    return [
        f"{place}: {name} carries a word of a mode, a phase or a version into the core"
        for module in tree.within(*CORE)
        for place, name in _names_defined(module)
        if _speaks_of_history_or_mode(name)
    ]


def _speaks_of_history_or_mode(name: str) -> bool:
    words = words_of(name)
    if {"dry", "run"} <= set(words):
        return True
    return any(word in MODE_WORDS or word in HISTORY_WORDS or VERSION_WORD.match(word) for word in words)


def names_say_what(tree: SourceTree) -> list[str]:
    """Find modules, classes and functions named after a job instead of a thing; no class is anybody's Base."""
    found = []
    for module in tree:
        if set(words_of(module.name.rpartition(".")[2])) & EMPTY_WORDS:
            found.append(f"{module.path}: the file's name does not say what is in it")
        for node in module.nodes:
            if isinstance(node, _NAMED) and set(words_of(node.name)) & EMPTY_WORDS - _words_of_parents(module, node):
                found.append(f"{module.place(node)}: {node.name} does not say what it is")
            if isinstance(node, ast.ClassDef) and words_of(node.name)[0] in {"base", "abstract"}:
                found.append(f"{module.place(node)}: no base classes: {node.name}")
    return found


def _words_of_parents(module: Module, node: ast.AST) -> set[str]:
    """Give the words that a class takes over from a foreign parent: a logging.Handler may be called one."""
    if not isinstance(node, ast.ClassDef):
        return set()
    return {word for base in node.bases for word in words_of((module.dotted(base) or "").rpartition(".")[2])}


def no_inheritance_among_ours(tree: SourceTree) -> list[str]:
    """Only errors inherit from a class of ours; alternatives are a union."""
    classes = {
        f"{module.name}.{node.name}": (module, node)
        for module in tree
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
    }
    found = []
    for module, node in classes.values():
        for base in node.bases:
            dotted = module.dotted(base.value if isinstance(base, ast.Subscript) else base) or ""
            parent = dotted if dotted in classes else f"{module.name}.{dotted}"
            if parent in classes and not _is_error(parent, classes):
                found.append(f"{module.place(node)}: {node.name} inherits from {dotted}; write a union or a function")
    return found


def _is_error(name: str, classes: Mapping[str, tuple[Module, ast.ClassDef]]) -> bool:
    module, node = classes[name]
    for base in node.bases:
        dotted = module.dotted(base) or ""
        if dotted.rpartition(".")[2] in {"Exception", "BaseException", "BaseExceptionGroup", "ExceptionGroup"}:
            return True
        parent = dotted if dotted in classes else f"{module.name}.{dotted}"
        if parent in classes and _is_error(parent, classes):
            return True
    return False


def one_blind_except(tree: SourceTree) -> list[str]:
    """Find what catches everything; an `except BaseException` that tidies up and ends in `raise` catches nothing."""
    found = []
    for module in tree:
        if module.path == ONLY_BLIND_EXCEPT:
            continue
        for node in module.nodes:
            if isinstance(node, ast.ExceptHandler) and _is_blind(module, node):
                found.append(f"{module.place(node)}: catching everything is the right of {ONLY_BLIND_EXCEPT} alone")
            elif _suppresses_everything(module, node):
                found.append(f"{module.place(node)}: suppress names what it suppresses")
    return found


def _suppresses_everything(module: Module, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or module.dotted(node.func) != "contextlib.suppress":
        return False
    return any(module.dotted(kind) in BLIND for kind in node.args)


def _is_blind(module: Module, handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = {None if kind is None else module.dotted(kind) for kind in kinds}
    if handler.type is None or caught & {"BaseException", "builtins.BaseException"}:
        last = handler.body[-1]
        return not (isinstance(last, ast.Raise) and last.exc is None)
    return bool(caught & BLIND)


def bounded_channels(tree: SourceTree) -> list[str]:
    """Every memory channel and thread queue has a bound, and the line that opens a channel says what fullness means."""
    found = []
    for module in tree:
        lines = module.text.splitlines()
        for node in module.nodes:
            if not isinstance(node, ast.Call):
                continue
            function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            name = (module.dotted(function) or "").rpartition(".")[2]
            if name == "SimpleQueue":
                found.append(f"{module.place(node)}: a SimpleQueue has no bound")
            elif name in {"open_memory_channel", "Queue", "LifoQueue", "PriorityQueue"}:
                if not _is_bounded(module, node):
                    found.append(f"{module.place(node)}: {name} needs a finite bound")
                if name == "open_memory_channel" and not _has_comment(lines, node):
                    found.append(f"{module.place(node)}: say in a comment what happens when the channel is full")
    return found


def _is_bounded(module: Module, call: ast.Call) -> bool:
    bounds = [*call.args, *(keyword.value for keyword in call.keywords)]
    if len(bounds) != 1:
        return False
    bound = bounds[0]
    if isinstance(bound, ast.Constant):
        return isinstance(bound.value, int) and bound.value >= 0 if _opens_channel(call) else _is_positive(bound)
    if isinstance(bound, ast.UnaryOp):
        return False
    is_infinite_call = isinstance(bound, ast.Call) and module.dotted(bound.func) == "float"
    return not is_infinite_call and module.dotted(bound) not in {"math.inf", "inf", "trio.inf"}


def _opens_channel(call: ast.Call) -> bool:
    return "open_memory_channel" in ast.unparse(call.func)


def _is_positive(bound: ast.Constant) -> bool:
    return isinstance(bound.value, int) and bound.value > 0


def _has_comment(lines: list[str], node: ast.Call) -> bool:
    """Look on the lines of the call and in the comment right above it."""
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    above = lines[first - 1].strip() if first else ""
    return above.startswith("#") or any("#" in line for line in lines[first:last])


def one_approver(tree: SourceTree) -> list[str]:
    return _one_maker(tree, "ApprovedOrder", ONLY_APPROVER)


def one_witness(tree: SourceTree) -> list[str]:
    return _one_maker(tree, "Synced", ONLY_WITNESS)


def _one_maker(tree: SourceTree, name: str, maker: str) -> list[str]:
    return [
        f"{module.place(node)}: only {maker} makes {name}"
        for module in tree
        if module.path != maker
        for node in module.nodes
        if isinstance(node, ast.Call) and (module.dotted(node.func) or "").rpartition(".")[2] == name
    ]


def venues_know_only_the_book(tree: SourceTree) -> list[str]:
    found = []
    for module in tree.within("arb.venues"):
        for name in sorted(tree.imports(module)):
            in_core = any(name == room or name.startswith(f"{room}.") for room in CORE)
            # The package of a permitted module is imported with it; what counts is what is named in it.
            is_free = name in {"arb.domain", "arb.state"} or name.startswith(("arb.domain.", "arb.state.book"))
            if in_core and not is_free:
                found.append(f"{module.path}: of the core a venue takes domain and state.book, not {name}")
        found += [
            f"{module.place(node)}: import from arb.state.book, not from the room"
            for node in module.nodes
            if isinstance(node, ast.ImportFrom)
            and node.module == "arb.state"
            and [a.name for a in node.names] != ["book"]
        ]
    return found


def short_files(tree: SourceTree) -> list[str]:
    lengths = {module.path: len(module.text.splitlines()) for module in tree}
    return [
        f"{path}: {lines} lines, at most {MAX_FILE_LINES}; give one of its subjects a file of its own"
        for path, lines in lengths.items()
        if lines > MAX_FILE_LINES
    ]


def short_functions(tree: SourceTree) -> list[str]:
    return [
        f"{module.place(node)}: {node.name} has {_length(node)} lines, at most {MAX_FUNCTION_LINES}"
        for module in tree
        for node in module.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _length(node) > MAX_FUNCTION_LINES
    ]


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def nothing_skipped(tree: SourceTree) -> list[str]:
    """A test that cannot run here is not collected; one that is collected runs and must pass."""
    last_words = {"skip", "skipif", "importorskip", "xfail", "skipTest"}
    return [
        f"{module.place(node)}: nothing is skipped or expected to fail"
        for module in tree
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and node.attr in last_words
        and (module.dotted(node) or "").startswith(("pytest.", "unittest."))
    ]


def words_of(name: str) -> list[str]:
    """Split a name of either spelling into lower-case words: `DryRunBook_v2` gives dry, run, book, v2."""
    return [word.lower() for part in name.split("_") for word in _WORD.findall(part)] or [name]


_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _names_used(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every dotted name that a module reads, and every name that it imports, as what it stands for."""
    for node in module.nodes:
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = module.dotted(node)
            if name is not None:
                yield node, name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)


def _names_defined(module: Module) -> Iterator[tuple[str, str]]:
    yield module.path, module.name.rpartition(".")[2]
    for node in module.nodes:
        if isinstance(node, _NAMED):
            yield module.place(node), node.name
        elif isinstance(node, ast.arg):
            yield module.place(node), node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield module.place(node), node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield module.place(node), node.attr
