"""Forward passes over prompts with answers: a batch -> the logits at the answers' tokens.

`merged_logits` is for adapters of models in which visual tokens replace placeholders before a causal decoder: it takes
the adapter's own steps, so that a token budget can come between, and applies the output layer at the answers' tokens
alone. `model_logits` calls the model's forward pass as it is, for models with positions, masks or cross-attention of
their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.merged_adapter import MergedAdapter
from vtbench_hf.token_reduction import reduce_prompts
from vtbench_training.training_loop import IGNORE

BudgetedTokens = tuple[Tensor, Sequence[np.ndarray]]
"""Visual tokens (B, N, d), and each row's weights (k, N) under a token budget."""


def merged_logits(
    adapter: MergedAdapter, inputs: Inputs, targets_BL: Tensor, budgeted: BudgetedTokens | None
) -> tuple[Tensor, Tensor]:
    """Run the model from embeddings.

    Args:
        adapter: of the model.
        inputs: of the prompts with the answers appended.
        targets_BL: the token that should follow, `IGNORE` outside answers.
        budgeted: the visual tokens under a budget; None keeps them as they are.

    Returns:
        Logits (A, V) at all A tokens of answers, row by row, and the targets (B, L'), shortened as the sequences are.
    """
    model, mask_BL = adapter.model, inputs["attention_mask"]
    read: Inputs = {"inputs_embeds": adapter.inputs_embeds(inputs), "attention_mask": mask_BL}
    if budgeted is not None:
        # The targets stand in for the ids, so that they are thinned along with the tokens.
        read = reduce_prompts(targets_BL, mask_BL, read["inputs_embeds"], adapter.visual_token_mask(inputs), *budgeted)
        targets_BL = read["input_ids"].masked_fill(read["attention_mask"] == 0, IGNORE)
    decoder = adapter.language_model().get_decoder()
    states_BLD = decoder(
        inputs_embeds=read["inputs_embeds"],
        attention_mask=read["attention_mask"],
        position_ids=adapter.position_ids(read),
        use_cache=False,
    ).last_hidden_state
    logits_AV: Tensor = model.get_output_embeddings()(states_BLD[targets_BL != IGNORE])
    return logits_AV, targets_BL


def model_logits(adapter: HFAdapter, inputs: Inputs, targets_BL: Tensor) -> Tensor:
    """Run the model's own forward pass; return the logits (A, V) at all A tokens of answers, row by row."""
    answer_BL = targets_BL != IGNORE
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(adapter.model.forward).parameters:
        # Answers end the rows; over a large vocabulary the prompts' logits would cost most of the time.
        options["logits_to_keep"] = answer_BL.shape[1] - int(answer_BL.any(0).nonzero()[0])
    logits_BTV: Tensor = adapter.model(**inputs, **options).logits
    return logits_BTV[answer_BL[:, -logits_BTV.shape[1] :]]
