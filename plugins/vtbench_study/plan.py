"""The design of a study: `Plan` has every setting that decides its numbers, and lists its models as `Cell`s.

An arm is what the models of a row have in common (a training family, a mix, a family under a penalty or at the full
rate); a cell is one model, an arm with a seed. Importing this module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from annotated_types import Ge, Gt, Lt

from vtbench.errors import nearest
from vtbench.settings import check_fields, checked
from vtbench.task.names import check_name
from vtbench_study.errors import StudyError
from vtbench_training.finetune.settings import FineTune, Weight, parse_penalty

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
"""In rising complexity, as the paper orders them."""
Kind = Literal["base", "family", "mix", "penalty", "full_rate", "shipped"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of the study.

    Attributes:
        name: unique, e.g. `coarse-0`.
        arm: what it is trained on: a family, a mix, one of them under a penalty or at the full rate; `base`, or a
            shipped model's name.
        kind: of the arm.
        seed: of its training; None for a model that the study does not train.
        mix: families and weights; empty for a model that the study does not train.
        penalty: in the syntax of `vtbench train --redundancy-penalty`, or None.
        control_arm: the arm that differs from this one by the penalty or the vision tower's rate alone; None if there
            is none.
    """

    name: str
    arm: str
    kind: Kind
    seed: int | None
    mix: Mapping[str, float]
    penalty: str | None = None
    control_arm: str | None = None
    model: str = "llava"
    """Its adapter."""

    @property
    def families(self) -> list[str]:
        """The families that it is trained on."""
        return [family for family, weight in self.mix.items() if weight > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained, from which base, and on how much data every model is measured.

    The field names are keys of plan.json and study.json.

    Raises:
        VtbenchError: a value is out of range; the message names it.
    """

    base: Annotated[
        str, "Initial weights of all models: `neutral`, `base` (the embedded model), or a LLaVA checkpoint."
    ] = "neutral"
    families: Annotated[
        tuple[str, ...], "Families from the simplest to the most complex, the order in which the trend is tested."
    ] = FAMILIES
    mixes: Annotated[
        Mapping[str, Mapping[str, Weight]],
        "Mixes of families to train on: weights by family, by name; `none` for none. [balanced: all families]",
    ] = field(default_factory=lambda: {"balanced": dict.fromkeys(FAMILIES, 1.0)})
    penalties: Annotated[
        Mapping[str, str],
        "Families or mixes to train a second time, under a redundancy penalty; or `none`. [relational:cosine:0.1]",
    ] = field(default_factory=lambda: {"relational": "cosine:0.1"})
    full_rate: Annotated[
        tuple[str, ...],
        "Families or mixes to train a second time, the vision tower at the full learning rate instead of a tenth of "
        "it; or `none`.",
    ] = ("coarse", "scene_graph")
    seeds: Annotated[tuple[Annotated[int, Ge(0)], ...], "Training seeds; each arm has one model per seed."] = (
        0, 1, 2, 3, 4,
    )  # fmt: skip
    steps: Annotated[int, "Training steps of every model.", Ge(1)] = 1200
    snapshots: Annotated[
        tuple[Annotated[float, Gt(0), Lt(1)], ...],
        "Shares of the training after which a model is kept, and measured in short; or `none`.",
    ] = (0.25, 0.5)
    batch_size: Annotated[int, "Items in a step.", Ge(1)] = 32
    rate: Annotated[float, "Peak learning rate.", Gt(0), Lt(math.inf)] = 5e-4
    warmup: Annotated[int, "Steps of learning-rate warm-up.", Ge(0)] = 50
    items: Annotated[int, "Items of every family's `test` split that each model answers.", Ge(20)] = 500
    images: Annotated[
        int, "Images of the probe set, and of a model's own training families, on which redundancy is measured.", Ge(20)
    ] = 2000
    probed: Annotated[int, "Images of the probe set that cue probes use.", Ge(20)] = 600
    dropped: Annotated[int, "Items of a model's own training families that the drop curve uses.", Ge(20)] = 120
    margin: Annotated[
        float,
        "Change of RS from the simplest to the most complex family under which it counts as none, by two one-sided "
        "tests; it is stated before anything is measured.",
        Gt(0), Lt(1),
    ] = 0.03  # fmt: skip
    shipped: Annotated[
        tuple[str, ...],
        "Shipped models, by adapter, that are measured in short beside the study's own; or `none`.",
    ] = ("llava", "flamingo", "qformer", "qwen2_vl", "fuyu")
    tests: Annotated[
        tuple[str, ...],
        "Further tasks that every model answers, and on whose images its RS is measured: natural ones after a "
        "synthetic training, or the reverse. They may be added to a study that is finished.",
    ] = ()
    files: Annotated[
        tuple[str, ...],
        "A task file outside the task path, whose task other options may name; may be given several times.",
    ] = ()
    quick: Annotated[bool, "A small version that ends within 15 minutes on two CPU cores; reports mark it as such."] = (
        False
    )

    def __post_init__(self) -> None:
        check_fields(self, "study: {}".format, StudyError)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise StudyError(f"study: seeds must be different whole numbers, not {list(self.seeds)}")
        if len(set(self.families)) < max(2, len(self.families)):
            raise StudyError("study: name two or more different families, from the simplest to the most complex")
        for task in (*self.families, *self.tests):
            if task.endswith((".yaml", ".yml")):
                raise StudyError(f"study: give the file {task} by --task-file, and name its task {Path(task).stem!r}")
        if len({Path(file).stem for file in self.files}) < len(self.files):
            raise StudyError("study: two task files have the same name; rename one")
        if len({*self.families, *self.tests}) < len(self.families) + len(self.tests):
            raise StudyError(
                f"study: tests must be different tasks, and none of the families, which every model answers anyway, "
                f"not {list(self.tests)}"
            )
        arms = [*self.families, *self.mixes]
        for arm in (*arms, *self.tests):
            check_name(arm, "study: the arm", StudyError)  # names a directory of the study
        if clashes := [arm for arm in self.mixes if arm in self.families]:
            raise StudyError(f"study: the mix {clashes[0]!r} has the name of a family; give it another name")
        for what, second in (("penalty on", self.penalties), ("full_rate of", self.full_rate)):
            for arm in second:
                if arm not in arms:
                    raise StudyError(f"study: {what} {arm!r}, which is not trained.{nearest(arm, arms)}")
        if len(set(self.full_rate)) < len(self.full_rate):
            raise StudyError(f"study: full_rate must be different families or mixes, not {list(self.full_rate)}")
        if len(set(self.shipped)) < len(self.shipped):
            raise StudyError(f"study: shipped must be different models, not {list(self.shipped)}")
        for cell in self.cells():
            if cell.kind != "base":
                self.settings(cell)  # raises if the cell cannot be trained

    def cells(self) -> list[Cell]:
        """Return every model, seed by seed, so that an interrupted study has complete seeds."""
        found = [Cell("base", "base", "base", None, {})]
        for seed in self.seeds:
            for family in self.families:
                found.append(Cell(f"{family}-{seed}", family, "family", seed, {family: 1.0}))
            for name, mix in self.mixes.items():
                found.append(Cell(f"{name}-{seed}", name, "mix", seed, mix))
            for control_arm, penalty in self.penalties.items():
                arm = f"{control_arm}+{penalty.partition(':')[0]}"
                mix = self._mix(control_arm)
                found.append(Cell(f"{arm}-{seed}", arm, "penalty", seed, mix, penalty, control_arm))
            for control_arm in self.full_rate:
                arm, mix = f"{control_arm}+full_rate", self._mix(control_arm)
                found.append(Cell(f"{arm}-{seed}", arm, "full_rate", seed, mix, None, control_arm))
        return found

    def kept_steps(self) -> list[int]:
        """Return the numbers of steps after which a model is kept before its training ends."""
        return sorted({round(share * self.steps) for share in self.snapshots} - {0, self.steps})

    def location(self, task: str) -> str:
        """Return what `vtbench run --tasks` takes for a task: its name, or its file outside the task path."""
        return next((file for file in self.files if Path(file).stem == task), task)

    def _mix(self, arm: str) -> Mapping[str, float]:
        return self.mixes.get(arm, {arm: 1.0})

    def cell(self, name: str) -> Cell:
        """Return the model of this name."""
        return next(cell for cell in [*self.cells(), *self.shipped_cells()] if cell.name == name)

    def shipped_cells(self) -> list[Cell]:
        """Return the shipped models that are measured beside those of the study."""
        names = [(model, f"shipped-{model}") for model in self.shipped]
        return [Cell(name, name, "shipped", None, {}, model=model) for model, name in names]

    def settings(self, cell: Cell) -> FineTune:
        """Return the training settings of a model; models differ in mix, penalty, the tower's rate and seed only."""
        mix = {self.location(task): weight for task, weight in cell.mix.items()}
        found = FineTune(
            mix=mix, base=self.base, steps=self.steps, batch_size=self.batch_size, rate=self.rate,
            warmup=min(self.warmup, self.steps // 2), seed=cell.seed or 0,
            penalty=cast(Any, parse_penalty(cell.penalty)) if cell.penalty else None,
        )  # fmt: skip
        return replace(found, vision_rate=1.0) if cell.kind == "full_rate" else found

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data, which `from_document` reads; tests and files where there are any."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value or name not in GROWING} | {
            "families": list(self.families),
            "seeds": list(self.seeds),
            "mixes": {name: dict(mix) for name, mix in self.mixes.items()},
            "penalties": dict(self.penalties),
            "full_rate": list(self.full_rate),
            "snapshots": list(self.snapshots),
            "shipped": list(self.shipped),
            **{name: list(values[name]) for name in sorted(GROWING) if values[name]},
        }

    def training(self) -> dict[str, Any]:
        """Return the part of the document that decides what is trained; the rest decides how it is measured."""
        return {name: value for name, value in self.document().items() if name not in MEASURING | GROWING}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Plan:
        """Return the plan that `document` describes; an older one lacks settings, which were off then."""
        return checked(cls, {**OFF, **document}, "study: {}".format, StudyError)


MEASURING = frozenset({"items", "images", "probed", "dropped", "quick", "margin", "shipped"})
"""Settings that decide measurements and no weights: a trained study can be measured under others."""
GROWING = frozenset({"tests", "files"})
"""Settings that may change at any time: each test is measured for itself, and files are told apart by their content."""
ARMS = frozenset({"mixes", "penalties", "full_rate"})
"""Settings that name arms beside the families. More may be named at any time, as no model depends on another arm."""
OFF: Mapping[str, Any] = {"full_rate": (), "snapshots": (), "shipped": (), "margin": 0.03}
"""Settings that plans of vtbench 0.1.0 do not have, at the values which stand for what was done then."""
QUICK: Mapping[str, Any] = {
    "quick": True, "seeds": (0, 1), "steps": 100, "items": 120, "images": 1100, "probed": 240, "dropped": 40,
    "full_rate": (), "snapshots": (), "shipped": (),
}  # fmt: skip
"""The settings of `--quick`: it runs within 15 minutes on two CPU cores, and is too small to conclude from."""
