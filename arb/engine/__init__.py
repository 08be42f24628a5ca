"""The pure machine: `Engine.step(event) -> effects`."""

from arb.engine.config import EngineConfig, PairConfig
from arb.engine.core import Engine, EngineSnapshot, thaw
from arb.engine.memory import Difference, Memory
from arb.engine.renewing import new_memory

__all__ = ["Difference", "Engine", "EngineConfig", "EngineSnapshot", "Memory", "PairConfig", "new_memory", "thaw"]
