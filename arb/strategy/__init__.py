"""WANTING: pure functions from a market view to intents."""
