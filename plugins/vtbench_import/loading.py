"""A task file of a harness in, a task of vtbench out, whose first question is known to work."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.errors import SampleError, TaskError
from vtbench.types import Sample
from vtbench_import.answers import read_answers
from vtbench_import.asking import Asking
from vtbench_import.code import Code
from vtbench_import.data import read_split
from vtbench_import.fields import Fields
from vtbench_import.harness import Harness
from vtbench_import.metric_factories import REFERENCES
from vtbench_import.recipe import Recipe, read_recipe
from vtbench_import.rows import Row, Rows
from vtbench_import.scoring import read_metrics

EXPORTED = ("kind", "cluster", "scene_hash")
"""Columns that together tell rows which `vtbench export` wrote: what is asked, and which samples share a scene."""


def load(path: Path, harness: Harness, split: str | None, seed: int | None, allow_code: bool) -> ImportedTask:
    """Return the task of a file.

    Args:
        path: a YAML file of the harness.
        harness: whose it is.
        split: of the data, instead of the one that the file names.
        seed: must be None: the data is what it is.
        allow_code: whether code that the file names may run.

    Raises:
        TaskError: it cannot be taken over; the message names file, line and key.
    """
    if seed is not None:
        raise TaskError(f"{path}: a task over given data has no seed to choose; leave it out")
    recipe = read_recipe(path, harness)
    code = Code(recipe, allow_code)
    for function, keys in recipe.functions():
        code.load(function, *keys)  # refused, or known to be there, before any data is read
    rows, split = read_split(recipe, split, code)
    if not len(rows):
        raise TaskError(f"{path}: the split {split!r} of the data has no rows")
    return ImportedTask(recipe, harness, rows, split, code)


class ImportedTask:
    """An image task of another harness.

    Raises:
        TaskError: a key cannot be taken over, or the first row makes no question.
    """

    def __init__(self, recipe: Recipe, harness: Harness, rows: Rows, split: str, code: Code) -> None:
        self._recipe, self._harness, self._rows, self._code = recipe, harness, rows, code
        fields = Fields(recipe, harness, rows.columns, code)
        self._asking = Asking(recipe, harness, fields, rows.folder)
        answers = read_answers(recipe, harness)
        self._exported = set(rows.columns).issuperset(EXPORTED)
        self.name = str(recipe.get("task"))
        self.split = split
        self.description = f"{harness.name} task of {recipe.path.name}"
        self.version = _version(recipe)
        self.max_new_tokens = answers.max_new_tokens
        try:
            first = self._asking.of(rows[0])
        except SampleError as problem:
            raise TaskError(f"{recipe.path}: the first row makes no question: {problem}") from problem
        several = len(first.references) > 1
        self.metrics, self.metric_factories = read_metrics(recipe, code, answers, several, self._document)

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`; pictures keep their own size.

        Raises:
            SampleError: this row makes no question.
        """
        row = self._rows[index]
        try:
            asked = self._asking.of(row)
        except SampleError as problem:
            raise SampleError(f"{self.name}, row {index + 1}: {problem}") from problem
        kind, cluster, scene_hash = (str(row[name] or "") if self._exported else "" for name in EXPORTED)
        return Sample(
            id=f"{self.name}/{self.split}/{index}",
            index=index,
            images=asked.images,
            prompt=asked.prompt,
            target=asked.references[0],
            choices=asked.choices,
            meta={REFERENCES: list(asked.references)} if len(asked.references) > 1 else {},
            kind=kind,
            cluster=cluster,
            scene_hash=scene_hash,
        )

    def _document(self, sample: Sample) -> Row:
        return self._asking.document(self._rows[sample.index])

    def config(self) -> dict[str, Any]:
        """Return what decides the samples: the task file's keys, and sha256 of its data and of the code that runs."""
        return {
            "source": self._harness.name,
            "split": self.split,
            "keys": {key: _plain(value) for key, value in self._recipe.values.items()},
            "data_sha256": self._fingerprint,
            "code_sha256": dict(self._code.files),
        }

    @cached_property
    def _fingerprint(self) -> str:
        return self._rows.fingerprint()


def _version(recipe: Recipe) -> int:
    """lm-eval's versions are numbers such as 1.0; vtbench's are whole ones, from 1."""
    metadata = recipe.get("metadata")
    version = metadata.get("version", 1) if isinstance(metadata, dict) else 1
    return max(1, int(version)) if isinstance(version, int | float) else 1


def _plain(value: Any) -> Any:
    """Return a key's value as JSON can hold it; code by its name."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | None) else str(value)
