"""A batch of prompts with answers in, what the model says at the answers' tokens out.

There are two ways, as there are two kinds of adapter. `placed`: visual tokens take the places of placeholders before a
plain causal decoder; the adapter's own steps are taken, so that a token budget can come between, and words are made of
the answers' states alone. `whole`: positions, masks or cross-attention are the architecture's own; the model's forward
pass is called as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.merged import MergedAdapter
from vtbench_hf.thinning import thin
from vtbench_training.packing import IGNORE

Kept = tuple[Tensor, Sequence[np.ndarray]]
"""The visual tokens (B, N, d), and each row's weights (k, N) of what a token budget makes of them."""


def placed(adapter: MergedAdapter, inputs: Inputs, targets_BL: Tensor, kept: Kept | None) -> tuple[Tensor, Tensor]:
    """Read prompts and answers.

    Args:
        adapter: of the model.
        inputs: of the prompts with the answers behind them.
        targets_BL: the token that should follow, `IGNORE` outside answers.
        kept: what a budget leaves of the pictures; None is all.

    Returns:
        Logits (A, V) at all A tokens of answers, row by row, and the targets (B, L') as the model read them.
    """
    model, mask_BL = adapter.model, inputs["attention_mask"]
    read: Inputs = {"inputs_embeds": adapter._embeddings(inputs), "attention_mask": mask_BL}
    if kept is not None:
        # The targets take the place of the ids, so that they are thinned with the tokens that they follow.
        read = thin(targets_BL, mask_BL, read["inputs_embeds"], adapter._places(inputs), *kept)
        targets_BL = read["input_ids"].masked_fill(read["attention_mask"] == 0, IGNORE)
    decoder = adapter._reader().get_decoder()
    states_BLD = decoder(
        inputs_embeds=read["inputs_embeds"],
        attention_mask=read["attention_mask"],
        position_ids=adapter._positions(read),
        use_cache=False,
    ).last_hidden_state
    logits_AV: Tensor = model.get_output_embeddings()(states_BLD[targets_BL != IGNORE])
    return logits_AV, targets_BL


def whole(adapter: HFAdapter, inputs: Inputs, targets_BL: Tensor) -> Tensor:
    """Read prompts and answers; return the logits (A, V) at all A tokens of answers, row by row."""
    asked_BL = targets_BL != IGNORE
    options: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(adapter.model.forward).parameters:
        # Answers stand at the right end of the rows: over a large vocabulary the prompts' logits would cost most.
        options["logits_to_keep"] = asked_BL.shape[1] - int(asked_BL.any(0).nonzero()[0])
    logits_BTV: Tensor = adapter.model(**inputs, **options).logits
    return logits_BTV[asked_BL[:, -logits_BTV.shape[1] :]]
