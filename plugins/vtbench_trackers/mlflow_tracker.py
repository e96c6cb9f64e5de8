"""MLflow: stores the summary of a run with its numbers as metrics, its config as parameters, its files as artifacts.

It uses `MlflowClient`, which unlike `mlflow.start_run` adds no facts about the process, such as its command line.
"""

from __future__ import annotations

import os
import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from vtbench.errors import VtbenchError
from vtbench.tracker import Summary
from vtbench_trackers.tracker_settings import MlflowSettings

_TAG = "vtbench.run"
_MAX_PARAM_LENGTH = 500
"""Length of a parameter in characters that every MLflow server accepts."""
_BATCH = 100
"""Parameters that a server accepts in one request; it accepts 1,000 metrics."""


class MlflowTracker:
    """Stores runs in an MLflow experiment.

    Args:
        settings: the experiment.

    Raises:
        VtbenchError: the tracking store cannot be used.
    """

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        try:
            self._client = MlflowClient()
        except MlflowException as error:
            raise VtbenchError(f"tracker 'mlflow': {error}") from error

    def publish(self, summary: Summary) -> str:
        """Store the run, in place of an earlier one of the same id, and return its id and experiment."""
        client, experiment = self._client, self._experiment()
        found = client.search_runs([experiment], filter_string=f"tags.`{_TAG}` = '{summary.id}'", max_results=1)
        run = found[0] if found else client.create_run(experiment, run_name=summary.name, tags={_TAG: summary.id})
        now, key = int(time.time() * 1000), run.info.run_id
        params = [Param(name, str(value)[:_MAX_PARAM_LENGTH]) for name, value in summary.config.items()]
        metrics = [Metric(name.replace("@", "_at_"), value, now, 0) for name, value in summary.numbers.items()]
        for start in range(0, max(len(params), len(metrics)), _BATCH):
            part = slice(start, start + _BATCH)
            client.log_batch(key, metrics=metrics[part], params=params[part])
        for file in summary.files:
            client.log_artifact(key, str(file))
        client.set_terminated(key)
        return f"run {key} of experiment {experiment}"

    def _experiment(self) -> str:
        name = self._settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "vtbench")
        found = self._client.get_experiment_by_name(name)
        experiment: str = found.experiment_id if found else self._client.create_experiment(name)
        return experiment
