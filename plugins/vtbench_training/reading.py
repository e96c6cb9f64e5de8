"""Pictures and packed text in, the decoder's states over the text out.

One pass for all texts about a picture; where a model reads its prompts both ways, a row for each text.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtbench_training.packing import Alone, block_mask, prefix_mask, unpacked
from vtbench_training.pupils.base import Pupil


def read_packed(pupil: Pupil, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return the states of the text's tokens at every layer, embeddings first, (B, L, d) each.

    Args:
        pupil: the model; what sees in it is frozen, as gradients of an untrained decoder wipe out what it knows.
        batch: `pictures` (B, 3, S, S) uint8 and the tensors of `Packer.batch`.
    """
    read = _read_apart if pupil.reads_both_ways else _read_together
    return read(pupil, batch)


def _read_together(pupil: Pupil, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Read a picture once, and behind it all texts about it."""
    pictures, ids = batch["pictures"], batch["ids"]
    head = torch.tensor(pupil.head, device=ids.device).expand(len(ids), -1)
    before = head.shape[1]
    places = pupil.head_positions.to(ids.device)[:, None].expand(-1, len(ids), -1)
    positions = torch.cat([places, batch["positions"].expand(len(places), -1, -1)], dim=2)
    mask = _added(block_mask(batch["owner"], before))
    states = pupil.states(
        torch.cat([head, ids], dim=1), mask, positions if len(positions) > 1 else positions[0], pupil.pixels(pictures)
    )
    return tuple(layer[:, before:] for layer in states)


def _read_apart(pupil: Pupil, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Read each text behind its picture's tokens in a row of its own, and bring its states to their places."""
    seen = pupil.visual(pupil.pixels(batch["pictures"]))
    read, at = [], []
    for alone in unpacked(batch):
        read.append(_read_alone(pupil, alone, seen[alone.picture]))
        at.append(alone.texts.nonzero())
    row, place = torch.cat(at).unbind(dim=1)
    layers = [torch.cat(parts) for parts in zip(*read, strict=True)]
    return tuple(
        layer.new_zeros(*batch["ids"].shape, layer.shape[-1]).index_put((row, place), layer) for layer in layers
    )


def _read_alone(pupil: Pupil, alone: Alone, seen: Tensor) -> list[Tensor]:
    """Return the states of the texts' tokens at every layer, (T, d) each."""
    head = torch.tensor(pupil.head, device=seen.device).expand(len(alone.ids), -1)
    ids, before = torch.cat([head, alone.ids], dim=1), head.shape[1]
    places = pupil.head_positions[0].to(seen.device)
    behind = places.max() + 1 + torch.arange(alone.ids.shape[1], device=seen.device)
    mask = _added(prefix_mask(before + alone.prompt, ids.shape[1]))
    states = pupil.states_of(ids, mask, torch.cat([places, behind]).expand(len(ids), -1), seen)
    return [layer[:, before:][alone.inside] for layer in states]


def _added(seen_by: Tensor) -> Tensor:
    """Return the mask as what is added to the scores: plain attention knows no other, and fused attention this too."""
    kind = seen_by.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return torch.zeros_like(seen_by, dtype=dtype).masked_fill(~seen_by, torch.finfo(dtype).min)
