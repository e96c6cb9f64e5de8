"""What stored runs can be too bad for, as one line that says where and what to do."""

from vtbench.errors import VtbenchError


class AnalysisError(VtbenchError):
    """Runs that cannot be compared or diagnosed: unfinished, of other versions, without shared samples."""
