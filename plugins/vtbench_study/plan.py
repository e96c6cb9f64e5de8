"""Everything that decides the numbers of a study, in one frozen record: `Plan`; and its grid of `Cell`s.

In: values. Out: checked settings, and one cell for each model. No torch is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vtbench.errors import VtbenchError, nearest
from vtbench.task.catalog import find_task_files
from vtbench_study.errors import StudyError
from vtbench_training.settings import FineTune, parse_penalty

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
"""In rising complexity, as the paper orders them."""
Kind = Literal["base", "family", "mix", "penalty"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of the grid.

    Attributes:
        name: unique, e.g. `coarse-0`.
        arm: what it is trained on: a family, a mix, a family under a penalty, or `base`.
        seed: of its training; None for the base.
        mix: families and weights; empty for the base.
        penalty: as `vtbench train --redundancy-penalty` takes it, or None.
        twin: the arm that differs from this one by the penalty alone.
    """

    name: str
    arm: str
    kind: Kind
    seed: int | None
    mix: Mapping[str, float]
    penalty: str | None = None
    twin: str | None = None

    @property
    def own(self) -> list[str]:
        """The families it is trained on."""
        return [family for family, weight in self.mix.items() if weight > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained, from where, and on how much every model is measured.

    Raises:
        VtbenchError: a value is out of range; names it.
    """

    base: str = "neutral"
    """Where all models start: `base` (the embedded model), `neutral`, or a LLaVA checkpoint."""
    families: tuple[str, ...] = FAMILIES
    """In rising complexity: the trend is tested in this order."""
    mixes: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: {"balanced": dict.fromkeys(FAMILIES, 1.0)})
    penalties: Mapping[str, str] = field(default_factory=lambda: {"relational": "cosine:0.1"})
    """Families or mixes that are trained a second time, under a penalty."""
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 600
    batch_size: int = 32
    rate: float = 5e-4
    warmup: int = 50
    items: int = 500
    """Items of every family's `test` split that each model answers."""
    images: int = 2000
    """Pictures of the probe set, and of a model's own families, on which redundancy is measured."""
    probed: int = 600
    """Pictures of the probe set that cue probes read."""
    dropped: int = 120
    """Items of a model's own families that are answered from ever fewer visual tokens."""
    quick: bool = False
    """Whether this is the small version, and is to be marked as such."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("warmup", 0), *((n, 20) for n in _COUNTS)):
            if (value := getattr(self, name)) < least:
                raise StudyError(f"study: {name} must be a whole number of at least {least}, not {value}")
        if not 0 < self.rate < math.inf:
            raise StudyError(f"study: rate must be a number above 0, not {self.rate}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise StudyError(f"study: seeds must be different whole numbers of at least 0, not {list(self.seeds)}")
        if len(set(self.families)) < max(2, len(self.families)):
            raise StudyError("study: name two or more different families, from the simplest to the most complex")
        arms = [*self.families, *self.mixes]
        if twice := [arm for arm in self.mixes if arm in self.families]:
            raise StudyError(f"study: the mix {twice[0]!r} has the name of a family; call it otherwise")
        for arm in self.penalties:
            if arm not in arms:
                raise StudyError(f"study: penalty on {arm!r}, which is not trained.{nearest(arm, arms)}")
        for cell in self.cells():
            if cell.kind != "base":
                self.settings(cell)  # refuses what cannot be trained

    def cells(self) -> list[Cell]:
        """Return every model, seed by seed, so that a study that was stopped has whole seeds."""
        found = [Cell("base", "base", "base", None, {})]
        for seed in self.seeds:
            for family in self.families:
                found.append(Cell(f"{family}-{seed}", family, "family", seed, {family: 1.0}))
            for name, mix in self.mixes.items():
                found.append(Cell(f"{name}-{seed}", name, "mix", seed, mix))
            for twin, penalty in self.penalties.items():
                mix = self.mixes.get(twin, {twin: 1.0})
                arm = f"{twin}+{penalty.partition(':')[0]}"
                found.append(Cell(f"{arm}-{seed}", arm, "penalty", seed, mix, penalty, twin))
        return found

    def cell(self, name: str) -> Cell:
        """Return the model of this name."""
        return next(cell for cell in self.cells() if cell.name == name)

    def settings(self, cell: Cell) -> FineTune:
        """Return how a model is trained; but for mix, penalty and seed all are trained alike."""
        return FineTune(
            mix=cell.mix, base=self.base, steps=self.steps, batch_size=self.batch_size, rate=self.rate,
            warmup=min(self.warmup, self.steps // 2), seed=cell.seed or 0,
            penalty=cast(Any, parse_penalty(cell.penalty)) if cell.penalty else None,
        )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data; `plan_of` reads it."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "families": list(self.families),
            "seeds": list(self.seeds),
            "mixes": {name: dict(mix) for name, mix in self.mixes.items()},
            "penalties": dict(self.penalties),
        }


_COUNTS = ("items", "images", "probed", "dropped")
QUICK: Mapping[str, Any] = {
    "quick": True, "seeds": (0, 1), "steps": 100, "items": 120, "images": 1100, "probed": 240, "dropped": 40,
}  # fmt: skip
"""What `--quick` changes: it runs within 15 minutes on two CPU cores, and is too small to conclude from."""


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Return the plan that `Plan.document` describes."""
    lists = {name: tuple(document[name]) for name in ("families", "seeds")}
    return Plan(**{**document, **lists})


def check_families(plan: Plan, task_dirs: Iterable[Path]) -> None:
    """Refuse families that no task file defines, before anything is trained.

    Raises:
        VtbenchError: names the family, and the nearest that there is.
    """
    known = find_task_files(task_dirs)
    for family in {*plan.families, *(family for mix in plan.mixes.values() for family in mix)}:
        if family not in known:
            raise VtbenchError(f"study: unknown family {family!r}.{nearest(family, list(known))}")
