"""A redundancy penalty in pretraining: what is added to a stage's loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vtbench.errors import VtbenchError
from vtbench_training.finetune.penalties import penalty_and_floor
from vtbench_training.small_models.base import SmallVLM


@dataclass(frozen=True, slots=True)
class TokenPenalty:
    """A penalty of `finetune.penalties` with the variance floor that goes with it, both times a weight.

    In a vision stage it is on the tower's patches, since there is no connector in it; in all others on the visual
    tokens behind the connector, which learns there.
    """

    name: str
    weight: float


def with_penalty(
    penalty: TokenPenalty | None, loss: Tensor, logged: dict[str, float], tokens_BND: Tensor | None
) -> tuple[Tensor, dict[str, float]]:
    """Return a stage's loss with the penalty on its tokens, and what to log with `penalty` and `floor`; or as it is."""
    if penalty is None or tokens_BND is None:
        return loss, logged
    value, floor = penalty_and_floor(penalty.name, tokens_BND)
    return loss + penalty.weight * (value + floor), logged | {"penalty": value.item(), "floor": floor.item()}


def check_visual_tokens(vlm: SmallVLM, model: str) -> None:
    """Check that a family's visual tokens can be penalised.

    Raises:
        VtbenchError: its decoder reads the image by cross-attention, and pretraining does not see the tokens.
    """
    if type(vlm).hidden_states is not SmallVLM.hidden_states:
        raise VtbenchError(
            f"penalty: the decoder of {model} reads the image by cross-attention; choose another --model"
        )
