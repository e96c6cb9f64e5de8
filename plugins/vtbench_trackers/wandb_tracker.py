"""Weights & Biases: stores the summary of a run with its numbers, its config, and its files as an artifact.

By default wandb also records the command line, which may hold a key, the console, the machine and the code. All of
that is turned off.
"""

from __future__ import annotations

import os

import wandb

from vtbench.errors import VtbenchError
from vtbench.tracker import Summary
from vtbench_trackers.tracker_settings import WandbSettings

_QUIET = wandb.Settings(
    silent=True,
    console="off",
    disable_code=True,
    disable_git=True,
    disable_job_creation=True,
    x_disable_machine_info=True,
    x_disable_meta=True,
    x_disable_stats=True,
    x_save_requirements=False,
)


class WandbTracker:
    """Stores runs in a project of Weights & Biases.

    Args:
        settings: the project and its owner.

    Raises:
        VtbenchError: wandb is online and nobody is logged in.
    """

    def __init__(self, settings: WandbSettings) -> None:
        self._settings = settings
        online = wandb.setup(_QUIET).settings.mode == "online"
        if online and not wandb.login(prompt=False, verify=False):
            raise VtbenchError(
                "tracker 'wandb': nobody is logged in; run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"
            )

    def publish(self, summary: Summary) -> str:
        """Store the run, or update the earlier one of the same id, and return its URL or directory."""
        run = wandb.init(
            project=self._settings.project or os.environ.get("WANDB_PROJECT", "vtbench"),
            entity=self._settings.entity,
            group=self._settings.group,
            id=summary.id,
            name=summary.name,
            resume="allow",
            config=dict(summary.config),
            settings=_QUIET,
        )
        try:
            run.log(dict(summary.numbers))
            artifact = wandb.Artifact(f"run-{summary.id}", type="vtbench-run")
            for file in summary.files:
                artifact.add_file(str(file), name=file.name)
            run.log_artifact(artifact)
        finally:
            run.finish()
        return run.settings.sync_dir if run.offline else run.url
