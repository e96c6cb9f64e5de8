"""The columns of an exported sample, once: every format and every description of one is made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `kind` is what its cells hold; only `text` cells may be empty (null)."""

    name: str
    kind: Literal["text", "texts", "integer", "picture", "pictures"]
    about: str


PICTURE = Column("image", "picture", "The picture, a PNG.")
PICTURES = Column("images", "pictures", "The pictures, PNGs, in the order that the model sees them.")
FIELDS = (
    Column("id", "text", "Unique: task/split/seed/index."),
    Column("task", "text", "Name of the task."),
    Column("split", "text", "Split of the task."),
    Column("index", "integer", "Index within the split."),
    Column("prompt", "text", "The question, without placeholder or chat template."),
    Column("target", "text", "The true answer."),
    Column("choices", "texts", "The closed set of answers; empty where the answer is open."),
    Column("answer_type", "text", "choice, graph (a scene graph in vtbench's line grammar) or text (free)."),
    Column("kind", "text", "What is asked, e.g. colour or left."),
    Column("cluster", "text", "Samples of one cluster share a scene: the two of a minimal pair, say."),
    Column("scene_hash", "text", "sha256 of the scene's canonical JSON."),
    Column("image_sha256", "texts", "sha256 of each picture's decoded RGB bytes."),
    Column("scene", "text", "The scene as JSON: background and objects; null for pictures that vtbench did not draw."),
    Column("meta", "text", "Further facts as JSON, e.g. the offset of a precise_offset item."),
)
"""All but the pictures."""


def columns(single: bool) -> tuple[Column, ...]:
    """Return the columns of a table: with one picture a sample (`image`), or with any number (`images`)."""
    return (PICTURE if single else PICTURES, *FIELDS)
