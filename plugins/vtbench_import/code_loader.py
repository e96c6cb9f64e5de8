"""Loads the Python functions that a task config names, if code is allowed to run.

A module is searched for beside the config that names it, then among the installed ones, as by the harnesses.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from vtbench_import.task_config import Function, TaskConfig


class CodeLoader:
    """The code of one task.

    Args:
        config: the task config.
        allowed: whether code may run.
    """

    def __init__(self, config: TaskConfig, allowed: bool) -> None:
        self._config, self._allowed = config, allowed
        self.files: dict[str, str] = {}
        """sha256 of every file that was executed, by its path relative to the task config."""

    def load(self, function: Function, *keys: str | int) -> Callable[..., Any]:
        """Return the function that a key names.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        module, _, name = function.name.rpartition(".")
        file = function.folder / f"{module.replace('.', '/')}.py"
        place = str(file) if file.is_file() else f"module {module}"
        if not self._allowed:
            raise self._config.error(
                f"runs {name} of {place}; read that code, then say --allow-code, or write a column or a template here",
                *keys,
            )
        try:
            found: Callable[..., Any] = getattr(self._import(module, file), name)
        except Exception as error:  # whatever the module raises
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise self._config.error(f"{name} of {place} cannot be loaded: {text}", *keys) from error
        if not callable(found):
            raise self._config.error(f"{name} of {place} is no function, but {type(found).__name__}", *keys)
        return found

    def _import(self, name: str, file: Path) -> ModuleType:
        if not file.is_file():
            return importlib.import_module(name)
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self.files[os.path.relpath(file, self._config.path.parent)] = digest
        # Named by content: two tasks may each have a utils.py, and a changed one is executed again.
        known = f"vtbench_import_code_{digest[:16]}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
        if known not in sys.modules:
            spec = importlib.util.spec_from_file_location(known, file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[known] = module
        return sys.modules[known]
