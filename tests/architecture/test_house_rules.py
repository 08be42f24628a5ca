"""The program keeps the rules of the house, and each rule catches a breach planted for it."""

from collections.abc import Callable

import pytest

from tests.architecture import rules
from tests.architecture.source_tree import SourceTree, read_tree

Rule = Callable[[SourceTree], list[str]]

# Reads of a clock outside supervision/clock.py, each with its reason.
CLOCK_EXCEPTIONS = {
    # The dead-man's thread judges the event loop from outside: no clock that the loop drives would do.
    "arb/supervision/deadman.py": frozenset({"time.monotonic"}),
    # `arb bench` measures the program itself, its processor time included; no decision depends on it.
    "arb/cli/measures/timing.py": frozenset({"time.perf_counter_ns", "time.process_time_ns"}),
}


def one_clock(tree: SourceTree) -> list[str]:
    return rules.one_clock(tree, CLOCK_EXCEPTIONS)


PROGRAM_RULES: tuple[Rule, ...] = (
    rules.synchronous_core,
    rules.no_chance_in_core,
    one_clock,
    rules.unique_class_names,
    rules.reachable,
    rules.timeless_core_names,
    rules.names_say_what,
    rules.no_inheritance_among_ours,
    rules.one_blind_except,
    rules.bounded_channels,
    rules.one_approver,
    rules.one_witness,
    rules.venues_know_only_the_book,
    rules.short_files,
    rules.short_functions,
)


def name_of(rule: Rule) -> str:
    return rule.__name__


def assert_none(breaches: list[str]) -> None:
    if breaches:
        pytest.fail("\n".join(breaches), pytrace=False)


@pytest.fixture(scope="module")
def program() -> SourceTree:
    return read_tree("arb")


@pytest.mark.parametrize("rule", PROGRAM_RULES, ids=name_of)
def test_program_keeps_the_rule(rule: Rule, program: SourceTree):
    assert_none(rule(program))


def test_no_exception_outlives_its_reason(program: SourceTree):
    assert_none(rules.unused_clock_exceptions(program, CLOCK_EXCEPTIONS))


def test_no_test_is_skipped_or_expected_to_fail():
    assert_none(rules.nothing_skipped(read_tree("tests")))


