"""The error of a vtbench model inside another harness."""

from vtbench.errors import VtbenchError


class HarnessError(VtbenchError):
    """A harness asks for something that vtbench's adapters cannot do, or questions got no answer."""
