"""Inventory: both legs against balances already held."""

from __future__ import annotations

from typing import Final

from arb.strategy.inventory.decide import Inventory

STRATEGY: Final = Inventory()

__all__ = ["STRATEGY", "Inventory"]
