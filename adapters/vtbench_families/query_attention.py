"""The attention of a resampler's or Q-Former's queries over the encoder's tokens.

A query has no location in the image. Its attention map is a substitute and a guide only: attention shows what was read,
not what was kept of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def attention_map(
    run: Callable[[], Any], layers: Sequence[tuple[torch.nn.Module, torch.nn.Module, int]], count: int
) -> torch.Tensor:
    """Return the share of each query's attention on each of the first `count` keys.

    Args:
        run: runs the forward pass of the resampler or Q-Former once.
        layers: of each layer, the module whose output is the queries, the one whose output is the keys, and the number
            of heads.
        count: number of keys that stand for a part of the image.

    Returns:
        (images, queries, count), the mean over heads and layers; rows sum to 1.
    """
    outputs: dict[torch.nn.Module, torch.Tensor] = {}
    modules = [module for queries, keys, _ in layers for module in (queries, keys)]
    hooks = [module.register_forward_hook(lambda m, _, out: outputs.update({m: out})) for module in modules]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    attention = []
    for queries, keys, heads in layers:
        q_BHNd, k_BHMd = (_by_head(outputs[module], heads).float() for module in (queries, keys))
        weights_BHNM = (q_BHNd @ k_BHMd.transpose(-1, -2) * q_BHNd.shape[-1] ** -0.5).softmax(-1)
        attention.append(weights_BHNM.mean(1)[..., :count])
    share_BNM = torch.stack(attention).mean(0)
    return share_BNM / share_BNM.sum(-1, keepdim=True)


def _by_head(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Return (B, heads, N, d) from a projection's output (B, N, heads * d); a norm behind it has split it already."""
    return states if states.ndim == 4 else states.unflatten(-1, (heads, -1)).transpose(1, 2)
