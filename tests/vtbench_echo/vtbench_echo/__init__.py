"""A third party's plugin for vtbench: the adapter `parrot`, the metric `words`, and a directory of tasks."""

from collections.abc import Callable
from pathlib import Path

import vtbench
from vtbench.adapter import Adapter
from vtbench.metric import Metric


def parrot(loud: bool = False) -> Adapter:
    """Repeats the question, in capitals if `loud`."""
    from vtbench_echo.parrot_adapter import Parrot

    return Parrot(loud)


def words() -> Metric:
    """Mean number of words in an answer (words)."""
    from vtbench_echo.word_count import Words

    return Words()


@vtbench.hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Models."""
    return {"parrot": parrot}


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[[], Metric]]:
    """Metrics."""
    return {"words": words}


@vtbench.hookimpl
def vtbench_task_dirs() -> list[Path]:
    """Tasks."""
    return [Path(__file__).parent / "tasks"]
