"""A summary in, a run of Weights & Biases out: numbers, what was run, and the report as an artifact.

wandb would note by itself the command line, which may hold a key, and the console, the machine and the code: all of
that is turned off.
"""

from __future__ import annotations

import os

import wandb

from vtbench.errors import VtbenchError
from vtbench.tracker import Summary

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


class WeightsAndBiases:
    """Weights & Biases.

    Raises:
        VtbenchError: it is online, and nobody is logged in.
    """

    def __init__(self) -> None:
        online = wandb.setup(_QUIET).settings.mode == "online"
        if online and not wandb.login(prompt=False, verify=False):
            raise VtbenchError(
                "tracker 'wandb': nobody is logged in; run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"
            )

    def publish(self, summary: Summary) -> str:
        """Write the summary's run, or go on with the earlier one, and return its address or directory."""
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "vtbench"),
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
