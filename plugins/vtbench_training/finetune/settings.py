"""`FineTune`: everything that decides the weights of a fine-tuned model, validated. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args, get_type_hints

from vtbench.errors import VtbenchError, nearest
from vtbench.registry import Registry
from vtbench.settings import parse_settings

Part = Literal["vision", "connector", "text"]
PenaltyName = Literal["cosine", "logdet", "decorrelation"]
Precision = Literal["auto", "float32", "bfloat16"]
PARTS: tuple[Part, ...] = get_args(Part)
OWN_BASE = "base"
"""The name of the model that an adapter loads by default, as a base: a small one that ships, for many of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune:
    """Settings of a fine-tuning: model, data and optimiser.

    Raises:
        VtbenchError: a value is out of range or unknown; names the field.
    """

    mix: Annotated[Mapping[str, float], "Families and their weights, as family=weight,..."]
    model: Annotated[str, "What to train, by its adapter's name: llava, flamingo, qwen2_vl, ..."] = "llava"
    base: Annotated[
        str,
        "Where to start: `base` (the adapter's default), `neutral` (llava's second), a directory or a hub name.",
    ] = OWN_BASE
    steps: Annotated[int, "Steps of the optimiser."] = 400
    batch_size: Annotated[int, "Items in a step, over all processes."] = 32
    rate: Annotated[float, "Highest learning rate, reached after the warm-up; then cosine decay."] = 3e-4
    vision_rate: Annotated[float, "Learning rate of the vision tower, as a factor of `rate`."] = 0.1
    warmup: Annotated[int, "Steps of linear warm-up."] = 20
    seed: Annotated[int, "Seed of the items and of every random draw."] = 0
    weight_decay: Annotated[float, "Weight decay of AdamW, on matrices alone."] = 0.02
    clip: Annotated[float, "Largest norm of the gradient."] = 1.0
    freeze: Annotated[tuple[Part, ...], "Parts to freeze: vision, connector, text; several by comma."] = ()
    lora: Annotated[int, "Rank of LoRA updates to the linear layers of the other parts; 0 trains all weights."] = 0
    penalty: Annotated[
        tuple[PenaltyName, float] | None, "Redundancy penalty and its weight: cosine:0.1, logdet:..., decorrelation:..."
    ] = None
    budget: Annotated[str | None, "Train under a token budget: random:k=16, grid:f=0.25, downsample:k=16."] = None
    precision: Annotated[Precision, "`auto` is bfloat16 where the hardware multiplies it, else float32."] = "auto"

    def __post_init__(self) -> None:
        _check_mix(self.mix)
        for name, least in (("steps", 1), ("batch_size", 1), ("warmup", 0), ("seed", 0), ("lora", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise VtbenchError(f"{name} must be a whole number of at least {least}, not {value}")
        for name, fine, must in (
            ("rate", 0 < self.rate < math.inf, "above 0"),
            ("vision_rate", 0 < self.vision_rate < math.inf, "above 0 (freeze=vision keeps the tower as it is)"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
            ("clip", 0 < self.clip < math.inf, "above 0"),
        ):
            if not fine:
                raise VtbenchError(f"{name} must be a number {must}, not {getattr(self, name)}")
        for part in self.freeze:
            if part not in PARTS:
                raise VtbenchError(f"freeze: the model has no part {part!r}.{nearest(part, list(PARTS))}")
        if set(self.freeze) == set(PARTS):
            raise VtbenchError("freeze: with vision, connector and text frozen nothing is left to train; free one")
        if self.precision not in get_args(Precision):
            raise VtbenchError(
                f"precision: unknown {self.precision!r}.{nearest(self.precision, [*get_args(Precision)])}"
            )
        if self.penalty is not None:
            self._check_penalty(*self.penalty)
        if self.budget is not None:
            Registry().budget(self.budget)

    def _check_penalty(self, name: str, weight: float) -> None:
        if name not in get_args(PenaltyName):
            raise VtbenchError(f"penalty: there is none called {name!r}.{nearest(name, [*get_args(PenaltyName)])}")
        if not 0 <= weight < math.inf:
            raise VtbenchError(f"penalty: the weight of {name} must be a number of at least 0, not {weight}")
        if {"vision", "connector"} <= set(self.freeze):
            raise VtbenchError("penalty: with vision and connector frozen no visual token can move; free one of them")
        if self.batch_size < 2:
            raise VtbenchError("penalty: its variance floor compares images, so batch_size must be at least 2")


def _check_mix(mix: Mapping[str, float]) -> None:
    for family, weight in mix.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise VtbenchError(f"mix: the weight of {family!r} must be a number of at least 0, not {weight!r}")
    if not sum(mix.values()) > 0:
        raise VtbenchError("mix: the weights sum to nothing, there is no family to train on; give one a weight above 0")


def docs() -> dict[str, str]:
    """Return the help text of every field of `FineTune`, by name."""
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(FineTune, include_extras=True).items()}


def parse_mix(text: str) -> dict[str, float]:
    """Parse `family=weight,...`; a family alone has weight 1.

    >>> parse_mix("coarse=1,relational=2.5"), parse_mix("coarse,relational")
    ({'coarse': 1, 'relational': 2.5}, {'coarse': 1, 'relational': 1})

    Raises:
        VtbenchError: a family is named twice.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    names = [part.partition("=")[0].strip() for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise VtbenchError(f"mix: {name!r} is there twice; give it one weight")
    return parse_settings(",".join(part if "=" in part else f"{part}=1" for part in parts))


def parse_penalty(text: str) -> tuple[str, float]:
    """Parse `name:weight`.

    >>> parse_penalty("cosine:0.1")
    ('cosine', 0.1)

    Raises:
        VtbenchError: there is no weight, or it is no number.
    """
    name, _, weight = text.partition(":")
    try:
        return name.strip(), float(weight)
    except ValueError:
        raise VtbenchError(f"penalty: write name:weight, as cosine:0.1; {text!r} is not that") from None
