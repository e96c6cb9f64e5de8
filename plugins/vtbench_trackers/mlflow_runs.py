"""A summary in, a run of MLflow out: its numbers as metrics, what was run as parameters, the report as an artifact.

It goes through `MlflowClient`, which adds no facts of its own about the process, as `mlflow.start_run` would.
"""

from __future__ import annotations

import os
import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from vtbench.errors import VtbenchError
from vtbench.tracker import Summary

_TAG = "vtbench.run"
_LONGEST = 500
"""Characters that every MLflow server takes in a parameter."""
_AT_ONCE = 100
"""Parameters that a server takes in one request; it takes 1,000 metrics."""


class MlflowRuns:
    """MLflow.

    Raises:
        VtbenchError: its store cannot be used.
    """

    def __init__(self) -> None:
        try:
            self._client = MlflowClient()
        except MlflowException as error:
            raise VtbenchError(f"tracker 'mlflow': {error}") from error

    def publish(self, summary: Summary) -> str:
        """Write the summary's run in place of an earlier one, and return where it is."""
        client, experiment = self._client, self._experiment()
        found = client.search_runs([experiment], filter_string=f"tags.`{_TAG}` = '{summary.id}'", max_results=1)
        run = found[0] if found else client.create_run(experiment, run_name=summary.name, tags={_TAG: summary.id})
        now, key = int(time.time() * 1000), run.info.run_id
        params = [Param(name, str(value)[:_LONGEST]) for name, value in summary.config.items()]
        metrics = [Metric(name, value, now, 0) for name, value in summary.numbers.items()]
        for start in range(0, max(len(params), len(metrics)), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            client.log_batch(key, metrics=metrics[part], params=params[part])
        for file in summary.files:
            client.log_artifact(key, str(file))
        client.set_terminated(key)
        return f"run {key} of experiment {experiment}"

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "vtbench")
        found = self._client.get_experiment_by_name(name)
        experiment: str = found.experiment_id if found else self._client.create_experiment(name)
        return experiment
