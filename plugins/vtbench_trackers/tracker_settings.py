"""The settings of each tracker and their checks. Credentials and servers come from the environment only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from annotated_types import MinLen

from vtbench.settings import checked

T = TypeVar("T")
Name = Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbSettings:
    """Where Weights & Biases stores the run."""

    project: Annotated[Name | None, "Project; by default WANDB_PROJECT, else `vtbench`."] = None
    entity: Annotated[Name | None, "User or team that owns the project; by default that of the login."] = None
    group: Annotated[Name | None, "Group of runs within the project."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowSettings:
    """Where MLflow stores the run."""

    experiment: Annotated[Name | None, "Experiment; by default MLFLOW_EXPERIMENT_NAME, else `vtbench`."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorboardSettings:
    """Where TensorBoard's event files are written."""

    directory: Annotated[
        Name | None, "Log directory with a subdirectory for each run; by default `tensorboard/` in the run's directory."
    ] = None


def checked_settings(tracker: str, settings: type[T], values: Mapping[str, Any]) -> T:
    """Check the settings of a tracker.

    Raises:
        VtbenchError: names the setting that is invalid.
    """
    return checked(settings, values, f"tracker {tracker!r}: {{}}".format)
