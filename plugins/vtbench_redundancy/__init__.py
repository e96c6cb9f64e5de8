"""The redundancy suite: what visual tokens carry of the picture, and how much of it is said more than once.

In: visual tokens and pictures, from a run or as arrays. Out: scores with intervals and flags, by the protocol `rs-v1`.
Importing this package imports neither torch nor numpy; using it does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import vtbench

if TYPE_CHECKING:
    import click

    from vtbench.metric import Metric
    from vtbench_redundancy.mutual import mutual_information
    from vtbench_redundancy.protocol import Protocol
    from vtbench_redundancy.score import Redundancy
    from vtbench_redundancy.suite import Suite, redundancy_score, score_arrays

__all__ = [
    "Protocol",
    "Redundancy",
    "Suite",
    "mutual_information",
    "redundancy_score",
    "score_arrays",
    "vtbench_commands",
    "vtbench_metrics",
]

_HOMES = {
    "Protocol": "protocol",
    "Redundancy": "score",
    "Suite": "suite",
    "mutual_information": "mutual",
    "redundancy_score": "suite",
    "score_arrays": "suite",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[[], Metric]]:
    """The suite's metrics."""
    return {
        "redundancy": redundancy_metric,
        "redundancy_layers": redundancy_layers_metric,
        "carriers": carriers_metric,
        "token_use": token_use_metric,
        "geometry": geometry_metric,
        "drop_curve": drop_curve_metric,
    }


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench score`."""
    from vtbench_redundancy.command import score

    app.add_command(score)


def redundancy_metric() -> Metric:
    """How much of what the visual tokens say is said more than once (RS)."""
    return _made("metrics", "RedundancyMetric")


def redundancy_layers_metric() -> Metric:
    """RS and what was discarded at every layer, from the vision tower into the decoder."""
    return _made("metrics", "LayersMetric")


def carriers_metric() -> Metric:
    """How many tokens carry each part of the picture, with the token x patch map of mutual information."""
    return _made("metrics", "CarriersMetric")


def token_use_metric() -> Metric:
    """Shares of the tokens that say something unique, nothing at all, or are mere sinks."""
    return _made("metrics", "TokenUseMetric")


def geometry_metric() -> Metric:
    """Ranks, cosine and norm inequality of an image's tokens, set against random tokens."""
    return _made("metrics", "GeometryMetric")


def drop_curve_metric() -> Metric:
    """Accuracy with a part of the visual tokens kept: at random, on a grid, or averaged to fewer."""
    return _made("drop_metric", "DropCurve")


def _made(module: str, name: str) -> Metric:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        from vtbench.errors import PluginError

        raise PluginError("the redundancy suite needs torch: pip install 'vtbench[hf]'") from error
    metric: Metric = getattr(import_module(f"{__name__}.{module}"), name)()
    return metric
