"""Image tasks of lm-eval and lmms-eval as vtbench tasks: `--tasks lm-eval:DIR/task.yaml`, `--tasks lmms:DIR/task.yaml`.

The plugin reads a task config of either harness and returns a `vtbench.types.Task`, or raises one line that names the
key that it cannot take over. Code that the config names runs only with `--allow-code`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.types import Task


def lm_eval(where: str, *, split: str | None = None, seed: int | None = None, allow_code: bool = False) -> Task:
    """Load an image task of lm-eval."""
    from vtbench_import.harness import LM_EVAL
    from vtbench_import.imported_task import load_imported_task

    return load_imported_task(Path(where), LM_EVAL, split, seed, allow_code)


def lmms(where: str, *, split: str | None = None, seed: int | None = None, allow_code: bool = False) -> Task:
    """Load an image task of lmms-eval."""
    from vtbench_import.harness import LMMS_EVAL
    from vtbench_import.imported_task import load_imported_task

    return load_imported_task(Path(where), LMMS_EVAL, split, seed, allow_code)


@hookimpl
def vtbench_flags() -> dict[str, str]:
    """What the flags of imported metrics mean."""
    return {
        "not_numbers": "the imported metric gives something that is no number for a sample, so there is no score",
        "aggregation_failed": "the imported code that joins the samples' values failed; the details have its error",
    }


@hookimpl
def vtbench_task_sources() -> dict[str, Callable[..., Task]]:
    """Return the loaders of both harnesses, by the prefix of `--tasks`."""
    return {"lm-eval": lm_eval, "lmms": lmms}
