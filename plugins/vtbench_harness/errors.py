"""What a vtbench model cannot do for another harness."""

from vtbench.errors import VtbenchError


class HarnessError(VtbenchError):
    """A harness asks for what vtbench's adapters do not do, or questions got no answer."""
