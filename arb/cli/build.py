"""Which program this is, and what this run is called.

Owns: the build name (version and a digest of the sources) and run ids that sort by their start.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import arb
from arb.domain.ids import RunId
from arb.storage.segments import segment_paths

_DIGITS = "0123456789abcdefghijklmnopqrstuv"


def build_name() -> str:
    """`0.1.0+3f9c…`: replay compares effects only under the same one."""
    digest = blake2b(digest_size=6)
    root = Path(arb.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{arb.__version__}+{digest.hexdigest()}"


def new_run_id(wall_ns: int) -> RunId:
    """The start in microseconds, base 32, thirteen characters: later runs sort later, two runs never share one."""
    value, letters = wall_ns // 1_000, []
    for _ in range(13):
        value, digit = divmod(value, 32)
        letters.append(_DIGITS[digit])
    return RunId("r" + "".join(reversed(letters)))


def next_run_id(journal: Path, wall_ns: int) -> RunId:
    """A run that sorts behind every run of a journal directory, also when the clock was set back since."""
    names = [path.name.partition("-")[0] for path in segment_paths(journal)]
    newest = max((_microseconds(name) for name in names), default=0)
    return new_run_id(max(wall_ns, (newest + 1) * 1_000))


def _microseconds(name: str) -> int:
    """0 for a name that no run of this program bears."""
    if len(name) != 14 or name[0] != "r" or any(letter not in _DIGITS for letter in name[1:]):
        return 0
    return int(name[1:], 32)
