"""One forward pass over images and packed texts: the decoder's hidden states at the texts' tokens.

All texts about an image share one row, under the block mask of `packing`. Where a model attends to its prompt in both
directions, each text has a row of its own behind the image's tokens, and the vision tower still runs once an image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtbench_training.pretrain.packing import UnpackedTexts, block_mask, prefix_mask, unpack
from vtbench_training.small_models.base import SmallVLM


def packed_forward(vlm: SmallVLM, batch: dict[str, Tensor], tokens_BND: Tensor | None = None) -> tuple[Tensor, ...]:
    """Return the hidden states of the texts' tokens at every layer, embeddings first, (B, L, d) each.

    Args:
        vlm: the model; its vision modules are frozen, as gradients of an untrained decoder would destroy what they
            learned.
        batch: `images` (B, 3, S, S) uint8 and the tensors of `Packer.batch`.
        tokens_BND: the images' visual tokens, if they were made before.
    """
    forward = _forward_rows if vlm.bidirectional_prefix else _forward_packed
    return forward(vlm, batch, tokens_BND)


def _forward_packed(vlm: SmallVLM, batch: dict[str, Tensor], tokens_BND: Tensor | None) -> tuple[Tensor, ...]:
    """Run each image once, with all its texts behind it."""
    images, ids = batch["images"], batch["ids"]
    prefix = torch.tensor(vlm.prefix_ids, device=ids.device).expand(len(ids), -1)
    before = prefix.shape[1]
    places = vlm.prefix_positions.to(ids.device)[:, None].expand(-1, len(ids), -1)
    positions = torch.cat([places, batch["positions"].expand(len(places), -1, -1)], dim=2)
    mask = _additive(block_mask(batch["segments"], before))
    known = torch.cat([prefix, ids], dim=1), mask, positions if len(positions) > 1 else positions[0]
    if tokens_BND is None:
        states = vlm.hidden_states(*known, vlm.pixel_inputs(images))
    else:
        states = vlm.hidden_states_from(*known, tokens_BND)
    return tuple(layer[:, before:] for layer in states)


def _forward_rows(vlm: SmallVLM, batch: dict[str, Tensor], tokens_BND: Tensor | None) -> tuple[Tensor, ...]:
    """Run each text in a row of its own behind the image's tokens, and scatter its states to their packed places."""
    tokens = vlm.visual_tokens(vlm.pixel_inputs(batch["images"])) if tokens_BND is None else tokens_BND
    states, at = [], []
    for texts in unpack(batch):
        states.append(_forward_unpacked(vlm, texts, tokens[texts.image]))
        at.append(texts.packed.nonzero())
    row, place = torch.cat(at).unbind(dim=1)
    layers = [torch.cat(parts) for parts in zip(*states, strict=True)]
    return tuple(
        layer.new_zeros(*batch["ids"].shape, layer.shape[-1]).index_put((row, place), layer) for layer in layers
    )


def _forward_unpacked(vlm: SmallVLM, texts: UnpackedTexts, tokens: Tensor) -> list[Tensor]:
    """Return the hidden states of the texts' T tokens at every layer, (T, d) each."""
    prefix = torch.tensor(vlm.prefix_ids, device=tokens.device).expand(len(texts.ids), -1)
    ids, before = torch.cat([prefix, texts.ids], dim=1), prefix.shape[1]
    places = vlm.prefix_positions[0].to(tokens.device)
    behind = places.max() + 1 + torch.arange(texts.ids.shape[1], device=tokens.device)
    mask = _additive(prefix_mask(before + texts.prompt, ids.shape[1]))
    states = vlm.hidden_states_from(ids, mask, torch.cat([places, behind]).expand(len(ids), -1), tokens)
    return [layer[:, before:][texts.real] for layer in states]


def _additive(visible: Tensor) -> Tensor:
    """Return a boolean mask as one that is added to the attention scores: eager attention takes no other."""
    kind = visible.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)
