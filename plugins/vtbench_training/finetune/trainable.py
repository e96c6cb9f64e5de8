"""The model under training: an adapter's model with frozen parts, LoRA, a redundancy penalty and a token budget.

A batch -> the loss. Inputs go through the adapter, so that the model trains on exactly what it is asked at test time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.budget import checked_weights
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.types import VisualTokens
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.model_parts import is_in_modules, parameters_of
from vtbench_hf.visual_features import stack_by_sample
from vtbench_training.finetune.answer_logits import BudgetedTokens, merged_logits, model_logits
from vtbench_training.finetune.item_batches import image_side
from vtbench_training.finetune.penalties import penalty_and_floor
from vtbench_training.finetune.settings import FineTune
from vtbench_training.training_loop import IGNORE


class TrainableVLM(nn.Module):
    """A model with its loss.

    Args:
        adapter: of the model, which is in float32.
        config: which parts are trained, under which penalty and budget; `check` has accepted it.
    """

    def __init__(self, adapter: HFAdapter, config: FineTune) -> None:
        super().__init__()
        adapter.model.requires_grad_(True)  # a checkpoint's config may have frozen parts
        for part in config.freeze:
            for parameter in parameters_of(adapter.model, adapter.parts[part]):
                parameter.requires_grad_(False)
        self.model = with_lora(adapter.model, config.lora) if config.lora else adapter.model
        self.adapter, self.config = adapter, config
        self.budget = Registry().budget(config.budget) if config.budget else None
        side = image_side(adapter)
        self.boxes = adapter.token_boxes((side, side), "connector") if self.budget else None

    def rate_factor(self, name: str) -> float:
        """Return the factor of the learning rate of the parameter of this name.

        At the full rate the first steps, which learn the form of an answer, destroy the tower's spatial features.
        """
        return self.config.vision_rate if is_in_modules(name, self.adapter.parts.get("vision", ())) else 1.0

    def finished(self) -> Any:
        """Return the plain model, LoRA updates added to its weights."""
        return self.model.merge_and_unload() if self.config.lora else self.model

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and the numbers to log: its parts, and the share of answers right in every token.

        The loss is the mean over items of the mean over an answer's tokens, so that a long answer weighs no more than
        a short one; a penalty is added.
        """
        torch.manual_seed((self.config.seed << 40) + int(batch["numbers"][0]))  # dropout, where a model has any
        inputs = {name: value for name, value in batch.items() if name not in ("numbers", "targets")}
        self.adapter.forget()
        tokens_BND = self._tokens(inputs, len(batch["numbers"])) if self.budget or self.config.penalty else None
        logits_AV, targets_BL = self._logits(inputs, batch, tokens_BND)
        self.adapter.forget()
        answers, logged = answer_loss(logits_AV.float(), targets_BL)
        if self.config.penalty is None:
            return answers, logged
        assert tokens_BND is not None
        name, weight = self.config.penalty
        penalty, floor = penalty_and_floor(name, tokens_BND)
        return answers + weight * (penalty + floor), logged | {"penalty": penalty.item(), "floor": floor.item()}

    def _tokens(self, inputs: Inputs, count: int) -> Tensor:
        return stack_by_sample(self.adapter.connector_features(inputs), count)

    def _logits(self, inputs: Inputs, batch: dict[str, Tensor], tokens_BND: Tensor | None) -> tuple[Tensor, Tensor]:
        if not isinstance(self.adapter, MergedAdapter):
            return model_logits(self.adapter, inputs, batch["targets"]), batch["targets"]
        budgeted: BudgetedTokens | None = None
        if self.budget is not None and tokens_BND is not None:
            keys = [f"train/{self.config.seed}/{number}" for number in batch["numbers"].tolist()]
            seen = VisualTokens("connector", tokens_BND.detach(), self.boxes)
            budgeted = tokens_BND, checked_weights(self.budget, seen, keys)
        return merged_logits(self.adapter, inputs, batch["targets"], budgeted)


def answer_loss(logits_AV: Tensor, targets_BL: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the mean over items of the mean over an answer's tokens of −log p, and the numbers to log.

    Args:
        logits_AV: at all A tokens of answers, row by row.
        targets_BL: (B, L) int64, `IGNORE` outside answers.
    """
    answer_BL = targets_BL != IGNORE
    target_A, row_A, length_B = targets_BL[answer_BL], answer_BL.nonzero()[:, 0], answer_BL.sum(dim=1)
    each_A = F.cross_entropy(logits_AV, target_A, reduction="none")
    answers = (each_A / length_B[row_A]).sum() / len(length_B)
    wrong_B = torch.zeros_like(length_B).index_add(0, row_A, (logits_AV.argmax(dim=1) != target_A).long())
    return answers, {"answers": answers.item(), "right": (wrong_B == 0).float().mean().item()}


def check(adapter: HFAdapter, config: FineTune) -> None:
    """Refuse settings that the model's family does not support.

    Raises:
        VtbenchError: an unknown part, nothing left to train, or a budget where none is possible.
    """
    for part in config.freeze:
        if part not in adapter.parts:
            parts = " and ".join(adapter.parts)
            raise VtbenchError(f"freeze: --model {config.model} has no part {part!r}; its parts are {parts}")
    trained = adapter.parts.keys() - set(config.freeze)
    if not trained:
        raise VtbenchError(f"freeze: nothing of --model {config.model} is left to train; free one of its parts")
    if config.penalty and trained == {"text"}:
        raise VtbenchError(f"penalty: with {' and '.join(config.freeze)} frozen no visual token can move; free one")
    if config.budget and not isinstance(adapter, MergedAdapter):
        raise VtbenchError(
            f"budget: --model {config.model} takes none, its decoder is given whole images; leave --budget out,"
            " or see docs/budgets.md for the models that take one"
        )


def with_lora(model: Any, rank: int) -> Any:
    """Return the model with LoRA updates on every trained linear layer; the layers themselves are frozen.

    Hu et al. 2021, arXiv 2106.09685; the updates are scaled by 2, that is α = 2 rank.

    Raises:
        VtbenchError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise VtbenchError("lora needs peft: pip install 'vtbench[train]'") from error
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_linear_layers(model)))


def _linear_layers(model: Any) -> list[str]:
    """Return the names of trained linear layers, without the output layer, which may share the embeddings' weights.

    Subclasses of `nn.Linear` are left out: their modules read the weights and do not call the layer.
    """
    return [
        name
        for name, module in model.named_modules()
        if type(module) is nn.Linear and module.weight.requires_grad and module is not model.get_output_embeddings()
    ]
