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
    cue_tokens: Mapping[str, PrincipalAxes] = field(default_factory=dict)
    """As `tokens`, of the directions that say most about the cues; empty where tokens are not reduced, or no cues."""
    cue_cells: Mapping[str, PrincipalAxes] = field(default_factory=dict)
    """As `cells`, of those directions."""

    def encode(self, tokens: Mapping[str, Tensor], patches_bmp: Tensor, pixels_bPp: Tensor) -> dict[str, np.ndarray]:
        """Return `tokens/<layer>` (b, S, m, r), `patches` (b, m, r) and `pixels` (b, P, r_x // P).

        Of layers in `cell_of` also `cells/<layer>` (b, m, r), the average of the tokens of each place. With axes for
        the cues also `cue_tokens/<layer>` and `cue_cells/<layer>`, of the same shapes.
        """
        found = {"patches": self.patches(patches_bmp), "pixels": self.pixels(pixels_bPp)}
        for layer, tokens_bNd in tokens.items():
            chosen = torch.as_tensor(self.chosen[layer], device=tokens_bNd.device)
            for name, of_layer in (("tokens", self.tokens), ("cue_tokens", self.cue_tokens)):
                if layer in of_layer:
                    found[f"{name}/{layer}"] = of_layer[layer](tokens_bNd)[:, chosen]
            for name, of_layer in (("cells", self.cells), ("cue_cells", self.cue_cells)):
                if layer in of_layer:  # the average of coordinates is the coordinates of the average
                    found[f"{name}/{layer}"] = average_cells(of_layer[layer](tokens_bNd), self.cell_of[layer])
        return {name: value.float().cpu().numpy() for name, value in found.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, for a file."""
        found = {f"chosen/{layer}": chosen for layer, chosen in self.chosen.items()}
        found |= {f"cell_of/{layer}": cells for layer, cells in self.cell_of.items()}
        axes = {"patches": self.patches, "pixels": self.pixels}
        for kind in _BY_LAYER:
            axes |= {f"{kind}/{layer}": axes for layer, axes in getattr(self, kind).items()}
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

        tokens, cells, cue_tokens, cue_cells = (
            {layer: axes(f"{kind}/{layer}") for layer in by_layer("chosen/") if f"{kind}/{layer}/axes" in arrays}
            for kind in _BY_LAYER
        )
        chosen, cell_of = by_layer("chosen/"), by_layer("cell_of/")
        return cls(tokens, chosen, axes("patches"), axes("pixels"), cell_of, cells, cue_tokens, cue_cells)


Basis = StreamingPCA | SupervisedBasis
_BY_LAYER = ("tokens", "cells", "cue_tokens", "cue_cells")


class EncoderFit:
    """Fits an `Encoder` on a stream of batches. Memory does not grow with the number of images.

    Args:
        protocol: its settings.
        layouts: the choice of tokens by layer.
        pixels: the map from patches to coordinates of the image; the supervised basis needs it from the start. None:
            principal components, fitted on the same stream.
        columns: how many further columns a batch has of each image: what the tokens are about in place of pixels, by
            the protocol's target, or else the cues.
    """

    def __init__(
        self,
        protocol: Protocol,
        layouts: Mapping[str, PatchLayout],
        pixels: PrincipalAxes | None = None,
        columns: int = 0,
    ) -> None:
        self._columns, self._of_pixels = columns, protocol.target == "pixels"
        self._protocol, self._layouts, self._axes = protocol, layouts, pixels
        self._tokens = {layer: self._basis(layout) for layer, layout in layouts.items()}
        cell_of = {layer: layout.cell_of_N for layer, layout in layouts.items()}
        self._cell_of = {layer: cells for layer, cells in cell_of.items() if cells is not None and protocol.held_out}
        self._cells = {layer: self._basis(layouts[layer]) for layer in self._cell_of}
        self._patches = self._basis(next(iter(layouts.values())))
        self._pixels: StreamingPCA | None = None
        self.images = 0

    def update(
        self,
        tokens: Mapping[str, Tensor],
        patches_bmp: Tensor,
        pixels_bPp: Tensor,
        columns_bc: Tensor | None = None,
    ) -> None:
        """Update with a batch. The tokens of the first subset are enough for the tokens' axes."""
        self.images += len(pixels_bPp)
        if self._axes is None:
            self._pixels = self._pixels or pixel_components(self._protocol, pixels_bPp.shape[1])
            self._pixels.update(pixels_bPp)
        x_bq = self._targets(pixels_bPp, columns_bc)
        _update(self._patches, patches_bmp, x_bq)
        for layer, tokens_bNd in tokens.items():
            first = torch.as_tensor(self._layouts[layer].chosen_Sm[0], device=tokens_bNd.device)
            _update(self._tokens[layer], tokens_bNd[:, first], x_bq)
            if layer in self._cells:
                _update(self._cells[layer], average_cells(tokens_bNd, self._cell_of[layer]), x_bq)

    def _targets(self, pixels_bPp: Tensor, columns_bc: Tensor | None) -> Tensor | None:
        """Return what the tokens are about, (b, q): the target, and behind it the cues if that is another."""
        parts = [self._axes(pixels_bPp).flatten(1).double()] if self._axes is not None and self._of_pixels else []
        if self._columns:
            assert columns_bc is not None
            parts.append(columns_bc.to(pixels_bPp.device).double())
        return torch.cat(parts, dim=1) if parts else None

    def encoder(self) -> Encoder:
        """Return the encoder fitted on all batches so far.

        Raises:
            ValueError: there was no batch.
        """
        if not self.images:
            raise ValueError("no images to fit coordinates on")
        pixels = self._axes if self._pixels is None else self._pixels.result()
        assert pixels is not None
        cues = slice(-self._columns, None) if self._of_pixels and self._columns else None
        target = slice(None) if cues is None else slice(-self._columns)
        chosen = {layer: layout.chosen_Sm for layer, layout in self._layouts.items()}
        return Encoder(
            {layer: _axes_about(basis, target) for layer, basis in self._tokens.items()}, chosen,
            _axes_about(self._patches, target), pixels, self._cell_of,
            {layer: _axes_about(basis, target) for layer, basis in self._cells.items()},
            _cue_axes(self._tokens, cues), _cue_axes(self._cells, cues),
        )  # fmt: skip

    def _basis(self, layout: PatchLayout) -> Basis:
        p = self._protocol
        tokens = StreamingPCA(p.coordinates(layout.chosen_Sm.shape[1]), p.projection, p.seed, p.exact)
        about = (self._axes is not None and self._of_pixels) or self._columns
        return SupervisedBasis(tokens, p.basis_floor) if p.basis == "supervised" and about else tokens


def pixel_components(protocol: Protocol, cells: int) -> StreamingPCA:
    """Return principal components for an image's coordinates: `r_x` in equal parts of its cells."""
    return StreamingPCA(max(1, protocol.r_x // cells), protocol.projection, protocol.seed, protocol.exact)


def _axes_about(basis: Basis, about: slice) -> PrincipalAxes:
    return basis.result(about) if isinstance(basis, SupervisedBasis) else basis.result()


def _cue_axes(bases: Mapping[str, Basis], cues: slice | None) -> dict[str, PrincipalAxes]:
    """Return the axes about the cues by layer; principal components, and tokens kept whole, have no others."""
    if cues is None:
        return {}
    found = {layer: basis.result(cues) for layer, basis in bases.items() if isinstance(basis, SupervisedBasis)}
    return {layer: axes for layer, axes in found.items() if not axes.keeps}


def _update(basis: Basis, values_bkd: Tensor, x_bq: Tensor | None) -> None:
    if isinstance(basis, SupervisedBasis):
        assert x_bq is not None
        basis.update(values_bkd, x_bq)
    else:
        basis.update(values_bkd)
