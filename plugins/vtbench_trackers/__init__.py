"""Trackers of experiments that `vtbench run --track` tells of a finished run, each through the tracker's own package.

The training loop reaches its trackers through accelerate. A run does not: accelerate needs torch, which a run against
an endpoint has no use for, and it passes on numbers but no files.
"""

from __future__ import annotations

from collections.abc import Callable

from vtbench.hookspecs import hookimpl
from vtbench.tracker import Tracker


def wandb() -> Tracker:
    """Weights & Biases: numbers, and the report as an artifact. WANDB_MODE=offline, WANDB_PROJECT."""
    from vtbench_trackers.weights_and_biases import WeightsAndBiases

    return WeightsAndBiases()


def mlflow() -> Tracker:
    """MLflow: numbers, and the report as an artifact. MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""
    from vtbench_trackers.mlflow_runs import MlflowRuns

    return MlflowRuns()


def tensorboard() -> Tracker:
    """TensorBoard: event files in the run's directory, for `tensorboard --logdir results`."""
    from vtbench_trackers.event_files import EventFiles

    return EventFiles()


@hookimpl
def vtbench_trackers() -> dict[str, Callable[[], Tracker]]:
    """The three."""
    return {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb}
