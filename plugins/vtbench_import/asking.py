"""A row in; what the model is asked, and what is right, out."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from vtbench.errors import SampleError
from vtbench_import.fields import Field, Fields
from vtbench_import.harness import Harness
from vtbench_import.pictures import document, opened
from vtbench_import.recipe import Function, Recipe
from vtbench_import.rows import Row

_PLACEHOLDERS = re.compile(r"\s*(?:<image>\s*)+")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question."""

    images: tuple[Image.Image, ...]
    prompt: str
    references: tuple[str, ...]
    """Answers that are right, one or several."""
    choices: tuple[str, ...]


class Asking:
    """Makes questions of rows.

    Args:
        recipe: the task file.
        harness: whose it is.
        fields: makes functions of its keys.
        folder: what paths of pictures are relative to.

    Raises:
        TaskError: a key cannot be taken over.
    """

    def __init__(self, recipe: Recipe, harness: Harness, fields: Fields, folder: Path) -> None:
        self._recipe, self._folder = recipe, folder
        self._coded = any(True for _ in recipe.functions())
        for key in ("doc_to_text", "doc_to_target", harness.pictures):
            if recipe.get(key) is None:
                raise recipe.error(f"is missing; vtbench runs {harness.name} tasks that ask about pictures", key)
        shown = _settings(recipe.get("lmms_eval_specific_kwargs"))
        self._text = fields.text("doc_to_text", *shown)
        self._description = fields.text("description")
        self._choices = fields.literal("doc_to_choice") if recipe.get("doc_to_choice") is not None else None
        targets = recipe.get("model_specific_target_kwargs") or {}
        self._target = fields.text("doc_to_target", *([targets["default"]] if targets.get("default") else []))
        self._target_is_text = recipe.get("doc_to_target") in fields.columns
        self._pictures = self._picture_field(harness.pictures, fields, shown)

    def _picture_field(self, key: str, fields: Fields, shown: tuple[Any, ...]) -> Field:
        value = self._recipe.get(key)
        if isinstance(value, Function):
            takes = inspect.signature(fields.load(value, key)).parameters
            return fields.code(value, key, *(shown if len(takes) == 2 else ()))
        names = value if isinstance(value, list) else [value]
        for name in names:
            if name not in fields.columns:
                raise self._recipe.error(
                    f"must name columns of pictures; the data has {', '.join(fields.columns)}", key
                )
        return lambda row: [row[name] for name in names]

    def of(self, row: Row) -> Asked:
        """Return the question of a row.

        Raises:
            SampleError: this row makes none.
        """
        row = self.document(row)
        choices = self._closed(row)
        images = tuple(opened(self._pictures(row), self._folder))
        if not images:
            raise SampleError("there is no picture")
        return Asked(images, self._prompt(row, len(images)), self._references(row, choices), choices)

    def document(self, row: Row) -> Row:
        """Return a row as code expects it; where none runs, pictures stay as they are stored."""
        return document(row, self._folder) if self._coded else row

    def _prompt(self, row: Row, pictures: int) -> str:
        text = self._text(row)
        if not isinstance(text, str):
            raise SampleError(f"doc_to_text: must be a text, but is {text!r:.80}")
        if found := _PLACEHOLDERS.match(text):
            if found.group().count("<image>") != pictures:
                raise SampleError(f"doc_to_text has {found.group().count('<image>')} <image> for {pictures} pictures")
            text = text[found.end() :]
        if "<image>" in text:
            raise SampleError("doc_to_text has <image> amid its words; pictures stand before the question here")
        before = self._description(row) or ""
        gap = "" if not before or before[-1].isspace() or text[:1].isspace() else "\n\n"
        return f"{before}{gap}{text}"

    def _closed(self, row: Row) -> tuple[str, ...]:
        if self._choices is None:
            return ()
        choices = self._choices(row)
        choices = list(choices.values()) if isinstance(choices, Mapping) else choices
        if not isinstance(choices, list | tuple) or not choices:
            raise SampleError(f"doc_to_choice: must be a list of answers, but is {choices!r:.80}")
        return tuple(map(str, choices))

    def _references(self, row: Row, choices: tuple[str, ...]) -> tuple[str, ...]:
        target = self._target(row)
        if isinstance(target, str) and not self._target_is_text:
            target = _read(target, closed=bool(choices))
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


def _settings(given: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """Return what lmms-eval hands to code beside the row: prompts before and after the question, say."""
    if given is None:
        return ()
    return ({**given, **(given.get("default") or given.get("dataset") or {})},)


def _read(text: str, closed: bool) -> Any:
    """Read what a template made as both harnesses do: digits as a choice's number, brackets as several answers."""
    if closed and text.isdigit():
        return int(text)
    if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
    return text
