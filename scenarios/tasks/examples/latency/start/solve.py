"""Places files in the order of their numbers."""


def solve(run):
    """Return which files lie in memory and which on disk."""
    return {"memory": list(range(12)), "disk": list(range(12, 52))}
