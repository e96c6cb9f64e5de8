"""The error of an export: one line that says where it failed and what to do."""

from vtbench.errors import VtbenchError


class ExportError(VtbenchError):
    """An output directory that cannot be written, or a task that a format cannot hold."""
