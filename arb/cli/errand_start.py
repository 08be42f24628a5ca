"""An engine started for an operator's errand.

Owns: that the run's own words do not stand in the way of a JSON document.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, redirect_stdout

from arb.cli.errand import Errand
from arb.cli.operator import Asked
from arb.cli.session import run_errand


def start_for(what: Asked, errand: Errand) -> int:
    """Run an engine until the errand is done; the exit code."""
    with redirect_stdout(sys.stderr) if what.as_json else nullcontext():
        return run_errand(what.loaded, errand, what.screen(), os.environ)
