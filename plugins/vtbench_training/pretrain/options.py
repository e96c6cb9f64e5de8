"""`PretrainOptions`: what `vtbench pretrain` trains and where, validated. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from vtbench.errors import VtbenchError
from vtbench.settings import check_fields
from vtbench_training.finetune.settings import PenaltyName, Weight
from vtbench_training.small_models import SMALL_MODELS, check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainOptions:
    """Options of a pretraining; the recipe itself is in `recipe.py`.

    Raises:
        VtbenchError: a value is out of range or unknown; names the field.
    """

    output: Annotated[str, "Directory for checkpoints, logs and the finished model."]
    model: Annotated[str, f"Family: {', '.join(SMALL_MODELS)}."] = "llava"
    recipe: Annotated[Literal["default", "neutral"], "`default`, or `neutral`: captions alone."] = "default"
    decoder: Annotated[
        str | None, "A pretrained decoder for llava: directory, GGUF file or hub name of a causal language model."
    ] = None
    lora: Annotated[int, "Rank of LoRA updates to that decoder; 0 trains all its weights.", Ge(0)] = 0
    seed: Annotated[int, "Seed of the weights and of the training scenes.", Ge(0)] = 0
    device: Annotated[str, "`cpu`, `cuda`, or `auto`."] = "auto"
    scale: Annotated[float, "Multiplies every stage's steps; 0.01 tries it out.", Gt(0), Le(100)] = 1.0
    penalty: Annotated[
        tuple[PenaltyName, Weight] | None,
        "Redundancy penalty on the visual tokens and its weight: cosine:0.1, logdet:..., decorrelation:...",
    ] = None
    penalty_base: Annotated[
        str | None,
        "Checkpoint of the same recipe without the penalty, which the guard compares with; of a whole recipe the one"
        " that ships.",
    ] = None
    evaluate: Annotated[
        bool, "Run the four families on the result and write its card; with a penalty also the guard."
    ] = True

    def __post_init__(self) -> None:
        check_fields(self)
        check_name(self.model)
        if self.recipe == "neutral" and self.model != "llava":
            raise VtbenchError(
                f"recipe: neutral begins with the vision tower of a LLaVA, which {self.model} cannot take"
            )
        if self.decoder is not None and self.model != "llava":
            raise VtbenchError(f"decoder: a pretrained decoder goes into llava, not into {self.model}")
        if self.lora and self.decoder is None:
            raise VtbenchError("lora: it updates a pretrained decoder; name one with --decoder, or leave it out")
        if self.penalty_base is not None and self.penalty is None:
            raise VtbenchError("penalty_base: there is no penalty to check; add --redundancy-penalty, or leave it out")
