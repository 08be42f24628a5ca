"""Everything that CI runs after the tests, each step with its result and its time.

    tools/env python tools/check.py            lint, format, types, import contracts, house rules
    tools/env python tools/check.py --fix      mend what ruff can mend, then check
    tools/env python tools/check.py --tests    the test suite too
    tools/env python tools/check.py --system   only tests/system: what needs programs that pip cannot bring

Owns: the list of steps. Never: mends anything unasked. Exit code 0 if every step passed, else 1.
A folder of tests/system bears the name of the program that its tests need: tests/system/promtool.
"""

import argparse
import shutil
import subprocess
import sys
import time
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


def python_files() -> tuple[str, ...]:
    return tuple(str(path.relative_to(ROOT)) for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")))


def checks() -> tuple[Step, ...]:
    return (
        Step("ruff check", (PYTHON, "-m", "ruff", "check", *CODE)),
        Step("ruff format", (PYTHON, "-m", "ruff", "format", "--check", *CODE)),
        Step("flake8-async", (PYTHON, "-m", "flake8_async", *FLAKE8_ASYNC, *python_files())),
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


def passes(step: Step) -> bool:
    """Run one step; show what it said only if it failed."""
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
    took_s = time.perf_counter() - started
    print(f"{'FAILED' if done.returncode else 'ok':<8} {step.name:<28} {took_s:6.1f} s", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    elif "pytest" in step.line:
        print(f"         {done.stdout.strip().splitlines()[-1]}", flush=True)
    return done.returncode == 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fix", action="store_true", help="let ruff mend and format first")
    parser.add_argument("--tests", action="store_true", help="run the test suite too")
    parser.add_argument("--system", action="store_true", help="run only tests/system")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if asked.system:
        steps = system_tests()
        if not steps:
            print("FAILED   nothing to run in tests/system")
            return 1
    else:
        steps = (*(repairs() if asked.fix else ()), *checks(), *(tests() if asked.tests else ()))
    failed = [step.name for step in steps if not passes(step)]
    print(
        f"{len(steps) - len(failed)} of {len(steps)} steps passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
