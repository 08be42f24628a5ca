"""MEMORY: what the engine believes, built from events and nothing else."""
