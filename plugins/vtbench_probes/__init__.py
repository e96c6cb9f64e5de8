"""Cue survival: which facts about an image small probes can decode from the visual tokens, stage by stage.

Data flow: `cues` (labels of a scene) and `stage_features` (principal components of tokens) are stored with each sample
by `survival_metric`; `probe_data` -> `linear_probe`, `attention_probe` -> `survival` (accuracies with controls) ->
`retention_table`. `embedding` and `report` show the token space.

Importing this package imports neither torch nor scikit-learn; using it does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtbench

if TYPE_CHECKING:
    from vtbench.metric import Metric
    from vtbench_probes.embedding import token_labels, tsne_panel
    from vtbench_probes.retention_table import retention_matrix

__all__ = ["retention_matrix", "token_labels", "tsne_panel", "vtbench_metrics", "vtbench_report_sections"]

_EXPORTS = {"retention_matrix": "retention_table", "token_labels": "embedding", "tsne_panel": "embedding"}


def __getattr__(name: str) -> Any:
    """Import an export when it is first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


@vtbench.hookimpl
def vtbench_scores() -> dict[str, str]:
    """What the scores of cue probes are."""
    return {"cue_NAME": "Accuracy of a small probe that reads this cue from the visual tokens; compare it with chance."}


@vtbench.hookimpl
def vtbench_flags() -> dict[str, str]:
    """What the flags of cue probes mean."""
    return {
        "not_in_scenes": "no scene of the task has this cue",
        "one_label": "the cue has one value in all scenes, so there is nothing to decode",
        "few_samples": "under 100 samples, or fewer than two labels that 10 samples have; use more",
        "told_gives_away": "what the probe is told says part of the answer: compare with `grey`, not with chance",
    }


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[[], Metric]]:
    """The probes as a metric."""
    return {"cues": cues_metric}


@vtbench.hookimpl
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:
    """The token space, as a section of a run's report."""
    return {"token space": _token_space}


def _token_space(path: Path) -> str | None:
    from vtbench_probes.report import token_space

    return token_space(path)


def cues_metric() -> Metric:
    """Accuracy of small probes for each cue (shape, colour, count, ...) on the visual tokens, stage by stage."""
    try:
        import sklearn  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        from vtbench.errors import PluginError, install_command

        raise PluginError(f"the probes need {error.name}: {install_command('probes')}") from error
    from vtbench_probes.survival_metric import CuesMetric

    return CuesMetric()
