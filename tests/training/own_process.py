"""Fine-tunings in processes of their own, for tests that kill them or run several as one.

They are forked from one process that has imported the trainer, which takes seconds: each starts as if it were new.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["vtbench_training.finetune.trainer"])


def start(config: Any, directory: Path, environment: dict[str, str] | None = None, hang_at: int = 0) -> BaseProcess:
    """Begin a training in another process, with more environment variables; it hangs once a step is logged."""
    process = CONTEXT.Process(target=_train, args=(config, directory, environment or {}, hang_at), daemon=True)
    process.start()
    return process


def _train(config: Any, directory: Path, environment: dict[str, str], hang_at: int) -> None:
    os.environ.update(environment)
    from vtbench_training.finetune.trainer import finetune

    def show(line: dict[str, Any]) -> None:
        if line["step"] == hang_at:
            (directory / "hangs").touch()
            time.sleep(600)

    finetune(config, directory, "cpu", show, save_every=2, log_every=1)
