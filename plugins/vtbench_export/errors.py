"""What an export can fail for, as one line that says where and what to do."""

from vtbench.errors import VtbenchError


class ExportError(VtbenchError):
    """A place that cannot be written to, or a task that a format has no room for."""
