"""The pure machine: `Engine.step(event) -> effects`."""

from arb.engine.config import EngineConfig, PairConfig
from arb.engine.core import Engine, EngineSnapshot, thaw

__all__ = ["Engine", "EngineConfig", "EngineSnapshot", "PairConfig", "thaw"]