# Rule, file in which the breach stands, the breach.
PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (rules.synchronous_core, "arb/engine.py", "async def step(event): ..."),
    (rules.synchronous_core, "arb/risk/gate.py", "async def wait(x):\n    async with x: ..."),
    (rules.no_chance_in_core, "arb/strategy/sizing.py", "import random\nsize = random.random()"),
    (rules.no_chance_in_core, "arb/execution/order_ids.py", "from uuid import uuid4 as fresh\nname = fresh()"),
    (rules.no_chance_in_core, "arb/execution/order_ids.py", "import os\nname = os.urandom(8)"),
    (one_clock, "arb/telemetry/metrics.py", "import time\nat = time.time()"),
    (one_clock, "arb/telemetry/metrics.py", "import time as t\nread = t.monotonic_ns"),
    (one_clock, "arb/storage/journal.py", "from time import perf_counter\nat = perf_counter()"),
    (one_clock, "arb/storage/journal.py", "import time\nat = time.strftime('%H', time.gmtime())"),
    (one_clock, "arb/venues/upbit/orders.py", "from datetime import UTC, datetime\nat = datetime.now(UTC)"),
    (one_clock, "arb/venues/upbit/orders.py", "import datetime as dt\nat = dt.date.today()"),
    (one_clock, "arb/venues/wire/ws.py", "import trio\nat = trio.current_time()"),
    (one_clock, "arb/supervision/deadman.py", "import time\ntime.time()"),
    (rules.timeless_core_names, "arb/state/book.py", "def fold_v2(book): ..."),
    (rules.timeless_core_names, "arb/state/d77_book.py", ""),
    (rules.timeless_core_names, "arb/risk/gate.py", "def admit(intent, is_paper): ..."),
    (rules.timeless_core_names, "arb/engine.py", "class LiveEngine: ..."),
    (rules.timeless_core_names, "arb/engine.py", "class Engine:\n    dry_run: bool"),
    (rules.timeless_core_names, "arb/engine.py", "def step(self):\n    self.shadow_count = 1"),
    (rules.names_say_what, "arb/risk/utils.py", ""),
    (rules.names_say_what, "arb/risk/gate.py", "class RiskManager: ..."),
    (rules.names_say_what, "arb/risk/gate.py", "class BaseGate: ..."),
    (rules.names_say_what, "arb/risk/gate.py", "def order_helper(order): ..."),
    (rules.no_inheritance_among_ours, "arb/risk/gate.py", "class Gate: ...\nclass SpotGate(Gate): ..."),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept Exception: ..."),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept (OSError, Exception): raise"),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept* Exception: ..."),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept BaseException as error: print(error)"),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept: ..."),
    (rules.one_blind_except, "arb/storage/csv.py", "from contextlib import suppress\nwith suppress(Exception): ..."),
    (rules.bounded_channels, "arb/supervision/inbox.py", "trio.open_memory_channel(math.inf)  # never full"),
    (
        rules.bounded_channels,
        "arb/supervision/inbox.py",
        "from math import inf\nopen_memory_channel(inf)  # never full",
    ),
    (rules.bounded_channels, "arb/supervision/inbox.py", "trio.open_memory_channel(float('inf'))  # never full"),
    (rules.bounded_channels, "arb/supervision/inbox.py", "trio.open_memory_channel[int]()  # full?"),
    (rules.bounded_channels, "arb/supervision/inbox.py", "x = 1\ntrio.open_memory_channel[int](64)"),
    (rules.bounded_channels, "arb/telemetry/logs.py", "import queue\nqueue.Queue()"),
    (rules.bounded_channels, "arb/telemetry/logs.py", "import queue\nqueue.Queue(-1)"),
    (rules.bounded_channels, "arb/telemetry/logs.py", "import queue\nqueue.Queue(maxsize=0)"),
    (rules.bounded_channels, "arb/telemetry/logs.py", "from queue import SimpleQueue\nSimpleQueue()"),
    (rules.one_approver, "arb/execution/legs.py", "from arb.domain.order import ApprovedOrder\nApprovedOrder(1)"),
    (rules.one_approver, "arb/execution/legs.py", "from arb.domain import order\norder.ApprovedOrder(request=1)"),
    (rules.one_witness, "arb/supervision/dispatch.py", "from arb.ports import Synced\nSynced(5)"),
    (rules.short_files, "arb/engine.py", "\n" * 401),
    (rules.short_functions, "arb/engine.py", "def step():\n" + "    x = 1\n" * 50),
    (rules.nothing_skipped, "tests/test_x.py", "import pytest\n@pytest.mark.skipif(True)\ndef test_x(): ..."),
    (rules.nothing_skipped, "tests/test_x.py", "import pytest\nccxt = pytest.importorskip('ccxt')"),
    (rules.nothing_skipped, "tests/test_x.py", "from pytest import mark\n@mark.xfail\ndef test_x(): ..."),
)


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_rule_catches_a_planted_breach(rule: Rule, path: str, text: str):
    assert rule(SourceTree.of({path: text}))


