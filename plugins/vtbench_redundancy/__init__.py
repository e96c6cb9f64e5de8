"""The Redundancy Score: how much of what visual tokens say about the picture is said more than once.

In: visual tokens and pictures, from a run or as arrays. Out: RS with its interval and flags, by the protocol `rs-v1`.
Importing this package imports neither torch nor numpy; using it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import vtbench

if TYPE_CHECKING:
    from vtbench.metric import Metric
    from vtbench_redundancy.arrays import redundancy_score
    from vtbench_redundancy.protocol import Protocol
    from vtbench_redundancy.score import Redundancy

__all__ = ["Protocol", "Redundancy", "redundancy_score", "vtbench_metrics"]

_HOMES = {"redundancy_score": "arrays", "Protocol": "protocol", "Redundancy": "score"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[[], Metric]]:
    """The Redundancy Score, as `redundancy`."""
    return {"redundancy": redundancy}


def redundancy() -> Metric:
    """How much of what the visual tokens say is said more than once (RS)."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        from vtbench.errors import PluginError

        raise PluginError("metric redundancy needs torch: pip install 'vtbench[hf]'") from error
    from vtbench_redundancy.metric import RedundancyMetric

    return RedundancyMetric()
