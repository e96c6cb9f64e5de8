"""What can go wrong with a study, each as one line that says where and what to do."""

from vtbench.errors import VtbenchError


class StudyError(VtbenchError):
    """A study cannot be planned, or some of its models could not be trained or measured."""
