"""The error type of this package."""

from vtbench.errors import VtbenchError


class AnalysisError(VtbenchError):
    """Runs that cannot be compared or diagnosed: unfinished, of different versions, or without shared samples."""
