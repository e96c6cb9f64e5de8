"""Errors of a Ray cluster."""

from vtbench.errors import ExecutorError


class ClusterError(ExecutorError):
    """The cluster cannot be reached, or none of its nodes has the resources of a worker."""


def first_line(error: Exception) -> str:
    """Return the first non-empty line of an error message; those of Ray are long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
