"""Errors of a study. Each message is one line that names the cause and the remedy."""

from vtbench.errors import VtbenchError


class StudyError(VtbenchError):
    """A study cannot be planned, or some of its models could not be trained or measured."""
