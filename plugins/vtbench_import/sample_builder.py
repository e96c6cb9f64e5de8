"""Builds the question of a row: images, prompt, correct answers and choices."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from vtbench.errors import SampleError
from vtbench.task.cells import CellError
from vtbench.task.images import OpenedImage, open_image
from vtbench.task.placeholders import begins_with_images, with_image_places, without_placeholders
from vtbench_import.dataset import Row, cell, stored_cell
from vtbench_import.fields import Field, FieldCompiler
from vtbench_import.harness import Harness
from vtbench_import.task_config import Function, TaskConfig


@dataclass(frozen=True, slots=True)
class Question:
    """The question of one row."""

    images: tuple[Image.Image, ...]
    modes: tuple[str, ...]
    """Pillow's names of the modes in which the images are stored."""
    prompt: str
    references: tuple[str, ...]
    """The correct answers, at least one."""
    choices: tuple[str, ...]


class SampleBuilder:
    """Builds questions as the task config says.

    Args:
        config: the task config.
        harness: whose it is.
        fields: compiles its keys.
        folder: what relative image paths are relative to.

    Raises:
        TaskError: a key is missing or not supported.
    """

    def __init__(self, config: TaskConfig, harness: Harness, fields: FieldCompiler, folder: Path) -> None:
        self._config, self._folder = config, folder
        self.image_columns: tuple[str, ...] = ()
        """Columns that hold the images; none where code makes them."""
        self._has_code = any(True for _ in config.functions())
        for key in ("doc_to_text", "doc_to_target", harness.image_key):
            if config.get(key) is None:
                raise config.error(f"is missing; vtbench runs image tasks of {harness.name}", key)
        settings = _prompt_settings(config.get("lmms_eval_specific_kwargs"))
        self._text = fields.text("doc_to_text", *settings)
        self._description = fields.text("description")
        self._choices = fields.literal("doc_to_choice") if config.get("doc_to_choice") is not None else None
        targets = config.get("model_specific_target_kwargs") or {}
        self._target = fields.text("doc_to_target", *([targets["default"]] if targets.get("default") else []))
        self._target_is_column = config.get("doc_to_target") in fields.columns
        self._images = self._image_field(harness.image_key, fields, settings)

    def _image_field(self, key: str, fields: FieldCompiler, settings: tuple[Any, ...]) -> Field:
        value = self._config.get(key)
        if isinstance(value, Function):
            takes = inspect.signature(fields.load(value, key)).parameters
            return fields.function(value, key, *(settings if len(takes) == 2 else ()))
        names = value if isinstance(value, list) else [value]
        self.image_columns = tuple(names)
        for name in names:
            if name not in fields.columns:
                raise self._config.error(f"must name image columns; the data has {', '.join(fields.columns)}", key)
        return lambda row: [image for name in names for image in _open_column(row, name, self._folder)]

    def build(self, row: Row) -> Question:
        """Build the question of a row.

        Raises:
            SampleError: the row has no valid question.
        """
        row = self.document(row)
        choices = self._choices_of(row)
        opened = _open(self._images(row), self._folder)
        if not opened:
            raise SampleError("there is no image")
        images, modes = tuple(one.image for one in opened), tuple(one.mode for one in opened)
        return Question(images, modes, self._prompt(row, len(images)), self._references(row, choices), choices)

    def document(self, row: Row) -> Row:
        """Return a row as the task's code expects it: a dict with every image decoded."""
        return {name: cell(row, name) for name in row} if self._has_code else row

    def _prompt(self, row: Row, images: int) -> str:
        text = self._text(row)
        if not isinstance(text, str):
            raise SampleError(f"doc_to_text: must be a text, but is {text!r:.80}")
        try:
            if begins_with_images(text, images) or "<image>" not in text:
                text = without_placeholders(text, images)
            else:
                text = with_image_places(text, images)
        except CellError as problem:
            raise SampleError(f"doc_to_text {problem}") from None
        before = self._description(row) or ""
        gap = "" if not before or before[-1].isspace() or text[:1].isspace() else "\n\n"
        return f"{before}{gap}{text}"

    def _choices_of(self, row: Row) -> tuple[str, ...]:
        if self._choices is None:
            return ()
        choices = self._choices(row)
        choices = list(choices.values()) if isinstance(choices, Mapping) else choices
        if not isinstance(choices, list | tuple) or not choices:
            raise SampleError(f"doc_to_choice: must be a list of answers, but is {choices!r:.80}")
        return tuple(map(str, choices))

    def _references(self, row: Row, choices: tuple[str, ...]) -> tuple[str, ...]:
        target = self._target(row)
        if isinstance(target, str) and not self._target_is_column:
            target = _parse_target(target, closed=bool(choices))
        if not choices:
            references = target if isinstance(target, list | tuple) else [target]
            if not references or None in references:
                raise SampleError("doc_to_target gives no answer")
            return tuple(map(str, references))
        if isinstance(target, int) and 0 <= target < len(choices):
            return (choices[target],)
        if isinstance(target, str) and target in choices:
            return (target,)
        raise SampleError(f"doc_to_target: {target!r:.80} is neither one of the {len(choices)} choices nor its number")


def _prompt_settings(kwargs: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """Return the argument that lmms-eval passes to code after the row, e.g. prompts before and after the question."""
    if kwargs is None:
        return ()
    return ({**kwargs, **(kwargs.get("default") or kwargs.get("dataset") or {})},)


def _parse_target(text: str, closed: bool) -> Any:
    """Parse a rendered target as both harnesses do: digits are the index of a choice, brackets several answers."""
    if closed and text.isdigit():
        return int(text)
    if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
    return text


def _open(value: Any, folder: Path) -> list[OpenedImage]:
    """Open the images of a cell: an image, bytes, a path from `folder`, `{bytes, path}`, or a list of these.

    Raises:
        SampleError: one of them cannot be opened.
    """
    if value is None:
        return []
    if isinstance(value, OpenedImage):
        return [value]
    if isinstance(value, list | tuple):
        return [image for one in value for image in _open(one, folder)]
    return [open_image(value, folder)]


def _open_column(row: Row, name: str, folder: Path) -> list[OpenedImage]:
    cell = stored_cell(row, name)
    try:
        return _open(cell, folder)
    except SampleError as error:
        raise SampleError(f"column {name!r} cannot be read: {error}") from error