# What looks like a breach and is none.
ALLOWED: tuple[tuple[Rule, str, str], ...] = (
    (rules.synchronous_core, "arb/supervision/decision.py", "async def decide(): ..."),
    (rules.no_chance_in_core, "arb/supervision/restart.py", "import random\nrandom.random()"),
    (one_clock, "arb/supervision/clock.py", "import time\ntime.time_ns()"),
    (one_clock, "arb/supervision/deadman.py", "import time\ntime.monotonic()"),
    (one_clock, "arb/telemetry/logs.py", "import time\ntime.gmtime(record.created)"),
    (one_clock, "arb/storage/csv.py", "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)"),
    (rules.timeless_core_names, "arb/state/book.py", "def deliver(alive, olive, d0, replay, liveness): ..."),
    (rules.timeless_core_names, "arb/cli/wiring.py", "def wire_paper(): ..."),
    (rules.names_say_what, "arb/domain/instrument.py", "def convert(base, quote): ..."),
    (rules.names_say_what, "arb/telemetry/logs.py", "import logging\nclass LossyHandler(logging.Handler): ..."),
    (rules.no_inheritance_among_ours, "arb/domain/errors.py", "class A(Exception): ...\nclass B(A): ..."),
    (rules.one_blind_except, "arb/supervision/restart.py", "try: ...\nexcept Exception: ..."),
    (rules.one_blind_except, "arb/storage/csv.py", "try: ...\nexcept BaseException:\n    close()\n    raise"),
    (rules.bounded_channels, "arb/supervision/inbox.py", "# full: the sender waits\ntrio.open_memory_channel[int](0)"),
    (rules.one_approver, "arb/risk/gate.py", "ApprovedOrder(1)"),
    (rules.one_witness, "arb/storage/journal.py", "Synced(1)"),
    (rules.short_functions, "arb/engine.py", "def step():\n    '''" + "\n" * 60 + "'''\n    return 1"),
    (rules.nothing_skipped, "tests/test_x.py", "frames.skip(1)"),
)


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_rule_lets_the_lawful_pass(rule: Rule, path: str, text: str):
    assert rule(SourceTree.of({path: text})) == []


def test_two_classes_of_one_name_are_caught_across_rooms():
    tree = SourceTree.of({"arb/risk/a.py": "class Verdict: ...", "arb/state/b.py": "class Verdict: ..."})

    assert rules.unique_class_names(tree) == ["class Verdict stands twice: arb/risk/a.py:1, arb/state/b.py:1"]


def test_module_is_reached_by_import_table_or_folder():
    tree = SourceTree.of(
        {
            "arb/__init__.py": "",
            "arb/cli/__init__.py": "",
            "arb/cli/main.py": "COMMANDS: Final = {'run': 'run the engine'}\nOTHER = 'arb.cli.why:command'",
            "arb/cli/run.py": "from arb.domain import money",
            "arb/cli/why.py": "",
            "arb/cli/forgotten.py": "",
            "arb/domain/__init__.py": "",
            "arb/domain/money.py": "",
            "arb/venues/__init__.py": "",
            "arb/venues/upbit/__init__.py": "from arb.venues.upbit.orders import CODEC",
            "arb/venues/upbit/orders.py": "CODEC = 1",
            "arb/venues/upbit/forgotten.py": "",
            "arb/domain/forgotten.py": "",
        }
    )

    assert rules.reachable(tree) == [
        "arb/cli/forgotten.py: nothing reaches it from arb.cli",
        "arb/venues/upbit/forgotten.py: nothing reaches it from arb.cli",
        "arb/domain/forgotten.py: nothing reaches it from arb.cli",
    ]


def test_venue_may_take_the_book_and_nothing_else_of_the_core():
    core = {f"arb/state/{name}.py": "" for name in ("__init__", "book", "ledger")}

    lawful = SourceTree.of({**core, "arb/venues/upbit/protocol.py": "from arb.state.book import Book"})
    by_module = SourceTree.of({**core, "arb/venues/upbit/protocol.py": "from arb.state.ledger import Ledger"})
    by_room = SourceTree.of({**core, "arb/venues/upbit/protocol.py": "from arb.state import Ledger"})

    assert rules.venues_know_only_the_book(lawful) == []
    assert rules.venues_know_only_the_book(by_module)
    assert rules.venues_know_only_the_book(by_room)


def test_exception_that_nobody_needs_any_more_is_reported():
    tree = SourceTree.of({"arb/supervision/deadman.py": ""})

    assert rules.unused_clock_exceptions(tree, CLOCK_EXCEPTIONS)
