"""Convergence: open wide, close narrow."""

from __future__ import annotations

from typing import Final

from arb.strategy.convergence.decide import Convergence

STRATEGY: Final = Convergence()

__all__ = ["STRATEGY", "Convergence"]
