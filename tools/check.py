"""Everything that CI runs after the tests, each step with its result and its time.

    tools/env python tools/check.py            lint, format, types, import contracts, house rules
    tools/env python tools/check.py --fix      mend what ruff can mend, then check
    tools/env python tools/check.py --tests    the test suite too
    tools/env python tools/check.py --system   only tests/system: what needs programs that pip cannot bring

Owns: the list of steps. Never: mends anything unasked. Exit code 0 if there was a step and every one passed, else 1.
A folder of tests/system bears the name of the program that its tests need: tests/system/promtool.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
CODE = ("arb", "tools", "tests")

# flake8-async reads no settings file, so they stand here. Everything is on but:
FLAKE8_ASYNC_OFF = (
    "ASYNC114",  # wants a list of startable functions kept by hand
    "ASYNC124",  # async without await: what implements a port is async because the port is
    "ASYNC127",  # advises another HTTP library than the one decided on
    "ASYNC128",  # takes a function that hands its task_status on for one that forgets it
    "ASYNC910",  # a checkpoint on every path of every function: tests of cancellation show it where it matters
    "ASYNC911",
    "ASYNC912",
    "ASYNC913",
)
FLAKE8_ASYNC = ("--enable", "ASYNC", "--disable", ",".join(FLAKE8_ASYNC_OFF))

WHERE_TO_GET = {"promtool": "apt-get install prometheus", "chromium": "apt-get install chromium"}


class Step(NamedTuple):
    name: str
    line: tuple[str, ...]


def files_that_may_wait() -> tuple[str, ...]:
    """List what flake8-async can have a word on; it is slow, and most files neither wait nor catch everything."""
    marks = ("async", "trio", "BaseException", "except:")
    paths = (path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")))
    texts = ((path, path.read_text(encoding="utf-8")) for path in paths)
    return tuple(str(path.relative_to(ROOT)) for path, text in texts if any(mark in text for mark in marks))


def checks() -> tuple[Step, ...]:
    return (
        Step("ruff check", (PYTHON, "-m", "ruff", "check", "--output-format", "concise", *CODE)),
        Step("ruff format", (PYTHON, "-m", "ruff", "format", "--check", "--output-format", "concise", *CODE)),
        Step("flake8-async", (PYTHON, "-m", "flake8_async", *FLAKE8_ASYNC, *files_that_may_wait())),
        Step("mypy", (PYTHON, "-m", "mypy")),
        Step("import contracts", (PYTHON, "-c", "from importlinter.cli import lint_imports_command as f; f()")),
        Step("house rules", (PYTHON, "-m", "pytest", "-q", "tests/architecture")),
    )


def repairs() -> tuple[Step, ...]:
    return (
        Step("ruff check --fix", (PYTHON, "-m", "ruff", "check", "--fix", "--exit-zero", *CODE)),
        Step("ruff format", (PYTHON, "-m", "ruff", "format", *CODE)),
    )


def tests() -> tuple[Step, ...]:
    return (Step("tests", (PYTHON, "-m", "pytest", "-q")),)


def system_tests() -> tuple[Step, ...]:
    """List the system tests whose program is here, and name the programs that are missing."""
    found = []
    for folder in sorted(path for path in (ROOT / "tests" / "system").glob("*") if any(path.glob("test_*.py"))):
        where = folder.relative_to(ROOT).as_posix()
        if shutil.which(folder.name):
            found.append(Step(where, (PYTHON, "-m", "pytest", "-q", where)))
        else:
            remedy = WHERE_TO_GET.get(folder.name, "install it")
            print(f"MISSING  {folder.name}: {where} is not run; {remedy}", flush=True)
    return tuple(found)


class Outcome(NamedTuple):
    step: Step
    is_passed: bool
    output: str
    took_s: float


def run(step: Step) -> Outcome:
    started = time.perf_counter()
    done = subprocess.run(
        step.line,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(step, done.returncode == 0, done.stdout.strip(), time.perf_counter() - started)


def show(outcome: Outcome) -> None:
    """Print one line for a step, and what it said if it failed; of pytest always the last line."""
    print(f"{'ok' if outcome.is_passed else 'FAILED':<8} {outcome.step.name:<24} {outcome.took_s:6.1f} s", flush=True)
    if not outcome.is_passed:
        print(outcome.output, end="\n\n", flush=True)
    elif "pytest" in outcome.step.line:
        print(outcome.output.rpartition("\n")[2], flush=True)


def run_together(steps: tuple[Step, ...]) -> list[Outcome]:
    """Run steps that only read, as many at once as there are processors, and show them in order."""
    outcomes = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for outcome in pool.map(run, steps):
            show(outcome)
            outcomes.append(outcome)
    return outcomes


def run_in_turn(steps: tuple[Step, ...]) -> list[Outcome]:
    outcomes = []
    for step in steps:
        outcomes.append(run(step))
        show(outcomes[-1])
    return outcomes


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fix", action="store_true", help="let ruff mend and format first")
    parser.add_argument("--tests", action="store_true", help="run the test suite too")
    parser.add_argument("--system", action="store_true", help="run only tests/system")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if asked.system:
        outcomes = run_in_turn(system_tests())
    else:
        outcomes = run_in_turn(repairs() if asked.fix else ())
        outcomes += run_together(checks())
        outcomes += run_in_turn(tests() if asked.tests else ())
    failed = [outcome.step.name for outcome in outcomes if not outcome.is_passed]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} steps passed")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 0 if outcomes and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
