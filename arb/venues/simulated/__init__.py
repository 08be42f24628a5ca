"""Venues to test against and to run `mock` on: sans-IO, deterministic from a seed."""
