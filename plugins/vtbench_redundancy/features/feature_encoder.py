"""The encoder from tokens and image patches to the coordinates that a run stores of each sample.

Its inputs are tokens (b, N, d) by layer, patches (b, m, p) at the places of the measured tokens, and patches (b, P, p)
of the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.features.principal_components import PrincipalAxes, StreamingPCA
from vtbench_redundancy.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Encoder:
    """Maps batches to coordinates.

    X keeps the leading coordinates of each of its patches, so that each of its coordinates has a place: components of
    the whole image would mix the patches, and tokens that see one patch each would then look synergistic.
    """

    tokens: Mapping[str, PrincipalAxes]
    """By layer, (d, r)."""
    chosen: Mapping[str, np.ndarray]
    """By layer, (S, m): indices of the measured tokens."""
    patches: PrincipalAxes
    """(p, r) of the patches that stand for the measured tokens."""
    pixels: PrincipalAxes
    """(p, r_x // P) of the P patches that make up X."""

    def encode(self, tokens: Mapping[str, Tensor], patches_bmp: Tensor, pixels_bPp: Tensor) -> dict[str, np.ndarray]:
        """Return `tokens/<layer>` (b, S, m, r), `patches` (b, m, r) and `pixels` (b, P, r_x // P)."""
        found = {"patches": self.patches(patches_bmp), "pixels": self.pixels(pixels_bPp)}
        for layer, tokens_bNd in tokens.items():
            chosen = torch.as_tensor(self.chosen[layer], device=tokens_bNd.device)
            found[f"tokens/{layer}"] = self.tokens[layer](tokens_bNd)[:, chosen]
        return {name: value.float().cpu().numpy() for name, value in found.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, for a file."""
        found = {f"chosen/{layer}": chosen for layer, chosen in self.chosen.items()}
        axes = {"patches": self.patches, "pixels": self.pixels}
        axes |= {f"tokens/{layer}": axes for layer, axes in self.tokens.items()}
        for name, of_name in axes.items():
            found |= {f"{name}/mean": of_name.mean, f"{name}/axes": of_name.axes}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Encoder:
        """Restore from what `arrays` returned."""

        def axes(name: str) -> PrincipalAxes:
            return PrincipalAxes(np.asarray(arrays[f"{name}/mean"]), np.asarray(arrays[f"{name}/axes"]))

        chosen = {key.removeprefix("chosen/"): np.asarray(v) for key, v in arrays.items() if key.startswith("chosen/")}
        return cls({layer: axes(f"tokens/{layer}") for layer in chosen}, chosen, axes("patches"), axes("pixels"))


class EncoderFit:
    """Fits an `Encoder` on a stream of batches. Memory does not grow with the number of images."""

    def __init__(self, protocol: Protocol, chosen: Mapping[str, np.ndarray]) -> None:
        self._protocol, self._chosen = protocol, chosen
        self._tokens = {layer: self._components(protocol.r) for layer in chosen}
        self._patches = self._components(protocol.r)
        self._pixels: StreamingPCA | None = None

    def update(self, tokens: Mapping[str, Tensor], patches_bmp: Tensor, pixels_bPp: Tensor) -> None:
        """Update with a batch. The tokens of the first subset are enough for the tokens' axes."""
        if self._pixels is None:
            self._pixels = self._components(max(1, self._protocol.r_x // pixels_bPp.shape[1]))
        self._pixels.update(pixels_bPp)
        self._patches.update(patches_bmp)
        for layer, tokens_bNd in tokens.items():
            self._tokens[layer].update(tokens_bNd[:, torch.as_tensor(self._chosen[layer][0], device=tokens_bNd.device)])

    @property
    def empty(self) -> bool:
        """Whether there was no batch yet."""
        return self._pixels is None

    def encoder(self) -> Encoder:
        """Return the encoder fitted on all batches so far."""
        if self._pixels is None:
            raise ValueError("no images to fit principal components on")
        tokens = {layer: components.result() for layer, components in self._tokens.items()}
        return Encoder(tokens, self._chosen, self._patches.result(), self._pixels.result())

    def _components(self, rank: int) -> StreamingPCA:
        return StreamingPCA(rank, self._protocol.projection, self._protocol.seed)
