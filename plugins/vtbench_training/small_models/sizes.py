"""Sizes of the small models, and those with which each family is pretrained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a small vision-language model: vision tower, decoder and image."""

    vision_hidden: int = 160
    """Width of the vision tower; a multiple of `vision_heads`. Its MLPs are four times as wide."""
    vision_layers: int = 4
    vision_heads: int = 5
    hidden: int = 160
    """Width of the decoder; a multiple of `heads`."""
    layers: int = 6
    heads: int = 5
    kv_heads: int = 5
    """Key and value heads of the decoder; fewer than `heads` is grouped-query attention."""
    intermediate: int = 320
    """Width of the decoder's MLPs."""
    image_size: int = 112
    """Side of the image (of a tile, where a family cuts images into tiles) in pixels; a multiple of `patch_size`."""
    patch_size: int = 14
    """Side of a patch in pixels."""

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class QuerySizes(Sizes):
    """Sizes of a model whose connector reads the patches with a fixed number of learned queries."""

    queries: int = 32
    connector_layers: int = 1


SIZES: Mapping[str, Sizes] = {
    "llava": Sizes(),
    "flamingo": QuerySizes(layers=4),
    "fuyu": Sizes(vision_layers=0, hidden=192, layers=6, heads=6, kv_heads=6, intermediate=768),
    "idefics3": Sizes(),
    "internvl": Sizes(),
    "llava_next": Sizes(),
    "llava_onevision": Sizes(),
    "mllama": Sizes(vision_layers=3, layers=6),
    "paligemma": Sizes(),
    "qformer": QuerySizes(layers=4, connector_layers=2),
    "qwen2_vl": Sizes(layers=5),
}
"""Sizes with which each family is pretrained: about the same number of parameters in every family."""
