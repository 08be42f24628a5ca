"""GETTING IT DONE, AND UNDONE: plans and two-leg orders, still pure."""
