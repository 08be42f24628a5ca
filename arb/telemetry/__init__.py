"""FOR NOW: logs, metrics, health, alerts."""
