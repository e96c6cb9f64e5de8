"""What goes wrong with a cluster."""

from vtbench.errors import ExecutorError, VtbenchError


class ClusterError(ExecutorError):
    """A cluster does not answer, or no node of it has room for a worker."""


class WorkerError(VtbenchError):
    """The workers of a model die again and again, or are not alike."""


def first_line(error: Exception) -> str:
    """Return the first line of what Ray says, which is at length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
