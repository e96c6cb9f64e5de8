"""Where queries look: a resampler's or Q-Former's run in, each query's share of attention on each patch out.

Queries have no place in the picture. This is the map that can be had of them instead, and it is a guide only: attention
says what was read, not what was kept of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def attention_map(
    run: Callable[[], Any], layers: Sequence[tuple[torch.nn.Module, torch.nn.Module, int]], count: int
) -> torch.Tensor:
    """Return the share of each query's attention that falls on each of the first `count` keys.

    Args:
        run: lets the queries look, once.
        layers: of each layer, the module that gives queries, the module that gives keys, and the number of heads.
        count: of keys that stand for a part of the picture.

    Returns:
        (pictures, queries, count), the mean over heads and layers; rows sum to 1.
    """
    given: dict[torch.nn.Module, torch.Tensor] = {}
    modules = [module for queries, keys, _ in layers for module in (queries, keys)]
    hooks = [module.register_forward_hook(lambda made, _, out: given.update({made: out})) for module in modules]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    looked = []
    for queries, keys, heads in layers:
        q_BHNd, k_BHMd = (_by_head(given[module], heads).float() for module in (queries, keys))
        weights_BHNM = (q_BHNd @ k_BHMd.transpose(-1, -2) * q_BHNd.shape[-1] ** -0.5).softmax(-1)
        looked.append(weights_BHNM.mean(1)[..., :count])
    share_BNM = torch.stack(looked).mean(0)
    return share_BNM / share_BNM.sum(-1, keepdim=True)


def _by_head(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Return (B, heads, N, d) of what a projection gives, (B, N, heads * d), or a norm behind it, which splits it."""
    return states if states.ndim == 4 else states.unflatten(-1, (heads, -1)).transpose(1, 2)
