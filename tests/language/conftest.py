"""Tiny language models with random weights, and samples of the built-in tasks to ask them about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import save_tiny

from vtbench.adapter import Generation
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a checkpoint with a chat template."""
    return save_tiny(tmp_path_factory.mktemp("language") / "tiny")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a checkpoint without a chat template."""
    return save_tiny(tmp_path_factory.mktemp("language") / "base", template=None)


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """Return a function that makes one of the controls on a checkpoint."""
    registry = Registry()

    def make(
        name: str,
        pretrained: Path,
        generation: Generation | None = None,
        chat_template_args: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        arguments = {"pretrained": str(pretrained), **arguments}
        return registry.adapter(name, arguments, "cpu", "float32", generation, chat_template_args or {})

    return make


@pytest.fixture(scope="session")
def samples() -> tuple[Sample, ...]:
    """Return some questions of three families, with two examples before the last."""
    tasks = [load_task(find_task_files()[name]) for name in ("relational", "attribute", "scene_graph")]
    made = [task.sample(index, 16) for task in tasks for index in range(2)]
    return (*made[:-1], replace(made[-1], examples=(made[0], made[2])))
