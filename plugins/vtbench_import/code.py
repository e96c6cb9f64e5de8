"""Python code that a task file names: a name in, the function out, where code may run.

Its module is looked for beside the file that names it, then among the installed ones, as the harnesses do.
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

from vtbench_import.recipe import Function, Recipe


class Code:
    """The code of one task.

    Args:
        recipe: the task file.
        allowed: whether code may run.
    """

    def __init__(self, recipe: Recipe, allowed: bool) -> None:
        self._recipe, self._allowed = recipe, allowed
        self.files: dict[str, str] = {}
        """sha256 of every file that was run, by its path from the task file's folder."""

    def load(self, function: Function, *keys: str | int) -> Callable[..., Any]:
        """Return the function that a key names.

        Raises:
            TaskError: code may not run, or there is no such function.
        """
        module, _, name = function.name.rpartition(".")
        file = function.folder / f"{module.replace('.', '/')}.py"
        place = str(file) if file.is_file() else f"module {module}"
        if not self._allowed:
            raise self._recipe.error(
                f"runs {name} of {place}; read that code, then say --allow-code, or write a column or a template here",
                *keys,
            )
        try:
            found: Callable[..., Any] = getattr(self._import(module, file), name)
        except Exception as problem:  # whatever a stranger's module raises
            text = " ".join(f"{type(problem).__name__}: {problem}".split())
            raise self._recipe.error(f"{name} of {place} cannot be loaded: {text}", *keys) from problem
        if not callable(found):
            raise self._recipe.error(f"{name} of {place} is no function, but {type(found).__name__}", *keys)
        return found

    def _import(self, name: str, file: Path) -> ModuleType:
        if not file.is_file():
            return importlib.import_module(name)
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self.files[os.path.relpath(file, self._recipe.path.parent)] = digest
        # By content, so that two tasks may each have a utils.py, and a changed one is run anew.
        known = f"vtbench_import_code_{digest[:16]}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
        if known not in sys.modules:
            spec = importlib.util.spec_from_file_location(known, file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[known] = module
        return sys.modules[known]
