"""Experiment trackers that `vtbench run --track` sends a finished run to, each through the tracker's own package.

`vtbench train` reaches its trackers through accelerate. A run does not, because accelerate needs torch, which a run
against an endpoint does not use, and because it logs numbers but no files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl
from vtbench.settings import accepts
from vtbench_trackers.tracker_settings import MlflowSettings, TensorboardSettings, WandbSettings, checked_settings

if TYPE_CHECKING:
    from vtbench.tracker import Tracker


@accepts(WandbSettings)
def wandb(**settings: Any) -> Tracker:
    """Weights & Biases: numbers, and the report as an artifact. WANDB_MODE=offline, WANDB_PROJECT."""
    checked = checked_settings("wandb", WandbSettings, settings)
    from vtbench_trackers.wandb_tracker import WandbTracker

    return WandbTracker(checked)


@accepts(MlflowSettings)
def mlflow(**settings: Any) -> Tracker:
    """MLflow: numbers, and the report as an artifact. MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""
    checked = checked_settings("mlflow", MlflowSettings, settings)
    from vtbench_trackers.mlflow_tracker import MlflowTracker

    return MlflowTracker(checked)


@accepts(TensorboardSettings)
def tensorboard(**settings: Any) -> Tracker:
    """TensorBoard: event files in the run's directory, for `tensorboard --logdir results`."""
    checked = checked_settings("tensorboard", TensorboardSettings, settings)
    from vtbench_trackers.tensorboard_tracker import TensorboardTracker

    return TensorboardTracker(checked)


@hookimpl
def vtbench_trackers() -> dict[str, Callable[..., Tracker]]:
    """Offer `mlflow`, `tensorboard` and `wandb`."""
    return {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb}
