"""Documented commands that do not run here: why, and which suite runs what they do.

`test_commands.py` parses each as far as its own command line goes, and fails when an entry matches no command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from documented import Block, Command


@dataclass(frozen=True)
class Elsewhere:
    """Commands, by a regular expression that is found in their line; `suite` is a target of the Makefile or a path."""

    pattern: str
    reason: str
    suite: str


COMMANDS = (
    Elsewhere(r"^git clone", "the reader's own address of the repository", ".ci/run"),
    Elsewhere(r"^make run$", "installs an environment, then asks 2,000 questions", "Makefile"),
    Elsewhere(r"^make yardstick$", "has an environment of its own", "yardstick"),
    Elsewhere(r"^pip install --editable \.", "installs; the extras that it names are checked here", "Makefile"),
    Elsewhere(r"^pip install --editable mymodel$", "the package is put on the path instead", "tests/test_workflows.py"),
    Elsewhere(r"--model vllm\b", "vLLM", "vllm"),
    Elsewhere(r"^vllm serve", "vLLM", "vllm"),
    Elsewhere(r"--executor ray|^srun", "Ray", "ray"),
    Elsewhere(r"--track (wandb|mlflow)", "W&B and MLflow", "trackers"),
    Elsewhere(r"^lm_eval |^lmms-eval |^python -m vtbench_harness", "lm-eval and lmms-eval", "harnesses"),
    Elsewhere(r"--model lmms\b", "lmms-eval", "harnesses"),
    Elsewhere(r"pretrained=model\.gguf", "the package gguf", "language"),
    Elsewhere(r"--tasks (mmvp|real)$", "data of the hub", "tests/task/test_real_tasks.py"),
    Elsewhere(r"max_memory=\{0:|model\.language_model: 1", "GPUs", "tests/adapters"),
    Elsewhere(
        r"run .*quantization=4bit",
        "layers whose widths are multiples of 64, of which bitsandbytes makes blocks",
        "tests/adapters/test_large_models.py",
    ),
    Elsewhere(r"--data-parallel", "a process for each copy", "shipped"),
    Elsewhere(r"--format inspect", "the package inspect_ai", "inspect"),
    Elsewhere(r"study --join", "two studies that were measured", "tests/study/test_joined_study.py"),
    Elsewhere(r"^accelerate launch", "four processes", "tests/training"),
    Elsewhere(r"^python benchmarks/pretrained_decoder\.py", "minutes to hours of training", "decoder"),
    Elsewhere(r"^python benchmarks/(?!pretrained_decoder)", "hours of questions or training", "tests/benchmarks"),
)
BLOCKS = (Elsewhere(r"import webdataset", "the package webdataset", "tests/export"),)


def elsewhere(documented: Command | Block) -> Elsewhere | None:
    """Return the entry of a command or of a block of Python, None for one that runs here."""
    if isinstance(documented, Block):
        return next((one for one in BLOCKS if re.search(one.pattern, documented.code)), None)
    return next((one for one in COMMANDS if re.search(one.pattern, documented.line)), None)
