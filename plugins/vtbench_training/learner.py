"""What is fine-tuned: a LLaVA with some parts frozen, LoRA or not, a penalty and a token budget. Batch in, loss out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.budget import checked_weights, parse_budget
from vtbench.errors import VtbenchError
from vtbench.types import VisualTokens
from vtbench_hf.thinning import thin
from vtbench_hf.visual import by_sample, connector_rows, image_features
from vtbench_training.packing import IGNORE
from vtbench_training.penalties import penalised
from vtbench_training.settings import FineTune

_HOMES = {
    "vision": ("model.vision_tower",),
    "connector": ("model.multi_modal_projector",),
    "text": ("model.language_model", "lm_head"),
}
"""Where the parts of a LLaVA are."""


class Learner(nn.Module):
    """A LLaVA and what is asked of it.

    Args:
        llava: the model, in float32.
        config: which parts learn, under which penalty and budget.
        boxes: (N, 4) where the visual tokens stand, for budgets.
    """

    def __init__(self, llava: Any, config: FineTune, boxes: np.ndarray | None) -> None:
        super().__init__()
        for part in config.freeze:
            for home in _HOMES[part]:
                llava.get_submodule(home).requires_grad_(False)
        self.llava = with_lora(llava, config) if config.lora else llava
        self.config, self.boxes = config, boxes
        self.budget = parse_budget(config.budget) if config.budget else None

    def share(self, name: str) -> float:
        """Return the part of the rate at which the parameter of this name learns.

        At the full rate the first steps, which learn the form of an answer, wipe out what the tower knows of places.
        """
        return self.config.vision_rate if ".vision_tower." in name else 1.0

    def finished(self) -> Any:
        """Return the plain LLaVA, LoRA updates added to its weights."""
        return self.llava.merge_and_unload() if self.config.lora else self.llava

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and its parts with the share of answers right in every token.

        The loss is the mean over items of the mean over an answer's tokens, so that a long answer weighs no more than
        a short one; a penalty comes on top.
        """
        llava = self.llava.get_base_model() if self.config.lora else self.llava
        torch.manual_seed((self.config.seed << 40) + int(batch["numbers"][0]))  # dropout, where a model has any
        count = len(batch["numbers"])
        pictures = {"pixel_values": batch["pixel_values"]}
        tokens_BND = by_sample(connector_rows(image_features(llava, pictures)), count)
        inputs, targets_BL = self._inputs(llava, batch, tokens_BND)
        states_BLD = llava.model.language_model(**inputs, use_cache=False).last_hidden_state
        asked_BL = targets_BL != IGNORE
        logits_AV, target_A = llava.lm_head(states_BLD[asked_BL]).float(), targets_BL[asked_BL]
        row_A, length_B = asked_BL.nonzero()[:, 0], asked_BL.sum(dim=1)
        each_A = F.cross_entropy(logits_AV, target_A, reduction="none")
        answers = (each_A / length_B[row_A]).sum() / count
        wrong_B = torch.zeros_like(length_B).index_add(0, row_A, (logits_AV.argmax(dim=1) != target_A).long())
        shown = {"answers": answers.item(), "right": (wrong_B == 0).float().mean().item()}
        if self.config.penalty is None:
            return answers, shown
        name, weight = self.config.penalty
        penalty, floor = penalised(name, tokens_BND)
        return answers + weight * (penalty + floor), shown | {"penalty": penalty.item(), "floor": floor.item()}

    def _inputs(self, llava: Any, batch: dict[str, Tensor], tokens_BND: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return what the decoder reads, of what the budget leaves of the pictures, and the targets."""
        place_BL, mask_BL = batch["input_ids"] == llava.config.image_token_id, batch["attention_mask"]
        if int(place_BL.sum()) != tokens_BND.shape[0] * tokens_BND.shape[1]:
            raise VtbenchError(
                f"the processor makes {int(place_BL.sum())} placeholders for {tokens_BND.shape[0]} x "
                f"{tokens_BND.shape[1]} visual tokens: it does not belong to this model"
            )
        embeds_BLD = llava.get_input_embeddings()(batch["input_ids"])
        if self.budget is None:
            whole_BLD = embeds_BLD.masked_scatter(place_BL[..., None], tokens_BND.to(embeds_BLD.dtype))
            positions_BL = (mask_BL.cumsum(1) - 1).clamp(min=0)
            inputs = {"inputs_embeds": whole_BLD, "attention_mask": mask_BL, "position_ids": positions_BL}
            return inputs, batch["targets"]
        keys = [f"train/{self.config.seed}/{number}" for number in batch["numbers"].tolist()]
        weights = checked_weights(self.budget, VisualTokens("connector", tokens_BND.detach(), self.boxes), keys)
        # The targets take the place of the ids, so that they are thinned with the tokens that they follow.
        thinned = thin(batch["targets"], mask_BL, embeds_BLD, place_BL, tokens_BND, weights)
        return thinned, thinned.pop("input_ids").masked_fill(thinned["attention_mask"] == 0, IGNORE)


def with_lora(llava: Any, config: FineTune) -> Any:
    """Return the model with LoRA updates on every linear layer that learns; the layers themselves are frozen.

    Hu et al. 2021, arXiv 2106.09685; the updates are scaled by 2, that is α = 2 rank.

    Raises:
        VtbenchError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise VtbenchError("lora needs peft: pip install 'vtbench[train]'") from error
    names = _linear_layers(llava)
    return get_peft_model(llava, LoraConfig(r=config.lora, lora_alpha=2 * config.lora, target_modules=names))


def _linear_layers(llava: nn.Module) -> list[str]:
    """Name the linear layers whose weights learn, without the one that shares its weights with the embeddings."""
    return [
        name
        for name, module in llava.named_modules()
        if isinstance(module, nn.Linear) and module.weight.requires_grad and name != "lm_head"
    ]
