"""The model under training: an adapter's model with frozen parts, LoRA, a redundancy penalty and a token budget.

A batch -> the loss. Inputs go through the adapter, so that the model trains on exactly what it is asked at test time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.adapter import IGNORE_INDEX, BudgetTrainableAdapter, TrainableAdapter
from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError, VtbenchError, install_command
from vtbench.registry import Registry
from vtbench.types import VisualTokens
from vtbench_hf.checkpoint.packages import hush_bitsandbytes
from vtbench_training.finetune.base_model import missing_members
from vtbench_training.finetune.item_batches import image_side
from vtbench_training.finetune.part_parameters import is_in_modules, parameters_of
from vtbench_training.finetune.penalties import penalty_and_floor
from vtbench_training.finetune.settings import FineTune

LARGE = 10**9
"""Parameters above which `gradient_checkpointing=auto` is on: activations then need more memory than weights."""
_QUANTISED = ("Linear8bitLt", "Linear4bit")
"""Linear layers of bitsandbytes."""


class TrainableVLM(nn.Module):
    """A model with its loss.

    Args:
        adapter: of the model; weights that are trained are put into float32, others stay as they are.
        config: which parts are trained, under which penalty and budget; `check` has accepted it.
        registry: plugins to use; the installed ones by default.
    """

    def __init__(self, adapter: TrainableAdapter, config: FineTune, registry: Registry | None = None) -> None:
        super().__init__()
        for parameter in adapter.model.parameters():  # a checkpoint's config may have frozen parts
            parameter.requires_grad_(parameter.is_floating_point())
        for part in config.freeze:
            for parameter in parameters_of(adapter.model, adapter.parts[part]):
                parameter.requires_grad_(False)
        frozen = [name for part in config.freeze for name in adapter.parts[part]]
        self.model: Any = with_lora(adapter.model, config.lora, frozen) if config.lora else adapter.model
        for parameter in self.model.parameters():
            if parameter.requires_grad:  # in bfloat16 most steps of the optimiser would be rounded away
                parameter.data = parameter.data.float()
        large = sum(parameter.numel() for parameter in self.model.parameters()) > LARGE
        able = getattr(adapter.model, "supports_gradient_checkpointing", False)
        if config.gradient_checkpointing == "on" or (config.gradient_checkpointing == "auto" and large and able):
            checkpoint_activations(adapter.model, config.model)
        self.adapter, self.config = adapter, config
        self.budget: Budget | None = (registry or Registry()).budget(config.budget) if config.budget else None
        self.boxes: np.ndarray | None = None
        if self.budget and isinstance(adapter, BudgetTrainableAdapter):
            self.boxes = adapter.token_boxes((image_side(adapter),) * 2, "connector")

    def parameter_counts(self) -> dict[str, int]:
        """Return the numbers of trained and of all parameters, LoRA updates included."""
        counted = dict.fromkeys(("trained", "all"), 0)
        for parameter in self.model.parameters():
            # bitsandbytes keeps two 4-bit weights in a byte
            size = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
            counted["all"] += size
            counted["trained"] += size * parameter.requires_grad
        return counted

    def rate_factor(self, name: str) -> float:
        """Return the factor of the learning rate of the parameter of this name.

        At the full rate the first steps, which learn the form of an answer, destroy the tower's spatial features.
        """
        return self.config.vision_rate if is_in_modules(name, self.adapter.parts.get("vision", ())) else 1.0

    def merge_lora(self) -> Any:
        """Add LoRA updates to the weights of the adapter's model, which is then a plain one, and return it."""
        return self.model.merge_and_unload() if self.config.lora else self.model

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and the numbers to log: its parts, and the share of answers right in every token.

        The loss is the mean over items of the mean over an answer's tokens, so that a long answer weighs no more than
        a short one; a penalty is added.

        Raises:
            AdapterError: the adapter's logits are not one for each token of an answer.
        """
        torch.manual_seed((self.config.seed << 40) + int(batch["numbers"][0]))  # dropout, where a model has any
        inputs = {name: value for name, value in batch.items() if name not in ("numbers", "targets")}
        targets_BL = batch["targets"]
        self.adapter.forget()
        tokens_BND = self.adapter.connector_tokens(inputs) if self.budget or self.config.penalty else None
        if self.budget is None or tokens_BND is None:
            logits_AV = self.adapter.answer_logits(inputs, targets_BL)
        else:
            logits_AV = self._budgeted_logits(self.budget, inputs, targets_BL, tokens_BND, batch["numbers"])
        self.adapter.forget()
        answers, logged = answer_loss(logits_AV.float(), targets_BL)
        if self.config.penalty is None:
            return answers, logged
        assert tokens_BND is not None
        name, weight = self.config.penalty
        penalty, floor = penalty_and_floor(name, tokens_BND)
        return answers + weight * (penalty + floor), logged | {"penalty": penalty.item(), "floor": floor.item()}

    def _budgeted_logits(
        self, budget: Budget, inputs: Mapping[str, Tensor], targets_BL: Tensor, tokens_BND: Tensor, numbers_B: Tensor
    ) -> Tensor:
        assert isinstance(self.adapter, BudgetTrainableAdapter)
        seen = VisualTokens("connector", tokens_BND.detach(), self.boxes)
        keys = [f"train/{self.config.seed}/{number}" for number in numbers_B.tolist()]
        weights = checked_weights(budget, seen, keys)
        return self.adapter.budgeted_answer_logits(inputs, targets_BL, tokens_BND, weights)


def answer_loss(logits_AV: Tensor, targets_BL: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return the mean over items of the mean over an answer's tokens of −log p, and the numbers to log.

    Args:
        logits_AV: at all A tokens of answers, row by row.
        targets_BL: (B, L) int64, `IGNORE_INDEX` outside answers.

    Raises:
        AdapterError: the logits are not one for each token of an answer.
    """
    answer_BL = targets_BL != IGNORE_INDEX
    target_A, row_A, length_B = targets_BL[answer_BL], answer_BL.nonzero()[:, 0], answer_BL.sum(dim=1)
    if len(logits_AV) != len(target_A):
        raise AdapterError(f"answer_logits gave {len(logits_AV)} rows for {len(target_A)} tokens of answers")
    each_A = F.cross_entropy(logits_AV, target_A, reduction="none")
    answers = (each_A / length_B[row_A]).sum() / len(length_B)
    wrong_B = torch.zeros_like(length_B).index_add(0, row_A, (logits_AV.argmax(dim=1) != target_A).long())
    return answers, {"answers": answers.item(), "right": (wrong_B == 0).float().mean().item()}


