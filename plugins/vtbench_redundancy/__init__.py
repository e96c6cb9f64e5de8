"""The redundancy suite: what visual tokens carry of the image, and how much of it several of them repeat.

Data flow: `inputs` (arrays and images from files) -> `features` (principal components of tokens and patches) ->
`estimators` (mutual information in nats) -> `scores` (values with intervals and flags), with `convergence` for flags.
`suite` runs that on arrays, `metrics` in a run, `cli` as `vtbench score`; `meanings` puts scores into words.

Importing this package imports neither torch nor numpy; using it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import vtbench
from vtbench.errors import install_command
from vtbench.settings import accepts
from vtbench_redundancy.protocol import Protocol, ProtocolSettings, custom_protocol

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from vtbench.metric import Metric
    from vtbench_redundancy.estimators.mutual_information import mutual_information
    from vtbench_redundancy.scores.redundancy_score import Redundancy
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
    "vtbench_report_sections",
    "vtbench_run_tables",
]

_EXPORTS = {
    "Redundancy": "scores.redundancy_score",
    "Suite": "suite",
    "mutual_information": "estimators.mutual_information",
    "redundancy_score": "suite",
    "score_arrays": "suite",
}


def __getattr__(name: str) -> Any:
    """Import an export when it is first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[..., Metric]]:
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
def vtbench_scores() -> dict[str, str]:
    """What the suite's scores are."""
    from vtbench_redundancy.score_meanings import SCORES

    return SCORES


@vtbench.hookimpl
def vtbench_flags() -> dict[str, str]:
    """What the flags of the suite's scores mean."""
    from vtbench_redundancy.flags import FLAGS

    return FLAGS


@vtbench.hookimpl
def vtbench_run_tables() -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[str]]]:
    """What is available in the visual tokens beside what the answers use."""
    return {"available_and_used": _available_and_used}


@vtbench.hookimpl
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:
    """What each score of redundancy means, in a sentence."""
    return {"visual tokens": _meanings}


def _available_and_used(path: Path, document: Mapping[str, Any]) -> Iterable[str]:
    from vtbench_redundancy.meanings import available_and_used

    return available_and_used(document["scores"])


def _meanings(path: Path) -> str | None:
    from vtbench.runs.reader import read_results
    from vtbench_redundancy.meanings import meanings_section

    return meanings_section(read_results(path)["scores"])


@vtbench.hookimpl
def vtbench_commands(app: click.Group) -> None:
    """Add `vtbench score`."""
    from vtbench_redundancy.cli import score

    app.add_command(score)


@accepts(ProtocolSettings)
def redundancy_metric(**settings: Any) -> Metric:
    """Share of the visual tokens' summed information that is lost to repetition: the Redundancy Score (RS).

    Settings are `ProtocolSettings`; values other than the protocol's own show in its name.

    Raises:
        VtbenchError: a setting out of range.
    """
    return _coordinate_metric("RedundancyMetric", "redundancy", settings)


@accepts(ProtocolSettings)
def redundancy_layers_metric(**settings: Any) -> Metric:
    """RS and the share of discarded information at every layer, from the vision tower into the decoder.

    Settings as of `redundancy_metric`.

    Raises:
        VtbenchError: a setting out of range.
    """
    return _coordinate_metric("LayersMetric", "redundancy_layers", settings)


@accepts(ProtocolSettings)
def carriers_metric(**settings: Any) -> Metric:
    """Number of tokens that carry each part of the image, with the token x patch map of mutual information.

    Settings as of `redundancy_metric`, but for the target, which is pixels.

    Raises:
        VtbenchError: a setting out of range, or another target.
    """
    if (target := settings.get("target")) not in (None, "pixels"):
        from vtbench.errors import VtbenchError

        raise VtbenchError(f"metric carriers: target must be pixels, whose patches it maps, not {target!r}")
    return _coordinate_metric("CarriersMetric", "carriers", settings)


@accepts(ProtocolSettings)
def token_use_metric(**settings: Any) -> Metric:
    """Information that is unique to single tokens, and shares of tokens that carry nothing (dead) or are sinks.

    Settings as of `redundancy_metric`.

    Raises:
        VtbenchError: a setting out of range.
    """
    return _coordinate_metric("TokenUseMetric", "token_use", settings)


def geometry_metric() -> Metric:
    """Ranks, cosine and norm inequality of an image's tokens, relative to random tokens."""
    return _create("metrics.token_metrics", "GeometryMetric")


def drop_curve_metric() -> Metric:
    """Accuracy with a part of the visual tokens kept: at random, on a grid, or averaged to fewer."""
    return _create("metrics.drop_curve_metric", "DropCurve")


def _coordinate_metric(name: str, metric: str, settings: Mapping[str, Any]) -> Metric:
    """Create a metric that takes a protocol, after its settings are checked."""
    protocol = custom_protocol(settings, label=lambda setting: f"metric {metric}: {setting}")
    return _create("metrics.token_metrics", name, protocol)


def _create(module: str, name: str, *arguments: object) -> Metric:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        from vtbench.errors import MissingPackageError

        raise MissingPackageError(f"the redundancy suite needs torch: {install_command('hf')}") from error
    metric: Metric = getattr(import_module(f"{__name__}.{module}"), name)(*arguments)
    return metric
