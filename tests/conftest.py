"""What every test shares: how many examples hypothesis tries, and that a run is repeatable where it must be.

Owns: the hypothesis profiles.
Never: holds a fixture of one room; those live in that room's folder.
"""

import os

from hypothesis import HealthCheck, settings

# A busy machine is slow; slowness is what benchmarks measure, not tests.
_PATIENT = (HealthCheck.too_slow,)

settings.register_profile("desk", deadline=None, max_examples=60, suppress_health_check=_PATIENT)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=_PATIENT)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
