"""The encoder from tokens and image patches to the coordinates that a run stores of each sample.

Its inputs are tokens (b, N, d) by layer, patches (b, m, p) at the places of the measured tokens, and patches (b, P, p)
of the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.features.patch_layout import PatchLayout, average_cells
from vtbench_redundancy.features.principal_components import PrincipalAxes, StreamingPCA
from vtbench_redundancy.features.supervised_basis import SupervisedBasis
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
    cell_of: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By layer with more tokens than are measured: (N,) the measured place that each token lies in."""
    cells: Mapping[str, PrincipalAxes] = field(default_factory=dict)
    """By the same layers, (d, r) of the averages of all tokens of a place."""

    def encode(self, tokens: Mapping[str, Tensor], patches_bmp: Tensor, pixels_bPp: Tensor) -> dict[str, np.ndarray]:
        """Return `tokens/<layer>` (b, S, m, r), `patches` (b, m, r) and `pixels` (b, P, r_x // P).

        Of layers in `cell_of` also `cells/<layer>` (b, m, r), the average of the tokens of each place.
        """
        found = {"patches": self.patches(patches_bmp), "pixels": self.pixels(pixels_bPp)}
        for layer, tokens_bNd in tokens.items():
            chosen = torch.as_tensor(self.chosen[layer], device=tokens_bNd.device)
            found[f"tokens/{layer}"] = self.tokens[layer](tokens_bNd)[:, chosen]
            if layer in self.cell_of:  # the average of coordinates is the coordinates of the average
                found[f"cells/{layer}"] = average_cells(self.cells[layer](tokens_bNd), self.cell_of[layer])
        return {name: value.float().cpu().numpy() for name, value in found.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, for a file."""
        found = {f"chosen/{layer}": chosen for layer, chosen in self.chosen.items()}
        found |= {f"cell_of/{layer}": cells for layer, cells in self.cell_of.items()}
        axes = {"patches": self.patches, "pixels": self.pixels}
        axes |= {f"tokens/{layer}": axes for layer, axes in self.tokens.items()}
        axes |= {f"cells/{layer}": axes for layer, axes in self.cells.items()}
        for name, of_name in axes.items():
            found |= {f"{name}/mean": of_name.mean, f"{name}/axes": of_name.axes}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Encoder:
        """Restore from what `arrays` returned."""

        def axes(name: str) -> PrincipalAxes:
            return PrincipalAxes(np.asarray(arrays[f"{name}/mean"]), np.asarray(arrays[f"{name}/axes"]))

        def by_layer(name: str) -> dict[str, np.ndarray]:
            return {key.removeprefix(name): np.asarray(v) for key, v in arrays.items() if key.startswith(name)}

        chosen = by_layer("chosen/")
        tokens = {layer: axes(f"tokens/{layer}") for layer in chosen}
        cell_of = by_layer("cell_of/")
        cells = {layer: axes(f"cells/{layer}") for layer in cell_of}
        return cls(tokens, chosen, axes("patches"), axes("pixels"), cell_of, cells)


class EncoderFit:
    """Fits an `Encoder` on a stream of batches. Memory does not grow with the number of images.

    Args:
        protocol: its settings.
        layouts: the choice of tokens by layer.
        pixels: the map from patches to coordinates of the image; the supervised basis needs it from the start. None:
            principal components, fitted on the same stream.
    """

    def __init__(
        self, protocol: Protocol, layouts: Mapping[str, PatchLayout], pixels: PrincipalAxes | None = None
    ) -> None:
        self._protocol, self._layouts, self._axes = protocol, layouts, pixels
        self._tokens = {layer: self._basis(layout) for layer, layout in layouts.items()}
        cell_of = {layer: layout.cell_of_N for layer, layout in layouts.items()}
        self._cell_of = {layer: cells for layer, cells in cell_of.items() if cells is not None and protocol.held_out}
        self._cells = {layer: self._basis(layouts[layer]) for layer in self._cell_of}
        self._patches = self._basis(next(iter(layouts.values())))
        self._pixels: StreamingPCA | None = None
        self.images = 0

    def update(self, tokens: Mapping[str, Tensor], patches_bmp: Tensor, pixels_bPp: Tensor) -> None:
        """Update with a batch. The tokens of the first subset are enough for the tokens' axes."""
        self.images += len(pixels_bPp)
        if self._axes is None:
            self._pixels = self._pixels or pixel_components(self._protocol, pixels_bPp.shape[1])
            self._pixels.update(pixels_bPp)
        x_bq = None if self._axes is None else self._axes(pixels_bPp).flatten(1)
        _update(self._patches, patches_bmp, x_bq)
        for layer, tokens_bNd in tokens.items():
            first = torch.as_tensor(self._layouts[layer].chosen_Sm[0], device=tokens_bNd.device)
            _update(self._tokens[layer], tokens_bNd[:, first], x_bq)
            if layer in self._cells:
                _update(self._cells[layer], average_cells(tokens_bNd, self._cell_of[layer]), x_bq)

    def encoder(self) -> Encoder:
        """Return the encoder fitted on all batches so far.

        Raises:
            ValueError: there was no batch.
        """
        if not self.images:
            raise ValueError("no images to fit coordinates on")
        pixels = self._axes if self._pixels is None else self._pixels.result()
        assert pixels is not None
        tokens = {layer: basis.result() for layer, basis in self._tokens.items()}
        chosen = {layer: layout.chosen_Sm for layer, layout in self._layouts.items()}
        cells = {layer: basis.result() for layer, basis in self._cells.items()}
        return Encoder(tokens, chosen, self._patches.result(), pixels, self._cell_of, cells)

    def _basis(self, layout: PatchLayout) -> StreamingPCA | SupervisedBasis:
        p = self._protocol
        tokens = StreamingPCA(p.coordinates(layout.chosen_Sm.shape[1]), p.projection, p.seed, p.exact)
        return SupervisedBasis(tokens, p.basis_floor) if p.basis == "supervised" and self._axes is not None else tokens


def pixel_components(protocol: Protocol, cells: int) -> StreamingPCA:
    """Return principal components for an image's coordinates: `r_x` in equal parts of its cells."""
    return StreamingPCA(max(1, protocol.r_x // cells), protocol.projection, protocol.seed, protocol.exact)


def _update(basis: StreamingPCA | SupervisedBasis, values_bkd: Tensor, x_bq: Tensor | None) -> None:
    if isinstance(basis, SupervisedBasis):
        assert x_bq is not None
        basis.update(values_bkd, x_bq)
    else:
        basis.update(values_bkd)
