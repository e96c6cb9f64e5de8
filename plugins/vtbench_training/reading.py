"""Pictures and packed text in, the decoder's states over the text out: one pass for all texts about a picture."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from vtbench_training.packing import Packer, block_mask
from vtbench_training.tower import normalise


def read_packed(llava: LlavaForConditionalGeneration, packer: Packer, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return the states of the text's tokens at every layer, embeddings first, (B, L, d) each.

    Args:
        llava: the model; its vision tower is frozen, as gradients of an untrained decoder wipe out what it knows.
        packer: what made the batch.
        batch: `pictures` (B, 3, S, S) uint8 and the tensors of `Packer.batch`.
    """
    model = llava.model
    with torch.no_grad():
        patches = model.vision_tower(normalise(batch["pictures"])).last_hidden_state[:, 1:]
    visual = model.multi_modal_projector(patches)
    embed = model.language_model.embed_tokens
    head = torch.tensor(packer.head, device=visual.device).expand(len(visual), -1)
    before = head.shape[1] + visual.shape[1]
    positions = torch.arange(before, device=visual.device).expand(len(visual), -1)
    inputs = torch.cat([embed(head), visual, embed(batch["ids"])], dim=1)
    kind = inputs.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype
    seen_by = block_mask(batch["owner"], before)
    out = model.language_model(
        inputs_embeds=inputs,
        # To be added to the scores: plain attention knows no other mask, and fused attention knows this one too.
        attention_mask=torch.zeros_like(seen_by, dtype=dtype).masked_fill(~seen_by, torch.finfo(dtype).min),
        position_ids=torch.cat([positions, batch["positions"]], 1),
        use_cache=False,
        output_hidden_states=True,
    )
    return tuple(states[:, before:] for states in out.hidden_states)
