"""What can be wrong with what someone brings to the probes, as one line that says where and what to do."""

from __future__ import annotations

from vtbench.errors import VtbenchError


class ProbeError(VtbenchError, ValueError):
    """Observations or numbers that cannot be used: the message says which and why."""
