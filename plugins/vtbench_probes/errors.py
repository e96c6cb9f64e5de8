"""Errors of the probes."""

from __future__ import annotations

from vtbench.errors import VtbenchError


class ProbeError(VtbenchError, ValueError):
    """Observations or numbers that cannot be used; the message is one line that says which and why."""
