"""The schema of task files: `read_task` checks a file, refuses unknown keys, and names file, line and key in errors.

A file says where its samples come from in one of three ways: `family` (scenes that vtbench draws), `mix` (other
tasks in turn), or `data` (a user's own images and questions).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from vtbench.errors import TaskError, nearest
from vtbench.scenes.families import KINDS, Plan
from vtbench.scenes.items import ItemSource
from vtbench.scenes.questions import SLOTS
from vtbench.scenes.spec import Knobs, RelationSpec, SceneSpec
from vtbench.scenes.splits import Split
from vtbench.task.yaml_lines import line_of, load_yaml

Family = Literal["coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion"]


class DataSpec(Knobs):
    """A user's own images and questions: one row a sample."""

    path: str
    """A .jsonl or .parquet file, relative to the task file."""
    image: str = "image"
    """Column with the image's path (relative to the data file), a list of paths, or (Parquet) its bytes."""
    prompt: str = "prompt"
    """Column with the question."""
    target: str = "target"
    """Column with the true answer."""
    choices: str | None = None
    """Column with the list of closed answers; without it, the answer is open."""
    kind: str | None = None
    """Column with what is asked, for breakdowns."""
    cluster: str | None = None
    """Column that rows of one scene share, for intervals."""
    id: str | None = Field(None)
    """Column with the row's own name."""


class TaskFile(Knobs):
    """A vtbench task."""

    task: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the task; the same as the file's name without `.yaml`."""
    version: int = Field(1, ge=1)
    """Raise it whenever the task's samples or scores change."""
    description: str = ""
    """One line for listings."""
    groups: tuple[str, ...] = ()
    """Groups that `--tasks` can name, `all` for example."""
    family: Family | None = None
    """Which kind of scene vtbench draws."""
    mix: tuple[str, ...] = ()
    """Names of other tasks that take turns here."""
    data: DataSpec | None = None
    """The user's own images and questions."""
    split: Split = "test"
    """Which scenes: no two of train, val, test and probe share one."""
    items: Annotated[int, Field(ge=1)] | None = None
    """How many samples; 2,000 for a family or a mix, all of the file for data."""
    seed: int = Field(0, ge=0)
    """Another seed gives other scenes of the same split."""
    image_size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Side of the images in pixels; without it, the size that the model sees."""
    scene: SceneSpec = SceneSpec()
    """What scenes are made of."""
    relations: RelationSpec = RelationSpec()
    """When a spatial statement is true."""
    kinds: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Weight of each kind of question of the family."""
    offsets: tuple[Annotated[float, Field(gt=0, le=30)], ...] = (0.5, 1, 2, 4, 8, 16)
    """Offsets of the `precise_offset` family, in percent of the canvas."""
    questions: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Paraphrases by kind of question, with the placeholders {a}, {b} or {shape}."""
    max_new_tokens: int = Field(8, ge=1, le=4096)
    """How long an answer may be, in tokens."""
    metrics: tuple[str, ...] = Field(("accuracy",), min_length=1)
    """Names of metrics, as `vtbench ls metrics` shows them."""

    @model_validator(mode="after")
    def _one_source(self) -> TaskFile:
        given = [name for name in ("family", "mix", "data") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"needs exactly one of family, mix, data; found {found}")
        if self.family:
            self._check_questions(self.family)
        return self

    def _check_questions(self, family: str) -> None:
        weights = self.weights
        unknown = sorted(set(weights) - set(KINDS[family]))
        if unknown:
            raise ValueError(f"kinds: {family} has no kind {unknown[0]!r}.{nearest(unknown[0], list(KINDS[family]))}")
        if not weights:
            raise ValueError("kinds: every weight is 0, nothing is left to ask")
        for kind in weights:
            if kind not in self.questions:
                raise ValueError(f"questions: nothing for the kind {kind!r}")
        for kind, texts in self.questions.items():
            if kind not in SLOTS:
                raise ValueError(f"questions: there is no kind {kind!r}.{nearest(kind, list(SLOTS))}")
            for text in texts:
                self._check_template(kind, text)

    @staticmethod
    def _check_template(kind: str, text: str) -> None:
        try:
            found = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
        except ValueError as problem:
            raise ValueError(f"questions.{kind}: {text!r}: {problem}") from None
        if found != set(SLOTS[kind]):
            wanted = ", ".join(f"{{{slot}}}" for slot in SLOTS[kind]) or "no placeholder"
            raise ValueError(f"questions.{kind}: {text!r} must contain {wanted}")

    @property
    def weights(self) -> dict[str, int]:
        """Kinds of question with their weights, those of weight 0 left out."""
        chosen = self.kinds if self.kinds is not None else KINDS[self.family or "coarse"]
        return {kind: weight for kind, weight in chosen.items() if weight}

    def source(self) -> ItemSource:
        """Return the items of a `family` task."""
        assert self.family is not None
        scene = self.scene
        if self.split == "background" and scene.background == "plain":
            scene = scene.model_copy(update={"background": "mixed"})
        plan = Plan(scene, self.relations, self.weights, self.offsets, comp=self.split == "comp")
        return ItemSource(self.family, self.split, self.seed, plan, self.questions)


def read_task(path: Path, overrides: Mapping[str, Any] | None = None) -> TaskFile:
    """Read and check a task file; `overrides` replace top-level keys.

    Raises:
        TaskError: names file, line and key.
    """
    data, node = load_yaml(Path(path), TaskError)
    try:
        return TaskFile.model_validate({**data, **(overrides or {})})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key." + nearest(str(first["loc"][-1]), _known_keys(first["loc"][:-1]))
        if first["loc"] and first["loc"][0] in (overrides or {}):
            raise TaskError(f"{where} {first['input']!r} does not suit {path}: {message}") from None
        # A rule over several keys says in its message which of them it is about.
        line = line_of(node, first["loc"] or message.partition(":")[0].split("."))
        raise TaskError(f"{path}, line {line}: {where + ': ' if where else ''}{message}") from None


def _known_keys(parents: tuple[str | int, ...]) -> list[str]:
    models: dict[str, type[Knobs]] = {"scene": SceneSpec, "relations": RelationSpec, "data": DataSpec}
    model = models.get(str(parents[0]), TaskFile) if parents else TaskFile
    return list(model.model_fields)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of task files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TaskFile.model_json_schema()}
