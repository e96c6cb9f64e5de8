"""The schema of task files: `read_task` checks a file, refuses unknown keys, and names file, line and key in errors.

A file names the source of its samples in one of three ways: `family` (synthetic scenes), `mix` (other tasks in turn),
or `data` (images and questions of a file, a directory or the hub).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from vtbench.errors import TaskError, nearest
from vtbench.scenes.builtin import builtin_families
from vtbench.scenes.family import FamilyFactory, FamilySettings, SceneFamily, create_family
from vtbench.scenes.items import ItemSource
from vtbench.scenes.questions import SLOTS
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings, StrictModel
from vtbench.scenes.splits import Split
from vtbench.scoring.normalise import plain
from vtbench.task.data_spec import DataSpec, as_words
from vtbench.task.formats import Formats, PromptFormat
from vtbench.task.include import included, merged, with_family_defaults
from vtbench.task.yaml_lines import line_of, load_yaml

OWN_DATA_TOKENS = 128
"""Default of `max_new_tokens` for a user's own data; a model that ends its answer earlier does not pay for it."""


Synonyms = Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], BeforeValidator(as_words)]
"""Further words by answer."""


class TaskFile(StrictModel):
    """A vtbench task."""

    task: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the task; the same as the file's name without `.yaml`."""
    include: str | None = Field(None, exclude=True)
    """Another task, built-in or beside this file, whose keys hold where this file has none."""
    version: int = Field(1, ge=1)
    """Raise it whenever the task's samples or scores change."""
    description: str = ""
    """One line for listings."""
    groups: tuple[str, ...] = ()
    """Groups that `--tasks` can name, `all` for example."""
    family: str | None = None
    """Which family of scenes vtbench draws; `vtbench ls families` lists them."""
    mix: tuple[str, ...] = ()
    """Names of other tasks that take turns here."""
    data: DataSpec | None = None
    """Images and questions of a file, a directory or the hub."""
    split: Split = "test"
    """Which scenes: no two of train, val, test and probe share one."""
    items: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """How many samples; 2,000 for a family or a mix, all of the file for data."""
    seed: int = Field(0, ge=0)
    """Another seed gives other scenes of the same split."""
    image_size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Side of the images in pixels; without it, the size that the model sees."""
    scene: SceneSettings = SceneSettings()
    """What scenes are made of; in a mix, the keys that are given replace those of all its tasks of scenes."""
    relations: RelationSettings = RelationSettings()
    """When a spatial statement is true."""
    kinds: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Weight of each kind of question of the family."""
    offsets: tuple[Annotated[float, Field(gt=0, le=30)], ...] = (0.5, 1, 2, 4, 8, 16)
    """Offsets of the `precise_offset` family, in percent of the canvas."""
    questions: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Paraphrases by kind of question, with the placeholders {a}, {b} or {shape}; the family's own where left out."""
    formats: Formats = Field(default_factory=dict, exclude=True)
    """Prompt formats beside `plain` by name: the text with {question} and {choices} or {options}, or its settings."""
    synonyms: Synonyms = Field(default_factory=dict, exclude=True)
    """Further words for answers, by the answer: `{"yes": [ja, oui]}`. They count as it."""
    max_new_tokens: int = Field(8, ge=1, le=4096)
    """How long an answer may be, in tokens; 128 by default for your own data, whose answers may be sentences."""
    citation: str = Field("", exclude=True)
    """What to cite for data that others made."""
    licence: str = Field("", exclude=True)
    """Licence of data that others made."""
    metrics: tuple[str, ...] = Field(("accuracy",), min_length=1)
    """Metrics as NAME or NAME:setting=value; `vtbench ls metrics` lists them."""
    _family: SceneFamily | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _longer_answers_to_own_data(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("data") and "max_new_tokens" not in values:
            return values | {"max_new_tokens": OWN_DATA_TOKENS}
        return values

    @model_validator(mode="after")
    def _one_source(self, info: ValidationInfo) -> TaskFile:
        given = [name for name in ("family", "mix", "data") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"needs exactly one of family, mix, data; found {found}")
        if self.family:
            families: Mapping[str, FamilyFactory] = (info.context or {}).get("families") or builtin_families()
            try:
                self._family = create_family(self.family, families)
            except TaskError as error:
                raise ValueError(f"family: {error}") from None
            self._check_questions(self._family)
            self._check_backgrounds()
        if self.mix and self.formats:
            raise ValueError("formats: the tasks of a mix have their own; leave them out here")
        for name, format in self.formats.items():
            format.check(name, bool(self.family), self.data is None or self.data.closed)
        self._check_synonyms()
        return self

    def _check_backgrounds(self) -> None:
        if "background" in self.weights and len(words := self.scene.background_words) < 2:
            raise ValueError(
                f"kinds.background: every photograph shows {words[0]}, so there is nothing to ask about it"
            )
        left = {word: {*self.scene.colours} - self.scene.colours_like(word) for word in self.scene.background_words}
        for word, colours in left.items():
            if len(colours) < 2:
                raise ValueError(
                    f"scene.backgrounds: on the photographs of {word} no two colours stand out, as these have most of "
                    "the palette's; leave some out, or give them a kind of their own"
                )
        if "colour" in self.weights and (never := {*self.scene.colours} - set().union(*left.values())):
            raise ValueError(f"scene.backgrounds: {min(never)} stands out on no kind of photograph; add others")

    def _check_synonyms(self) -> None:
        if self.mix and self.synonyms:
            raise ValueError("synonyms: the tasks of a mix have their own; leave them out here")
        known = {plain(answer): answer for answer in self.synonyms}
        for answer, words in self.synonyms.items():
            for word in words:
                if not plain(word):
                    raise ValueError(f"synonyms.{answer}: {word!r} has no word in it")
                if (other := known.setdefault(plain(word), answer)) != answer:
                    raise ValueError(f"synonyms.{answer}: {word!r} is already a word for {other!r}")

    def _check_questions(self, family: SceneFamily) -> None:
        weights, slots = self.weights, {**SLOTS, **family.placeholders}
        if unknown := sorted(set(weights) - set(family.kinds)):
            near = nearest(unknown[0], list(family.kinds))
            raise ValueError(f"kinds: {family.name} has no kind {unknown[0]!r}.{near}")
        if not weights:
            raise ValueError("kinds: every weight is 0, nothing is left to ask")
        for kind in weights:
            if kind not in self.questions:
                raise ValueError(f"questions: nothing for the kind {kind!r}")
        for kind, texts in self.questions.items():
            if kind not in slots:
                raise ValueError(f"questions: there is no kind {kind!r}.{nearest(kind, list(slots))}")
            for text in texts:
                _check_template(kind, text, slots[kind])

    @property
    def weights(self) -> dict[str, int]:
        """Kinds of question with their weights, those of weight 0 left out."""
        own = self._family.kinds if self._family is not None else {}
        chosen = self.kinds if self.kinds is not None else own
        return {kind: weight for kind, weight in chosen.items() if weight}

    def source(self) -> ItemSource:
        """Return the items of a `family` task."""
        assert self._family is not None
        scene = self.scene
        if self.split == "background" and scene.background == "plain":
            scene = scene.model_copy(update={"background": "mixed"})
        settings = FamilySettings(scene, self.relations, self.weights, self.offsets, comp=self.split == "comp")
        return ItemSource(self._family, self.split, self.seed, settings, self.questions)


def _check_template(kind: str, text: str, slots: Sequence[str]) -> None:
    try:
        found = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as problem:
        raise ValueError(f"questions.{kind}: {text!r}: {problem}") from None
    if found != set(slots):
        wanted = ", ".join(f"{{{slot}}}" for slot in slots) or "no placeholder"
        raise ValueError(f"questions.{kind}: {text!r} must contain {wanted}")


def read_task(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    families: Mapping[str, FamilyFactory] | None = None,
) -> TaskFile:
    """Read and check a task file.

    Args:
        path: the file.
        overrides: values in place of those of top-level keys; of `scene`, in place of those of its own keys.
        families: scene families that it may name; the built-in ones by default.

    Raises:
        TaskError: names file, line and key.
    """
    own, node = load_yaml(Path(path), TaskError)
    data = with_family_defaults(merged(included(own, Path(path)), overrides or {}, ["scene"]))
    try:
        return TaskFile.model_validate(data, context={"families": families})
    except ValidationError as error:
        found = error.errors()
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])  # a misspelled key first
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key." + nearest(str(first["loc"][-1]), _known_keys(first["loc"][:-1]))
        if first["type"] == "model_type":
            message = f"must be a mapping, such as {{{_known_keys(first['loc'])[0]}: ...}}, not {first['input']!r}"
        if first["loc"] and first["loc"][0] in (overrides or {}):
            raise TaskError(f"{where} {first['input']!r} does not suit {path}: {message}") from None
        # A rule over several keys says in its message which of them it is about.
        line = line_of(node, first["loc"] or message.partition(":")[0].split("."))
        raise TaskError(f"{path}, line {line}: {where + ': ' if where else ''}{message}") from None


def _known_keys(parents: tuple[str | int, ...]) -> list[str]:
    models: dict[str, type[StrictModel]] = {
        "scene": SceneSettings,
        "relations": RelationSettings,
        "data": DataSpec,
        "formats": PromptFormat,
    }
    model = models.get(str(parents[0]), TaskFile) if parents else TaskFile
    return list(model.model_fields)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of task files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TaskFile.model_json_schema()}
