"""The `Task` of vtbench that a task config describes. Loading it builds the first question as a check."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.errors import SampleError, TaskError
from vtbench.task.files import digest_files
from vtbench.types import Sample
from vtbench_import.code_loader import CodeLoader
from vtbench_import.dataset import Row, Rows, load_split
from vtbench_import.fields import FieldCompiler
from vtbench_import.generation import read_generation_settings
from vtbench_import.harness import Harness
from vtbench_import.metric_list import read_metrics
from vtbench_import.sample_builder import SampleBuilder
from vtbench_import.task_config import TaskConfig, read_task_config

EXPORT_COLUMNS = ("kind", "cluster", "scene_hash")
"""Columns by which rows of `vtbench export` are recognised: kind of question, and which samples share a scene."""


def load_imported_task(
    path: Path, harness: Harness, split: str | None, seed: int | None, allow_code: bool
) -> ImportedTask:
    """Load a task config.

    Args:
        path: a YAML file of the harness.
        harness: whose it is.
        split: of the data, in place of the one that the config names.
        seed: must be None: the data is not generated.
        allow_code: whether code that the config names may run.

    Raises:
        TaskError: it is not supported; the message names file, line and key.
    """
    if seed is not None:
        raise TaskError(f"{path}: a task over given data has no seed to choose; leave it out")
    config = read_task_config(path, harness)
    code = CodeLoader(config, allow_code)
    for function, keys in config.functions():
        code.load(function, *keys)  # report forbidden or missing code before any data is read
    rows, split = load_split(config, split, code)
    if not len(rows):
        raise TaskError(f"{path}: the split {split!r} of the data has no rows")
    return ImportedTask(config, harness, rows, split, code)


class ImportedTask:
    """An image task of another harness.

    Raises:
        TaskError: a key is not supported, or the first row has no valid question.
    """

    def __init__(self, config: TaskConfig, harness: Harness, rows: Rows, split: str, code: CodeLoader) -> None:
        self._config, self._harness, self._rows, self._code = config, harness, rows, code
        fields = FieldCompiler(config, harness, rows.columns, code)
        self._builder = SampleBuilder(config, harness, fields, rows.folder)
        settings = read_generation_settings(config, harness)
        self._has_export_columns = set(rows.columns).issuperset(EXPORT_COLUMNS)
        self.name = str(config.get("task"))
        self.split = split
        self.description = f"{harness.name} task of {config.path.name}"
        self.version = _version(config)
        self.max_new_tokens = settings.max_new_tokens
        try:
            first = self._builder.build(rows[0])
        except SampleError as error:
            raise TaskError(f"{config.path}: the first row has no valid question: {error}") from error
        several = len(first.references) > 1
        self.metrics, self.metric_factories = read_metrics(config, code, settings, several, self._document)

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`; images keep their own size.

        Raises:
            SampleError: the row has no valid question.
        """
        row = self._rows[index]
        try:
            question = self._builder.build(row)
        except SampleError as error:
            raise SampleError(f"{self.name}, row {index + 1}: {error}") from error
        kind, cluster, scene_hash = (
            str(row[name] or "") if self._has_export_columns else "" for name in EXPORT_COLUMNS
        )
        return Sample(
            id=f"{self.name}/{self.split}/{index}",
            index=index,
            images=question.images,
            prompt=question.prompt,
            target=question.references[0],
            references=question.references[1:],
            choices=question.choices,
            meta={"image_modes": list(question.modes)},
            kind=kind,
            cluster=cluster,
            scene_hash=scene_hash,
            answer_type="graph" if self._has_export_columns and row.get("answer_type") == "graph" else None,
        )

    def _document(self, sample: Sample) -> Row:
        return self._builder.document(self._rows[sample.index])

    def config(self) -> dict[str, Any]:
        """Return what determines the samples: the keys of the task config, sha256 of the data and of the code."""
        return {
            "source": self._harness.name,
            "split": self.split,
            "keys": {key: _plain(value) for key, value in self._config.values.items()},
            "data_sha256": self._fingerprint,
            **({"image_files": self._image_files} if self._image_files else {}),
            "code_sha256": dict(self._code.files),
        }

    @cached_property
    def _fingerprint(self) -> str:
        return self._rows.fingerprint()

    @cached_property
    def _image_files(self) -> str | None:
        """What tells the images that the rows name from changed ones."""
        return digest_files(self._rows.named_images(self._builder.image_columns), self._rows.folder)


def _version(config: TaskConfig) -> int:
    """Return the task's version as vtbench has them, an integer from 1; lm-eval's are numbers such as 1.0."""
    metadata = config.get("metadata")
    version = metadata.get("version", 1) if isinstance(metadata, dict) else 1
    return max(1, int(version)) if isinstance(version, int | float) else 1


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; a function becomes its name."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | None) else str(value)