def check(adapter: TrainableAdapter, config: FineTune) -> None:
    """Refuse settings that the model does not support.

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
    if config.budget and "budget" not in adapter.capabilities:
        raise VtbenchError(
            f"budget: --model {config.model} takes none, its decoder is given whole images; leave --budget out,"
            " or see docs/budgets.md for the models that take one"
        )
    if config.budget and (missing := missing_members(adapter, BudgetTrainableAdapter)):
        raise VtbenchError(
            f"budget: --model {config.model} cannot be trained under one: its adapter has no {' and no '.join(missing)}"
        )


def checkpoint_activations(model: Any, name: str) -> None:
    """Let the layers compute their activations again in the backward pass; the gradients are the same.

    Raises:
        VtbenchError: the model does not support it.
    """
    # before transformers 5.20 it had the older name alone
    enable = getattr(model, "activation_checkpointing_enable", None) or getattr(
        model, "gradient_checkpointing_enable", None
    )
    try:
        if enable is None:
            raise ValueError(f"{type(model).__name__} has no such method")
        enable({"use_reentrant": False})
    except ValueError as error:
        raise VtbenchError(
            f"gradient_checkpointing: --model {name} does not support it; use --gradient-checkpointing off"
        ) from error


def with_lora(model: Any, rank: int, frozen: Sequence[str] = ()) -> Any:
    """Return the model with LoRA updates on every linear layer of the parts that are trained; all else is frozen.

    Hu et al. 2021, arXiv 2106.09685; the updates are scaled by 2, that is α = 2 rank. Over quantised layers this is
    QLoRA (Dettmers et al. 2023, arXiv 2305.14314).

    Args:
        model: of transformers.
        rank: of the updates.
        frozen: names of the modules that get none.

    Raises:
        VtbenchError: peft is not installed, or no linear layer is trained.
    """
    hush_bitsandbytes()
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise VtbenchError(f"lora needs peft: {install_command('train')}") from error
    layers = _linear_layers(model, frozen)
    if not layers:
        raise VtbenchError("lora: the parts that are trained have no linear layers; leave --lora out")
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers))


def _linear_layers(model: Any, frozen: Sequence[str]) -> list[str]:
    """Return the names of linear layers outside the frozen modules.

    The output layer, which may share the embeddings' weights, is left out.
    Subclasses of `nn.Linear` are left out: their modules read the weights and do not call the layer.
    """
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return [
        name
        for name, module in model.named_modules()
        if (type(module) is nn.Linear or type(module).__name__ in _QUANTISED)
        and not is_in_modules(name, frozen)
        and module is not output
    ]
