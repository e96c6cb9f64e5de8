"""The key `data` of a task file: where images and questions are, and which column holds what."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from vtbench.scenes.scene_settings import StrictModel
from vtbench.task.cells import TargetAs
from vtbench.task.row_template import RowTemplate, is_template


def as_words(value: Any) -> Any:
    """Return words by answer, where YAML has read `yes` and `no` without quotation marks as truth values."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return [as_words(entry) for entry in value]
    return {as_words(key): as_words(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One name, or a list of them."""
Words = Annotated[tuple[str, ...], Field(min_length=1)]
TEMPLATES = ("prompt", "target", "kind", "cluster", "pair", "id")
"""Keys that hold a column or a template."""
_SINCE_HUB = (
    *(
        "hub",
        "config",
        "revision",
        "split",
        "join",
        "images",
        "image_dir",
        "number_images",
        "urls",
        "interleave_images",
    ),
    *("answers", "shuffle", "lettered", "pair", "by"),
)
"""Keys that the digest of a run has where they are set, so that older runs over a file can be resumed."""


class JoinSpec(StrictModel):
    """A table of the same data set whose columns are looked up for each row, by a key."""

    config: str | None = None
    """Its configuration."""
    split: str | None = None
    """Its split; without it that of the rows, which must then be one."""
    column: str
    """Column of the rows with the key."""
    key: str
    """Column of the table with the same key."""


class DataSpec(StrictModel):
    """Images and questions: one row per sample."""

    path: str | None = None
    """A file (.jsonl, .parquet, .json, .csv, .tsv, .arrow) or a directory, relative to the task file."""
    hub: str | None = None
    """In place of `path`, the name of a data set of the Hugging Face hub, as OWNER/NAME."""
    config: Names = ()
    """Configuration of a data set that has several, or a list of them, read one after the other."""
    revision: str | None = None
    """Commit, branch or tag of a hub data set; without it `main`. The commit that was read is in the run's digest."""
    split: Names = ()
    """Split of a hub data set or a directory, or a list of them, read one after the other."""
    join: JoinSpec | None = None
    """A further table of a hub data set or a directory, whose columns each row gets by a key."""
    image: str = "image"
    """Column with the image: its path (relative to the data file), bytes, a data: URI, base64, or a list of these."""
    images: tuple[str, ...] = ()
    """In place of `image`, columns with an image each; those that are empty in a row are left out."""
    image_dir: str | None = None
    """Directory that image paths are relative to, itself relative to the task file; without it that of the data."""
    number_images: bool = False
    """Whether `<image>` amid the words of a question becomes `image 1`, `image 2`; images stand before the question."""
    interleave_images: bool = False
    """Whether images stand where a question has `<image>` (or `<image 2>`) amid its words; others stand before it."""
    urls: bool = False
    """Whether images that are given by an http(s) URL may be fetched."""
    prompt: str = "prompt"
    """Column with the question, or a template over columns: "{question} {choices|lettered}"."""
    target: str = "target"
    """Column with the true answer or a list of answers that are all right, or a template."""
    target_as: TargetAs = "text"
    """What the target says of a choice: its text, its index (from 0), its number (from 1), its letter (from A), or
    whether it is true."""
    choices: str | Words | None = None
    """Column with the list of closed answers, or a list of columns with one each; without it, the answer is open."""
    answers: Annotated[Words | dict[str, Words] | None, BeforeValidator(as_words)] = None
    """In place of `choices`, the closed answers of all rows, or those by kind."""
    shuffle: bool = False
    """Whether each row's choices stand in an order drawn by the row's index."""
    lettered: bool = False
    """Whether the prompt itself letters the choices in their order (A, B, ...), so that a letter is an answer."""
    kind: str | None = None
    """Column with what is asked, for breakdowns, or a template. `@split` and `@config` are where the row is from."""
    by: Names = ()
    """Further columns for breakdowns, beside `kind`."""
    cluster: str | Annotated[int, Field(ge=2)] | None = None
    """Column that rows of one scene or group share, for intervals and group accuracy, a template, or a number N: each
    N rows in a row. A row without one is a cluster of its own."""
    pair: str | None = None
    """Column that two rows of one cluster share, for the pairs of group accuracy, or a template."""
    caption: str | None = Field(None, exclude=True)
    """Column with what the image shows, in words, for models that are told of images (docs/controls.md)."""
    train: str | None = Field(None, exclude=True)
    """Further rows, from which few-shot examples are drawn: a file like `path`, or a split of the same data."""
    download: str | None = Field(None, exclude=True)
    """Where the files of `path` are to be had, for the error where they are missing."""
    id: str | None = Field(None)
    """Column with the row's own name; of a name that occurs again, the second row is called NAME#2."""

    @field_validator(*TEMPLATES)
    @classmethod
    def _templates_are_whole(cls, value: Any) -> Any:
        if isinstance(value, str) and is_template(value):
            RowTemplate(value)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        if (self.path is None) == (self.hub is None):
            raise ValueError("data: needs a path (a file or directory) or a hub (the name of a data set), and not both")
        if self.revision and not self.hub:
            raise ValueError("data.revision: only a data set of the hub has revisions")
        if self.choices and self.answers:
            raise ValueError("data.answers: stands in place of choices; leave one of them out")
        if isinstance(self.answers, dict) and not self.kind:
            raise ValueError("data.answers: answers by kind need the column of kinds under data.kind")
        if self.shuffle and not self.closed:
            raise ValueError("data.shuffle: there are no choices to shuffle; name their column under data.choices")
        if self.lettered and (self.shuffle or not self.closed):
            what = "its letters stand in the data's own order; leave shuffle out" if self.shuffle else "no choices"
            raise ValueError(f"data.lettered: {what}")
        if self.join and len(self.split) > 1 and not self.join.split:
            raise ValueError("data.join.split: name the split of the table, as the rows are of several")
        if "image" in self.model_fields_set and self.images:
            raise ValueError("data.images: stands in place of image; leave one of them out")
        if self.number_images and self.interleave_images:
            raise ValueError("data.interleave_images: stands in place of number_images; leave one of them out")
        if "kind" in self.by:
            raise ValueError("data.by: the column `kind` would be taken for the kind; name it under data.kind alone")
        for key in TEMPLATES:
            template = self.template(key)
            if template and template.has_choices and (key != "prompt" or not self.closed):
                why = "name their column under data.choices" if key == "prompt" else "only the prompt may name them"
                raise ValueError(f"data.{key}: {{choices}} stands for the choices of the question; {why}")
        return self

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return {key: value for key, value in found.items() if key not in _SINCE_HUB or value}

    @property
    def closed(self) -> bool:
        """Whether questions may have choices."""
        return self.choices is not None or self.answers is not None

    def template(self, key: str) -> RowTemplate | None:
        """Return the template of a key; None where it names a column."""
        value = getattr(self, key)
        return RowTemplate(value) if isinstance(value, str) and is_template(value) else None

    @property
    def has_letters(self) -> bool:
        """Whether the prompt letters the choices, of itself or by its template."""
        return self.lettered or (is_template(self.prompt) and "{choices|lettered}" in self.prompt)

    @property
    def image_columns(self) -> tuple[str, ...]:
        """The columns that hold images."""
        return self.images or (self.image,)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the task names, those in templates and `@split` and `@config` too."""
        several = self.choices if isinstance(self.choices, tuple) else (self.choices,)
        named: list[str | None] = [*self.image_columns, *several, self.caption, self.join.column if self.join else None]
        named += self.by
        for key in TEMPLATES:
            value, template = getattr(self, key), self.template(key)
            named += template.columns if template else [value if isinstance(value, str) else None]
        return tuple(dict.fromkeys(name for name in named if name is not None))
