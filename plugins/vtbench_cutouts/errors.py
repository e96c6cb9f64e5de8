"""The error of `vtbench cutouts`: one line that says where it failed and what to do."""

from vtbench.errors import VtbenchError


class CutoutError(VtbenchError):
    """A source that cannot be read, or an output directory that cannot be written."""
