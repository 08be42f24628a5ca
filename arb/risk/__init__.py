"""REFUSING: knows limits, not strategies."""
