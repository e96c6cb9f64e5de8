"""The error type of this package."""

from vtbench.errors import VtbenchError


class BoardError(VtbenchError):
    """A folder without finished runs, or a place where the site cannot be written."""
