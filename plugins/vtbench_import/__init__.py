"""Tasks of lm-eval and lmms-eval as vtbench tasks: `--tasks lm-eval:DIR/task.yaml`, `--tasks lmms:DIR/task.yaml`.

A YAML file of theirs over local data comes in; a `vtbench.types.Task` goes out, or one line that says which key cannot
be taken over. Nothing that the file names is run, unless `--allow-code` is given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vtbench.hookspecs import hookimpl
from vtbench.types import Task


def lm_eval(where: str, *, split: str | None = None, seed: int | None = None, allow_code: bool = False) -> Task:
    """An image task of lm-eval over local data."""
    from vtbench_import.harness import LM_EVAL
    from vtbench_import.loading import load

    return load(Path(where), LM_EVAL, split, seed, allow_code)


def lmms(where: str, *, split: str | None = None, seed: int | None = None, allow_code: bool = False) -> Task:
    """An image task of lmms-eval over local data."""
    from vtbench_import.harness import LMMS_EVAL
    from vtbench_import.loading import load

    return load(Path(where), LMMS_EVAL, split, seed, allow_code)


@hookimpl
def vtbench_task_sources() -> dict[str, Callable[..., Task]]:
    """The two harnesses."""
    return {"lm-eval": lm_eval, "lmms": lmms}
