"""`FineTune`: everything that decides the weights of a fine-tuned model, validated. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Lt

from vtbench.errors import VtbenchError
from vtbench.settings import check_fields

Part = Literal["vision", "connector", "text"]
PenaltyName = Literal["cosine", "logdet", "decorrelation"]
Precision = Literal["auto", "float32", "bfloat16"]
Quantization = Literal["8bit", "4bit"]
Checkpointing = Literal["auto", "on", "off"]
Weight = Annotated[float, Ge(0), Lt(math.inf)]
PARTS: tuple[Part, ...] = get_args(Part)
OWN_BASE = "base"
"""The name of the model that an adapter loads by default, as a base: a small one that ships, for many of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune:
    """Settings of a fine-tuning: model, data and optimiser.

    Raises:
        VtbenchError: a value is out of range or unknown; names the field.
    """

    mix: Annotated[Mapping[str, Weight], "Tasks and their weights, as task=weight,...; by name, group or file."]
    model: Annotated[str, "What to train, by its adapter's name: llava, flamingo, qwen2_vl, ..."] = "llava"
    base: Annotated[
        str, "Where to start: `base` (the adapter's default), `neutral` (llava's second), a directory or a hub name."
    ] = OWN_BASE
    steps: Annotated[int, "Steps of the optimiser.", Ge(1)] = 400
    batch_size: Annotated[int, "Items in a step, over all processes.", Ge(1)] = 32
    rate: Annotated[
        float, "Highest learning rate, reached after the warm-up; then cosine decay.", Gt(0), Lt(math.inf)
    ] = 3e-4
    vision_rate: Annotated[
        float, "Learning rate of the vision tower, as a factor of `rate`; --freeze vision for 0.", Gt(0), Lt(math.inf)
    ] = 0.1
    warmup: Annotated[int, "Steps of linear warm-up.", Ge(0)] = 20
    seed: Annotated[int, "Seed of the items and of every random draw.", Ge(0)] = 0
    weight_decay: Annotated[float, "Weight decay of AdamW, on matrices alone.", Ge(0), Lt(math.inf)] = 0.02
    clip: Annotated[float, "Largest norm of the gradient.", Gt(0), Lt(math.inf)] = 1.0
    freeze: Annotated[tuple[Part, ...], "Parts to freeze: vision, connector, text; several by comma."] = ()
    lora: Annotated[
        int, "Rank of LoRA updates to the linear layers of the other parts; 0 trains all weights.", Ge(0)
    ] = 0
    penalty: Annotated[
        tuple[PenaltyName, Weight] | None,
        "Redundancy penalty and its weight: cosine:0.1, logdet:..., decorrelation:...",
    ] = None
    budget: Annotated[str | None, "Train under a token budget: random:k=16, grid:f=0.25, downsample:k=16."] = None
    precision: Annotated[Precision, "`auto` is bfloat16 where the hardware multiplies it, else float32."] = "auto"
    base_dtype: Annotated[
        Precision, "Number format of the weights that are not trained; `auto` is bfloat16 under --lora on a GPU."
    ] = "auto"
    quantization: Annotated[
        Quantization | None, "Load the base in `8bit` or `4bit`; --lora is then all that is trained (QLoRA)."
    ] = None
    gradient_checkpointing: Annotated[
        Checkpointing, "Compute activations again instead of keeping them; `auto`: above 10⁹ parameters."
    ] = "auto"

    def __post_init__(self) -> None:
        check_fields(self)
        if not sum(self.mix.values()) > 0:
            raise VtbenchError("mix: the weights sum to nothing, there is no task to train on; give one a weight")
        if set(self.freeze) == set(PARTS):
            raise VtbenchError("freeze: with vision, connector and text frozen nothing is left to train; free one")
        if self.quantization and not self.lora:
            raise VtbenchError("quantization: quantised weights cannot be trained; add updates to them with --lora 16")
        if self.base_dtype == "bfloat16" and self.precision == "float32":
            raise VtbenchError("base_dtype: a base in bfloat16 is multiplied in it; leave --precision float32 out")
        if self.penalty is not None and {"vision", "connector"} <= set(self.freeze):
            raise VtbenchError("penalty: with vision and connector frozen no visual token can move; free one of them")
        if self.penalty is not None and self.batch_size < 2:
            raise VtbenchError("penalty: its variance floor compares images, so batch_size must be at least 2")


def parse_mix(text: str) -> dict[str, float]:
    """Parse `task=weight,...`; a task alone has weight 1.

    >>> parse_mix("coarse=1,relational=2.5"), parse_mix("coarse,my/task.yaml")
    ({'coarse': 1, 'relational': 2.5}, {'coarse': 1, 'my/task.yaml': 1})

    Raises:
        VtbenchError: a task is named twice, or a weight is not YAML.
    """
    from vtbench.task.yaml_lines import parse_value  # `vtbench --help` does without YAML

    found: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, weight = (piece.strip() for piece in part.rpartition("="))
        name = name if equals else part
        if name in found:
            raise VtbenchError(f"mix: {name!r} is there twice; give it one weight")
        found[name] = parse_value(weight, f"mix: {name}") if equals else 1
    return found


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
